//! How data moves through a chain of network filters: TCP connections.
//!
//! Reads go through the chain in its order and writes against it. Where the rules come from: abi.md 4.5, and
//! Envoy 1.40 (`t/hostcalls/ENVOY.md`, section 25), whose filter manager and TCP proxy these functions follow.

use super::connection::{Connection, UnreadEnd, Upstream};
use super::exchange::{ConnectionInfo, ExchangeState};
use super::guest::Guest;
use super::world::Output;
use super::{Called, Host};
use crate::abi::{Callback, ExchangeId, PeerType};
use crate::message::{Direction, Part};
use crate::trace::{Event, Peer};
use bytes::Bytes;

impl Host {
    /// Accepts a TCP connection and leads it into the chain.
    pub fn connect(&mut self) -> ExchangeId {
        let chain = self.whole_chain();
        let id = self.open_exchange(ConnectionInfo::new(""), Some(Connection::default()), chain.into_iter());
        self.world.recorder.push(|| Event::ConnectionOpened(id));
        self.read_on(id, None);
        self.finish(id);
        id
    }

    /// The upstream accepted the connection that the host asked for.
    pub fn upstream_connected(&mut self, id: ExchangeId) {
        let Some(tcp) = self.tcp_mut(id).filter(|tcp| tcp.upstream == Upstream::Connecting) else { return };
        tcp.upstream = Upstream::Connected;
        if let Some(e) = self.ex_mut(id) {
            e.upstream_answered = true;
        }
        self.world.recorder.push(|| Event::UpstreamConnected(id));
        self.read_unread(id);
        self.finish(id);
    }

    /// Whether the upstream has accepted the connection.
    pub fn has_upstream(&self, id: ExchangeId) -> bool {
        self.ex(id).and_then(|e| e.tcp.as_ref()).is_some_and(|tcp| tcp.upstream == Upstream::Connected)
    }

    /// The upstream did not accept the connection.
    pub fn upstream_did_not_connect(&mut self, id: ExchangeId) {
        if let Some(e) = self.ex_mut(id) {
            e.flags = 0x8020;
        }
        self.close_connection(id, PeerType::Local);
        self.finish(id);
    }

    /// The client sent data, ended its side, or broke the connection off.
    pub fn tcp_from_client(&mut self, id: ExchangeId, part: Part) {
        self.world.recorder.push(|| Event::Input { exchange: id, from: Peer::Client, part: part.clone() });
        let Some(tcp) = self.tcp_mut(id).filter(|tcp| tcp.unread_end == UnreadEnd::Open) else { return };
        match part {
            Part::Data { bytes, end_of_stream } => {
                tcp.unread.extend_from_slice(&bytes);
                if end_of_stream {
                    tcp.unread_end = UnreadEnd::End;
                }
            }
            Part::Reset => tcp.unread_end = UnreadEnd::Reset,
            Part::Headers { .. } | Part::Metadata(_) | Part::Trailers(_) => {}
        }
        self.read_unread(id);
        self.finish(id);
    }

    /// The upstream sent data, ended its side, or broke the connection off.
    pub fn tcp_from_upstream(&mut self, id: ExchangeId, part: Part) {
        self.world.recorder.push(|| Event::Input { exchange: id, from: Peer::Upstream, part: part.clone() });
        let Some(tcp) = self.tcp_mut(id).filter(|tcp| tcp.upstream == Upstream::Connected) else { return };
        match part {
            Part::Data { bytes, end_of_stream } if !tcp.upstream_data.ended => {
                tcp.upstream_data.buffer.extend_from_slice(&bytes);
                tcp.upstream_data.ended |= end_of_stream;
                let received = bytes.len() as u64;
                if let Some(e) = self.ex_mut(id) {
                    e.response.body_bytes += received;
                }
                self.write_on(id, None, end_of_stream);
                self.close_if_both_ended(id, PeerType::Local);
            }
            Part::Reset => {
                self.emit_data(id, Peer::Client, Part::Reset);
                self.close_connection(id, PeerType::Local);
            }
            Part::Data { .. } | Part::Headers { .. } | Part::Metadata(_) | Part::Trailers(_) => {}
        }
        self.finish(id);
    }

