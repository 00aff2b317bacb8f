//! `with` tables: one case for each row, `${name}` replaced everywhere. That is all the templating there is.
//!
//! It works on the tree, before anything is checked, so that a column can stand for a whole list or mapping.
//! What is inserted keeps the place of the `${name}` it replaces: that is where a mistake is shown.

use super::context::{Cx, quote};
use super::keys;
use crate::scenario::yaml::{Key, Node, Size, Text, Value};
use std::borrow::Cow;

/// A case to be checked.
pub(super) struct Row<'n> {
    /// The case with everything inserted, and without its table.
    pub node: Cow<'n, Node>,
    /// From 1; `None` if the name tells the rows apart by itself, or there is no table.
    pub suffix: Option<usize>,
}

/// The columns of one row.
#[derive(Clone, Copy)]
struct Columns<'n> {
    cells: &'n [(Key, Node)],
    /// The case has a table at all.
    in_table: bool,
}

/// The cases that a case with or without a table stands for.
pub(super) fn expand<'n>(cx: &mut Cx, node: &'n Node) -> Vec<Row<'n>> {
    let Some(table) = node.get("with") else {
        return match has_template(node) {
            false => vec![Row { node: Cow::Borrowed(node), suffix: None }],
            true => {
                let node = insert(cx, node, Columns { cells: &[], in_table: false });
                vec![Row { node: Cow::Owned(node), suffix: None }]
            }
        };
    };
    let Some(rows) = cx.items(table, "`with`") else { return Vec::new() };
    if rows.is_empty() {
        let problem = cx.at(&table.span, "`with` has no rows");
        cx.push(problem.hint("each item is one run: `with: [{ user: alice }, { user: bob }]`"));
    }
    let named = node.get("name").and_then(Node::as_text).is_some_and(|name| name.contains("${"));
    let (all, of_table) = (node.size(), table.size());
    let size = Size { nodes: all.nodes - of_table.nodes, text: all.text - of_table.text, ..all };
    let mut expanded = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let Some(cells) = cx.entries(row, "a row of `with`") else { continue };
        for (column, cell) in cells {
            if matches!(cell.value, Value::Nothing) {
                let problem = cx.at(&cell.span, format!("column {} has no value", quote(&column.text)));
                cx.push(problem.hint("`\"\"` is empty text, `null` is null"));
            }
        }
        if !cx.expand(size, &table.span) {
            break;
        }
        let columns = Columns { cells, in_table: true };
        let entries = node.as_map().unwrap_or_default().iter().filter(|(key, _)| key.text != "with");
        let value = Value::Map(insert_entries(cx, entries, columns));
        let node = Node { span: node.span.clone(), value };
        expanded.push(Row { node: Cow::Owned(node), suffix: (!named).then_some(index + 1) });
    }
    expanded
}

fn has_template(node: &Node) -> bool {
    match &node.value {
        Value::Nothing | Value::Null => false,
        Value::Text(text) => text.text.contains("${"),
        Value::List(items) => items.iter().any(has_template),
        Value::Map(entries) => entries.iter().any(|(key, node)| key.text.contains("${") || has_template(node)),
    }
}

fn insert(cx: &mut Cx, node: &Node, columns: Columns) -> Node {
    let value = match &node.value {
        Value::Nothing => Value::Nothing,
        Value::Null => Value::Null,
        Value::Text(text) if !text.text.contains("${") => Value::Text(text.clone()),
        Value::Text(text) => match whole(&text.text).and_then(|name| columns.cell(name)) {
            // Exactly `${name}`: whatever the column holds, a list or mapping too.
            Some(cell) => match cx.expand(cell.size(), &node.span) {
                true => cell.value.clone(),
                false => Value::Null,
            },
            None => {
                let filled = fill(cx, node, &text.text, columns);
                // Text with something inserted is text, even if it now looks like a number.
                Value::Text(Text { text: filled, plain: false })
            }
        },
        Value::List(items) => Value::List(items.iter().map(|item| insert(cx, item, columns)).collect()),
        Value::Map(entries) => Value::Map(insert_entries(cx, entries.iter(), columns)),
    };
    Node { span: node.span.clone(), value }
}

fn insert_entries<'e>(
    cx: &mut Cx,
    entries: impl Iterator<Item = &'e (Key, Node)>,
    columns: Columns,
) -> Vec<(Key, Node)> {
    let mut filled: Vec<(Key, Node)> = Vec::new();
    for (key, value) in entries {
        let mut key = key.clone();
        if key.text.contains("${") {
            let place = Node { span: key.span.clone(), value: Value::Null };
            key.text = fill(cx, &place, &key.text, columns);
            if let Some((first, _)) = filled.iter().find(|(other, _)| other.text == key.text) {
                let problem = cx.at(&key.span, format!("key {} is there twice", quote(&key.text)));
                cx.push(problem.label("with this row's values").also(first.span.clone(), "first"));
            }
        }
        let value = insert(cx, value, columns);
        filled.push((key, value));
    }
    filled
}

/// Text with every `${name}` replaced and every `$${` turned into `${`.
fn fill(cx: &mut Cx, node: &Node, text: &str, columns: Columns) -> String {
    const LITERAL: &str = "write `$${` for a literal `${`";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut fine = true;
    while let Some(at) = rest.find("${") {
        // `$${` is found at its second dollar.
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let Some(length) = rest[at..].find('}') else {
            cx.push(cx.at(&cx.piece(&node.span, "${"), "`${` is never closed").hint(LITERAL));
            fine = false;
            break;
        };
        let written = &rest[at..=at + length];
        match columns.cell(&rest[at + 2..at + length]).map(|cell| (&cell.value, cell.kind())) {
            Some((Value::Text(value), _)) => {
                if !cx.expand(Size { nodes: 0, text: value.text.len(), depth: 0 }, &node.span) {
                    return out;
                }
                out.push_str(&value.text);
            }
            Some((_, kind)) => {
                let problem = cx.at(
                    &cx.piece(&node.span, written),
                    format!("{} is {kind}, and stands inside text", quote(written)),
                );
                cx.push(problem.hint("only text can be inserted into text; alone, it can be anything"));
                fine = false;
            }
            None => {
                columns.unknown(cx, node, written);
                fine = false;
            }
        }
        rest = &rest[at + length + 1..];
    }
    if !fine {
        cx.broken(&node.span);
    }
    out.push_str(rest);
    out
}

/// The name in a text that is exactly `${name}`.
fn whole(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    (!name.contains('}')).then_some(name)
}

impl<'n> Columns<'n> {
    fn cell(&self, name: &str) -> Option<&'n Node> {
        self.cells.iter().find(|(key, _)| key.text == name).map(|(_, cell)| cell)
    }

    fn unknown(&self, cx: &mut Cx, node: &Node, written: &str) {
        let name = &written[2..written.len() - 1];
        let problem = cx.at(&cx.piece(&node.span, written), format!("{} has no column in `with`", quote(written)));
        let (label, hint) = match self.in_table {
            false => ("this case has no `with`", "write `$${` for a literal `${`".to_string()),
            true => match keys::similar(name, self.cells.iter().map(|(key, _)| key.text.as_str())) {
                Some(close) => ("not a column", format!("did you mean `${{{close}}}`?")),
                None => {
                    let columns: Vec<&str> = self.cells.iter().map(|(key, _)| key.text.as_str()).collect();
                    ("not a column", format!("this row has {}", keys::list(&columns)))
                }
            },
        };
        cx.push(problem.label(label).hint(hint));
    }
}
