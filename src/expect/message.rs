//! `upstream_sees`, `client_sees`, and what a planned call must look like: one message against its expectation.

use super::judge::similar;
use super::matcher::{Mismatch, check, check_all, short};
use super::{Failure, Judged, answer};
use crate::message::{Headers, Part};
use crate::scenario::{Ends, Match, Matcher, MessageExpect, Spanned};
use crate::trace::show::{clipped, pairs};
use crate::trace::views::{SeenMessage, seen};
use crate::trace::{Event, GatewayEvent, Peer};
use bytes::Bytes;

/// How failures name a message.
struct Place {
    /// `client_sees`
    subject: &'static str,
    /// `at the client`
    at: String,
    /// The event with the head, and the last event of the message.
    events: (Option<usize>, Option<usize>),
}

/// What one end saw of the exchange.
pub(super) fn judge_seen(expect: &MessageExpect, judged: &Judged<'_>, at: Peer) -> Vec<Failure> {
    let (subject, end, nothing) = match at {
        Peer::Upstream => ("upstream_sees", "at the upstream", "the upstream saw no request"),
        Peer::Client => ("client_sees", "at the client", "the client saw no response"),
    };
    let missing = |title: String, reason: Option<(usize, String)>| Failure {
        subject: subject.to_owned(),
        title,
        span: Some(expect.span.clone()),
        expected: None,
        actual: None,
        event: reason.as_ref().map(|(at, _)| *at),
        hint: reason.map(|(_, hint)| hint),
    };
    let Some(exchange) = judged.exchange else {
        let hint = Some("put it into the `expect` of the step with the request".to_owned());
        let title = format!("`{subject}` is about one request, and there is not exactly one here");
        return vec![Failure { hint, ..missing(title, None) }];
    };
    let mut events = (None, None);
    for (index, event) in judged.in_range() {
        match event {
            Event::Output { exchange: of, to, part } if *of == exchange && *to == at => {
                events.1 = Some(index);
                if matches!(part, Part::Headers { .. }) {
                    events.0 = Some(index);
                }
            }
            _ => {}
        }
    }
    let message = seen(judged.until_end(), exchange, at);
    if expect.nothing {
        return judge_nothing(expect, &message, &Place { subject, at: end.to_owned(), events }).into_iter().collect();
    }
    let failures = judge_at(expect, &message, &Place { subject, at: end.to_owned(), events });
    // One failure that says why, instead of one for each field of a message that never came.
    if message.is_nothing() && !failures.is_empty() {
        return vec![missing(nothing.to_owned(), answer::instead(judged, exchange, at))];
    }
    failures
}

/// `null`: nothing may have come to this end. A client that connected by TCP has at least got no bytes.
fn judge_nothing(expect: &MessageExpect, message: &SeenMessage, place: &Place) -> Option<Failure> {
    let client_without_data = message.connected && message.body.is_empty() && place.subject == "client_sees";
    if message.is_nothing() || client_without_data {
        return None;
    }
    let actual = match &message.headers {
        Some(headers) => pairs(&headers.clone().into_iter().collect::<Vec<_>>()),
        None if message.body.is_empty() => "a connection".to_owned(),
        None => short(&message.body),
    };
    Some(Failure {
        subject: place.subject.to_owned(),
        title: format!("something arrived {}, expected nothing", place.at),
        span: Some(expect.span.clone()),
        expected: Some("nothing".to_owned()),
        actual: Some(actual),
        hint: None,
        event: place.events.0.or(place.events.1),
    })
}

