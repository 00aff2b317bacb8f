//! `cut: every`: the ways in which a case is run, and whether all of them end alike.

use crate::expect::Failure;
use crate::runner::message::{Variant, variants};
use crate::scenario::{Body, Case, Cut, Upstream};
use crate::snapshot::render;
use crate::trace::views::{self, SeenMessage};
use crate::trace::{Event, Peer};
use bytes::Bytes;

/// What both ends saw of one exchange: what `cut: every` wants to be the same in every variant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct End {
    upstream: SeenMessage,
    client: SeenMessage,
    calls: usize,
}

pub(super) fn ends_of(events: &[Event]) -> Vec<End> {
    let opened = events.iter().filter_map(|event| match event {
        Event::ExchangeOpened(id) => Some(*id),
        _ => None,
    });
    let calls = views::calls(events);
    opened
        .map(|id| End {
            upstream: views::seen(events, id, Peer::Upstream),
            client: views::seen(events, id, Peer::Client),
            calls,
        })
        .collect()
}

pub(super) fn ends_differently(expected: &[End], actual: &[End], variant: Variant) -> Failure {
    let show = |ends: &[End]| {
        let one = |end: &End| {
            format!(
                "upstream saw {}\nclient saw {}\n{} calls\n",
                render::seen(&end.upstream),
                render::seen(&end.client),
                end.calls
            )
        };
        ends.iter().map(one).collect::<String>()
    };
    Failure {
        subject: "cut".to_owned(),
        title: format!("it ends otherwise when the body comes {variant}"),
        span: None,
        expected: Some(show(expected)),
        actual: Some(show(actual)),
        hint: Some(
            "a word that lies across two chunks is in neither of them: buffer the body (Pause until end_of_stream), \
             or keep what may go on in the next chunk"
                .to_owned(),
        ),
        event: None,
    }
}

/// The variants that a case is run with beside the plain one.
pub(super) fn cut_variants(case: &Case) -> Vec<Variant> {
    let every =
        |body: Option<&Body>| body.filter(|b| b.cut == Some(Cut::Every)).map(|b| b.chunks.iter().map(Bytes::len).sum());
    let lengths = case.steps.iter().flat_map(crate::scenario::Step::requests).filter_map(|request| {
        every(request.body.as_ref()).or(match &request.upstream {
            Upstream::Reply(reply) => every(reply.body.as_ref()),
            Upstream::Never(_) | Upstream::Fail(_) => None,
        })
    });
    lengths.max().map_or_else(Vec::new, variants)
}
