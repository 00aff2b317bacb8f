//! The upstream's side of a request: a node is chosen and asked, and where it fails perhaps another one.
//!
//! Which node, and whether another one may be asked, is `crate::gateway::way`'s decision; here it is carried out.

use super::*;

impl Flight {
    /// A node is asked.
    fn asks(&mut self, address: SocketAddr) {
        self.lane.asks(Some(address));
        self.tries.push(Try { address, status: None, time: Duration::ZERO });
    }

    /// What became of the last try.
    fn note_try(&mut self, status: u16) {
        let time = self.now.duration_since(self.try_began);
        if let Some(last) = self.tries.last_mut()
            && last.status.is_none()
        {
            (last.status, last.time) = (Some(status), time);
        }
    }

    pub(super) fn unsent(&self) -> usize {
        match &self.link {
            Link::Open(link, _) => link.waiting(),
            Link::Idle | Link::Connecting(..) | Link::Over => 0,
        }
    }

    /// The upstream's side.
    pub(super) fn poll_link(&mut self, cx: &mut Context<'_>, bound: usize) -> bool {
        match &mut self.link {
            Link::Over => {
                while self.lane.pop_to_upstream().is_some() {}
                false
            }
            Link::Idle => {
                if !self.take_outgoing() {
                    return false;
                }
                self.goes_out();
                true
            }
            Link::Connecting(connecting, _) => {
                let Poll::Ready(connected) = connecting.as_mut().poll(cx) else { return false };
                self.since = self.now;
                match connected {
                    Ok((io, peer)) => {
                        self.asks(peer);
                        self.begin(Idle { wire: Wire::new(io), peer, served: 0 });
                    }
                    Err(failed) => {
                        // A node that took no connection was asked, too.
                        failed.asked.into_iter().for_each(|address| self.asks(address));
                        let line = errors::no_connection(&failed.error);
                        self.fail_with(upstream::fault_of(&failed), Some(line));
                    }
                }
                true
            }
            Link::Open(..) => {
                let sent = self.poll_send(cx, bound);
                self.poll_receive(cx, bound) || sent
            }
        }
    }

    /// Moves what the host gives out for the upstream to where it is kept; says whether there is any.
    fn take_outgoing(&mut self) -> bool {
        let Some(part) = self.lane.pop_to_upstream() else { return false };
        if part == Part::Reset {
            self.link = Link::Over;
            return false;
        }
        if let Part::Headers { headers, .. } = &part {
            self.upstream_host = headers.get(b":authority").cloned().unwrap_or_default();
        }
        self.out.take(part, self.worker.settings().bounds.waiting_bytes);
        true
    }

    /// Chooses the node that is asked; says whether there is one.
    fn choose(&mut self) -> bool {
        let (node, line) = {
            let balancer = &mut self.worker.balancer.borrow_mut();
            (self.way.next(balancer, &self.lane.asker.facts()), balancer.fell_back())
        };
        if let Some(line) = line {
            self.live.say(self.exchange, LogLevel::Warn, line);
        }
        let some = node.is_some();
        if let Some(node) = node {
            self.ask(node);
        }
        some
    }

    fn ask(&mut self, node: Node) {
        self.since = self.now;
        self.try_began = self.since;
        let address = (node.host, node.port);
        match self.worker.pool.take(&address) {
            Some(idle) => {
                self.asks(idle.peer);
                self.link = Link::Open(Box::new(self.http1(idle)), address);
            }
            None => {
                // Only lines about it need to know; a name is looked up while it connects.
                let known = self.worker.settings().resolve.known(&address.0, address.1);
                self.lane.asks(known);
                self.link = Link::Connecting(upstream::connect(&address, &self.worker.settings().resolve), address);
            }
        }
    }

    /// The plugins have let the request pass: it goes to a node, or the gateway answers.
    fn goes_out(&mut self) {
        if let Some(refusal) = self.way.refusal() {
            self.link = Link::Over;
            if let Some(line) = refusal.log {
                self.feed(|host, exchange| host.world_mut().log_about(Some(exchange), LogLevel::Error, line));
            }
            self.gateway_answers(refusal.status, refusal.body.unwrap_or_default());
        } else {
            self.first_asked = self.now;
            if !self.choose() {
                self.live.say(self.exchange, LogLevel::Error, NO_NODE.to_owned());
                self.give_up(Fault::Refused);
            }
        }
    }

    fn gateway_answers(&mut self, status: u16, body: &'static str) {
        let mut headers = Headers::new();
        self.way.comes_in(&mut headers, self.tries.iter().filter_map(|tried| tried.status));
        let body = Bytes::from_static(body.as_bytes());
        self.feed(|host, exchange| host.reply(exchange, u32::from(status), headers, body));
    }

    fn begin(&mut self, idle: Idle) {
        let http1 = self.http1(idle);
        if let Link::Connecting(_, address) = std::mem::replace(&mut self.link, Link::Over) {
            self.link = Link::Open(Box::new(http1), address);
        }
    }

