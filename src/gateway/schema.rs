//! A checker for JSON schemas that fails with the words of APISIX's `jsonschema`, so that what a person reads is what
//! APISIX would have said.
//!
//! Only the keywords that APISIX's own schemas use are known. As in APISIX, missing values that have a default are filled
//! in while checking, and an empty list passes for an empty object, because Lua can't tell them apart.

mod build;
mod checker;
mod definitions;
mod health;
#[cfg(test)]
mod tests;

pub(super) use definitions::{
    global_rule, hash_name, hash_variable, plugin, plugin_config, route, service, upstream, wasm, wasm_plugin_schema,
    written,
};

use regex::Regex;
use serde_json::{Number, Value};
use std::fmt;

/// A step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into an object.
    Key(String),
    /// Into a list, from 0.
    Item(usize),
}

/// What does not fit, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// APISIX's words, with its nesting: `property "x" validation failed: …`.
    pub text: String,
    /// From the value that was checked down to the one that does not fit.
    pub path: Vec<Step>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<String> for Mismatch {
    fn from(text: String) -> Self {
        Self { text, path: Vec::new() }
    }
}

impl From<&str> for Mismatch {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Mismatch {
    fn under(mut self, step: Step, before: String) -> Self {
        self.path.insert(0, step);
        self.text = before + &self.text;
        self
    }

    /// The same, found below a key, in other words.
    pub(super) fn below(mut self, key: &str) -> Self {
        self.path.insert(0, Step::Key(key.to_owned()));
        self
    }
}

/// A type of Lua's JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    Array,
    String,
    Number,
    Integer,
    Boolean,
}

/// A schema, ready to check with.
#[derive(Debug, Default)]
pub(super) struct Schema {
    kind: Option<Kind>,
    properties: Vec<(String, Schema)>,
    required: Vec<String>,
    closed: bool,
    every: Option<Box<Schema>>,
    min_properties: Option<usize>,
    max_properties: Option<usize>,
    items: Option<Box<Schema>>,
    min_items: Option<usize>,
    unique: bool,
    min_length: Option<usize>,
    max_length: Option<usize>,
    pattern: Option<Regex>,
    minimum: Option<Number>,
    maximum: Option<Number>,
    more_than: Option<Number>,
    one_of_values: Vec<Value>,
    all_of: Vec<Schema>,
    any_of: Vec<Schema>,
    one_of: Vec<Schema>,
    not: Option<Box<Schema>>,
    format: Option<Format>,
    default: Option<Value>,
}

impl Schema {
    /// The property that somebody meant who wrote the last step of a path.
    pub(super) fn meant(&self, path: &[Step]) -> Option<&str> {
        let under = |step: &Step| match step {
            Step::Key(key) => {
                let named = self.properties.iter().find(|(name, _)| name == key).map(|(_, schema)| schema);
                named.or(self.every.as_deref())
            }
            Step::Item(_) => self.items.as_deref(),
        };
        match path {
            [Step::Key(written)] => {
                let near = |(name, _): &(String, Schema)| strsim::damerau_levenshtein(name, written);
                let (name, _) = self.properties.iter().min_by_key(|property| near(property))?;
                (strsim::damerau_levenshtein(name, written) <= 3).then_some(name)
            }
            [] | [Step::Item(_)] => None,
            [first, rest @ ..] => under(first)?.meant(rest),
        }
    }
}

/// A form that text can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Ipv4,
    Ipv6,
}

/// Lua's `%q`.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' | '\n' => {
                out.push('\\');
                out.push(c);
            }
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\000"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
