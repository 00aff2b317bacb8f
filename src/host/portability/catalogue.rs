//! Every finding there is, by its id: what happened, and what to do.
//!
//! Findings about the plugin are noted where they come up, with a message of their own. Findings about hosts
//! ("portability") are made by [`super::differences`] from this table and the quirks of the profiles.

/// Whom a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The plugin or the scenario: it will bite on every host, or is most likely a mistake.
    Plugin,
    /// Hosts: what the plugin just did goes differently on another one.
    Portability,
}

/// A kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The stable id.
    pub id: &'static str,
    /// Whom it is about.
    pub scope: Scope,
    /// What happened, in one line.
    pub what: &'static str,
    /// What a host does that has no quirk there; empty for findings about the plugin.
    pub usual: &'static str,
    /// What to do.
    pub advice: &'static str,
}

/// The kind with this id.
pub fn kind(id: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.id == id)
}

macro_rules! kinds {
    (
        plugin { $($pid:literal: $pwhat:literal, $padvice:literal;)* }
        portability { $($id:literal: $what:literal, $usual:literal, $advice:literal;)* }
    ) => {
        /// Every kind, in the order in which they are listed.
        pub const KINDS: &[Kind] = &[
            $(Kind { id: $pid, scope: Scope::Plugin, what: $pwhat, usual: "", advice: $padvice },)*
            $(Kind { id: $id, scope: Scope::Portability, what: $what, usual: $usual, advice: $advice },)*
        ];
    };
}

