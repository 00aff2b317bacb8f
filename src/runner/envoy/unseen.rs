//! Which expectations can be judged from outside, and why the others can't.

use crate::diagnostic::Span;
use crate::runner::result::Unseen;
use crate::scenario::{Case, ConnectEvent, ConnectUpstream, Expect, Match, Matcher, MessageExpect, StepKind, Upstream};
use crate::trace::Peer;

/// What is known about how a case is played.
#[derive(Debug, Clone, Default)]
pub struct Sight {
    /// The origin of every request speaks HTTP/2, where the scheme shows.
    pub scheme: bool,
    /// The trap that happens says something that is the plugin's own.
    pub panics: bool,
    /// Metrics are what the plugins made them, and not the sum of three starts.
    pub metrics: bool,
    /// What holds only by the clock, by ports, or by what things take.
    pub shaky: Vec<Span>,
}

/// Takes out of a case what can't be judged, and says what is left: how many things.
pub fn mask(case: &mut Case, sight: &Sight) -> (Vec<Unseen>, usize) {
    let (mut unseen, mut judged) = (Vec::new(), 0);
    let mut all: Vec<&mut Expect> = Vec::new();
    for step in &mut case.steps {
        judged += step.callouts.len();
        for callout in &mut step.callouts {
            let trailers = callout.expect.iter_mut().flat_map(|expect| expect.trailers.drain(..));
            for (name, _) in trailers {
                let what = format!("callout trailer {}", name.value);
                let why = "Envoy does not send the trailers of a call".to_owned();
                unseen.push(Unseen { what, why, span: Some(name.span) });
            }
        }
        if let StepKind::Request(request) = &step.kind
            && matches!(request.upstream, Upstream::Never(_))
        {
            judged += 1;
        }
        if let StepKind::Connect(connect) = &step.kind {
            let resets = connect.events.iter().filter_map(|event| match event {
                ConnectEvent::Reset(peer) => Some(*peer),
                ConnectEvent::Data { .. } | ConnectEvent::End(_) | ConnectEvent::Advance(_) => None,
            });
            let resets: Vec<Peer> = resets.collect();
            for expect in step.expect.iter_mut().chain(&mut case.expect) {
                mask_ends(expect, &resets, &mut unseen);
                expect.on.iter_mut().for_each(|on| mask_ends(&mut on.expect, &resets, &mut unseen));
            }
        }
        if let StepKind::Connect(connect) = &step.kind
            && matches!(connect.upstream, ConnectUpstream::Never(_))
        {
            judged += 1;
        }
        all.extend(step.expect.iter_mut());
    }
    all.extend(case.expect.iter_mut());
    for expect in all {
        for on in &mut expect.on {
            judged += mask_one(&mut on.expect, sight, &mut unseen);
        }
        judged += mask_one(expect, sight, &mut unseen);
    }
    (unseen, judged)
}

/// Why nobody can judge what holds by chance.
const SHAKY: &str = "it depends on the clock, on ports, or on how long things take";

fn mask_message(subject: &str, message: &mut MessageExpect, sight: &Sight, unseen: &mut Vec<Unseen>) {
    let mut hide = |what: &str, why: &str, span: &Span| {
        let what = format!("{subject}.{what}");
        unseen.push(Unseen { what, why: why.to_owned(), span: Some(span.clone()) });
    };
    let pseudo = [
        ("status", &mut message.status),
        ("method", &mut message.method),
        ("path", &mut message.path),
        ("authority", &mut message.authority),
        ("scheme", &mut message.scheme),
        ("body", &mut message.body),
    ];
    for (name, one) in pseudo {
        if one.as_ref().is_some_and(|one| sight.shaky.contains(&one.span))
            && let Some(one) = one.take()
        {
            hide(name, SHAKY, &one.span);
        }
    }
    for fields in [&mut message.headers, &mut message.trailers] {
        fields.retain(|(name, all)| {
            let breaks = |one: &Match| matches!(&one.matcher, Matcher::Equal(text) if text.iter().any(|b| matches!(b, b'\r' | b'\n')));
            let why = match () {
                () if all.iter().any(|one| sight.shaky.contains(&one.span)) || sight.shaky.contains(&name.span) => SHAKY,
                () if all.iter().any(breaks) => "a line break in a header reads as another header",
                () => return true,
            };
            hide(&name.value, why, &name.span);
            false
        });
    }
}

