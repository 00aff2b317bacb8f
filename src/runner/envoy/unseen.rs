//! Which expectations can be judged from outside, and why the others can't.

use crate::diagnostic::Span;
use crate::runner::result::Unseen;
use crate::scenario::{Case, Expect, StepKind, Upstream};

/// What is known about how a case is played.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sight {
    /// The origin of every request speaks HTTP/2, where the scheme shows.
    pub scheme: bool,
    /// The trap that happens says something that is the plugin's own.
    pub panics: bool,
}

/// Takes out of a case what can't be judged, and says what is left: how many things.
pub fn mask(case: &mut Case, sight: Sight) -> (Vec<Unseen>, usize) {
    let (mut unseen, mut judged) = (Vec::new(), 0);
    let mut all: Vec<&mut Expect> = case.expect.iter_mut().collect();
    for step in &mut case.steps {
        judged += step.callouts.len();
        if let StepKind::Request(request) = &step.kind
            && matches!(request.upstream, Upstream::Never(_))
        {
            judged += 1;
        }
        all.extend(step.expect.iter_mut());
    }
    for expect in all {
        for on in &mut expect.on {
            judged += mask_one(&mut on.expect, sight, &mut unseen);
        }
        judged += mask_one(expect, sight, &mut unseen);
    }
    (unseen, judged)
}

fn mask_one(expect: &mut Expect, sight: Sight, unseen: &mut Vec<Unseen>) -> usize {
    let mut hide = |what: String, why: &str, span: Span| {
        unseen.push(Unseen { what, why: why.to_owned(), span: Some(span) });
    };
    for (path, _) in expect.properties.drain(..) {
        hide(format!("properties.{}", path.value), "Envoy shows properties to plugins only", path.span);
    }
    for (key, _) in expect.shared_data.drain(..) {
        hide(format!("shared_data.{}", key.value), "Envoy shows shared data to plugins only", key.span);
    }
    for id in expect.findings.drain(..) {
        hide(format!("findings.{}", id.value), "findings are about what a plugin does, which only the in-memory host sees", id.span);
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
    let message = |message: &Option<crate::scenario::MessageExpect>| {
        message.as_ref().map_or(0, |m| {
            let pseudo = [&m.status, &m.method, &m.path, &m.authority, &m.scheme, &m.body];
            pseudo.iter().filter(|one| one.is_some()).count() + m.headers.len() + m.trailers.len()
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