kinds! {
    plugin {
        "body-callback-not-enabled":
            "a body callback ran that APISIX would not have called: `wasm_process_req_body` (or `_resp_body`) was never set",
            "set the property to a non-empty value in the headers callback";
        "content-length-stale":
            "a changed body went out with the old `content-length`",
            "remove content-length in the headers callback when you change a body";
        "status-ignored":
            "a hostcall that was to change something failed, and the plugin went on as if it had not",
            "look at the status, and log it or answer the request";
        "hostcall-in-wrong-phase":
            "a header map was asked for where the host does not give it",
            "read what you need in the headers callback and keep it";
        "double-local-response":
            "a second `send_local_response` of one stream",
            "answer once: hosts differ in which one counts, and some crash";
        "local-response-in-log":
            "a local response from `on_log`: Envoy 1.40 crashes",
            "answer before the stream ends";
        "local-response-on-tcp":
            "a local response on a TCP stream: Envoy 1.40 says OK and does nothing",
            "close the stream with proxy_close_stream, or write into the upstream's data";
        "continue-not-paused":
            "`continue_stream` of a stream that was running: Envoy 1.40 sends it twice, or crashes",
            "continue only what has returned Pause";
        "continue-before-pause":
            "a callback continued the stream and then paused it: Envoy 1.40 holds a message with a body for ever",
            "return Continue instead";
        "paused-without-resume":
            "a stream stayed paused and nothing was left to resume it",
            "every Pause needs somebody who calls continue_stream or answers";
        "context-not-deleted":
            "a context held up its end (`on_done` returned false) and never called `proxy_done`",
            "call proxy_done when the work is finished, or return true";
        "malformed-pairs":
            "a header map that does not decode: Envoy takes it for an empty one",
            "check how the map is serialised";
        "unknown-action":
            "a callback returned something else than 0 or 1",
            "return 0 (Continue) or 1 (Pause); hosts make different things of the rest";
        "higress-abi":
            "the module declares Higress's own version of the ABI: Envoy 1.40 refuses it, APISIX takes it for its newest; pwtest runs it as 0.2.1",
            "build without the tag `proxy_wasm_version_0_2_100` for other hosts";
        "grpc-send-after-end":
            "a message was sent on a gRPC stream after its end: Envoy says ok and drops it",
            "send before you close, and not after proxy_on_grpc_close";
        "foreign-not-modelled":
            "a foreign function of the host's was called that pwtest can't do as the host does, or a path of Envoy's filter state that pwtest does not know",
            "don't rely on the answer: pwtest gave UNIMPLEMENTED or NOT_FOUND, the host would not have";
        "endless-queue":
            "plugins keep telling each other of messages without end",
            "take the message out of the queue, and don't put one in for each";
        "endless-events":
            "a step has more than 100,000 timers and answers",
            "let less time pass, or tick less often";
    }
    portability {
        // Hostcalls that some host does not have.
        "hostcall-not-defined": "a hostcall was made that not every host defines", "defines it",
            "leave the import out of builds for hosts without it: the module does not even load there";
        "body-change": "the plugin changed a body", "changes it",
            "decide by headers there, or answer with a response of your own";
        "header-map-replacement": "the plugin set a whole header map", "sets it", "add, replace and remove single headers";
        "shared-data": "the plugin used shared data", "keeps it for all VMs of the same id",
            "keep state in the VM, as far as one worker will do";
        "shared-queue": "the plugin used a shared queue", "carries messages between VMs", "call a service instead";
        "metrics": "the plugin counted something", "counts it", "log what has to be counted";
        "timer": "the plugin asked for ticks", "calls proxy_on_tick", "do the work in a request's callback";
        "clock": "the plugin asked for the time", "tells it", "use WASI's clock_time_get, which every host has";
        "grpc-call": "the plugin made a gRPC call", "makes it", "use an HTTP call";
        "foreign-function": "the plugin called a foreign function", "has some, or answers not_found",
            "do without, or treat its failure as normal";
        "call-status": "the plugin asked for the status of a call", "tells it", "read `:status` of the response";
        "route-cache": "the plugin cleared the route cache", "chooses the route anew", "choose the route by other means";
        "proxy-done": "the plugin called proxy_done", "ends the context that waits for it", "return true from on_done";
        "close-stream": "the plugin closed a stream", "breaks it off", "answer with a response of your own";
        "continue-stream": "a stream was continued from elsewhere than the callback of a call", "lets it go on",
            "pause only for an HTTP call, whose answer lets the stream go on on every host";
        // Callbacks.
        "callback-not-called": "a callback did something that not every host calls", "calls it",
            "do the work in a callback that every host has";
        "main-function": "`main` ran at the start, and did something", "calls `main` after `_initialize`",
            "do the work in `_initialize` (Go: `init`) or in a callback";
        "start-hostcall": "a start function made a hostcall", "carries it out", "make it in on_vm_start or on_configure";
        "configure-missing": "`proxy_on_configure` is not exported", "takes that for success",
            "export it, and return true";
        "empty-configuration": "the plugin was configured with nothing", "calls on_configure with size 0",
            "give it a configuration, if only a space";
        "header-arguments": "a message with a body began", "tells the number of headers and the end of the stream",
            "count the headers in the map, and ask for the body instead of trusting end_of_stream";
        "body-chunks": "a request's body came in several callbacks", "calls on_request_body for each piece",
            "treat the body as complete only when end_of_stream is 1";
        "pause-response": "a response was paused", "holds it", "don't wait in response callbacks";
        "pause-without-call": "a request was paused without a call that could resume it", "holds it",
            "pause only together with an HTTP call";
        "done-refused": "on_done of a root context returned false", "waits for proxy_done", "return true";
        "response-order": "several plugins worked on a response", "calls them from the last to the first",
            "don't rely on which of them comes first";
        // Header maps.
        "header-map-phase": "a header map was used outside its own callback", "refuses it unless the stream is paused",
            "read what you need in the headers callback and keep it";
        "trailers": "the plugin used a map of trailers or of gRPC metadata", "has it", "use headers";
        "header-map-order": "the plugin read a whole header map", "puts pseudo headers first, and adds nothing",
            "look headers up by name";
        "pseudo-header-write": "the plugin wrote a pseudo header", "sets it",
            "change the path and the method only, and leave the query alone";
        "empty-header-value": "a header was set to nothing", "sets an empty value", "remove it, or give it a value";
        "joined-header": "a header that can be there only once was added", "appends an entry",
            "replace it instead of adding to it";
        "host-header": "the plugin asked for the header `host`", "has no such header beside `:authority`",
            "read `:authority`";
        // Bodies and other buffers.
        "body-phase": "a body was asked for outside its callback", "says not_found",
            "read it in the body callback and keep it";
        "vm-configuration": "the plugin read the VM configuration", "gives it in on_vm_start",
            "use the plugin configuration";
        "buffer-size": "a body was asked for with a size of 2 GiB or more", "cuts it to what is there",
            "ask for as many bytes as the callback was told of";
        "buffer-splice": "bytes in the middle of a buffer were replaced", "replaces them", "replace the whole body";
        // Properties.
        "property-path": "a property was read whose path has several segments", "has it",
            "try the name of the host's own variable where it is not found";
        "property-name": "a property of the host was read by a single name", "knows it", "treat not_found as normal";
        "property-set": "the plugin set a property", "keeps it for the rest of the stream",
            "keep the value in the plugin's own memory";
        "root-id": "the plugin asked for its root id", "gives the root_id of its configuration",
            "give the plugin's entry in the configuration the name of the root id";
        // HTTP calls.
        "call-upstream": "the plugin called an upstream", "takes the name of a cluster",
            "take the upstream from the plugin's configuration";
        "call-ids": "an HTTP call got its id", "begins with a number that is not 0", "don't take 0 for \"no call\"";
        "call-headers": "a call lacked `:method`, `:path` or `:authority`", "refuses it with bad_argument",
            "give all three";
        "call-trailers": "a call had trailers", "sends them", "use headers";
        "parallel-calls": "a second call was made while one was under way", "makes any number side by side",
            "make the second one in the callback of the first";
        "call-phase": "a call was made outside request callbacks", "makes it", "make calls while the request is going on";
        "call-blocks": "a call was made, and the request was not paused", "lets the request go on",
            "return Pause, and continue in the callback";
        "call-failure": "a call failed", "calls back with (0, 0, 0)",
            "treat both no headers and a `:status` of 503 or 504 as failure";
        "call-with-local-response": "a callback made a call and sent a response of its own", "does both",
            "do only one of the two";
        "late-answer": "a call was answered when its stream was gone", "calls back",
            "don't rely on answers that nobody waits for";
        // Responses of the plugin's own.
        "late-local-response": "the plugin answered from a response callback", "sends it in place of the response",
            "answer while the request is going on";
        "error-page": "the plugin answered with an error and no body", "sends no body", "send a body";
        "local-response-status": "the plugin answered with a status below 100", "sends it",
            "use a status between 200 and 599";
        // The rest.
        "log-level": "the plugin logged below warn", "shows what its log level says, which is info or lower",
            "log at warn what has to be seen without more configuration";
        "unknown-log-level": "the plugin logged at a level that does not exist", "refuses it with bad_argument",
            "use levels 0 to 5";
        "process-exit": "the plugin called proc_exit", "breaks the guest off", "return from the callback";
        "after-trap": "the plugin trapped", "gives up its VM, and answers new requests with 503",
            "don't rely on what happens after a trap";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_alike_and_once() {
        for (at, kind) in KINDS.iter().enumerate() {
            let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
            assert!(kind.id.split('-').all(word), "{}", kind.id);
            assert!(KINDS.iter().skip(at + 1).all(|other| other.id != kind.id), "{} twice", kind.id);
            assert_eq!(kind.usual.is_empty(), kind.scope == Scope::Plugin, "{}", kind.id);
        }
    }
}
