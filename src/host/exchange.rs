//! One request with its response, as the host holds it: the two messages, and where each filter stands.
//!
//! Data only; how it moves is in `stream`. All filters of a chain share the two header maps, as in Envoy:
//! what one filter changes, the next one sees.

pub mod phases;

use super::connection::Connection;
use super::profile::Profile;
use crate::abi::{ContextId, ExchangeId, PeerType, PluginIndex, VmIndex};
use crate::message::{Direction, Headers};
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// An exchange under way.
#[derive(Debug)]
pub struct Exchange {
    /// Its number.
    pub id: ExchangeId,
    /// The chain, in the order of requests.
    pub filters: Vec<Filter>,
    /// The places in that chain in the order of responses, where neither the same order nor its reverse is meant.
    pub response_order: Vec<usize>,
    /// From the client.
    pub request: Half,
    /// To the client.
    pub response: Half,
    /// The connection, where there are no messages but a TCP stream.
    pub tcp: Option<Connection>,
    /// Who closed that.
    pub closed_by: PeerType,
    /// What is known of the connection.
    pub info: ConnectionInfo,
    /// When it began, nanoseconds since the epoch.
    pub started_ns: u64,
    /// Where it stands.
    pub state: ExchangeState,
    /// The request path takes nothing more: a local response was sent, or the stream ended.
    pub request_closed: bool,
    /// A plugin broke, and the host answers.
    pub failed: bool,
    /// The upstream will not accept the connection.
    pub upstream_unreachable: bool,
    /// Whether the response came from the upstream.
    pub upstream_answered: bool,
    /// Envoy's response flags.
    pub flags: u64,
    /// Envoy's response code details.
    pub details: Bytes,
    /// The number of events in the trace when it began.
    pub trace_start: usize,
    /// Properties that plugins set, in order.
    pub properties: Vec<(Bytes, Bytes)>,
    /// Those of them that were declared read-only.
    pub readonly_properties: BTreeSet<Bytes>,
    /// What plugins have put into Envoy's filter state, by path.
    pub filter_state: BTreeMap<&'static str, Bytes>,
    /// Where it stands on hosts whose plugins run one after the other.
    pub phases: phases::Phases,
    /// Filters whose contexts such a host has made, in that order.
    pub created: Vec<usize>,
}

/// Where an exchange stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeState {
    /// Under way.
    Open,
    /// Ended; contexts are to be torn down as soon as no callback of it runs.
    Ended,
    /// Contexts are gone.
    Closed,
}

/// What is known of the connection, for properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`; nothing for TCP.
    pub protocol: &'static str,
    /// The client's end, where there is a real connection.
    pub client: Option<SocketAddr>,
    /// This end.
    pub server: Option<SocketAddr>,
}

impl ConnectionInfo {
    /// A connection that nobody has made.
    pub fn new(protocol: &'static str) -> Self {
        Self { protocol, client: None, server: None }
    }
}

/// One direction of an exchange.
#[derive(Debug, Default)]
pub struct Half {
    /// The head, from its arrival on.
    pub headers: Headers,
    /// Whether the head has arrived.
    pub arrived: bool,
    /// The trailers, from their arrival on, or since a plugin added one.
    pub trailers: Option<Headers>,
    /// The end came in.
    pub complete_in: bool,
    /// The head went out.
    pub headers_out: bool,
    /// The end went out.
    pub complete_out: bool,
    /// Bytes of body that came in.
    pub body_bytes: u64,
}

/// One plugin in the chain of one exchange.
#[derive(Debug)]
pub struct Filter {
    /// The plugin.
    pub plugin: PluginIndex,
    /// Its VM.
    pub vm: VmIndex,
    /// Its stream context, from its first callback on.
    pub context: Option<ContextId>,
    /// A local response was asked for.
    pub replied: bool,
    /// The plugin takes no more part: its VM broke and the policy lets the request pass.
    pub bypassed: bool,
    /// Its place in the request.
    pub request: Stage,
    /// Its place in the response.
    pub response: Stage,
}

/// Why a stage lets nothing pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hold {
    /// It lets everything pass.
    #[default]
    None,
    /// Stopped at the headers: nothing more is even shown to the plugin until it resumes.
    All,
    /// Stopped at the headers, and what follows is shown (Envoy's `allow_on_headers_stop_iteration`).
    Headers,
    /// Stopped at the body: what comes is added and shown.
    Body,
    /// Stopped at the trailers.
    Trailers,
}

