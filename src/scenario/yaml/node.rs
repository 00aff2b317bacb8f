//! The tree: five kinds of value, each with its place.

use crate::diagnostic::Span;

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub span: Span,
    pub value: Value,
}

/// What stands at a place.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Nothing was written after the key. YAML reads it as null; here it is mostly a mistake.
    Nothing,
    /// A plain `null` or `~`.
    Null,
    Text(Text),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A scalar as it was written.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub text: String,
    /// Not quoted and not a block: where types matter, `1` is a number and `"1"` is text.
    pub plain: bool,
}

/// The key of an entry.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub span: Span,
    pub text: String,
}

impl Node {
    /// What this is, for "expected …, found …".
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Nothing => "nothing",
            Value::Null => "null",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The text of a scalar.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(&text.text),
            Value::Nothing | Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The entries of a mapping.
    pub fn as_map(&self) -> Option<&[(Key, Node)]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            Value::Nothing | Value::Null | Value::Text(_) | Value::List(_) => None,
        }
    }

    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.iter().find(|(k, _)| k.text == key).map(|(_, node)| node)
    }

    /// The size of this and of everything below it.
    pub fn size(&self) -> Size {
        let mut size = Size { nodes: 1, text: 0, depth: 1 };
        match &self.value {
            Value::Nothing | Value::Null => {}
            Value::Text(text) => size.text = text.text.len(),
            Value::List(items) => items.iter().for_each(|item| size.add(0, item.size())),
            Value::Map(entries) => entries.iter().for_each(|(key, node)| size.add(key.text.len(), node.size())),
        }
        size
    }
}

/// What a tree costs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub nodes: usize,
    pub text: usize,
    pub depth: usize,
}

impl Size {
    fn add(&mut self, key: usize, child: Size) {
        self.nodes += child.nodes;
        self.text += key + child.text;
        self.depth = self.depth.max(child.depth + 1);
    }
}
