//! The one-document form, 1.1, 7.5 and 7.6.

use super::*;
use crate::gateway::client::Walk;
use crate::gateway::forward::UpstreamStatus;
use crate::gateway::model::{Matching, RouterKind, TailSlash};

const DOCUMENT: &str = r#"
wasm:
  plugins:
    - { name: wasm_log, file: log.wasm, priority: 7999 }
upstreams:
  - { id: u, type: roundrobin, nodes: { "127.0.0.1:1980": 1 } }
routes:
  - id: 1
    uri: /hello
    upstream_id: u
    plugins: { wasm_log: { conf: { b: 1, a: [1.0, 2.5] } } }
  - uri: /other
    plugins: { wasm_log: { conf: blah } }
"#;

fn problem(text: &str) -> Diagnostic {
    gateway(text, Path::new("")).expect_err("a mistake")
}

/// The words under the caret.
fn at(text: &str) -> (String, String) {
    let problem = problem(text);
    let place = problem.span.and_then(|span| text.get(span)).unwrap_or_default().to_owned();
    (problem.title, place)
}

#[test]
fn a_document_has_plugins_and_objects() {
    let (gateway, warnings) = gateway(DOCUMENT, Path::new("/here")).expect("a gateway");
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(gateway.resources.plugins()[0].file, Path::new("/here/log.wasm"));
    let objects = gateway.resources.objects();
    let ids: Vec<&str> = objects.routes.iter().map(|route| &*route.id).collect();
    assert_eq!(ids, ["1", "arr_2"], "7.6: an object without an id has its place for one");
    assert_eq!(objects.routes[0].plugins[0].conf, r#"{"b":1,"a":[1,2.5]}"#, "1.3: no white space, integers without .0");
    assert_eq!(objects.routes[1].plugins[0].conf, "blah");
}

#[test]
fn json_and_mappings_by_id_are_documents_too() {
    let json = "{\n\t\"routes\": {\"r1\": {\"uri\": \"/\", \"plugins\": {}}},\n\t\"wasm.plugins\": \
        [{\"name\": \"a\", \"file\": \"a.wasm\", \"priority\": 1}]\n}";
    let (gateway, _) = gateway(json, Path::new("")).expect("a gateway");
    assert_eq!(&*gateway.resources.objects().routes[0].id, "r1");
    assert_eq!(gateway.resources.plugins().len(), 1);
}

#[test]
fn mistakes_are_shown_where_they_are() {
    for (from, to, title, place) in [
        (
            "wasm_log: { conf: blah }",
            "wasm_lgo: { conf: blah }",
            "routes[1].plugins.wasm_lgo: unknown plugin [wasm_lgo]",
            "wasm_lgo",
        ),
        (
            "upstream_id: u",
            "upstream_id: x",
            "routes[0].upstream_id: failed to fetch upstream info by upstream id [x], response code: 404",
            "upstream_id",
        ),
        (
            "priority: 7999",
            "prio: 7999",
            "wasm.plugins[0]: failed to validate config: property \"wasm\" validation failed: property \"plugins\" \
             validation failed: failed to validate item 1: property \"priority\" is required",
            "{ name: wasm_log, file: log.wasm, prio: 7999 }",
        ),
        ("upstreams:", "upstream:", "upstream: unknown key `upstream`", "upstream"),
        ("upstreams:", "ssls:", "ssls: pwtest does not support `ssls`", "ssls"),
        ("uri: /other", "uri: other", "routes[1].uri: uri \"other\" matches no request", "uri"),
        ("127.0.0.1:1980\": 1", "127.0.0.1:0\": 1", "upstreams[0].nodes.127.0.0.1:0: invalid port 0", "127.0.0.1:0"),
    ] {
        let text = DOCUMENT.replace(from, to);
        assert_ne!(text, DOCUMENT);
        let (found, under) = at(&text);
        assert!(found.starts_with(title), "{found}");
        assert_eq!(under.trim_matches('"'), place);
    }
    assert_eq!(
        problem(&DOCUMENT.replace("upstreams:", "upstream:")).hint.as_deref(),
        Some("did you mean `upstreams`?")
    );
    assert_eq!(
        problem(&DOCUMENT.replace("wasm_log: { conf: blah", "wasm_lgo: { conf: blah")).hint.as_deref(),
        Some("did you mean `wasm_log`?")
    );
    let hint = |from: &str, to: &str| problem(&DOCUMENT.replace(from, to)).hint.unwrap_or_default();
    assert_eq!(hint("upstream_id: u", "upstraem_id: u"), "did you mean `upstream_id`?");
    assert_eq!(hint("id: u, type: roundrobin,", "id: u, type: roundrobin, retrys: 1,"), "did you mean `retries`?");
    assert_eq!(hint("uri: /other", "uri: /other\n    upstream: { node: {} }"), "did you mean `nodes`?");
    assert_eq!(hint("uri: /other", "uri: /other\n    something_else: 1"), "");
    assert!(hint("conf: blah", "config: blah").starts_with("`conf` is what the plugin is configured with"));
    assert!(hint("conf: blah", "conf: ''").starts_with("`conf` is what the plugin is configured with"));
}

#[test]
fn texts_that_are_no_documents() {
    for (text, title) in [
        ("", "this file is empty"),
        ("# nothing\n", "this file is empty"),
        ("[1, 2]", "a gateway document is a mapping"),
        ("routes: []\n---\nroutes: []\n", "this has to be one YAML document"),
        ("routes: !x []\n", "the tag `!x` has no meaning here"),
        ("routes: 7\n", "routes: expected a list, or a mapping by id"),
        ("routes: [7]\n", "routes[0]: expected a mapping"),
        ("wasm: { plugins: [] }\n", "wasm.plugins: failed to validate config: property \"wasm\" validation failed: "),
        ("routes: .inf\n", "this number is none that JSON has"),
        ("a: &a [*a]\n", "an alias can't stand inside what it names"),
    ] {
        let found = problem(text).title;
        assert!(found.starts_with(title), "{text:?}: {found}");
    }
    let deep = "[".repeat(5000);
    assert!(problem(&format!("routes: {deep}")).title.contains("deep"));
}

mod property {
    use super::{DOCUMENT, gateway};
    use crate::diagnostic::Source;
    use crate::gateway::files::{Environment, folder};
    use proptest::prelude::*;
    use std::path::Path;
    use std::sync::Arc;

    /// The document with some of its characters replaced, or any text.
    fn text() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            prop::sample::select(vec!["", ":", "{", "]", "- ", "\n", "null", "1e400", "&a", "*a", "${{", "}}", "#END"])
                .prop_map(str::to_owned),
            any::<String>(),
        ];
        prop_oneof![
            6 => (0..DOCUMENT.len(), 0..30_usize, part).prop_map(|(at, length, part)| {
                let end = at.saturating_add(length).min(DOCUMENT.len());
                format!("{}{part}{}#END", &DOCUMENT[..at], &DOCUMENT[end..])
            }),
            1 => any::<String>(),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_breaks_the_readers(text in text()) {
            if let Ok((gateway, _)) = gateway(&text, Path::new("")) {
                gateway.resources.objects();
            }
            let source = Arc::new(Source { path: "apisix.yaml".into(), text });
            if let Ok((gateway, _)) = folder(Some(&source), Some(&source), Path::new(""), &Environment::default()) {
                gateway.resources.objects();
            }
        }
    }
}

