//! Where a host does otherwise than most, in words for people: what the findings about portability are made of.
//!
//! Each quirk belongs to a kind of finding, whose `usual` says what the other hosts do. A test holds these words
//! against the fields of the profiles, wherever there is a field.

/// What one host does in one situation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quirk {
    /// The id of the finding.
    pub id: &'static str,
    /// What it does, as the end of "on HOST, it ...".
    pub does: &'static str,
    /// Where that is known from.
    pub source: &'static str,
}

macro_rules! quirks {
    ($($id:literal: $does:literal, $source:literal;)*) => {
        &[$(Quirk { id: $id, does: $does, source: $source },)*]
    };
}

/// Where the specification alone stands against the hosts.
pub(super) const SPEC: &[Quirk] = quirks! {
    "local-response-status": "refuses what is no status of HTTP", "abi.md 3.5";
};

/// Envoy 1.40: what it was seen to do.
pub(super) const ENVOY: &[Quirk] = quirks! {
    "start-hostcall": "traps, but for logs, clocks and randomness", "Envoy 1.40";
    "joined-header": "joins the values with a comma", "Envoy 1.40";
    "host-header": "takes `host` for another name of `:authority`", "Envoy 1.40";
    "body-phase": "says ok, with no bytes", "Envoy 1.40";
    "vm-configuration": "gives it at any time", "Envoy 1.40";
    "buffer-splice": "refuses it with bad_argument", "Envoy 1.40";
    "property-set": "keeps it, but does not give back what was set under several segments", "Envoy 1.40";
    "call-failure": "makes a response of its own out of it, with `:status` 503 or 504", "Envoy 1.40";
    "call-trailers": "drops them, unless the cluster has trailers enabled", "Envoy 1.40";
    "process-exit": "returns to the guest, which runs on", "Envoy 1.40";
};

/// APISIX 3.11 with wasm-nginx-module: from its source.
pub(super) const APISIX: &[Quirk] = quirks! {
    "hostcall-not-defined": "does not load the module", "apisix.md 4";
    "body-change": "answers unimplemented: no body can be changed, in either direction", "apisix.md 4";
    "header-map-replacement": "answers unimplemented", "apisix.md 4";
    "shared-data": "answers unimplemented", "apisix.md 4";
    "shared-queue": "answers unimplemented", "apisix.md 4";
    "metrics": "says ok and counts nothing; the metric's id is not written", "apisix.md 4";
    "timer": "answers unimplemented, and never calls proxy_on_tick", "apisix.md 0 and 4";
    "clock": "answers unimplemented", "apisix.md 4";
    "grpc-call": "answers unimplemented", "apisix.md 4";
    "foreign-function": "answers unimplemented, whatever the function", "apisix.md 4";
    "call-status": "answers unimplemented", "apisix.md 4";
    "route-cache": "answers unimplemented", "apisix.md 4";
    "proxy-done": "answers unimplemented", "apisix.md 4";
    "close-stream": "says ok and does nothing", "apisix.md 4";
    "continue-stream": "says ok and does nothing: only the answer of a call lets a request go on", "apisix.md 0, fact 6";
    "callback-not-called": "never calls it", "apisix.md 0, fact 1";
    "main-function": "never calls `main`", "apisix.md 2.1";
    "configure-missing": "takes that for a failure, and every request gets 503", "apisix.md 2.2";
    "empty-configuration": "refuses the route: a configuration may not be empty", "apisix.md 1.3";
    "header-arguments": "always says 0 headers and end_of_stream 1", "apisix.md 0, fact 4";
    "body-chunks": "calls on_request_body once, with the whole body", "apisix.md 3.2";
    "pause-response": "sends it on: the action of response callbacks is ignored", "apisix.md 0, fact 5";
    "pause-without-call": "crashes the worker", "apisix.md 3.1";
    "done-refused": "deletes the context all the same", "apisix.md 2.3";
    "response-order": "calls them in the same order as for the request", "apisix.md 2.6";
    "header-map-phase": "gives it in every callback of the request", "abi.md 3.4";
    "trailers": "answers unimplemented", "apisix.md 4";
    "header-map-order": "puts pseudo headers last, and adds `connection` and others to responses", "apisix.md 4.1";
    "pseudo-header-write":
        "sets the method when `:authority` is written, adds a header named `:scheme`, escapes the query in `:path`, \
         and refuses to remove any of them", "apisix.md 4.1";
    "empty-header-value": "removes the header", "apisix.md 4.1";
    "host-header": "has it as an ordinary header", "apisix.md 4.1";
    "vm-configuration": "answers unimplemented", "apisix.md 4";
    "buffer-size": "takes the size for a negative number, and refuses it with bad_argument", "apisix.md 4";
    "property-path": "says not_found: it looks for an nginx variable of the whole path", "apisix.md 4.2";
    "property-name": "knows the variables of nginx only", "apisix.md 4.2";
    "property-set": "sets variables that its configuration declares, and refuses others", "apisix.md 4.2";
    "root-id": "gives the name of the plugin's entry in `wasm.plugins`", "apisix.md 4.2";
    "call-upstream": "takes `host:port`, and looks the host up in DNS", "apisix.md 4.3";
    "call-ids": "begins with 0", "apisix.md 4.3";
    "call-headers": "makes it, with GET and no path", "apisix.md 4.3";
    "call-trailers": "drops them", "apisix.md 4.3";
    "parallel-calls": "refuses the second one with internal_failure", "apisix.md 4.3";
    "call-phase": "refuses it with bad_argument", "apisix.md 4.3";
    "call-blocks": "holds the request until the call is answered", "apisix.md 0, fact 6";
    "call-with-local-response": "makes the call, and forgets the response", "apisix.md 3.1";
    "late-answer": "knows no such thing: requests wait for their calls", "apisix.md 3.1";
    "late-local-response": "adds its headers to the response, and drops its status and body", "apisix.md 0, fact 8";
    "error-page": "sends an error page of nginx", "apisix.md 4.4";
    "local-response-status": "takes it for no response at all", "apisix.md 4.4";
    "log-level": "shows warn and above, unless `error_log_level` says otherwise", "apisix.md 4.5";
    "unknown-log-level": "logs it as an error", "apisix.md 4";
    "after-trap": "keeps the VM as the trap left it, and goes on calling it", "apisix.md 2.1";
};
