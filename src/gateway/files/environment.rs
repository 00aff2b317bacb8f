//! `${{VAR}}` and `${{VAR:=default}}` in the values of a file (7.6).

use crate::gateway::schema::Step;
use serde_json::{Number, Value};
use std::collections::BTreeMap;
use std::fmt;

/// The variables that files may name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

/// A variable that is not there.
#[derive(Debug)]
pub(super) struct Missing {
    pub path: Vec<Step>,
    name: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to handle configuration: can't find environment variable {}", self.name)
    }
}

impl Missing {
    pub fn hint(&self) -> String {
        format!("set it, or write `${{{{{}:=default}}}}`", self.name)
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl Environment {
    /// That of this process, without what is not text.
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        std::env::vars_os().filter_map(text).collect()
    }

    /// Fills in variables wherever a value names one. A value that is a number or a truth then is no text any more.
    pub(super) fn fill_in(&self, value: &mut Value) -> Result<(), Missing> {
        match value {
            Value::String(text) => {
                if let Some(filled) = self.filled(text)? {
                    *value = typed(filled);
                }
                Ok(())
            }
            Value::Array(items) => items
                .iter_mut()
                .enumerate()
                .try_for_each(|(at, item)| self.fill_in(item).map_err(|missing| missing.under(Step::Item(at)))),
            Value::Object(entries) => entries.iter_mut().try_for_each(|(key, item)| {
                self.fill_in(item).map_err(|missing| missing.under(Step::Key(key.clone())))
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    /// The text with its variables; `None` where it names none.
    fn filled(&self, text: &str) -> Result<Option<String>, Missing> {
        let (mut out, mut rest, mut any) = (String::new(), text, false);
        while let Some((before, inside)) = rest.split_once("${{") {
            let Some((inside, after)) = inside.split_once("}}") else { break };
            let (name, default) = match inside.split_once(":=") {
                Some((name, default)) => (name.trim(), Some(default.trim())),
                None => (inside.trim(), None),
            };
            out.push_str(before);
            rest = after;
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                // Not a variable: it stays as it is.
                out.push_str("${{");
                out.push_str(inside);
                out.push_str("}}");
                continue;
            }
            let value = self.0.get(name).map(String::as_str).or(default);
            out.push_str(value.ok_or_else(|| Missing { path: Vec::new(), name: name.to_owned() })?);
            any = true;
        }
        out.push_str(rest);
        Ok(any.then_some(out))
    }
}

impl Missing {
    fn under(mut self, step: Step) -> Self {
        self.path.insert(0, step);
        self
    }
}

fn typed(text: String) -> Value {
    let number = || {
        let float = || text.trim().parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number);
        text.trim().parse::<i64>().ok().map(Value::from).or_else(float)
    };
    match text.as_str() {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => number().unwrap_or(Value::String(text)),
    }
}