/// How the message ended.
fn ends(expected: &Spanned<Ends>, message: &SeenMessage, place: &Place) -> Option<Failure> {
    let name = |ends: Ends| match ends {
        Ends::Complete => "complete",
        Ends::Reset => "reset",
        Ends::Never => "never",
    };
    let actual = match (message.reset, message.complete) {
        (true, _) => Ends::Reset,
        (false, true) => Ends::Complete,
        (false, false) => Ends::Never,
    };
    (actual != expected.value).then(|| Failure {
        subject: format!("{}.ends", place.subject),
        title: format!("the end {} is `{}`, expected `{}`", place.at, name(actual), name(expected.value)),
        span: Some(expected.span.clone()),
        expected: Some(name(expected.value).to_owned()),
        actual: Some(name(actual).to_owned()),
        hint: None,
        event: place.events.1,
    })
}

/// What the admin API of a gateway answered.
pub(super) fn judge_admin(expect: &MessageExpect, judged: &Judged<'_>) -> Vec<Failure> {
    let last = judged.in_range().rev().find_map(|(at, event)| match event {
        Event::Gateway(GatewayEvent::Admin { status, headers, body, .. }) => Some((at, status, headers, body)),
        _ => None,
    });
    let Some((at, status, headers, body)) = last else { return Vec::new() };
    let status = std::iter::once((Bytes::from_static(b":status"), Bytes::from(status.to_string())));
    let headers = headers.iter().map(|(name, value)| (Bytes::from(name.to_ascii_lowercase()), value.clone()));
    let seen = SeenMessage {
        headers: Some(status.chain(headers).collect()),
        body: body.to_vec(),
        complete: true,
        ..SeenMessage::default()
    };
    judge_at(expect, &seen, &Place { subject: "admin", at: "of the answer".to_owned(), events: (Some(at), Some(at)) })
}

/// A message that is not one of the exchange: what a planned call must look like. The failures have no event.
pub fn judge_message(subject: &'static str, expect: &MessageExpect, message: &SeenMessage) -> Vec<Failure> {
    judge_at(expect, message, &Place { subject, at: "of the call".to_owned(), events: (None, None) })
}

/// The messages that a plugin sent on a gRPC call, one by one.
pub fn judge_list(
    subject: &'static str,
    upstream: &str,
    expected: &Spanned<Vec<Match>>,
    values: &[Bytes],
) -> Vec<Failure> {
    let mut failures: Vec<Failure> = Vec::new();
    for (at, (one, value)) in expected.value.iter().zip(values).enumerate() {
        let thing = format!("message {} to `{}`", at + 1, clipped(upstream, 100));
        let mismatch = check(&one.matcher, Some(value));
        failures.extend(mismatch.map(|mismatch| mismatch.failure(subject.to_owned(), &thing, &one.span, None)));
    }
    if expected.value.len() != values.len() {
        let shown: Vec<String> = values.iter().map(|value| short(value)).collect();
        let wanted: Vec<String> = expected.value.iter().map(|one| super::matcher::describe(&one.matcher)).collect();
        let listed = |words: Vec<String>| if words.is_empty() { "none".to_owned() } else { words.join(" and ") };
        let says = Some(format!("are {}, expected {}", values.len(), expected.value.len()));
        let mismatch = Mismatch { says, expected: listed(wanted), actual: listed(shown), hint: None };
        let thing = format!("messages to `{}`", clipped(upstream, 100));
        failures.push(mismatch.failure(subject.to_owned(), &thing, &expected.span, None));
    }
    failures
}

