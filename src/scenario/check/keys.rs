//! The keys of the language, place by place: the one table behind "unknown key" and "did you mean".

/// A mapping of the language.
#[derive(Debug)]
pub(super) struct Place {
    /// With its article, for messages.
    pub name: &'static str,
    pub keys: &'static [&'static str],
    /// Keys of the language that this version does not do yet.
    pub later: &'static [&'static str],
    /// Where a key that is unknown here may belong.
    pub near: &'static [&'static Place],
}

pub(super) static FILE: Place = Place {
    name: "a scenario file",
    keys: &[
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
    ],
    later: &[],
    near: &[&PLUGIN, &CASE, &REQUEST, &LIMITS, &EXPECT],
};

pub(super) static PLUGIN: Place = Place {
    name: "a plugin",
    keys: &[
        "file",
        "name",
        "root_id",
        "config",
        "vm_config",
        "priority",
        "http_request_phase",
        "allow_on_headers_stop_iteration",
        "env",
    ],
    later: &[],
    near: &[&FILE],
};

pub(super) static LIMITS: Place =
    Place { name: "`limits`", keys: &["fuel", "memory", "buffer"], later: &[], near: &[] };

pub(super) static ON_TRAP: Place = Place { name: "`on_trap`", keys: &["request", "vm"], later: &[], near: &[] };

pub(super) static REDACT: Place =
    Place { name: "an entry of `redact`", keys: &["matches", "as"], later: &[], near: &[] };

pub(super) static CASE: Place = Place {
    name: "a case",
    keys: &[
        "name",
        "with",
        "skip",
        "only",
        "host",
        "tags",
        "snapshot",
        "steps",
        "request",
        "connect",
        "advance",
        "reconfigure",
        "on_foreign_function",
        "concurrent",
        "admin",
        "shutdown",
        "upstream",
        "callouts",
        "expect",
    ],
    later: &[],
    near: &[&REQUEST, &EXPECT, &FILE, &CLIENT_SEES],
};

pub(super) static STEP: Place = Place {
    name: "a step",
    keys: &[
        "request",
        "connect",
        "advance",
        "reconfigure",
        "on_foreign_function",
        "concurrent",
        "admin",
        "shutdown",
        "upstream",
        "callouts",
        "expect",
    ],
    later: &[],
    near: &[&REQUEST, &EXPECT, &CASE, &FILE, &CLIENT_SEES],
};

pub(super) static ADMIN: Place =
    Place { name: "`admin`", keys: &["send", "headers", "body"], later: &[], near: &[&STEP, &ADMIN_SEEN] };

/// What can be expected of a call to the admin API.
pub(super) static ADMIN_SEEN: Place = Place {
    name: "`expect` of an `admin` step",
    keys: &[
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
    ],
    later: &[],
    near: &[&EXPECT, &CLIENT_SEES],
};

/// What is in flight together with others: what a step with a request has.
pub(super) static CONCURRENT_ITEM: Place = Place {
    name: "an item of `concurrent`",
    keys: &["request", "upstream", "callouts", "expect"],
    later: &[],
    near: &[&REQUEST, &STEP, &EXPECT, &CASE, &CLIENT_SEES],
};

/// What a step does; exactly one of these.
pub(super) const STEP_KINDS: &[&str] =
    &["request", "connect", "advance", "reconfigure", "on_foreign_function", "concurrent", "admin", "shutdown"];

pub(super) static REQUEST: Place = Place {
    name: "`request`",
    keys: &["send", "headers", "body", "trailers", "metadata", "abort"],
    later: &[],
    near: &[&STEP, &CASE, &BODY, &EXPECT],
};

/// What happens on a connection; an entry of `connect` is exactly one of these.
pub(super) const CONNECT_EVENTS: &[&str] = &["client", "upstream", "end", "reset", "advance"];

pub(super) static CONNECT_EVENT: Place =
    Place { name: "an entry of `connect`", keys: CONNECT_EVENTS, later: &[], near: &[&CONNECT_DATA, &STEP] };

pub(super) static CONNECT_DATA: Place = Place {
    name: "data",
    keys: &["text", "hex", "file", "repeat", "times", "end"],
    later: &[],
    near: &[&CONNECT_EVENT],
};

pub(super) static CONNECT_UPSTREAM: Place =
    Place { name: "`upstream` of a connection", keys: &["fail"], later: &[], near: &[&UPSTREAM, &CONNECT_EVENT] };

pub(super) static RECONFIGURE: Place =
    Place { name: "`reconfigure`", keys: &["plugin", "config"], later: &[], near: &[] };

/// The forms of what a foreign function answers, of which there is one.
pub(super) const FOREIGN_FORMS: &[&str] = &["text", "hex", "file", "repeat", "status"];

pub(super) static FOREIGN: Place = Place {
    name: "the answer of a foreign function",
    keys: &["text", "hex", "file", "repeat", "times", "status"],
    later: &[],
    near: &[],
};

pub(super) static ON_FOREIGN: Place =
    Place { name: "`on_foreign_function`", keys: &["function_id", "arguments", "plugin"], later: &[], near: &[&STEP] };