/// Where one filter stands in one direction.
#[derive(Debug, Default)]
pub struct Stage {
    /// Why it lets nothing pass.
    pub hold: Hold,
    /// The head came with the end of the message.
    pub ends_with_headers: bool,
    /// The head has gone on.
    pub forwarded: bool,
    /// Body that is held, or being shown.
    pub buffer: BytesMut,
    /// Body that is held and not shown again.
    pub hidden: BytesMut,
    /// The next callback sees what is held, too.
    pub accumulates: bool,
    /// The plugin can see the buffer.
    pub buffer_visible: bool,
    /// The end of the body came to this filter.
    pub end: bool,
    /// METADATA frames came and have not been shown.
    pub metadata_waiting: Vec<Headers>,
    /// Trailers came and have not been shown.
    pub trailers_waiting: bool,
    /// The plugin added trailers to a message that had none, in its last body callback.
    pub made_trailers: bool,
    /// The header map can be reached.
    pub headers_open: bool,
    /// The trailer map can be reached.
    pub trailers_open: bool,
    /// The running body callback has `end_of_stream`, so that trailers can be added.
    pub in_last_body: bool,
}

impl Exchange {
    /// An exchange before its first piece.
    pub fn new(id: ExchangeId, filters: Vec<Filter>, info: ConnectionInfo, started_ns: u64) -> Self {
        Self {
            id,
            filters,
            response_order: Vec::new(),
            request: Half::default(),
            response: Half::default(),
            tcp: None,
            closed_by: PeerType::Unknown,
            info,
            started_ns,
            state: ExchangeState::Open,
            request_closed: false,
            failed: false,
            upstream_unreachable: false,
            upstream_answered: false,
            flags: 0,
            details: Bytes::new(),
            trace_start: 0,
            properties: Vec::new(),
            readonly_properties: BTreeSet::new(),
            filter_state: BTreeMap::new(),
            phases: phases::Phases::default(),
            created: Vec::new(),
        }
    }

    /// One direction.
    pub fn half(&self, direction: Direction) -> &Half {
        match direction {
            Direction::Request => &self.request,
            Direction::Response => &self.response,
        }
    }

    /// One direction.
    pub fn half_mut(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }

    /// Where a filter stands.
    pub fn stage(&self, filter: usize, direction: Direction) -> Option<&Stage> {
        let filter = self.filters.get(filter)?;
        Some(match direction {
            Direction::Request => &filter.request,
            Direction::Response => &filter.response,
        })
    }

    /// Where a filter stands.
    pub fn stage_mut(&mut self, filter: usize, direction: Direction) -> Option<&mut Stage> {
        let filter = self.filters.get_mut(filter)?;
        Some(match direction {
            Direction::Request => &mut filter.request,
            Direction::Response => &mut filter.response,
        })
    }

    /// The filter that comes after this one in a direction; the first one for `None`.
    pub fn next_filter(&self, after: Option<usize>, direction: Direction, profile: &Profile) -> Option<usize> {
        if direction == Direction::Response && !self.response_order.is_empty() {
            let order = &self.response_order;
            return match after {
                None => order.first().copied(),
                Some(at) => order.get(order.iter().position(|place| *place == at)? + 1).copied(),
            };
        }
        let last = self.filters.len().checked_sub(1)?;
        let forward = direction == Direction::Request || !profile.response_reversed;
        match (after, forward) {
            (None, true) => Some(0),
            (None, false) => Some(last),
            (Some(at), true) => (at < last).then_some(at + 1),
            (Some(at), false) => at.checked_sub(1),
        }
    }

    /// Whether any filter holds a direction that has not come to its end.
    pub fn is_paused(&self) -> bool {
        let held = |stage: &Stage| stage.hold != Hold::None;
        (!self.request_closed && self.filters.iter().any(|f| held(&f.request)))
            || self.filters.iter().any(|f| held(&f.response))
    }
}

impl Stage {
    /// Everything that the stage holds of the body.
    pub fn take_body(&mut self) -> Bytes {
        let shown = std::mem::take(&mut self.buffer);
        if self.hidden.is_empty() {
            return shown.freeze();
        }
        let mut all = std::mem::take(&mut self.hidden);
        all.unsplit(shown);
        all.freeze()
    }
}
