//! From a schema as JSON to one that checks.
//!
//! The schemas are ours and not input, so a keyword that is not known is a mistake of this program: a test builds them all.

use super::{Format, Kind, Schema};
use regex::Regex;
use serde_json::{Number, Value};

impl Schema {
    /// Builds a schema. What it can't read it leaves out, and says so to the test by `Err`'s list.
    pub fn build(json: &Value) -> Self {
        let mut unread = Vec::new();
        Self::read(json, &mut unread)
    }

    pub(super) fn read(json: &Value, unread: &mut Vec<String>) -> Self {
        let mut schema = Schema::default();
        let Some(entries) = json.as_object() else {
            unread.push(json.to_string());
            return schema;
        };
        for (keyword, value) in entries {
            if !schema.keyword(keyword, value, unread) {
                unread.push(format!("{keyword}: {value}"));
            }
        }
        schema
    }

    fn keyword(&mut self, keyword: &str, value: &Value, unread: &mut Vec<String>) -> bool {
        match keyword {
            "type" => set(&mut self.kind, value.as_str().and_then(kind)),
            "properties" => {
                for (name, schema) in value.as_object().into_iter().flatten() {
                    let schema = Schema::read(schema, unread);
                    self.properties.push((name.clone(), schema));
                }
                value.is_object()
            }
            "required" => {
                self.required = value.as_array().into_iter().flatten().filter_map(text).collect();
                !self.required.is_empty()
            }
            "additionalProperties" => {
                self.closed = value == &Value::Bool(false);
                self.closed
            }
            "patternProperties" => {
                let every = value.get(".*");
                every.is_some_and(|every| set(&mut self.every, Some(Box::new(Schema::read(every, unread)))))
            }
            "minProperties" => set(&mut self.min_properties, count(value)),
            "maxProperties" => set(&mut self.max_properties, count(value)),
            "items" => set(&mut self.items, Some(Box::new(Schema::read(value, unread)))),
            "minItems" => set(&mut self.min_items, count(value)),
            "uniqueItems" => {
                self.unique = value == &Value::Bool(true);
                self.unique
            }
            "minLength" => set(&mut self.min_length, count(value)),
            "maxLength" => set(&mut self.max_length, count(value)),
            "pattern" => set(&mut self.pattern, value.as_str().and_then(|text| Regex::new(text).ok())),
            "minimum" => set(&mut self.minimum, number(value)),
            "maximum" => set(&mut self.maximum, number(value)),
            "exclusiveMinimum" => set(&mut self.more_than, number(value)),
            "enum" => {
                self.one_of_values = value.as_array().cloned().unwrap_or_default();
                !self.one_of_values.is_empty()
            }
            "allOf" => list(&mut self.all_of, value, unread),
            "anyOf" => list(&mut self.any_of, value, unread),
            "oneOf" => list(&mut self.one_of, value, unread),
            "not" => set(&mut self.not, Some(Box::new(Schema::read(value, unread)))),
            "format" => set(&mut self.format, value.as_str().and_then(format)),
            "default" => set(&mut self.default, Some(value.clone())),
            "description" | "title" | "$comment" => true,
            _ => false,
        }
    }
}

fn set<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    *place = value;
    place.is_some()
}

fn list(place: &mut Vec<Schema>, value: &Value, unread: &mut Vec<String>) -> bool {
    *place = value.as_array().into_iter().flatten().map(|schema| Schema::read(schema, unread)).collect();
    !place.is_empty()
}

fn count(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|count| usize::try_from(count).ok())
}

fn number(value: &Value) -> Option<Number> {
    value.as_number().cloned()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn kind(name: &str) -> Option<Kind> {
    let kinds = [Kind::Object, Kind::Array, Kind::String, Kind::Number, Kind::Integer, Kind::Boolean];
    kinds.into_iter().find(|kind| kind.name() == name)
}

fn format(name: &str) -> Option<Format> {
    match name {
        "ipv4" => Some(Format::Ipv4),
        "ipv6" => Some(Format::Ipv6),
        _ => None,
    }
}