fn judge_at(expect: &MessageExpect, message: &SeenMessage, place: &Place) -> Vec<Failure> {
    let nothing = Headers::new();
    let headers = message.headers.as_ref().unwrap_or(&nothing);
    let trailers = message.trailers.as_ref().unwrap_or(&nothing);
    let mut failures = Vec::new();
    let pseudo = [
        ("status", &expect.status),
        ("method", &expect.method),
        ("path", &expect.path),
        ("authority", &expect.authority),
        ("scheme", &expect.scheme),
    ];
    for (name, expected) in pseudo {
        let Some(expected) = expected else { continue };
        let value = headers.get(format!(":{name}").as_bytes());
        if let Some(mismatch) = check(&expected.matcher, value.map(|value| &value[..])) {
            failures.push(mismatch.failure(
                format!("{}.{name}", place.subject),
                &format!("{name} {}", place.at),
                &expected.span,
                place.events.0,
            ));
        }
    }
    if let Some(expected) = &expect.node
        && let Some(mismatch) = check(&expected.matcher, message.node.as_deref().map(str::as_bytes))
    {
        let thing = format!("node {}", place.at);
        failures.push(mismatch.failure(format!("{}.node", place.subject), &thing, &expected.span, place.events.0));
    }
    for (name, expected) in &expect.headers {
        failures.extend(field("header", name, expected, headers, place, place.events.0));
    }
    if let Some(expected) = &expect.body {
        failures.extend(body(expected, message, place));
    }
    if let Some(expected) = &expect.ends {
        failures.extend(ends(expected, message, place));
    }
    for (name, expected) in &expect.trailers {
        failures.extend(field("trailer", name, expected, trailers, place, place.events.1));
    }
    failures
}

fn field(
    kind: &str,
    name: &Spanned<String>,
    expected: &[Match],
    map: &Headers,
    place: &Place,
    event: Option<usize>,
) -> Vec<Failure> {
    let subject = format!("{}.{kind}s.{}", place.subject, clipped(&name.value, 100));
    let thing = format!("{kind} `{}` {}", clipped(&name.value, 100), place.at);
    let values: Vec<&[u8]> = map.get_all(name.value.as_bytes()).map(|value| &value[..]).collect();
    let failed = |mismatch: Mismatch, thing: &str, one: &Match| {
        let mut failure = mismatch.failure(subject.clone(), thing, &one.span, event);
        if values.is_empty() && failure.hint.is_none() {
            let names: Vec<_> = map.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
            let near = similar(&name.value, names.iter().map(AsRef::as_ref));
            failure.hint = near.map(|near| format!("there is `{}`", clipped(near, 100)));
        }
        failure
    };
    match expected {
        [one] => check_all(&one.matcher, &values).map(|mismatch| failed(mismatch, &thing, one)).into_iter().collect(),
        several if several.len() != values.len() => {
            let shown: Vec<String> = values.iter().map(|value| short(value)).collect();
            let wanted: Vec<String> = several.iter().map(|one| super::matcher::describe(&one.matcher)).collect();
            let actual = if shown.is_empty() { "absent".to_owned() } else { shown.join(" and ") };
            let says = Some(format!("has {} values, expected {}", values.len(), several.len()));
            let mismatch = Mismatch { says, expected: wanted.join(" and "), actual, hint: None };
            several.first().map(|one| failed(mismatch, &thing, one)).into_iter().collect()
        }
        several => several
            .iter()
            .zip(&values)
            .enumerate()
            .filter_map(|(at, (one, value))| {
                let thing = format!("value {} of {thing}", at + 1);
                check(&one.matcher, Some(value)).map(|mismatch| failed(mismatch, &thing, one))
            })
            .collect(),
    }
}

/// A message without a body and one with an empty body are the same; `null` and `""` both hold for them.
fn body(expected: &Match, message: &SeenMessage, place: &Place) -> Option<Failure> {
    let absent = message.is_nothing() || (message.body.is_empty() && is_about_absence(&expected.matcher));
    let value = (!absent).then_some(message.body.as_slice());
    let mismatch = check(&expected.matcher, value)?;
    let thing = format!("body {}", place.at);
    let mut failure = mismatch.failure(format!("{}.body", place.subject), &thing, &expected.span, place.events.1);
    if failure.hint.is_none() {
        failure.hint = match (message.reset, message.complete) {
            (true, _) => Some("the stream was reset before its end".to_owned()),
            (false, false) => Some("the message has not come to its end".to_owned()),
            (false, true) => None,
        };
    }
    Some(failure)
}

fn is_about_absence(matcher: &Matcher) -> bool {
    match matcher {
        Matcher::Absent => true,
        Matcher::Not(inner) => is_about_absence(inner),
        _ => false,
    }
}
