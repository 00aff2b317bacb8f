//! The keys of the language, place by place: the one table behind "unknown key" and "did you mean".
//!
//! A list that several places have is written once and named in each. What is said about a key that is in none of
//! them stands in [`mod@hint`].

mod hint;

pub(super) use hint::{hint, list, similar};

use std::fmt;

/// A mapping of the language.
#[derive(Debug)]
pub(super) struct Place {
    pub name: Name,
    /// In the order in which messages list them.
    keys: &'static [&'static [&'static str]],
    /// Where a key that is unknown here may belong.
    near: &'static [&'static Place],
}

impl Place {
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().copied().flatten().copied()
    }

    pub fn has(&self, key: &str) -> bool {
        self.keys().any(|known| known == key)
    }
}

/// What messages call a mapping.
#[derive(Debug)]
pub(super) enum Name {
    /// The key that it is the value of.
    Key(&'static str),
    /// With its article.
    Phrase(&'static str),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "`{key}`"),
            Self::Phrase(phrase) => f.write_str(phrase),
        }
    }
}

pub(super) static FILE: Place = Place {
    name: Name::Phrase("a scenario file"),
    keys: &[&[
        "plugin",
        "plugins",
        "gateway",
        "config",
        "host",
        "protocol",
        "properties",
        "foreign",
        "clock",
        "seed",
        "limits",
        "on_trap",
        "redact",
        "cases",
    ]],
    near: &[&PLUGIN, &CASE, &REQUEST, &LIMITS, &EXPECT],
};

pub(super) static PLUGIN: Place = Place {
    name: Name::Phrase("a plugin"),
    keys: &[&[
        "file",
        "name",
        "root_id",
        "config",
        "vm_config",
        "priority",
        "http_request_phase",
        "allow_on_headers_stop_iteration",
        "env",
    ]],
    near: &[&FILE],
};

pub(super) static LIMITS: Place =
    Place { name: Name::Key("limits"), keys: &[&["fuel", "memory", "buffer"]], near: &[] };

pub(super) static ON_TRAP: Place = Place { name: Name::Key("on_trap"), keys: &[&["request", "vm"]], near: &[] };

pub(super) static REDACT: Place =
    Place { name: Name::Phrase("an entry of `redact`"), keys: &[&["matches", "as"]], near: &[] };

/// What a step does; exactly one of these.
pub(super) const STEP_KINDS: &[&str] =
    &["request", "connect", "advance", "reconfigure", "on_foreign_function", "concurrent", "admin", "shutdown"];

/// What the world answers to what a step does.
pub(super) const PLANNED: &[&str] = &["upstream", "callouts"];

pub(super) static CASE: Place = Place {
    name: Name::Phrase("a case"),
    keys: &[&["name", "with", "skip", "only", "host", "tags", "snapshot", "steps"], STEP_KINDS, PLANNED, &["expect"]],
    near: &[&REQUEST, &ADMIN, &EXPECT, &FILE, &CLIENT_SEES],
};

pub(super) static STEP: Place = Place {
    name: Name::Phrase("a step"),
    keys: &[STEP_KINDS, PLANNED, &["expect"]],
    near: &[&REQUEST, &ADMIN, &EXPECT, &CASE, &FILE, &CLIENT_SEES],
};

pub(super) static ADMIN: Place =
    Place { name: Name::Key("admin"), keys: &[&["send", "headers", "body"]], near: &[&STEP, &ADMIN_SEEN] };

/// What can be expected of a call to the admin API.
pub(super) static ADMIN_SEEN: Place = Place {
    name: Name::Phrase("`expect` of an `admin` step"),
    keys: &[&[
        "status",
        "headers",
        "body",
        "actions",
        "logs",
        "no_logs",
        "shared_data",
        "metrics",
        "trap",
        "crash",
        "findings",
        "no_findings",
    ]],
    near: &[&EXPECT, &CLIENT_SEES],
};

/// What is in flight together with others: what a step with a request has.
pub(super) static CONCURRENT_ITEM: Place = Place {
    name: Name::Phrase("an item of `concurrent`"),
    keys: &[&["request"], PLANNED, &["expect"]],
    near: &[&REQUEST, &STEP, &EXPECT, &CASE, &CLIENT_SEES],
};

pub(super) static REQUEST: Place = Place {
    name: Name::Key("request"),
    keys: &[&["send", "headers", "body", "trailers", "metadata", "abort"]],
    near: &[&STEP, &CASE, &BODY, &EXPECT],
};

/// The forms of a chunk, of which there is one.
pub(super) const CHUNK_FORMS: &[&str] = &["text", "hex", "file", "repeat"];

/// The forms of a body, of which there is one.
pub(super) const BODY_FORMS: &[&str] = &["text", "hex", "file", "repeat", "chunks"];

