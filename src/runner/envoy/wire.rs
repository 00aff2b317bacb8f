//! Both ends of a TCP connection: each does what it is told, and notes what it gets.

use super::stage::Stage;
use crate::abi::ExchangeId;
use crate::message::Part;
use crate::trace::{Event, Peer};
use bytes::Bytes;
use std::io;
use std::rc::Rc;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What an end does.
#[derive(Debug)]
pub enum Act {
    /// It sends bytes; with the end they are one read.
    Send(Bytes, bool),
    /// It breaks off.
    Reset,
}

/// Tells an end what to do; it hangs up when this is dropped.
pub type Lead = UnboundedSender<Act>;

/// A TCP connection of the case that is on.
#[derive(Debug)]
pub struct Wire {
    /// Its exchange.
    pub exchange: ExchangeId,
    /// The upstream's end, once it was reached.
    pub upstream: Option<Lead>,
    /// How often the upstream was reached.
    pub arrivals: usize,
    /// The client broke it off, so it sees nothing any more.
    pub client_gone: bool,
    /// The ends that are over: the client's, the upstream's.
    pub closed: [bool; 2],
}

impl Wire {
    /// A connection that nobody has led further yet.
    pub fn new(exchange: ExchangeId) -> Self {
        Self { exchange, upstream: None, arrivals: 0, client_gone: false, closed: [false; 2] }
    }
}

/// The client connects.
pub async fn connect(stage: &Rc<Stage>, port: u16, exchange: ExchangeId) -> io::Result<Lead> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    Ok(lead(stage, stream, exchange, Peer::Client))
}

/// The upstream takes every connection until the runtime ends.
pub async fn serve(stage: Rc<Stage>, listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let Some(exchange) = reached(&stage) else { continue };
        stage.sight(Event::UpstreamConnected(exchange));
        let lead = lead(&stage, stream, exchange, Peer::Upstream);
        if let Some(wire) = stage.scene.borrow_mut().wires.iter_mut().find(|wire| wire.exchange == exchange) {
            wire.upstream = Some(lead);
        }
        stage.moved.notify_waiters();
    }
}

/// Which connection comes through to the upstream: the latest that has not yet.
fn reached(stage: &Stage) -> Option<ExchangeId> {
    let mut scene = stage.scene.borrow_mut();
    let newest = scene.wires.iter().rposition(|wire| wire.arrivals == 0);
    let at = newest.or(scene.wires.len().checked_sub(1))?;
    let wire = scene.wires.get_mut(at)?;
    wire.arrivals += 1;
    Some(wire.exchange)
}

fn lead(stage: &Rc<Stage>, stream: TcpStream, exchange: ExchangeId, peer: Peer) -> Lead {
    let (lead, acts) = unbounded_channel();
    let (stage, scene) = (stage.clone(), stage.number());
    tokio::task::spawn_local(async move { live(&stage, scene, stream, acts, exchange, peer).await });
    lead
}

async fn live(
    stage: &Stage,
    scene: usize,
    mut stream: TcpStream,
    mut acts: UnboundedReceiver<Act>,
    exchange: ExchangeId,
    peer: Peer,
) {
    let _ = stream.set_nodelay(true);
    let sight = |part| stage.sight_for(scene, Event::Output { exchange, to: peer, part });
    let mut reading = true;
    let mut buffer = vec![0; 64 << 10];
    loop {
        tokio::select! {
            biased;
            ready = stream.readable(), if reading => {
                let part = match ready.and_then(|()| stream.try_read(&mut buffer)) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                    Ok(0) => Part::Data { bytes: Bytes::new(), end_of_stream: true },
                    Ok(n) => {
                        let bytes = Bytes::copy_from_slice(buffer.get(..n).unwrap_or_default());
                        Part::Data { bytes, end_of_stream: false }
                    }
                    Err(_) => Part::Reset,
                };
                if !matches!(part, Part::Data { end_of_stream: false, .. }) {
                    reading = false;
                    stage.wire_closed(scene, exchange, peer);
                }
                sight(part);
            }
            act = acts.recv() => {
                let done = match act {
                    None => return,
                    // What is closed takes nothing more, and says so; that is what the other end sees, too.
                    Some(Act::Send(bytes, end)) => {
                        let sent = match bytes.is_empty() {
                            true => Ok(()),
                            false => stream.write_all(&bytes).await,
                        };
                        if end { sent.and(stream.shutdown().await) } else { sent }
                    }
                    Some(Act::Reset) => {
                        let _ = stream.set_zero_linger();
                        return;
                    }
                };
                let _ = done;
            }
        }
    }
}
