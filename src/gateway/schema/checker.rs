//! The checks themselves, in the order in which APISIX's library makes them, since the first one that fails gives the text.

use super::{Format, Kind, Mismatch, Schema, Step, quoted};
use serde_json::{Map, Number, Value};
use std::collections::HashSet;

impl Schema {
    /// Checks a value and fills in what has a default.
    pub fn check(&self, value: &mut Value) -> Result<(), Mismatch> {
        if let Some(kind) = self.kind
            && !kind.has(value)
        {
            return Err(format!("wrong type: expected {}, got {}", kind.name(), lua_type(value)).into());
        }
        self.check_object(value)?;
        self.check_list(value)?;
        self.check_text(value)?;
        self.check_number(value)?;
        if !self.one_of_values.is_empty() && !self.one_of_values.iter().any(|allowed| same(allowed, value)) {
            return Err("matches none of the enum values".into());
        }
        self.check_compound(value)?;
        match (self.format, value.as_str()) {
            (Some(Format::Ipv4), Some(text)) if text.parse::<std::net::Ipv4Addr>().is_err() => {
                Err(format!("expect valid ipv4 address but got: {text}").into())
            }
            (Some(Format::Ipv6), Some(text)) if text.parse::<std::net::Ipv6Addr>().is_err() => {
                Err(format!("expect valid ipv6 address but got: {text}").into())
            }
            _ => Ok(()),
        }
    }

    /// Checks a copy, for a schema that only decides.
    fn fits(&self, value: &mut Value) -> bool {
        self.check(value).is_ok()
    }

    fn check_object(&self, value: &mut Value) -> Result<(), Mismatch> {
        if self.properties.is_empty() && self.required.is_empty() && !self.closed && self.every.is_none() {
            let count = properties(value);
            return self.check_count(count);
        }
        let defaults = self.properties.iter().any(|(_, schema)| schema.default.is_some());
        if defaults && value.as_array().is_some_and(Vec::is_empty) {
            *value = Value::Object(Map::new());
        }
        let nothing = &mut Map::new();
        let entries = match value {
            Value::Object(entries) => entries,
            Value::Array(items) if items.is_empty() => nothing,
            _ => return Ok(()),
        };
        for (name, schema) in &self.properties {
            match entries.get_mut(name) {
                Some(found) => schema.check(found).map_err(|wrong| {
                    wrong.under(Step::Key(name.clone()), format!("property {} validation failed: ", quoted(name)))
                })?,
                None if self.required.contains(name) => {
                    return Err(format!("property {} is required", quoted(name)).into());
                }
                None => {
                    if let Some(default) = &schema.default {
                        entries.insert(name.clone(), default.clone());
                    }
                }
            }
        }
        if let Some(missing) = self.required.iter().find(|name| !entries.contains_key(*name)) {
            return Err(format!("property {} is required", quoted(missing)).into());
        }
        if let Some(every) = &self.every {
            for (name, found) in entries.iter_mut() {
                every.check(found).map_err(|wrong| {
                    wrong.under(Step::Key(name.clone()), format!("failed to validate {name} (matching \".*\"): "))
                })?;
            }
        }
        if self.closed {
            let known = |name: &str| self.properties.iter().any(|(known, _)| known == name);
            if let Some(name) = entries.keys().find(|name| !known(name)) {
                let wrong: Mismatch = format!("additional properties forbidden, found {name}").into();
                return Err(wrong.below(name));
            }
        }
        let count = Some(entries.len());
        self.check_count(count)
    }

    fn check_count(&self, count: Option<usize>) -> Result<(), Mismatch> {
        match (count, self.min_properties, self.max_properties) {
            (Some(count), Some(least), _) if count < least => {
                Err(format!("expect object to have at least {least} properties").into())
            }
            (Some(count), _, Some(most)) if count > most => {
                Err(format!("expect object to have at most {most} properties").into())
            }
            _ => Ok(()),
        }
    }

    fn check_list(&self, value: &mut Value) -> Result<(), Mismatch> {
        let nothing = &mut Vec::new();
        let items = match value {
            Value::Array(items) => items,
            Value::Object(entries) if entries.is_empty() => nothing,
            _ => return Ok(()),
        };
        if let Some(least) = self.min_items
            && items.len() < least
        {
            return Err(format!("expect array to have at least {least} items").into());
        }
        if let Some(schema) = &self.items {
            for (at, item) in items.iter_mut().enumerate() {
                let before = || format!("failed to validate item {}: ", at.saturating_add(1));
                schema.check(item).map_err(|wrong| wrong.under(Step::Item(at), before()))?;
            }
        }
        if self.unique
            && let Some((first, again)) = repeated(items)
        {
            return Err(format!("expected unique items but items {first} and {again} are equal").into());
        }
        Ok(())
    }