#[test]
fn ids_are_there_once() {
    let text = DOCUMENT.replace("  - uri: /other", "  - id: \"1\"\n    uri: /other");
    assert_eq!(problem(&text).title, "routes[1].id: the id 1 is there twice");
}

#[test]
fn what_pwtest_does_not_do_is_said() {
    for (upstream, text) in [
        ("scheme: https", "pwtest does not support scheme \"https\""),
        ("scheme: grpc", "pwtest does not support scheme \"grpc\""),
        ("tls: { client_cert: x }", "pwtest does not support `tls`"),
        ("type: random", "pwtest does not support type \"random\""),
    ] {
        let text_of = format!("upstreams: [{{ id: 1, nodes: {{ a: 1 }}, {upstream} }}]");
        let title = problem(&text_of).title;
        assert!(title.contains(text), "{title}");
    }
    let title = problem("routes: [{ uri: /, plugins: {}, filter_func: 'function() end' }]").title;
    assert!(title.contains("pwtest does not support `filter_func`"), "{title}");
    let (_, warnings) =
        gateway("upstreams: [{ id: u, nodes: { a: 1 }, checks: { active: {} } }]", Path::new("")).expect("a gateway");
    assert_eq!(warnings, ["pwtest makes no health checks: every node of upstreams/u counts as healthy"]);
}

