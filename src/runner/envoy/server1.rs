//! Origin and called upstreams over HTTP/1.1: they take requests exactly as Envoy writes them and give the scenario's
//! answers chunk by chunk.

use super::http1::{Head, Reader, Rest, chunk_bytes, head_bytes, last_chunk};
use super::stage::{Answer, Role, Stage};
use crate::message::{Headers, Part};
use crate::runner::message;
use crate::scenario::{Failure, Protocol, Reply};
use bytes::Bytes;
use std::io;
use std::rc::Rc;
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};

/// Serves every connection until the runtime ends.
pub async fn serve(stage: Rc<Stage>, listener: TcpListener, role: Role) {
    while let Ok((stream, _)) = listener.accept().await {
        let (stage, role) = (stage.clone(), role.clone());
        tokio::task::spawn_local(async move {
            // A connection that breaks is Envoy's decision; the client's side shows what came of it.
            let _ = connection(&stage, stream, &role).await;
        });
    }
}

async fn connection(stage: &Stage, stream: TcpStream, role: &Role) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (reading, mut writing) = stream.into_split();
    let mut reader = Reader::new(reading);
    while let Some(head) = reader.head().await? {
        let mut rest = head.rest(Rest::Done);
        let ticket = stage.arrived(role, request_headers(&head), rest == Rest::Done);
        let announced = matches!(rest, Rest::Length(_));
        loop {
            match stage.piece_of(&ticket, &mut reader, &mut rest).await {
                Ok(Some(part)) => stage.part(&ticket, part),
                Ok(None) => break,
                Err(error) => {
                    stage.part(&ticket, Part::Reset);
                    stage.gone(&ticket);
                    return Err(error);
                }
            }
        }
        if announced {
            // More than was announced is on the wire, too.
            stage.barrier.pass(1).await.map_err(io::Error::other)?;
            let surplus = reader.surplus();
            if !surplus.is_empty() {
                stage.part(&ticket, Part::Data { bytes: surplus, end_of_stream: true });
            }
        }
        let answer = tokio::select! {
            answer = stage.answer(&ticket) => answer,
            _ = reader.closed() => {
                stage.gone(&ticket);
                return Ok(());
            }
        };
        match answer {
            Answer::Reply(reply, head_only) => {
                write_reply(stage, &mut writing, &reply, head_only).await?;
                match reply.fail {
                    None => {}
                    Some(Failure::Timeout) => {
                        while !reader.closed().await {}
                        stage.gone(&ticket);
                        return Ok(());
                    }
                    Some(Failure::Reset | Failure::Refused | Failure::Unknown | Failure::Garbage) => return Ok(()),
                }
            }
            Answer::Garbage => {
                writing.write_all(b"this is no HTTP\r\n\r\n").await?;
                return Ok(());
            }
            Answer::Reset => return Ok(()),
            Answer::Silence => {
                while !reader.closed().await {}
                stage.gone(&ticket);
                return Ok(());
            }
        }
    }
    Ok(())
}

fn request_headers(head: &Head) -> Headers {
    let mut headers = Headers::new();
    let [method, path, _] = &head.words;
    headers.append(":method", method.clone());
    if let Some(host) = head.fields.get(b"host") {
        headers.append(":authority", host.clone());
    }
    headers.append(":path", path.clone());
    // How the bytes are framed is the connection's business: no plugin put it there.
    let fields = head.fields.iter().filter(|(name, _)| *name != "host" && *name != "transfer-encoding");
    for (name, value) in fields {
        headers.append(name.clone(), value.clone());
    }
    headers
}

async fn write_reply(stage: &Stage, out: &mut OwnedWriteHalf, reply: &Reply, head_only: bool) -> io::Result<()> {
    let parts = message::response(reply, Protocol::Http1, None, head_only, false);
    let mut chunked = false;
    for part in parts {
        match part {
            Part::Headers { headers, end_of_stream } => {
                let mut fields: Vec<(Bytes, Bytes)> = headers
                    .iter()
                    .filter(|(name, _)| !name.starts_with(b":"))
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect();
                let has = |name: &[u8]| headers.get(name).is_some();
                chunked = has(b"transfer-encoding");
                let bare = head_only || matches!(reply.status, 204 | 304);
                if !bare && !chunked && !has(b"content-length") {
                    match end_of_stream {
                        true => fields.push((Bytes::from_static(b"content-length"), Bytes::from_static(b"0"))),
                        false => {
                            chunked = true;
                            fields.push((Bytes::from_static(b"transfer-encoding"), Bytes::from_static(b"chunked")));
                        }
                    }
                }
                let status = reply.status.to_string();
                out.write_all(&head_bytes(&[b"HTTP/1.1", status.as_bytes(), b"Scripted"], &fields)).await?;
            }
            Part::Data { bytes, end_of_stream } => {
                if !bytes.is_empty() {
                    out.write_all(&if chunked { chunk_bytes(&bytes) } else { bytes.to_vec() }).await?;
                }
                if end_of_stream && chunked {
                    out.write_all(&last_chunk(&Headers::new())).await?;
                }
            }
            Part::Trailers(trailers) => out.write_all(&last_chunk(&trailers)).await?,
            Part::Metadata(_) => {}
            Part::Reset => return Err(io::ErrorKind::ConnectionReset.into()),
        }
        // Each piece is read by itself.
        stage.barrier.pass(1).await.map_err(io::Error::other)?;
    }
    Ok(())
}