    /// Reads what waits, if the host reads at all.
    fn read_unread(&mut self, id: ExchangeId) {
        let limit = self.world.buffer_limit;
        let Some(tcp) = self.tcp_mut(id).filter(|tcp| tcp.reads(limit)) else { return };
        let (unread, end) = (tcp.unread.split(), tcp.unread_end);
        let news = !unread.is_empty() || (end == UnreadEnd::End && !tcp.downstream_data.ended);
        tcp.downstream_data.buffer.extend_from_slice(&unread);
        tcp.downstream_data.ended |= end == UnreadEnd::End;
        if let Some(e) = self.ex_mut(id) {
            e.request.body_bytes += unread.len() as u64;
        }
        if news {
            self.read_on(id, None);
            // Envoy 1.40: the end of the client that comes last closes the connection as its doing.
            self.close_if_both_ended(id, PeerType::Remote);
        }
        if end == UnreadEnd::Reset {
            self.emit_data(id, Peer::Upstream, Part::Reset);
            self.close_connection(id, PeerType::Remote);
        }
    }

    /// What has been read goes through the filters behind this one, and to the upstream.
    pub(super) fn read_on(&mut self, id: ExchangeId, after: Option<usize>) {
        let count = self.ex(id).map_or(0, |e| e.filters.len());
        for filter in after.map_or(0, |after| after + 1)..count {
            let Some(tcp) = self.tcp_mut(id) else { return };
            if tcp.opened <= filter {
                tcp.opened = filter + 1;
                if !self.passes(id, filter, Direction::Request, Callback::OnNewConnection, &[]) {
                    return;
                }
            }
            let Some(tcp) = self.tcp_mut(id) else { return };
            let (size, end) = (tcp.downstream_data.buffer.len(), tcp.downstream_data.ended);
            if size == 0 && !end {
                continue;
            }
            let args = [size as u32, u32::from(end)];
            if !self.passes(id, filter, Direction::Request, Callback::OnDownstreamData, &args) {
                return;
            }
        }
        let Some(tcp) = self.tcp_mut(id) else { return };
        if tcp.upstream == Upstream::NotAsked {
            tcp.upstream = Upstream::Connecting;
            self.world.outputs.push_back(Output::Connect(id));
            return;
        }
        let (bytes, end) = (tcp.downstream_data.buffer.split().freeze(), tcp.downstream_data.ended);
        if !bytes.is_empty() || (end && !tcp.downstream_data.ended_out) {
            tcp.downstream_data.ended_out |= end;
            self.emit_data(id, Peer::Upstream, Part::Data { bytes, end_of_stream: end });
        }
    }

    /// What the upstream sent goes through the filters before this one, and to the client.
    pub(super) fn write_on(&mut self, id: ExchangeId, before: Option<usize>, end: bool) {
        let count = before.unwrap_or_else(|| self.ex(id).map_or(0, |e| e.filters.len()));
        for filter in (0..count).rev() {
            let Some(tcp) = self.tcp_mut(id) else { return };
            // Envoy 1.40: unlike a read, a write that a filter has emptied goes on to the next one.
            let args = [tcp.upstream_data.buffer.len() as u32, u32::from(end)];
            let passed = self.passes(id, filter, Direction::Response, Callback::OnUpstreamData, &args);
            if end {
                self.tell_of_close(id, filter, Callback::OnUpstreamConnectionClose, self.world.profile.upstream_close);
            }
            if !passed {
                return;
            }
        }
        let Some(tcp) = self.tcp_mut(id) else { return };
        let bytes = tcp.upstream_data.buffer.split().freeze();
        if !bytes.is_empty() || (end && !tcp.upstream_data.ended_out) {
            tcp.upstream_data.ended_out |= end;
            self.emit_data(id, Peer::Client, Part::Data { bytes, end_of_stream: end });
        }
    }

    /// Calls a filter; says whether what it was about goes on.
    fn passes(
        &mut self,
        id: ExchangeId,
        filter: usize,
        direction: Direction,
        callback: Callback,
        args: &[u32],
    ) -> bool {
        let is_data = callback != Callback::OnNewConnection;
        if let Some(stage) = self.stage_mut(id, filter, direction) {
            stage.buffer_visible = is_data;
        }
        let Guest::Action(action) = self.guest(id, filter, direction, callback, args) else { return false };
        self.note_action(id, filter, callback, action);
        // Envoy 1.40: what the guest asked for is carried out before its action counts.
        self.settle();
        let Some(tcp) = self.tcp_mut(id) else { return false };
        let flow = match direction {
            Direction::Request => &mut tcp.downstream_data,
            Direction::Response => &mut tcp.upstream_data,
        };
        flow.held_by = (action != 0).then_some(filter);
        if action == 0
            && let Some(stage) = self.stage_mut(id, filter, direction)
        {
            stage.buffer_visible = false;
        }
        action == 0
    }

