//! Events of the parser to the tree. No recursion: the stack of open collections is on the heap, and the
//! limits are checked before anything is copied.

use super::node::{Key, Node, Text, Value};
use super::{MAX_ALIASED_NODES, MAX_ALIASED_TEXT, MAX_DEPTH, MAX_NODES};
use crate::diagnostic::{Diagnostic, Source, Span};
use serde_saphyr::granit_parser::{ScalarStyle, Tag};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// From this many entries on, duplicate keys are looked up in a set.
const MANY_ENTRIES: usize = 16;

/// A collection that is not closed yet.
struct Open {
    start: usize,
    /// Where the last thing in it ended: a block collection has no end of its own.
    end: usize,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, key: Pending, seen: HashSet<String> },
}

/// The key whose value comes next.
enum Pending {
    None,
    Key(Key),
    /// A collection stands where the key should be; its value follows.
    NotText,
    /// The value is read and dropped; the mistake has been reported.
    Dropped,
}

/// Builds the tree of one file.
pub(super) struct Builder<'s> {
    source: &'s Arc<Source>,
    problems: Vec<Diagnostic>,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
    anchors: HashMap<usize, Node>,
    aliased_nodes: usize,
    aliased_text: usize,
}

/// `Err` ends the reading: a limit was passed.
type Step = Result<(), Diagnostic>;

impl<'s> Builder<'s> {
    pub fn new(source: &'s Arc<Source>) -> Self {
        Self {
            source,
            problems: Vec::new(),
            open: Vec::new(),
            root: None,
            documents: 0,
            nodes: 0,
            anchors: HashMap::new(),
            aliased_nodes: 0,
            aliased_text: 0,
        }
    }

    fn at(&self, span: Span, title: impl Into<String>) -> Diagnostic {
        Diagnostic::new(title).at(self.source, span)
    }

    /// The mistakes found until here and the one that ends the reading.
    pub fn give_up(mut self, last: Diagnostic) -> Vec<Diagnostic> {
        self.problems.push(last);
        self.problems
    }

    pub fn finish(mut self) -> (Option<Node>, Vec<Diagnostic>) {
        let empty = self.root.as_ref().is_none_or(|root| matches!(root.value, Value::Nothing));
        if empty {
            let problem = self.at(0..0, "this file is empty");
            self.problems.push(problem.hint("a scenario has at least `plugin: path/to/plugin.wasm` and `cases:`"));
            return (None, self.problems);
        }
        (self.root, self.problems)
    }

    pub fn document(&mut self, span: Span) -> Step {
        self.documents += 1;
        match self.documents {
            1 => Ok(()),
            _ => Err(self
                .at(span, "a scenario file is one YAML document")
                .label("a second document begins here")
                .hint("write a second file, or more entries under `cases`")),
        }
    }

    /// Whether the tag says "this is text". Other tags are mistakes, since nothing would be done with them.
    pub fn tag(&mut self, tag: Option<&Tag>, span: Option<Span>) -> bool {
        let Some(tag) = tag else { return false };
        let original = tag.original();
        if tag.is_yaml_core_schema_tag("str") || original == "!" {
            return true;
        }
        let hint = match original.as_str() {
            "!!binary" => "raw bytes are written `{ hex: 4d6f7a }`",
            _ => "remove it; text that begins with `!` needs quotes",
        };
        let problem = self.at(span.unwrap_or_default(), format!("the tag `{original}` has no meaning in a scenario"));
        self.problems.push(problem.hint(hint));
        false
    }

    pub fn scalar(&mut self, text: Cow<'_, str>, style: ScalarStyle, tagged: bool, anchor: usize, span: Span) -> Step {
        let plain = style == ScalarStyle::Plain && !tagged;
        let nothing = plain && span.is_empty();
        if self.wants_key() {
            let key = Key { span, text: text.into_owned() };
            return self.key(key, plain, nothing);
        }
        let value = match (plain, text.as_ref()) {
            (true, _) if nothing => Value::Nothing,
            (true, "null" | "Null" | "NULL" | "~") => Value::Null,
            _ => Value::Text(Text { text: text.into_owned(), plain }),
        };
        // A block's span goes on over empty lines; a place to point at does not.
        let span = self.trimmed(span);
        self.value(Node { span, value }, anchor)
    }

    pub fn open_list(&mut self, anchor: usize, span: Span) -> Step {
        self.open(anchor, span, Content::List(Vec::new()))
    }

    pub fn open_map(&mut self, anchor: usize, span: Span) -> Step {
        self.open(anchor, span, Content::Map { entries: Vec::new(), key: Pending::None, seen: HashSet::new() })
    }

