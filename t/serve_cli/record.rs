//! `--record`: what passed the server is written down, and what was written passes `pwtest run`.

use super::support::{Server, ask, expect, fixture, says, upstream, wait};
use crate::support::{pwtest_with, workspace};
use std::path::Path;
use std::thread;

/// All files of the recording, one after the other.
fn written(folder: &Path) -> String {
    let mut files: Vec<_> = std::fs::read_dir(folder.join("rec")).into_iter().flatten().flatten().collect();
    files.sort_by_key(std::fs::DirEntry::path);
    let yaml = files.iter().filter(|file| file.path().extension().is_some_and(|extension| extension == "yaml"));
    yaml.map(|file| std::fs::read_to_string(file.path()).unwrap_or_default()).collect()
}

fn cases(text: &str) -> usize {
    text.matches("\n  - name: ").count()
}

/// Waits for so many cases.
fn recorded(folder: &Path, count: usize) -> Result<String, String> {
    let all = || cases(&written(folder)) >= count;
    wait(all).map_err(|()| format!("not {count} cases\n{}", written(folder)))?;
    Ok(written(folder))
}

/// Plays the recording.
fn plays(folder: &Path, count: usize) -> Result<(), String> {
    // With `CI`, a case that tests nothing fails.
    let ran = pwtest_with(folder, &["run", "rec"], &[("CI", "true")]);
    let all = format!("{count} cases: {count} passed");
    let all = if count == 1 { "1 case: 1 passed".to_owned() } else { all };
    let shown = format!("{}{}\n{}", ran.stdout, ran.stderr, written(folder));
    expect(ran.code == 0 && ran.stdout.contains(&all), "the recording passes", shown)
}

pub fn masked() -> Result<(), String> {
    let folder = workspace(&[]);
    let (plugin, url) = (fixture("rust/header.wasm"), format!("http://{}", upstream()));
    let base = ["--plugin", &plugin, "--config", "x", "--upstream", &url, "--record", "rec", "--mask", "X-Mine"];
    let mut server = Server::start(folder.path(), &base)?;
    let secrets = ["Bearer c2VjcmV0LXRva2Vu", "mine-0123456789"];
    let headers = [("Authorization", secrets[0]), ("x-mine", secrets[1])];
    ask(server.address, "GET", "/one?key=mine-0123456789", &headers, "")?;
    // Requests at the same time, each with a name of its own.
    let address = server.address;
    let both = |at: usize| ask(address, "GET", &format!("/many/{at}"), &[("x-number", &format!("n{at}"))], "");
    thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|at| scope.spawn(move || both(at))).collect();
        all.into_iter().try_for_each(|one| one.join().map_err(|_| "a panic".to_owned())?.map(drop))
    })?;
    server.signal("TERM");
    expect(server.end()? == Some(0), "it stops", server.stderr.now())?;
    let text = written(folder.path());
    expect(cases(&text) == 9, "every request is a case when it has stopped", &text)?;
    for secret in ["c2VjcmV0LXRva2Vu", "mine-0123456789"] {
        expect(!text.contains(secret), "a masked value is nowhere", &text)?;
    }
    expect(text.contains("authorization: masked") && text.contains("/one?key=masked"), "they are replaced", &text)?;
    for at in 0..8 {
        let case = text.split("\n  - name: ").find(|case| case.contains(&format!("GET /many/{at}\n")));
        let case = case.ok_or_else(|| format!("no case for /many/{at}\n{text}"))?;
        // What it sent, and what the upstream saw.
        expect(case.matches(&format!("x-number: n{at}\n")).count() == 2, "requests do not mix", case)?;
        expect(case.matches("x-number: ").count() == 2, "requests do not mix", case)?;
        expect(case.contains("x-pwtest: 1") && case.contains("x-done: 1"), "what the plugin did is expected", case)?;
    }
    plays(folder.path(), 9)
}