    fn check_text(&self, value: &Value) -> Result<(), Mismatch> {
        let Some(text) = value.as_str() else { return Ok(()) };
        let length = text.chars().count();
        if let Some(least) = self.min_length
            && length < least
        {
            return Err(format!("string too short, expected at least {least}, got {length}").into());
        }
        if let Some(most) = self.max_length
            && length > most
        {
            return Err(format!("string too long, expected at most {most}, got {length}").into());
        }
        match &self.pattern {
            Some(pattern) if !pattern.is_match(text) => {
                Err(format!("failed to match pattern {} with {}", quoted(pattern.as_str()), quoted(text)).into())
            }
            _ => Ok(()),
        }
    }

    fn check_number(&self, value: &Value) -> Result<(), Mismatch> {
        let Some(number) = value.as_f64() else { return Ok(()) };
        let bound = |bound: &Option<Number>| bound.as_ref().and_then(Number::as_f64);
        let shown = |bound: &Option<Number>| bound.as_ref().map(ToString::to_string).unwrap_or_default();
        if bound(&self.minimum).is_some_and(|least| number < least) {
            return Err(format!("expected {value} to be at least {}", shown(&self.minimum)).into());
        }
        if bound(&self.more_than).is_some_and(|least| number <= least) {
            return Err(format!("expected {value} to be greater than {}", shown(&self.more_than)).into());
        }
        if bound(&self.maximum).is_some_and(|most| number > most) {
            return Err(format!("expected {value} to be at most {}", shown(&self.maximum)).into());
        }
        Ok(())
    }

    fn check_compound(&self, value: &mut Value) -> Result<(), Mismatch> {
        for (at, schema) in self.all_of.iter().enumerate() {
            schema.check(value).map_err(|mut wrong| {
                wrong.text = format!("allOf {} failed: {}", at.saturating_add(1), wrong.text);
                wrong
            })?;
        }
        if !self.any_of.is_empty() && !self.any_of.iter().any(|schema| schema.fits(value)) {
            let lists: Vec<String> = self
                .any_of
                .iter()
                .filter(|schema| !schema.required.is_empty())
                .map(|schema| Value::from(schema.required.clone()).to_string())
                .collect();
            let colon = if lists.is_empty() { "" } else { ": " };
            return Err(format!("object matches none of the required{colon}{}", lists.join(" or ")).into());
        }
        if !self.one_of.is_empty() {
            let mut matched = None;
            for (at, schema) in self.one_of.iter().enumerate() {
                let number = at.saturating_add(1);
                if !schema.fits(value) {
                    continue;
                }
                if let Some(first) = matched {
                    let both = format!("but matches both schemas {first} and {number}");
                    return Err(format!("value should match only one schema, {both}").into());
                }
                matched = Some(number);
            }
            if matched.is_none() {
                return Err("value should match only one schema, but matches none".into());
            }
        }
        match &self.not {
            Some(schema) if schema.fits(value) => Err("value wasn't supposed to match schema".into()),
            _ => Ok(()),
        }
    }
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Object => "object",
            Kind::Array => "array",
            Kind::String => "string",
            Kind::Number => "number",
            Kind::Integer => "integer",
            Kind::Boolean => "boolean",
        }
    }

    fn has(self, value: &Value) -> bool {
        match (self, value) {
            (Kind::Object, Value::Array(items)) => items.is_empty(),
            (Kind::Array, Value::Object(entries)) => entries.is_empty(),
            (Kind::Integer, Value::Number(number)) => number.as_f64().is_some_and(|number| number.fract() == 0.0),
            (Kind::Object, Value::Object(_))
            | (Kind::Array, Value::Array(_))
            | (Kind::String, Value::String(_))
            | (Kind::Number, Value::Number(_))
            | (Kind::Boolean, Value::Bool(_)) => true,
            _ => false,
        }
    }
}

/// What Lua calls the type of a value that cjson made.
fn lua_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "userdata",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) | Value::Object(_) => "table",
    }
}

fn properties(value: &Value) -> Option<usize> {
    match value {
        Value::Object(entries) => Some(entries.len()),
        Value::Array(items) if items.is_empty() => Some(0),
        _ => None,
    }
}

/// Equal as Lua sees it: `1` is `1.0`.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        _ => left == right,
    }
}

/// The places of two equal items, from 1.
fn repeated(items: &[Value]) -> Option<(usize, usize)> {
    let mut seen = HashSet::new();
    let again = items.iter().position(|item| !seen.insert(item.to_string()))?;
    let first = items.iter().position(|item| Some(item) == items.get(again))?;
    Some((first.saturating_add(1), again.saturating_add(1)))
}