    fn open(&mut self, anchor: usize, span: Span, content: Content) -> Step {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.too_deep(span));
        }
        if self.wants_key() {
            let problem = self.at(span.clone(), "a key must be text, and this is a list or a mapping");
            self.problems.push(problem.hint("text that begins with `{` or `[` needs quotes"));
            if let Some(Open { content: Content::Map { key, .. }, .. }) = self.open.last_mut() {
                *key = Pending::NotText;
            }
        }
        self.open.push(Open { start: span.start, end: span.end, anchor, content });
        Ok(())
    }

    pub fn close(&mut self, span: Span) -> Step {
        let Some(open) = self.open.pop() else { return Ok(()) };
        // `]` and `}` are characters; the end of a block is a place before the next line that counts.
        let end = if span.is_empty() { open.end } else { span.end };
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(entries),
        };
        self.value(Node { span: open.start..end.max(open.start), value }, open.anchor)
    }

    pub fn alias(&mut self, anchor: usize, span: Span) -> Step {
        let Some(target) = self.anchors.get(&anchor) else {
            // An alias inside the very thing that it names.
            return Err(self.at(span, "an alias can't stand inside what it names"));
        };
        let size = target.size();
        if self.wants_key() {
            let text = target.as_text().map(str::to_string);
            return match text {
                Some(text) => self.key(Key { span, text }, false, false),
                None => Err(self.at(span, "a key must be text, and this alias is not")),
            };
        }
        self.aliased_nodes += size.nodes;
        self.aliased_text += size.text;
        if self.aliased_nodes > MAX_ALIASED_NODES || self.aliased_text > MAX_ALIASED_TEXT {
            return Err(self.at(span, "the aliases of this file stand for too much").label("this one is too many"));
        }
        if self.open.len() + size.depth > MAX_DEPTH {
            return Err(self.too_deep(span));
        }
        self.nodes += size.nodes;
        // The place of the whole is where it is used; inside it, where it was written.
        let node = Node { span, value: target.value.clone() };
        self.value(node, 0)
    }

    pub fn unknown_alias(&mut self, name: &str, span: Span) -> Step {
        let problem = self.at(span.clone(), format!("nothing before this is marked `&{name}`"));
        self.problems.push(problem.label("read as an alias").hint("text that begins with `*` needs quotes"));
        if self.wants_key() {
            return self.key(Key { span, text: String::new() }, false, true);
        }
        self.value(Node { span, value: Value::Null }, 0)
    }

    fn too_deep(&self, span: Span) -> Diagnostic {
        self.at(span, format!("nested more than {MAX_DEPTH} deep"))
    }

    fn wants_key(&self) -> bool {
        match self.open.last() {
            Some(Open { content: Content::Map { key, .. }, .. }) => matches!(key, Pending::None),
            Some(Open { content: Content::List(_), .. }) | None => false,
        }
    }

    fn key(&mut self, key: Key, plain: bool, nothing: bool) -> Step {
        let Some(open) = self.open.last_mut() else { return Ok(()) };
        open.end = open.end.max(key.span.end);
        let Content::Map { entries, key: pending, seen } = &mut open.content else { return Ok(()) };
        let problem = if nothing {
            // An unknown alias has been reported already.
            key.text.eq("~").then(|| {
                Diagnostic::new("a key is missing before the colon")
                    .at(self.source, key.span.clone())
                    .hint("text that holds a colon and a space needs quotes")
            })
        } else if plain && key.text == "<<" {
            let problem =
                Diagnostic::new("merge keys (`<<`) are not part of YAML 1.2").at(self.source, key.span.clone());
            Some(problem.hint("write the entries out, or give the whole mapping as an alias"))
        } else if let Some(first) = duplicate(entries, seen, &key) {
            let problem = Diagnostic::new(format!("key `{}` is given twice", key.text));
            Some(problem.at(self.source, key.span.clone()).label("again").also(first, "first"))
        } else {
            if entries.len() >= MANY_ENTRIES {
                seen.insert(key.text.clone());
            }
            *pending = Pending::Key(key);
            return Ok(());
        };
        *pending = Pending::Dropped;
        self.problems.extend(problem);
        Ok(())
    }

    fn value(&mut self, mut node: Node, anchor: usize) -> Step {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(self.at(node.span, format!("more than {MAX_NODES} keys and values in one file")));
        }
        if anchor != 0 {
            let size = node.size();
            self.aliased_nodes += size.nodes;
            self.aliased_text += size.text;
            if self.aliased_nodes > MAX_ALIASED_NODES || self.aliased_text > MAX_ALIASED_TEXT {
                return Err(self.at(node.span, "what is marked with `&` in this file is too large"));
            }
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.end = open.end.max(node.span.end);
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, key, seen } => match std::mem::replace(key, Pending::None) {
                Pending::Key(key) => {
                    if matches!(node.value, Value::Nothing) {
                        node.span = key.span.clone();
                    }
                    entries.push((key, node));
                    if entries.len() == MANY_ENTRIES {
                        seen.extend(entries.iter().map(|(key, _)| key.text.clone()));
                    }
                }
                Pending::NotText => *key = Pending::Dropped,
                Pending::Dropped | Pending::None => {}
            },
        }
        Ok(())
    }

    fn trimmed(&self, span: Span) -> Span {
        let text = self.source.text.get(span.clone()).unwrap_or_default();
        span.start..span.start + text.trim_end().len()
    }
}

/// The place of the same key before.
fn duplicate(entries: &[(Key, Node)], seen: &HashSet<String>, key: &Key) -> Option<Span> {
    if entries.len() >= MANY_ENTRIES && !seen.contains(&key.text) {
        return None;
    }
    entries.iter().find(|(other, _)| other.text == key.text).map(|(other, _)| other.span.clone())
}