    fn http1(&self, idle: Idle) -> Http1 {
        Http1::new(idle, self.lane.asker.asked.method == "HEAD", self.live.generation.profile.last_chunk_ends)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, bound: usize) -> bool {
        let mut moved = false;
        loop {
            let Link::Open(link, _) = &mut self.link else { return moved };
            while link.waiting() < bound
                && let Some(part) = self.out.next()
            {
                let forwarded = match part {
                    Part::Headers { headers, end_of_stream } => self
                        .way
                        .forwarded(headers, &self.lane.asker.facts())
                        .map(|headers| Part::Headers { headers, end_of_stream: *end_of_stream }),
                    Part::Data { .. } | Part::Trailers(_) | Part::Metadata(_) | Part::Reset => None,
                };
                if let Some(Part::Headers { headers, .. }) = &forwarded {
                    self.upstream_host = headers.get(b":authority").cloned().unwrap_or_default();
                }
                link.send(forwarded.as_ref().unwrap_or(part));
                self.since = self.now;
                moved = true;
            }
            let before = link.waiting();
            let flushed = link.poll_flush(cx);
            if link.waiting() != before {
                self.since = self.now;
                moved = true;
            }
            if flushed.is_pending() || !self.take_outgoing() {
                return moved;
            }
        }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>, bound: usize) -> bool {
        let mut moved = false;
        while self.lane.client_bytes() < bound {
            let Link::Open(link, _) = &mut self.link else { return moved };
            if link.is_done() {
                break;
            }
            let Poll::Ready(part) = link.poll_part(cx) else { break };
            moved = true;
            self.since = self.now;
            match part {
                Ok(mut part) => {
                    if let Part::Headers { headers, .. } = &mut part {
                        self.upstream_status = status_of(headers);
                        self.note_try(self.upstream_status.unwrap_or(502));
                        self.way.comes_in(headers, self.tries.iter().filter_map(|tried| tried.status));
                        // Nothing is tried again from here on.
                        self.out.forget();
                    }
                    self.feed(|host, exchange| host.from_upstream(exchange, part));
                }
                Err(fault) => self.fail(fault),
            }
        }
        if let Link::Open(link, _) = &self.link
            && link.is_done()
            && (link.is_sent() || self.lane.is_closed())
        {
            self.let_go();
        }
        moved
    }

    /// The upstream is needed no more: its connection is kept for the next request, if it can serve one.
    pub(super) fn let_go(&mut self) {
        self.lane.asks(None);
        if let Link::Open(link, address) = std::mem::replace(&mut self.link, Link::Over)
            && let Some(idle) = link.into_idle()
        {
            self.worker.pool.keep(address, idle, &self.way.keepalive(), self.since);
        }
    }

    /// The upstream did wrong: perhaps it is asked once more.
    pub(super) fn fail(&mut self, fault: Fault) {
        self.fail_with(fault, None);
    }

    /// The same, where there is more to say of it.
    fn fail_with(&mut self, mut fault: Fault, words: Option<String>) {
        let phase = self.phase();
        let link = std::mem::replace(&mut self.link, Link::Over);
        // So was one that took none in time; where a name is that is still looked up, nobody knows.
        if words.is_none()
            && let Link::Connecting(_, (host, port)) = &link
            && let Some(known) = self.worker.settings().resolve.known(host, *port)
        {
            self.asks(known);
        }
        self.note_try(fault.status());
        let stale = matches!(&link, Link::Open(link, _) if link.is_reused()) && fault == Fault::Reset;
        if !stale && !self.lane.is_closed() {
            let words = words.unwrap_or_else(|| errors::words(fault, phase));
            self.live.say(self.exchange, LogLevel::Error, words);
        }
        self.lane.asks(None);
        if self.upstream_status.is_none() && self.out.whole && !self.lane.is_closed() {
            match link {
                // It was closed while it waited for us: a new connection is no second try.
                Link::Open(link, address)
                    if link.is_reused()
                        && fault == Fault::Reset
                        && (link.is_untouched() || is_idempotent(&self.lane.asker.asked.method)) =>
                {
                    self.out.again();
                    self.since = self.now;
                    self.link = Link::Connecting(upstream::connect(&address, &self.worker.settings().resolve), address);
                    return;
                }
                Link::Open(..) | Link::Connecting(..) => match self.try_next(fault, matches!(link, Link::Open(..))) {
                    None => return,
                    Some(counts) => fault = counts,
                },
                Link::Idle | Link::Over => {}
            }
        }
        self.give_up(fault);
    }

    /// How far it has come with the upstream that is asked now.
    fn phase(&self) -> Phase {
        match &self.link {
            Link::Idle | Link::Connecting(..) => Phase::Connecting,
            _ if self.upstream_status.is_some() => Phase::Body,
            Link::Open(link, _) if !link.is_sent() => Phase::Sending,
            Link::Open(..) | Link::Over => Phase::Head,
        }
    }

    /// Another node is asked, or this is what counts as the fault.
    fn try_next(&mut self, fault: Fault, connected: bool) -> Option<Fault> {
        let (since, facts) = (self.now.duration_since(self.first_asked), self.lane.asker.facts());
        let next = self.way.after((fault, connected), since, &mut self.worker.balancer.borrow_mut(), &facts);
        match next {
            Next::Ask(node) => {
                self.out.again();
                self.ask(node);
                None
            }
            Next::GiveUp(fault, line) => {
                if let Some(line) = line {
                    self.feed(|host, exchange| host.world_mut().log_about(Some(exchange), LogLevel::Error, line));
                }
                Some(fault)
            }
        }
    }

    fn give_up(&mut self, fault: Fault) {
        self.link = Link::Over;
        let begun = self.upstream_status.is_some();
        if self.way.has_gateway() && !begun {
            self.gateway_answers(fault.status(), "");
            return;
        }
        self.feed(|host, exchange| match fault {
            Fault::TimedOut => host.upstream_timed_out(exchange),
            Fault::Unresolved | Fault::Refused => host.upstream_refused(exchange),
            Fault::Reset | Fault::Garbage if begun => host.from_upstream(exchange, Part::Reset),
            Fault::Reset => host.upstream_reset(exchange),
            Fault::Garbage => host.upstream_garbage(exchange),
        });
    }
}