/// The forms of what a foreign function answers, of which there is one.
pub(super) const FOREIGN_FORMS: &[&str] = &["text", "hex", "file", "repeat", "status"];

/// What happens on a connection; an entry of `connect` is exactly one of these.
pub(super) const CONNECT_EVENTS: &[&str] = &["client", "upstream", "end", "reset", "advance"];

pub(super) static CONNECT_EVENT: Place =
    Place { name: Name::Phrase("an entry of `connect`"), keys: &[CONNECT_EVENTS], near: &[&CONNECT_DATA, &STEP] };

pub(super) static CONNECT_DATA: Place =
    Place { name: Name::Phrase("data"), keys: &[CHUNK_FORMS, &["times", "end"]], near: &[&CONNECT_EVENT] };

pub(super) static CONNECT_UPSTREAM: Place =
    Place { name: Name::Phrase("`upstream` of a connection"), keys: &[&["fail"]], near: &[&UPSTREAM, &CONNECT_EVENT] };

pub(super) static RECONFIGURE: Place =
    Place { name: Name::Key("reconfigure"), keys: &[&["plugin", "config"]], near: &[] };

pub(super) static FOREIGN: Place = Place {
    name: Name::Phrase("the answer of a foreign function"),
    keys: &[CHUNK_FORMS, &["times", "status"]],
    near: &[],
};

pub(super) static ON_FOREIGN: Place =
    Place { name: Name::Key("on_foreign_function"), keys: &[&["function_id", "arguments", "plugin"]], near: &[&STEP] };

pub(super) static UPSTREAM: Place = Place {
    name: Name::Key("upstream"),
    keys: &[&["status", "headers", "body", "trailers", "metadata", "early", "fail"]],
    near: &[&REPLY, &STEP, &EXPECT],
};

pub(super) static CALLOUT: Place = Place {
    name: Name::Phrase("an entry of `callouts`"),
    keys: &[&["to", "expect", "reply"]],
    near: &[&REPLY, &CALL_SEEN, &STEP],
};

pub(super) static REPLY: Place = Place {
    name: Name::Key("reply"),
    keys: &[&["status", "headers", "body", "messages", "trailers", "grpc_status", "grpc_message", "after", "fail"]],
    near: &[&CALLOUT],
};

pub(super) static BODY: Place =
    Place { name: Name::Phrase("a body"), keys: &[CHUNK_FORMS, &["times", "chunks", "cut", "end"]], near: &[&REQUEST] };

pub(super) static CHUNK: Place =
    Place { name: Name::Phrase("a chunk"), keys: &[CHUNK_FORMS, &["times"]], near: &[&BODY] };

pub(super) static RAW: Place = Place { name: Name::Phrase("raw bytes"), keys: &[&["hex"]], near: &[] };

pub(super) static EXPECT: Place = Place {
    name: Name::Key("expect"),
    keys: &[&[
        "upstream_sees",
        "client_sees",
        "actions",
        "logs",
        "no_logs",
        "properties",
        "shared_data",
        "metrics",
        "callouts",
        "trap",
        "crash",
        "findings",
        "no_findings",
        "stuck",
        "load",
        "on",
    ]],
    near: &[&CLIENT_SEES, &UPSTREAM_SEES, &STEP, &CASE, &ON],
};

/// Hosts, for what differs between them.
pub(super) static ON: Place = Place { name: Name::Key("on"), keys: &[&["spec", "envoy", "apisix"]], near: &[&EXPECT] };

pub(super) static UPSTREAM_SEES: Place = Place {
    name: Name::Phrase("a request that is expected"),
    keys: &[&["node", "method", "path", "authority", "scheme", "headers", "body", "trailers", "ends"]],
    near: &[&CLIENT_SEES, &EXPECT],
};

/// What a planned call looks like: an HTTP request, or what goes out on a gRPC call.
pub(super) static CALL_SEEN: Place = Place {
    name: Name::Phrase("a call that is expected"),
    keys: &[&["method", "path", "authority", "scheme", "headers", "body", "messages", "ends", "trailers"]],
    near: &[&CLIENT_SEES, &EXPECT, &REPLY],
};

pub(super) static CLIENT_SEES: Place = Place {
    name: Name::Key("client_sees"),
    keys: &[&["status", "headers", "body", "trailers", "ends"]],
    near: &[&UPSTREAM_SEES, &EXPECT],
};

pub(super) static TRAP: Place = Place { name: Name::Key("trap"), keys: &[&["in", "message"]], near: &[] };

/// The forms of a matcher.
pub(super) const MATCHERS: &[&str] = &["contains", "matches", "json", "file", "hex", "not"];

pub(super) static MATCHER: Place = Place { name: Name::Phrase("a matcher"), keys: &[MATCHERS], near: &[] };