pub(super) static UPSTREAM: Place = Place {
    name: "`upstream`",
    keys: &["status", "headers", "body", "trailers", "metadata", "early", "fail"],
    later: &[],
    near: &[&REPLY, &STEP, &EXPECT],
};

pub(super) static CALLOUT: Place = Place {
    name: "an entry of `callouts`",
    keys: &["to", "expect", "reply"],
    later: &[],
    near: &[&REPLY, &CALL_SEEN, &STEP],
};

pub(super) static REPLY: Place = Place {
    name: "`reply`",
    keys: &["status", "headers", "body", "messages", "trailers", "grpc_status", "grpc_message", "after", "fail"],
    later: &[],
    near: &[&CALLOUT],
};

pub(super) static BODY: Place = Place {
    name: "a body",
    keys: &["text", "hex", "file", "repeat", "times", "chunks", "cut", "end"],
    later: &[],
    near: &[&REQUEST],
};

/// The forms of a body, of which there is one.
pub(super) const BODY_FORMS: &[&str] = &["text", "hex", "file", "repeat", "chunks"];

pub(super) static CHUNK: Place =
    Place { name: "a chunk", keys: &["text", "hex", "file", "repeat", "times"], later: &[], near: &[&BODY] };

/// The forms of a chunk, of which there is one.
pub(super) const CHUNK_FORMS: &[&str] = &["text", "hex", "file", "repeat"];

pub(super) static RAW: Place = Place { name: "raw bytes", keys: &["hex"], later: &[], near: &[] };

pub(super) static EXPECT: Place = Place {
    name: "`expect`",
    keys: &[
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
    ],
    later: &[],
    near: &[&CLIENT_SEES, &UPSTREAM_SEES, &STEP, &CASE, &ON],
};

/// Hosts, for what differs between them.
pub(super) static ON: Place = Place { name: "`on`", keys: &["spec", "envoy", "apisix"], later: &[], near: &[&EXPECT] };

pub(super) static UPSTREAM_SEES: Place = Place {
    name: "a request that is expected",
    keys: &["node", "method", "path", "authority", "scheme", "headers", "body", "trailers", "ends"],
    later: &[],
    near: &[&CLIENT_SEES, &EXPECT],
};

/// What a planned call looks like: an HTTP request, or what goes out on a gRPC call.
pub(super) static CALL_SEEN: Place = Place {
    name: "a call that is expected",
    keys: &["method", "path", "authority", "scheme", "headers", "body", "messages", "ends", "trailers"],
    later: &[],
    near: &[&CLIENT_SEES, &EXPECT, &REPLY],
};

pub(super) static CLIENT_SEES: Place = Place {
    name: "`client_sees`",
    keys: &["status", "headers", "body", "trailers", "ends"],
    later: &[],
    near: &[&UPSTREAM_SEES, &EXPECT],
};

pub(super) static TRAP: Place = Place { name: "`trap`", keys: &["in", "message"], later: &[], near: &[] };

pub(super) static MATCHER: Place =
    Place { name: "a matcher", keys: &["contains", "matches", "json", "file", "hex", "not"], later: &[], near: &[] };

/// What to say about a key that is not of this place.
pub(super) fn hint(place: &Place, key: &str) -> String {
    if let Some((before, _)) = key.split_once(':') {
        return format!("a space is needed after the colon: `{before}: …`");
    }
    let elsewhere = place.near.iter().find(|other| other.keys.contains(&key));
    if let Some(other) = elsewhere {
        return format!("`{key}` is a key of {}", other.name);
    }
    if let Some(close) = similar(key, place.keys.iter().copied()) {
        return format!("did you mean `{close}`?");
    }
    let elsewhere = place.near.iter().find_map(|other| Some((similar(key, other.keys.iter().copied())?, other)));
    if let Some((close, other)) = elsewhere {
        return format!("did you mean `{close}`? it is a key of {}", other.name);
    }
    format!("{} has {}", place.name, list(place.keys))
}

/// `a, b and c`, each in backticks.
pub(super) fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => "nothing".to_string(),
    }
}

/// The word that somebody who wrote `word` probably meant.
pub(super) fn similar<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // The comparison is quadratic, and nobody means a word with a key of a kilobyte.
    if word.len() > 40 {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    let allowed = (word.chars().count() / 3).max(1);
    words
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase().replace('-', "_")), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_the_likely_key() {
        assert_eq!(hint(&FILE, "hots"), "did you mean `host`?");
        assert_eq!(hint(&FILE, "Plugin"), "did you mean `plugin`?");
        assert_eq!(hint(&CASE, "headers"), "`headers` is a key of `request`");
        assert_eq!(hint(&CASE, "protocol"), "`protocol` is a key of a scenario file");
        assert_eq!(hint(&ON, "apsix"), "did you mean `apisix`?");
        assert_eq!(hint(&EXPECT, "apisix"), "`apisix` is a key of `on`");
        assert_eq!(hint(&EXPECT, "status"), "`status` is a key of `client_sees`");
        assert_eq!(hint(&EXPECT, "client-sees"), "did you mean `client_sees`?");
        assert_eq!(hint(&LIMITS, "x:y"), "a space is needed after the colon: `x: …`");
        assert_eq!(hint(&LIMITS, "zzz"), "`limits` has `fuel`, `memory` and `buffer`");
    }
}
