//! Exports that look like callbacks and are none: the commonest reason why "nothing happens".

use super::warning::Warning;
use crate::abi::{ALL_CALLBACKS, Callback};
use wasmparser::ExternalKind;

/// Exports that the SDKs write, that some host knows, and that nobody needs to hear about.
const QUIET: &[&str] = &["proxy_on_memory_allocate"];

/// Names that belong to somebody else.
const FOREIGN: &[(&str, Option<Callback>, &str)] = &[
    ("proxy_on_redis_call_response", None, "Higress"),
    ("proxy_on_http_request_headers", Some(Callback::OnRequestHeaders), DRAFT),
    ("proxy_on_http_request_body", Some(Callback::OnRequestBody), DRAFT),
    ("proxy_on_http_request_trailers", Some(Callback::OnRequestTrailers), DRAFT),
    ("proxy_on_http_response_headers", Some(Callback::OnResponseHeaders), DRAFT),
    ("proxy_on_http_response_body", Some(Callback::OnResponseBody), DRAFT),
    ("proxy_on_http_response_trailers", Some(Callback::OnResponseTrailers), DRAFT),
    ("proxy_on_upstream_close", Some(Callback::OnUpstreamConnectionClose), DRAFT),
    ("proxy_on_downstream_close", Some(Callback::OnDownstreamConnectionClose), DRAFT),
];

const DRAFT: &str = "the draft of 2020";

/// What there is to say about an export, if anything.
pub(super) fn warning(name: &str, kind: ExternalKind) -> Option<Warning> {
    // Longer names are not mistyped, and comparing them takes time.
    if name.len() > 64 || QUIET.contains(&name) || name.starts_with("proxy_abi_version_") {
        return None;
    }
    if ALL_CALLBACKS.iter().any(|c| c.export() == name) {
        let function = matches!(kind, ExternalKind::Func | ExternalKind::FuncExact);
        return (!function).then(|| Warning::NotAFunction(name.to_owned()));
    }
    let unknown = |meant, known_to| Some(Warning::UnknownCallback { name: name.to_owned(), meant, known_to });
    if let Some((_, meant, known_to)) = FOREIGN.iter().find(|(foreign, _, _)| *foreign == name) {
        return unknown(*meant, Some(*known_to));
    }
    let bare = bare(name);
    if let Some(callback) = ALL_CALLBACKS.iter().copied().find(|c| self::bare(c.export()) == bare) {
        return unknown(Some(callback), None);
    }
    name.starts_with("proxy_").then(|| nearest(name)).and_then(|meant| unknown(meant, None))
}

/// The name without what people vary: the prefix, separators and capitals (`proxyOnTick`, `on_tick`).
fn bare(name: &str) -> String {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    letters.strip_prefix("proxy").unwrap_or(&letters).to_owned()
}

fn nearest(name: &str) -> Option<Callback> {
    let scored = ALL_CALLBACKS.iter().map(|c| (strsim::normalized_damerau_levenshtein(c.export(), name), *c));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= 0.8).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::AbiVersion;

    fn meant(name: &str) -> Option<Option<Callback>> {
        match warning(name, ExternalKind::Func) {
            Some(Warning::UnknownCallback { meant, .. }) => Some(meant),
            _ => None,
        }
    }

    #[test]
    fn mistaken_names_are_put_right() {
        let cases = [
            ("proxy_on_http_request_headers", Some(Callback::OnRequestHeaders)),
            ("proxy_on_request_header", Some(Callback::OnRequestHeaders)),
            ("proxy_on_respones_body", Some(Callback::OnResponseBody)),
            ("proxyOnTick", Some(Callback::OnTick)),
            ("on_vm_start", Some(Callback::OnVmStart)),
            ("proxy-on-configure", Some(Callback::OnConfigure)),
            ("proxy_on_redis_call_response", None),
            ("proxy_frobnicate", None),
        ];
        for (name, expected) in cases {
            assert_eq!(meant(name), Some(expected), "{name}");
        }
    }

    #[test]
    fn ordinary_exports_are_left_alone() {
        let version = AbiVersion::V0_2_1.marker();
        for name in ["malloc", "main", "_start", "proxy_on_request_metadata", "proxy_on_tick", version, "__heap_base"] {
            assert_eq!(warning(name, ExternalKind::Func), None, "{name}");
        }
        assert!(matches!(warning("proxy_on_tick", ExternalKind::Global), Some(Warning::NotAFunction(_))));
    }
}