/// Whoever breaks a connection off sees nothing more of it.
fn mask_ends(expect: &mut Expect, resets: &[Peer], unseen: &mut Vec<Unseen>) {
    for (what, peer, message) in [
        ("client_sees.ends", Peer::Client, &mut expect.client_sees),
        ("upstream_sees.ends", Peer::Upstream, &mut expect.upstream_sees),
    ] {
        if resets.contains(&peer)
            && let Some(message) = message
            && let Some(ends) = message.ends.take()
        {
            let why = "whoever breaks a connection off sees no end of it".to_owned();
            unseen.push(Unseen { what: what.to_owned(), why, span: Some(ends.span) });
        }
    }
}

fn mask_one(expect: &mut Expect, sight: &Sight, unseen: &mut Vec<Unseen>) -> usize {
    for (subject, message) in [("upstream_sees", &mut expect.upstream_sees), ("client_sees", &mut expect.client_sees)] {
        if let Some(message) = message {
            mask_message(subject, message, sight, unseen);
        }
    }
    for (subject, lines) in [("logs", &mut expect.logs), ("no_logs", &mut expect.no_logs)] {
        lines.retain(|line| {
            let shaky = sight.shaky.contains(&line.message.span);
            if shaky {
                let span = Some(line.message.span.clone());
                unseen.push(Unseen { what: subject.to_owned(), why: SHAKY.to_owned(), span });
            }
            !shaky
        });
    }
    expect.actions.retain(|actions| {
        let shaky = sight.shaky.contains(&actions.span);
        if shaky {
            let what = format!("actions.{}", actions.callback.subject());
            unseen.push(Unseen { what, why: SHAKY.to_owned(), span: Some(actions.span.clone()) });
        }
        !shaky
    });
    let mut hide = |what: String, why: &str, span: Span| {
        unseen.push(Unseen { what, why: why.to_owned(), span: Some(span) });
    };
    for (path, _) in expect.properties.drain(..) {
        hide(format!("properties.{}", path.value), "Envoy shows properties to plugins only", path.span);
    }
    for (key, _) in expect.shared_data.drain(..) {
        hide(format!("shared_data.{}", key.value), "Envoy shows shared data to plugins only", key.span);
    }
    if !sight.metrics {
        for (name, _) in expect.metrics.drain(..) {
            hide(format!("metrics.{}", name.value), "Envoy starts each plugin three times, and all count", name.span);
        }
    }
    for id in expect.findings.drain(..) {
        hide(
            format!("findings.{}", id.value),
            "findings are about what a plugin does, which only the in-memory host sees",
            id.span,
        );
    }
    if let Some(trap) = &mut expect.trap
        && !sight.panics
        && let Some(message) = trap.message.take()
    {
        hide("trap.message".to_owned(), "each engine words its traps in its own way", message.span);
    }
    if let Some(upstream) = &mut expect.upstream_sees
        && !sight.scheme
        && let Some(scheme) = upstream.scheme.take()
    {
        hide("upstream_sees.scheme".to_owned(), "HTTP/1.1 does not write the scheme", scheme.span);
    }
    let message = |message: &Option<MessageExpect>| {
        message.as_ref().map_or(0, |m| {
            let pseudo = [&m.status, &m.method, &m.path, &m.authority, &m.scheme, &m.body];
            let others = usize::from(m.nothing) + usize::from(m.ends.is_some());
            pseudo.iter().filter(|one| one.is_some()).count() + m.headers.len() + m.trailers.len() + others
        })
    };
    message(&expect.upstream_sees)
        + message(&expect.client_sees)
        + expect.actions.len()
        + expect.logs.len()
        + expect.no_logs.len()
        + expect.metrics.len()
        + usize::from(expect.callouts.is_some())
        + usize::from(expect.trap.is_some())
        + usize::from(expect.stuck.is_some())
        + usize::from(expect.load.is_some())
}
