//! The origin: notes what it is asked and says what it is told to, piece by piece.

use super::client::{Seen, note};
use super::wire::{Framing, Kind, Reader, head_bytes};
use bytes::Bytes;
use pwtest::message::{Headers, Part};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

/// The origin with everything that has come to it.
#[derive(Clone, Default)]
pub struct Origin {
    arrivals: Rc<RefCell<Vec<Arrival>>>,
}

/// A request that has come, and the way to answer it.
#[derive(Clone)]
pub struct Arrival {
    pub seen: Seen,
    out: Rc<RefCell<Option<OwnedWriteHalf>>>,
    framing: Rc<Cell<Framing>>,
    /// The task that reads the connection.
    task: Rc<RefCell<Option<JoinHandle<()>>>>,
}

/// A place where nobody listens. Nobody else can take it as long as this is held.
pub struct Nobody {
    pub address: SocketAddr,
    _socket: TcpSocket,
}

impl Nobody {
    pub fn bind() -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        Ok(Self { address: socket.local_addr()?, _socket: socket })
    }
}

impl Origin {
    /// Listens, on a task of this thread.
    pub async fn listen(&self) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let arrivals = self.arrivals.clone();
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = Rc::new(RefCell::new(None));
                let task = tokio::task::spawn_local(read(stream, arrivals.clone(), own.clone()));
                *own.borrow_mut() = Some(task);
            }
        });
        Ok(address)
    }

    /// How many requests have come.
    pub fn count(&self) -> usize {
        self.arrivals.borrow().len()
    }

    /// The request of this number.
    pub fn arrival(&self, at: usize) -> Option<Arrival> {
        self.arrivals.borrow().get(at).cloned()
    }
}

async fn read(stream: TcpStream, arrivals: Rc<RefCell<Vec<Arrival>>>, task: Rc<RefCell<Option<JoinHandle<()>>>>) {
    let _ = stream.set_nodelay(true);
    let (mut incoming, out) = stream.into_split();
    let out = Rc::new(RefCell::new(Some(out)));
    let (mut reader, mut buffer) = (Reader::new(Kind::Request), vec![0; 64 << 10]);
    let mut now: Option<Seen> = None;
    loop {
        loop {
            match reader.next() {
                Ok(None) => break,
                Ok(Some(part)) => {
                    if matches!(part, Part::Headers { .. }) {
                        let seen = Seen::default();
                        now = Some(seen.clone());
                        let framing = Rc::new(Cell::new(Framing::Plain));
                        arrivals.borrow_mut().push(Arrival { seen, out: out.clone(), framing, task: task.clone() });
                    }
                    now.iter().for_each(|seen| note(seen, part.clone()));
                }
                Err(_) => {
                    now.iter().for_each(|seen| note(seen, Part::Reset));
                    return;
                }
            }
        }
        match incoming.read(&mut buffer).await {
            Ok(0) | Err(_) => {
                now.iter().for_each(|seen| note(seen, Part::Reset));
                out.borrow_mut().take();
                return;
            }
            Ok(n) => reader.feed(buffer.get(..n).unwrap_or_default()),
        }
    }
}

impl Arrival {
    /// Sends a piece of the answer.
    pub async fn answer(&self, part: &Part, head_only: bool) -> std::io::Result<()> {
        let bytes = match part {
            Part::Headers { headers, end_of_stream } => self.head(headers, *end_of_stream, head_only),
            Part::Reset => {
                self.break_off();
                return Ok(());
            }
            other => self.framing.get().bytes(other),
        };
        self.write(&bytes).await
    }

    /// Sends what is no HTTP.
    pub async fn garbage(&self) -> std::io::Result<()> {
        self.write(b"this is no HTTP\r\n\r\n").await
    }

    /// Closes the connection.
    pub fn break_off(&self) {
        if let Some(task) = self.task.borrow_mut().take() {
            task.abort();
        }
        self.out.borrow_mut().take();
    }

    async fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        let taken = self.out.borrow_mut().take();
        let Some(mut out) = taken else { return Err(std::io::ErrorKind::NotConnected.into()) };
        let written = out.write_all(bytes).await;
        *self.out.borrow_mut() = Some(out);
        written
    }

    fn head(&self, headers: &Headers, end_of_stream: bool, head_only: bool) -> Vec<u8> {
        let status = headers.get(b":status").cloned().unwrap_or_default();
        let pairs = headers.iter().filter(|(name, _)| !name.starts_with(b":"));
        let mut fields: Vec<(Bytes, Bytes)> = pairs.map(|(name, value)| (name.clone(), value.clone())).collect();
        let is_chunked = headers.get(b"transfer-encoding").is_some();
        let bodyless = head_only || matches!(&status[..], b"204" | b"304");
        self.framing.set(if is_chunked { Framing::Chunked } else { Framing::Plain });
        if !bodyless && !is_chunked && headers.get(b"content-length").is_none() {
            match end_of_stream {
                true => fields.push((Bytes::from_static(b"content-length"), Bytes::from_static(b"0"))),
                false => {
                    self.framing.set(Framing::Chunked);
                    fields.push((Bytes::from_static(b"transfer-encoding"), Bytes::from_static(b"chunked")));
                }
            }
        }
        head_bytes(&[b"HTTP/1.1", &status, b"Scripted"], &fields)
    }
}
