//! A host that is meant to refuse a plugin.

use super::Failure;
use super::matcher::{describe, holds};
use crate::scenario::Match;

/// Whether the host refused the plugin as expected. `refusal` holds its reasons, one on each line; `None` is a
/// plugin that was loaded.
pub fn judge_load(expected: &Match, refusal: Option<&str>) -> Option<Failure> {
    if refusal.is_some_and(|text| holds(&expected.matcher, Some(text.as_bytes()))) {
        return None;
    }
    let wanted = format!("a refusal with {}", describe(&expected.matcher));
    let title = match refusal {
        Some(_) => format!("the host refused the plugin for another reason, expected {wanted}"),
        None => format!("the plugin was loaded, expected {wanted}"),
    };
    Some(Failure {
        subject: "load".to_owned(),
        title,
        span: Some(expected.span.clone()),
        expected: Some(wanted),
        actual: Some(refusal.map_or_else(|| "it was loaded".to_owned(), |text| format!("{text}\n"))),
        hint: None,
        event: None,
    })
}
