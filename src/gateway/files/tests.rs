//! 1.1 and 7.6, and the tutorial (7.1).

use super::*;

fn text(name: &str, text: &str) -> Arc<Source> {
    Arc::new(Source { path: name.into(), text: text.to_owned() })
}

fn both(config: &str, objects: Option<&str>) -> Result<(Gateway, Vec<String>), Diagnostic> {
    let environment = [("PORT", "1980"), ("ON", "true")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let standalone = objects.map_or("", |_| STANDALONE);
    let objects = objects.map(|objects| text("conf/apisix.yaml", objects));
    let environment = environment.into_iter().collect();
    folder(
        Some(&text("conf/config.yaml", &format!("{config}{standalone}"))),
        objects.as_ref(),
        Path::new("conf"),
        &environment,
    )
}

const STANDALONE: &str = "deployment: { role: data_plane, role_data_plane: { config_provider: yaml } }\n";

const CONFIG: &str = "
apisix:
  node_listen: 9080
wasm:
  plugins:
    - name: wasm_log
      priority: 7999
      file: /opt/log.go.wasm
";

#[test]
fn the_config_of_the_tutorial() {
    let (gateway, warnings) = both(CONFIG, None).expect("a gateway");
    assert_eq!(warnings, Vec::<String>::new());
    let plugin = &gateway.resources.plugins()[0];
    assert_eq!(
        (&*plugin.name, plugin.priority, plugin.file.as_path()),
        ("wasm_log", 7999, Path::new("/opt/log.go.wasm"))
    );
    assert_eq!(gateway.options.listen, ["127.0.0.1:9080".parse().expect("an address")]);
}

/// 1.1: the fragments that APISIX's own test looks for.
#[test]
fn wasm_plugins_that_are_wrong() {
    for (entry, end) in [
        ("{ name: a, file: a.wasm }", "property \"priority\" is required"),
        ("{ name: a, priority: 1 }", "property \"file\" is required"),
        ("{ name: a, priority: 1, file: a.wasm, http_request_phase: log }", "matches none of the enum values"),
    ] {
        let problem = both(&format!("wasm:\n  plugins:\n    - {entry}\n"), None).expect_err("a mistake");
        assert!(problem.title.contains("failed to validate config: "), "{}", problem.title);
        assert!(problem.title.ends_with(end), "{}", problem.title);
        assert!(problem.span.is_some());
    }
}

/// What the tutorial's `echo >> config.yaml` leaves behind when it is run twice.
#[test]
fn wasm_that_was_appended_twice() {
    let problem = both(&format!("{CONFIG}{}", &CONFIG[CONFIG.find("wasm:").expect("there")..]), None);
    let problem = problem.expect_err("a mistake");
    assert_eq!(problem.title, "key `wasm` is given twice");
    assert!(problem.hint.expect("a hint").contains("appended twice"));
}

/// 7.6.
#[test]
fn apisix_yaml_ends_with_a_flag() {
    let routes = "routes:\n  - { uri: /a, upstream: { nodes: { \"127.0.0.1:${{PORT}}\": 1 } } }\n";
    for end in ["#END", "#END\n", "#END  \n\n"] {
        assert!(both(CONFIG, Some(&format!("{routes}{end}"))).is_ok(), "{end:?}");
    }
    for end in ["", "#END\nservices: []\n", "# END"] {
        let problem = both(CONFIG, Some(&format!("{routes}{end}"))).expect_err("a mistake");
        assert_eq!(problem.title, "missing valid end flag in file conf/apisix.yaml", "{end:?}");
    }
}

/// 7.6: an invalid object is dropped, others stay; those without an id are named by their place.
#[test]
fn invalid_items_are_dropped_with_apisix_s_line() {
    let objects = "
routes:
  - uri: /a
    plugins: { wasm_log: { conf: x } }
  - { uri: /b, plugins: { wasm_log: {} } }
  - hello
  - { id: r, uri: /c, plugins: { limit-count: { count: 1 } }, upstream_id: later }
#END
";
    let (gateway, warnings) = both(CONFIG, Some(objects)).expect("a gateway");
    let ids: Vec<String> = gateway.resources.objects().routes.iter().map(|route| route.id.to_string()).collect();
    assert_eq!(ids, ["arr_1", "r"]);
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].starts_with(
        "failed to check item data of [routes] err:failed to check the configuration of plugin wasm_log err: \
         property \"conf\" is required"
    ));
    assert!(warnings[2].contains("unknown plugin [limit-count]"), "{warnings:?}");
    assert_eq!(warnings[1], "invalid item data of [routes/arr_3], val: \"hello\", it shoud be a object");
}

/// 7.6.
#[test]
fn variables_of_the_environment() {
    let objects = "
routes:
  - uri: ${{URI:=/default}}
    enable_websocket: ${{ ON }}
    upstream: { nodes: [ { host: 127.0.0.1, port: \"${{PORT}}\", weight: 1 } ] }
#END
";
    let (gateway, warnings) = both(CONFIG, Some(objects)).expect("a gateway");
    assert_eq!(warnings, Vec::<String>::new());
    let route = gateway.resources.objects().routes[0].clone();
    assert_eq!((route.uris.as_slice(), route.enable_websocket), (["/default".to_owned()].as_slice(), true));
    let problem = both(CONFIG, Some("routes:\n  - uri: ${{NOT_THERE}}\n#END\n")).expect_err("a mistake");
    assert!(problem.title.ends_with("can't find environment variable NOT_THERE"), "{}", problem.title);
    assert!(problem.span.is_some());
}

#[test]
fn files_are_read_from_a_folder_or_one_by_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    let load = |name: &str| load(&folder.path().join(name), &Environment::default());
    assert!(load("").expect_err("nothing there").title.starts_with("no config.yaml in "));
    write("config.yaml", CONFIG);
    write("apisix.yaml", "routes:\n  - { uri: /a, plugins: {} }\n#END\n");
    for name in ["", "config.yaml", "apisix.yaml"] {
        let loaded = load(name).expect("a gateway");
        assert_eq!(loaded.gateway.resources.objects().routes.len(), 1);
        assert_eq!(loaded.files.len(), 2);
    }
    write("one.yaml", "wasm: { plugins: [ { name: a, file: a.wasm, priority: 1 } ] }\n");
    let one = load("one.yaml").expect("a gateway");
    assert_eq!(one.gateway.resources.plugins()[0].file, folder.path().join("a.wasm"));
    std::fs::write(folder.path().join("bad.yaml"), [0xff, 0xfe]).expect("written");
    assert!(load("bad.yaml").expect_err("not text").title.ends_with("is not text in UTF-8"));
    assert!(load("none.yaml").expect_err("not there").title.starts_with("there is no "));
}
