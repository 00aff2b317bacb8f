//! Reading typed values out of nodes. Each says what it expected and what it found.

use super::context::{Cx, quote};
use super::keys::{self, Place};
use crate::scenario::yaml::{Key, Node, Value};
use std::str::FromStr;
use std::time::Duration;

/// The entries of a mapping whose keys are all of its place, or have been complained about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'n> {
    pub node: &'n Node,
    entries: &'n [(Key, Node)],
    place: &'static Place,
}

impl<'n> Fields<'n> {
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|(_, node)| node)
    }

    pub fn entry(&self, key: &str) -> Option<&'n (Key, Node)> {
        self.entries.iter().find(|(k, _)| k.text == key)
    }

    /// How many entries there are.
    pub fn size(&self) -> usize {
        self.entries.len()
    }

    /// Whether every key is one of the place.
    pub fn known(&self) -> bool {
        self.entries.iter().all(|(key, _)| self.place.has(&key.text))
    }

    /// Whether an unknown key probably means one of these: then it is not missing too.
    pub fn misspelt(&self, names: &[&str]) -> bool {
        let unknown = self.entries.iter().filter(|(key, _)| !self.place.has(&key.text));
        unknown.into_iter().any(|(key, _)| keys::similar(&key.text, names.iter().copied()).is_some())
    }

    /// Those of `names` that are there and belong there, in the order of the file.
    pub fn present(&self, names: &[&str]) -> Vec<&'n (Key, Node)> {
        let wanted = |key: &str| names.contains(&key) && self.place.has(key);
        self.entries.iter().filter(|(key, _)| wanted(&key.text)).collect()
    }
}