#[test]
fn options_of_apisix() {
    let text = r#"
apisix:
  node_listen: [9080, { ip: 0.0.0.0, port: 9081 }]
  router: { http: radixtree_uri, ssl: radixtree_sni }
  delete_uri_tail_slash: true
  show_upstream_status_in_response_header: true
deployment:
  role: data_plane
  role_data_plane: { config_provider: yaml }
  admin:
    admin_listen: { ip: 127.0.0.1, port: 9180 }
    allow_admin: [10.0.0.0/8]
    admin_key:
      - { name: admin, key: secret, role: admin }
      - { name: viewer, key: look, role: viewer }
nginx_config:
  error_log_level: info
  error_log: logs/error.log
  http: { real_ip_header: X-Forwarded-For, real_ip_recursive: "on", real_ip_from: [10.0.0.0/8, "unix:"] }
clusters: { authz: "127.0.0.1:9000" }
"#;
    let read = gateway(text, Path::new("/here")).expect("a gateway").0;
    let matching = Matching { router: RouterKind::Uri, tail_slash: TailSlash::IsDropped };
    assert_eq!((read.options.matching, read.resources.objects().matching), (matching, matching));
    let options = read.options;
    let listen: Vec<String> = options.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:9080", "0.0.0.0:9081"]);
    assert_eq!(options.admin.listen, Some("127.0.0.1:9180".parse().expect("an address")));
    assert_eq!(options.admin.keys.len(), 2);
    assert!(options.admin.allowed.admits([10, 1, 1, 1].into()) && !options.admin.allowed.admits([127, 0, 0, 1].into()));
    assert_eq!(options.error_log_level, Some(crate::abi::LogLevel::Info));
    assert_eq!(options.error_log.as_deref(), Some(Path::new("/here/logs/error.log")));
    // nginx's `error_log` has words that name no file.
    for elsewhere in ["stderr", "/dev/stderr", "syslog:server=127.0.0.1", "''"] {
        let text = format!("nginx_config: {{ error_log: {elsewhere} }}");
        let (gateway, _) = super::gateway(&text, Path::new("/here")).expect("a gateway");
        assert_eq!(gateway.options.error_log, None, "{elsewhere}");
    }
    assert_eq!((options.provider, options.show_upstream_status), (Provider::Yaml, UpstreamStatus::Always));
    assert_eq!((&*options.real_ip.header, options.real_ip.walk), ("X-Forwarded-For", Walk::PastTrusted));
    assert!(
        options.real_ip.from.contains([10, 1, 1, 1].into()) && !options.real_ip.from.contains([127, 0, 0, 1].into())
    );
    assert_eq!(options.clusters["authz"], "127.0.0.1:9000");
    let open =
        "deployment: { admin: { admin_key_required: false, allow_admin: [], admin_key: [{ key: x, role: admin }] } }";
    let options = gateway(open, Path::new("")).expect("a gateway").0.options;
    assert!(options.admin.keys.is_empty(), "7.1: the quickstart's configuration needs no key");
    assert!(options.admin.allowed.admits([8, 8, 8, 8].into()));
    for wrong in [
        "apisix: { node_listen: x }",
        "nginx_config: { error_log_level: loud }",
        "apisix: { router: { http: r3 } }",
        "clusters: { a: ':1' }",
    ] {
        assert!(problem(wrong).span.is_some(), "{wrong}");
    }
}
