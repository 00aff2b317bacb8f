//! The command line.

use super::support::{Server, expect, fixture, says, upstream};
use crate::support::{pwtest, workspace};

pub fn refusals() -> Result<(), String> {
    let folder = workspace(&[
        ("empty/x", ""),
        ("a.wat", &says("one")),
        ("bad.wasm", "no module"),
        ("module.wasm", "\0asm\u{1}\0\0\0"),
        ("role.yaml", "deployment: { role: dataplane }\n"),
        ("bad.yaml", "wasm: { plugins: [ { name: a, file: a.wat } ] }\n"),
        ("plugins.yaml", "wasm: { plugins: [ { name: a, file: a.wat, priority: 1 } ] }\n"),
        (
            "routes.yaml",
            "wasm: { plugins: [ { name: a, file: a.wat, priority: 1 } ] }\nroutes: [ { uri: /, upstream: { type: roundrobin, nodes: { '127.0.0.1:1': 1 } } } ]\n",
        ),
    ]);
    let url = "http://127.0.0.1:1";
    let cases: &[(&[&str], i32, &str)] = &[
        (&[], 2, "give a configuration"),
        (&["none"], 2, "none"),
        (&["empty"], 2, "no config.yaml"),
        (&["module.wasm"], 2, "with `--plugin module.wasm --upstream"),
        (&["role.yaml"], 2, "found `dataplane`"),
        // apisix.md 1.1
        (&["bad.yaml"], 2, "property \"priority\" is required"),
        (&["empty", "--plugin", "a.wat"], 2, "cannot be used with"),
        (&["--plugin", "a.wat"], 2, "--upstream URL"),
        (&["--plugin", "a.wat", "--upstream", "https://a"], 2, "no TLS"),
        (&["--plugin", "a.wat", "--upstream", "http://a/b"], 2, "without a path"),
        (&["--plugin", "a.wat", "--config", "@none", "--upstream", url], 2, "`none` can't be read"),
        (&["--plugin", "a.wat", "--upstream", url, "--host", "kong"], 2, "no host is called `kong`"),
        (&["--plugin", "a.wat", "--upstream", url, "--listen", "a:b"], 2, "not an address to listen on"),
        (&["--plugin", "a.wat", "--upstream", url, "--log-level", "loud"], 2, "one of debug, info"),
        (&["--plugin", "a.wat", "--upstream", url, "--cluster", "a"], 2, "NAME=HOST:PORT"),
        (&["--plugin", "a.wat", "--upstream", url, "--resolve", "a:80"], 2, "HOST:PORT:ADDRESS"),
        (&["--plugin", "a.wat", "--upstream", url, "--resolve", "a:80:b"], 2, "with an IP address"),
        (&["--plugin", "a.wat", "--upstream", url, "--workers", "0"], 2, "--workers"),
        (&["--plugin", "a.wat", "--upstream", url, "--error-log", "none/x"], 2, "`none/x` can't be written"),
        (&["--plugin", "a.wat", "--upstream", "1980"], 2, "write http://127.0.0.1:1980"),
        (&["--plugin", "a.wat", "--upstream", url, "--access-log", "empty"], 2, "`empty` can't be written"),
        (&["--plugin", "a.wat", "--upstream", url, "--state", "s.json"], 2, "give one of the two"),
        (&["routes.yaml", "--state", "s.json"], 2, "give one of the two"),
        (
            &["plugins.yaml", "--listen", "0", "--admin", "0", "--state", "none/s.json"],
            2,
            "none/s.json can't be written",
        ),
        (&["--plugin", "none.wasm", "--upstream", url], 3, "failed to load plugin [none] err: "),
        (&["--plugin", "bad.wasm", "--upstream", url], 3, "failed to load plugin [bad] err: "),
    ];
    for (arguments, code, words) in cases {
        let all: Vec<&str> = ["serve"].iter().chain(*arguments).copied().collect();
        let ran = pwtest(folder.path(), &all);
        expect(
            ran.code == *code && ran.stderr.contains(words),
            &format!("{arguments:?} ends with {code}"),
            &ran.stderr,
        )?;
        expect(ran.stdout.is_empty(), "standard output is for the access log", &ran.stdout)?;
    }
    Ok(())
}

pub fn taken() -> Result<(), String> {
    let folder = workspace(&[("a.wat", &says("one"))]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?.to_string();
    let base = ["serve", "--plugin", "a.wat", "--upstream", "http://127.0.0.1:1"];
    for rest in [vec!["--listen", &address], vec!["--listen", "0", "--admin", &address]] {
        let ran = pwtest(folder.path(), &[&base[..], &rest].concat());
        let words = format!("can't listen on {address}");
        expect(ran.code == 3 && ran.stderr.contains(&words), "a port in use ends it with 3", &ran.stderr)?;
    }
    Ok(())
}

pub fn listens() -> Result<(), String> {
    let folder = workspace(&[("hello.txt", "hello from a file")]);
    let (plugin, url) = (fixture("go/log.wasm"), format!("http://{}", upstream()));
    let arguments = ["--plugin", &plugin, "--config", "@hello.txt", "--upstream", &url];
    let twice = ["--listen", "127.0.0.1:0", "--listen", "0.0.0.0:0", "--admin", "0"];
    let server = Server::start(folder.path(), &[&arguments[..], &twice].concat())?;
    server.stderr.wait_for("(other machines can reach it)")?;
    let text = server.stderr.now();
    expect(text.matches("listening on http://127.0.0.1:").count() == 1, "both are announced", &text)?;
    expect(text.matches("listening on http://0.0.0.0:").count() == 1, "both are announced", &text)?;
    expect(server.get("/anything")?.body == "hello world\n", "it serves", ())?;
    server.stderr.wait_for("run plugin ctx 1 with conf hello from a file in http ctx 2, client: 127.0.0.1, server: _")
}
