//! Calls against origins on the loopback: what they see, and what comes of it.

mod grpc;
mod http;

use super::*;
use crate::host::profile;
use std::future::Future;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{LocalSet, spawn_local};

/// Everything in here has to be over by then, on a busy machine too.
const LONG: Duration = Duration::from_secs(30);

/// Runs a test as a worker runs: one thread, local tasks.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let test = async { tokio::time::timeout(LONG, test).await.expect("it comes to an end") };
    LocalSet::new().block_on(&runtime, test)
}

/// Calls that one cluster named `origin` can be called by, and what comes of them.
fn calls(profile: &'static Profile, origin: std::net::SocketAddr) -> (Calls, UnboundedReceiver<(CallId, Came)>) {
    let mut clusters = Clusters::default();
    clusters.insert("origin", &origin.to_string()).expect("an address");
    let (sender, came) = unbounded_channel();
    let hand_over = move |id, what| drop(sender.send((id, what)));
    (Calls::new(profile, Arc::new(clusters), Arc::default(), hand_over), came)
}

async fn listener() -> (TcpListener, std::net::SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// An address where nobody listens.
async fn nobody() -> std::net::SocketAddr {
    listener().await.1
}

fn headers(pairs: &[(&'static str, &'static str)]) -> Vec<(Bytes, Bytes)> {
    pairs.iter().map(|(name, value)| (Bytes::from(*name), Bytes::from(*value))).collect()
}

fn text(headers: &Headers) -> Vec<String> {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    headers.iter().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect()
}