pub fn unmasked() -> Result<(), String> {
    let folder = workspace(&[]);
    let (plugin, url) = (fixture("rust/header.wasm"), format!("http://{}", upstream()));
    let base = ["--plugin", &plugin, "--config", "x", "--upstream", &url, "--record", "rec", "--mask", "none"];
    let server = Server::start(folder.path(), &base)?;
    ask(server.address, "GET", "/", &[("Authorization", "Basic YTpi")], "")?;
    let text = recorded(folder.path(), 1)?;
    expect(text.contains("authorization: Basic YTpi"), "nothing is masked", &text)?;
    expect(!text.contains("stands for values"), "and nothing is said of it", &text)?;
    plays(folder.path(), 1)
}

pub fn bodies() -> Result<(), String> {
    let folder = workspace(&[]);
    // An upstream that sends back what it gets.
    let echo = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let url = format!("http://{}", echo.local_addr().map_err(|error| error.to_string())?);
    thread::spawn(move || {
        for stream in echo.incoming().flatten() {
            thread::spawn(move || send_back(stream));
        }
    });
    let plugin = fixture("rust/header.wasm");
    let base = ["--plugin", &plugin, "--config", "x", "--upstream", &url, "--record", "rec"];
    let server = Server::start(folder.path(), &base)?;
    let binary = "\u{0}\u{ff}\u{80}\n\"'${x}: #";
    let reply = ask(server.address, "POST", "/binary", &[], binary)?;
    expect(reply.status == 200, "it serves", &reply)?;
    // One that is too long is left out, and that is said.
    ask(server.address, "POST", "/long", &[], &"x".repeat(70 << 10))?;
    ask(server.address, "POST", "/text", &[], "two\nlines")?;
    let text = recorded(folder.path(), 2)?;
    let hex = "{ hex: \"00ff800a2227247b787d3a2023\" }";
    // Sent by both ends, seen by both ends.
    expect(text.matches(hex).count() == 4, "bytes that are no text", &text)?;
    expect(text.matches("\"two\\nlines\"").count() == 4, "bytes that are text", &text)?;
    expect(text.contains("# left out: POST /long: a body is longer than 64 KiB"), "what is left out", &text)?;
    plays(folder.path(), 2)
}

/// Reads a request with a length and answers with its body.
fn send_back(mut stream: std::net::TcpStream) {
    use std::io::{Read as _, Write as _};
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let head = read.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&read[..head]).to_lowercase();
            let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
            let length: usize = length.unwrap_or(0);
            if read.len() >= head + length {
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                let body = read[head..head + length].to_vec();
                if stream.write_all(answer.as_bytes()).and_then(|()| stream.write_all(&body)).is_err() {
                    return;
                }
                read.drain(..head + length);
                continue;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => read.extend_from_slice(&buffer[..count]),
        }
    }
}

pub fn calls() -> Result<(), String> {
    let folder = workspace(&[]);
    let service = upstream();
    let (plugin, url, config) = (fixture("rust/http-call.wasm"), format!("http://{}", upstream()), service.to_string());
    let base = ["--plugin", &plugin, "--config", &config, "--upstream", &url, "--record", "rec"];
    let server = Server::start(folder.path(), &base)?;
    let reply = server.get("/asks")?;
    expect(reply.status == 403 && reply.head.contains("resp-status: 200"), "the plugin asks and answers", &reply)?;
    let text = recorded(folder.path(), 1)?;
    expect(text.contains("upstream: never"), "the upstream is not reached", &text)?;
    expect(text.contains(&format!("- to: {service}")), "the call is planned", &text)?;
    expect(text.contains("resp-status: 200"), "what came of it is expected", &text)?;
    plays(folder.path(), 1)
}

pub fn state() -> Result<(), String> {
    // A letter that is the next one with each request.
    let next = "(i32.store8 (i32.const 16) (i32.add (i32.load8_u (i32.const 16)) (i32.const 1)))\n    (drop (call $log";
    let module = says("A").replace("(drop (call $log", next);
    let folder = workspace(&[("a.wat", &module)]);
    let url = format!("http://{}", upstream());
    let base = ["--plugin", "a.wat", "--config", "x", "--upstream", &url, "--record", "rec"];
    let server = Server::start(folder.path(), &base)?;
    for path in ["/first", "/second"] {
        server.get(path)?;
    }
    let text = recorded(folder.path(), 2)?;
    let second = text.split("2 GET /second").nth(1).unwrap_or_default();
    expect(text.contains("# the requests before it count"), "state is found out", &text)?;
    expect(second.contains("steps:") && second.contains("/first") && second.contains("warn: C"), "steps", &text)?;
    plays(folder.path(), 2)
}

