//! Messages of HTTP/1.1 as these tests read them, and answers in whichever protocol they came.

use crate::serve::ends::{Peer, header};
use std::collections::BTreeMap;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// By name; of several with one name, the last.
    pub fields: BTreeMap<String, String>,
    pub body: String,
}

/// A head and its body; none at the end, or where it is cut off.
pub fn read(peer: &mut Peer) -> Option<(String, String)> {
    let head = peer.until("\r\n\r\n");
    if !head.ends_with("\r\n\r\n") {
        return None;
    }
    if header(&head, "transfer-encoding").is_none() {
        let length = header(&head, "content-length").map_or(Some(0), |length| length.parse().ok())?;
        let body = peer.exactly(length);
        return (body.len() == length).then_some((head, body));
    }
    let mut body = String::new();
    loop {
        let size = usize::from_str_radix(peer.until("\r\n").strip_suffix("\r\n")?, 16).ok()?;
        let chunk = peer.exactly(size + 2);
        if chunk.len() < size + 2 {
            return None;
        }
        if size == 0 {
            return Some((head, body));
        }
        body += &chunk[..size];
    }
}

impl Answer {
    /// The next one on a connection.
    pub fn read(peer: &mut Peer) -> Option<Self> {
        let (head, body) = read(peer)?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Some(Self { status, fields: head.lines().skip(1).filter_map(field).collect(), body })
    }

    /// The value of a header.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}