impl Cx<'_> {
    /// "expected a list, found text", with the usual cause.
    pub fn expected(&mut self, node: &Node, name: &str, wanted: &str) {
        let title = format!("{name}: expected {wanted}, found {}", node.kind());
        let hint = match (wanted, &node.value) {
            ("text", Value::Nothing) => Some("write `\"\"` for empty text"),
            (_, Value::Nothing) => Some("write a value after the colon, or remove the key"),
            ("text", Value::Null) => Some("write `\"null\"` if the word is meant"),
            ("text", Value::List(_)) => Some("text that begins with `[` needs quotes"),
            ("text", Value::Map(_)) => Some("text that begins with `{`, or holds a colon and a space, needs quotes"),
            ("a list", _) => Some("a list is written `[a, b]`, or with one `- ` before each item"),
            ("a mapping", Value::Text(text)) if text.plain && text.text.contains(':') => {
                Some("a space is needed after the colon")
            }
            ("a mapping", _) => Some("a mapping is written `{ key: value }`, or with one `key: value` on each line"),
            _ => None,
        };
        let problem = self.at(&node.span, title);
        self.push(match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        });
    }

    /// A mapping with the keys of a place.
    pub fn fields<'n>(&mut self, node: &'n Node, name: &str, place: &'static Place) -> Option<Fields<'n>> {
        let entries = self.entries(node, name)?;
        for (key, _) in entries.iter().filter(|(key, _)| !place.has(&key.text)) {
            let problem = self.at(&key.span, format!("unknown key {}", quote(&key.text)));
            let problem = problem.label(format!("not a key of {}", place.name));
            self.push(problem.hint(keys::hint(place, &key.text, entries)));
        }
        Some(Fields { node, entries, place })
    }

    /// A mapping whose keys are the user's own.
    pub fn entries<'n>(&mut self, node: &'n Node, name: &str) -> Option<&'n [(Key, Node)]> {
        if node.as_map().is_none() {
            self.expected(node, name, "a mapping");
        }
        node.as_map()
    }

    pub fn items<'n>(&mut self, node: &'n Node, name: &str) -> Option<&'n [Node]> {
        match &node.value {
            Value::List(items) => Some(items),
            Value::Nothing | Value::Null | Value::Text(_) | Value::Map(_) => {
                self.expected(node, name, "a list");
                None
            }
        }
    }

    pub fn text<'n>(&mut self, node: &'n Node, name: &str) -> Option<&'n str> {
        if node.as_text().is_none() {
            self.expected(node, name, "text");
        }
        node.as_text()
    }

    /// Text that is not empty and stays on one line.
    pub fn word<'n>(&mut self, node: &'n Node, name: &str) -> Option<&'n str> {
        let text = self.text(node, name)?;
        if text.trim().is_empty() {
            self.push(self.at(&node.span, format!("{name} is empty")));
            return None;
        }
        if text.contains(char::is_control) {
            self.push(self.at(&node.span, format!("{name} holds a line break or control character")));
            return None;
        }
        Some(text)
    }

    pub fn flag(&mut self, node: &Node, name: &str) -> Option<bool> {
        self.one_of(node, name, &[("true", true), ("false", false)])
    }

    /// One of a few words.
    pub fn one_of<T: Copy>(&mut self, node: &Node, name: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, name)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = match keys::similar(text, names.iter().copied()) {
            Some(close) => format!("did you mean `{close}`?"),
            None => format!("{name} is one of {}", keys::list(&names)),
        };
        self.push(self.at(&node.span, format!("{name} can't be {}", quote(text))).hint(hint));
        None
    }

    /// A whole number of some type; `wanted` says which numbers there are.
    pub fn number<T: FromStr>(&mut self, node: &Node, name: &str, wanted: &str) -> Option<T> {
        let Some(text) = node.as_text() else {
            self.expected(node, name, wanted);
            return None;
        };
        let number = text.parse().ok();
        if number.is_none() {
            self.push(self.at(&node.span, format!("{name}: expected {wanted}, found {}", quote(text))));
        }
        number
    }

    /// A time with units.
    pub fn duration(&mut self, node: &Node, name: &str) -> Option<Duration> {
        const HINT: &str = "times are written `50ms`, `60s`, `1m30s`, `2h`";
        self.with_unit(node, name, "a time", HINT, crate::scenario::units::duration)
    }

    /// A number of bytes.
    pub fn byte_count(&mut self, node: &Node, name: &str) -> Option<u64> {
        const HINT: &str = "sizes are written `4096`, `64KiB`, `16MiB`, `1GiB`, or decimal `64kB`, `16MB`, `1GB`";
        self.with_unit(node, name, "a size", HINT, crate::scenario::units::bytes)
    }

    /// A number of things.
    pub fn count(&mut self, node: &Node, name: &str) -> Option<u64> {
        const HINT: &str = "counts are written `5000`, `500k`, `50M`, `1G`";
        self.with_unit(node, name, "a count", HINT, crate::scenario::units::count)
    }

    fn with_unit<T>(
        &mut self,
        node: &Node,
        name: &str,
        wanted: &str,
        hint: &str,
        read: impl Fn(&str) -> Result<T, crate::scenario::units::UnitError>,
    ) -> Option<T> {
        let Some(text) = node.as_text() else {
            self.expected(node, name, wanted);
            return None;
        };
        match read(text) {
            Ok(value) => Some(value),
            Err(error) => {
                let problem = self.at(&node.span, format!("{name}: {} is not {wanted}", quote(text)));
                self.push(problem.label(error.to_string()).hint(hint));
                None
            }
        }
    }

    /// A key that has to be there. Says so at the mapping if it is not.
    pub fn required<'n>(&mut self, fields: &Fields<'n>, key: &str, hint: &str) -> Option<&'n Node> {
        let found = fields.get(key);
        if found.is_none() && !fields.misspelt(&[key]) {
            self.push(self.at(&fields.node.span, format!("`{key}` is missing")).hint(hint));
        }
        found
    }

    /// Says of every present entry but the first that it can't stand beside it.
    pub fn only_one(&mut self, present: &[&(Key, Node)], name: &str) {
        if let Some(((first, _), rest)) = present.split_first() {
            for (key, _) in rest {
                let problem = self.at(&key.span, format!("`{}` and `{}` exclude each other", first.text, key.text));
                self.push(problem.label(format!("{name} is one or the other")).also(first.span.clone(), "first"));
            }
        }
    }
}