pub fn gateway() -> Result<(), String> {
    let file = fixture("go/log.wasm");
    let config = format!("wasm:\n  plugins:\n    - name: wasm_log\n      priority: 7999\n      file: {file}\n");
    let folder = workspace(&[("conf/config.yaml", &config)]);
    let server = Server::start(folder.path(), &["conf", "--admin", "0", "--record", "rec"])?;
    let route = |conf: &str| {
        let node = upstream();
        format!(
            r#"{{"uri":"/anything","plugins":{{"wasm_log":{{"conf":"{conf}"}}}},"upstream":{{"type":"roundrobin","nodes":{{"{node}":1}}}}}}"#
        )
    };
    for conf in ["hello apisix", "hello again"] {
        let put = server.admin("PUT", "/apisix/admin/routes/1", &route(conf))?;
        expect(put.status < 300, "a route", &put)?;
        expect(server.get("/anything")?.body == "hello world\n", "it serves", ())?;
    }
    expect(server.get("/nothing")?.status == 404, "there is no such route", ())?;
    let text = recorded(folder.path(), 3)?;
    let nowhere = text.split("\n  - name: ").nth(3).unwrap_or_default();
    expect(nowhere.contains("    upstream: never\n") && nowhere.contains("status: 404"), "nobody is asked", nowhere)?;
    expect(!text.contains("not expected"), "a run shows all of it", &text)?;
    expect(text.matches("\ngateway:\n").count() == 2, "a file for each configuration", &text)?;
    for conf in ["hello apisix", "hello again"] {
        // The second context comes into a VM that has had one, and a run has not.
        let line = match conf {
            "hello apisix" => "- warn: run plugin ctx 1 with conf hello apisix in http ctx 2".to_owned(),
            _ => format!("- warn: {{ matches: \"^run plugin ctx 1 with conf {conf} in http ctx [0-9]+$\" }}"),
        };
        expect(text.contains(&line), "the plugin's line is expected", &text)?;
    }
    plays(folder.path(), 3)
}

pub fn killed() -> Result<(), String> {
    let folder = workspace(&[("a.wat", &says("one"))]);
    let url = format!("http://{}", upstream());
    let base = ["--plugin", "a.wat", "--config", "x", "--upstream", &url, "--record", "rec"];
    let mut server = Server::start(folder.path(), &base)?;
    for at in 0..20 {
        server.get(&format!("/{at}"))?;
    }
    recorded(folder.path(), 5)?;
    server.signal("KILL");
    server.end()?;
    let before = cases(&written(folder.path()));
    plays(folder.path(), before)?;
    // The next recording leaves it as it is.
    let server = Server::start(folder.path(), &base)?;
    server.get("/later")?;
    recorded(folder.path(), before + 1)?;
    let second = std::fs::read_to_string(folder.path().join("rec/recorded-0002.yaml"));
    expect(second.is_ok_and(|text| text.contains("/later")), "a file of its own", ())
}

pub fn refused() -> Result<(), String> {
    let folder = workspace(&[("a.wat", &says("one")), ("taken", "a file")]);
    let base = ["--plugin", "a.wat", "--upstream", "http://127.0.0.1:1", "--listen", "0"];
    let ran = pwtest_with(folder.path(), &[&["serve"][..], &base, &["--record", "taken"]].concat(), &[]);
    let said = ran.stderr.contains("`taken` can't be recorded into");
    expect(ran.code == 2 && said, "a file is no folder", (ran.code, &ran.stderr))?;
    let ran = pwtest_with(folder.path(), &[&["serve"][..], &base, &["--mask", "a"]].concat(), &[]);
    expect(ran.code == 2 && ran.stderr.contains("--record"), "--mask belongs to --record", (ran.code, &ran.stderr))
}
