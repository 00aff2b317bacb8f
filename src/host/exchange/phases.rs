//! Where an exchange stands on hosts whose plugins run to completion one after the other.

use crate::message::Headers;
use crate::trace::HttpCall;
use bytes::{Bytes, BytesMut};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The state of one exchange that is shared by all of its plugins, as a request of nginx is.
#[derive(Debug, Default)]
pub struct Phases {
    /// The plugin whose turn it is in the request, by its place in the chain.
    pub filter: usize,
    /// What it is at.
    pub step: Step,
    /// So many plugins, from the first one on, come before the host has looked at the others at all.
    pub first_look: usize,
    /// Nothing is waited for on the upstream's behalf.
    pub passes_at_once: bool,
    /// The head has gone upstream before all of the body had come.
    pub streams: bool,
    /// What has to happen before the request goes on.
    pub waits_for: Option<Awaited>,
    /// The request's body, as far as it has come.
    pub body: BytesMut,
    /// The call that the running callback has asked for, and whether its headers are there at all.
    pub call: Option<Registered>,
    /// The status of the answer that the running callback has asked for.
    pub status: Option<u32>,
    /// Its body. It stays when the status is forgotten.
    pub reply: Bytes,
    /// The response has begun: nothing can be called any more.
    pub responding: bool,
    /// The head of the response has gone out.
    pub head_sent: bool,
    /// The body that the running callback is about; both body buffers are this one.
    pub shown: Option<Bytes>,
    /// Names of plugins that asked for response bodies.
    pub body_wanted: BTreeSet<Bytes>,
    /// The request's target as it came: it is what plugins read, whatever they write.
    pub target: Bytes,
    /// The target that a plugin wrote.
    pub rewritten: Option<Bytes>,
    /// What plugins put into the response before there was one.
    pub early: Headers,
}

/// What a plugin is at in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Step {
    /// Its headers callback is due.
    #[default]
    Headers,
    /// It is over, and its wish for the body is to be looked at.
    AfterHeaders,
    /// Its body callback is due.
    Body,
    /// Everything is over.
    AfterBody,
}

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// All of its body.
    Body,
    /// The answer to a call.
    Call,
}

/// A call that is made when the callback has returned.
#[derive(Debug, Clone)]
pub struct Registered {
    /// The call.
    pub call: Arc<HttpCall>,
    /// The guest gave no bytes for the headers.
    pub without_headers: bool,
}