    /// A plugin continues a direction.
    pub(super) fn continue_connection(&mut self, id: ExchangeId, filter: usize, direction: Direction) {
        let Some(tcp) = self.tcp_mut(id) else { return };
        match direction {
            Direction::Request => {
                tcp.downstream_data.held_by = None;
                self.read_on(id, Some(filter));
                self.close_if_both_ended(id, PeerType::Local);
                // There may be room for more.
                self.read_unread(id);
            }
            Direction::Response => {
                tcp.upstream_data.held_by = None;
                let end = tcp.upstream_data.ended;
                self.write_on(id, Some(filter), end);
                self.close_if_both_ended(id, PeerType::Local);
            }
        }
    }

    /// Ends the connection if neither side sends anything more.
    fn close_if_both_ended(&mut self, id: ExchangeId, by: PeerType) {
        let Some(tcp) = self.tcp_mut(id) else { return };
        let (read, written) = (&tcp.downstream_data, &tcp.upstream_data);
        if read.ended && written.ended_out {
            self.close_connection(id, by);
        } else if read.ended_out && written.ended {
            // Envoy 1.40: the upstream is gone; what a plugin holds for the client is lost.
            self.close_connection(id, PeerType::Local);
        }
    }

    /// The connection ends, on both sides; says who ended it.
    pub(super) fn close_connection(&mut self, id: ExchangeId, by: PeerType) {
        let Some(tcp) = self.tcp_mut(id) else { return };
        let ends = [
            (Peer::Client, tcp.upstream_data.ended_out || by == PeerType::Remote),
            (Peer::Upstream, tcp.downstream_data.ended_out || tcp.upstream != Upstream::Connected),
        ];
        // A socket that is closed with bytes in it that nobody read is reset (Envoy 1.40).
        let unread = !tcp.unread.is_empty();
        for (peer, out) in ends {
            if !out {
                self.emit_data(
                    id,
                    peer,
                    match peer {
                        Peer::Client if unread => Part::Reset,
                        Peer::Client | Peer::Upstream => Part::Data { bytes: Bytes::new(), end_of_stream: true },
                    },
                );
            }
        }
        if let Some(e) = self.ex_mut(id) {
            e.state = ExchangeState::Ended;
            e.closed_by = by;
        }
    }

    fn emit_data(&mut self, id: ExchangeId, to: Peer, part: Part) {
        let Some(tcp) = self.tcp_mut(id) else { return };
        let flow = match to {
            Peer::Client => &mut tcp.upstream_data,
            Peer::Upstream => &mut tcp.downstream_data,
        };
        flow.ended_out |= matches!(part, Part::Reset | Part::Data { end_of_stream: true, .. });
        self.world.recorder.push(|| Event::Output { exchange: id, to, part: part.clone() });
        self.world.outputs.push_back(match to {
            Peer::Client => Output::ToClient(id, part),
            Peer::Upstream => Output::ToUpstream(id, part),
        });
    }

    /// The end of each filter in turn: it is told of the close, and then its context ends (Envoy 1.40).
    pub(super) fn tear_down_connection(&mut self, id: ExchangeId) {
        let Some((count, by)) = self.ex(id).map(|e| (e.filters.len(), e.closed_by)) else { return };
        for filter in 0..count {
            self.tell_of_close(id, filter, Callback::OnDownstreamConnectionClose, by);
            for callback in self.world.profile.connection_end {
                self.end_callback(id, filter, *callback);
            }
            self.forget_context(id, filter);
        }
    }

    /// Envoy 1.40: a trap here closes nothing by itself; the next call of the filter does.
    fn tell_of_close(&mut self, id: ExchangeId, filter: usize, callback: Callback, by: PeerType) {
        let Some(entry) = self.ex(id).and_then(|e| e.filters.get(filter)) else { return };
        let (vm, plugin, bypassed) = (entry.vm, entry.plugin, entry.bypassed);
        let Some(context) = entry.context.filter(|_| !bypassed) else { return };
        if let Called::Trapped = self.call(vm, plugin, callback, context, &[by.number()]) {
            self.world.deferred.retain(|deferred| deferred.exchange != id);
        }
        self.settle();
    }

    /// Whether this is a TCP connection.
    pub(super) fn is_tcp(&self, id: ExchangeId) -> bool {
        self.ex(id).is_some_and(|e| e.tcp.is_some())
    }

    /// The connection, while it is open.
    fn tcp_mut(&mut self, id: ExchangeId) -> Option<&mut Connection> {
        self.ex_mut(id).filter(|e| e.state == ExchangeState::Open)?.tcp.as_mut()
    }
}
