//! The real Envoy as a host. What needs no Envoy runs always, with scripts in its place; what needs one runs where the
//! variable `PWTEST_TEST_ENVOY` names it, as it does in CI.

use crate::support::{check, pwtest, root, workspace};
use libtest_mimic::{Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ONE: &str = "plugin: FIXTURES/rust/header.wasm\ncases:\n  - name: one\n    request: GET http://app.test/hello\n    \
                   expect: { client_sees: { status: 200 } }\n    snapshot: false\n";

/// A script that says that it is Envoy; its process ids go to a file.
const HEAD: &str = "#!/bin/sh\ncase \"$1\" in --version) echo 'envoy  version: 0/1.40.0/Clean/RELEASE/None'; exit 0;; esac\n\
                    echo $$ >>\"$PWTEST_PIDS\"\n";

/// A trial on the real binary.
type OnEnvoy = fn(&Path) -> Result<(), Failed>;

/// All trials.
pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("envoy: what is no Envoy", no_envoy),
        Trial::test("envoy: one that ends at once", ends_at_once),
        Trial::test("envoy: another version is named", another_version),
        Trial::test("envoy: Ctrl-C before it starts", interrupted_early),
        Trial::test("envoy: one that hangs is ended with pwtest, by Ctrl-C", || goes_with_pwtest("-INT")),
        Trial::test("envoy: one that hangs is ended with pwtest, by SIGTERM", || goes_with_pwtest("-TERM")),
        Trial::test("envoy: one that hangs is ended with pwtest, killed", || goes_with_pwtest("-KILL")),
    ];
    if let Some(path) = std::env::var_os("PWTEST_TEST_ENVOY").map(PathBuf::from) {
        let real: [(&str, OnEnvoy); 5] = [
            ("envoy: the conformance suite", conformance),
            ("envoy: plugins look alike from outside", plugins_alike),
            ("envoy: a plugin that hangs the worker", hangs),
            ("envoy: a plugin that crashes the process", crashes),
            ("envoy: nothing is left behind", leaves_nothing),
        ];
        for (name, trial) in real {
            let path = path.clone();
            trials.push(Trial::test(name, move || trial(&path)));
        }
    }
    trials
}

fn host(path: &Path) -> String {
    format!("envoy@{}", path.display())
}

fn script(folder: &Path, body: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("fake-envoy");
    std::fs::write(&path, format!("{HEAD}{body}")).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    path
}

fn no_envoy() -> Result<(), Failed> {
    let folder = workspace(&[("one.yaml", ONE), ("text", "not a program"), ("folder/inside", "")]);
    for (path, says) in [
        (PathBuf::from("/bin/true"), "does not look like Envoy"),
        (folder.path().join("missing"), "No such file"),
        (folder.path().join("folder"), "it is a folder"),
        (folder.path().join("text"), "does not look like Envoy"),
    ] {
        let ran = pwtest(folder.path(), &["run", "--host", &host(&path), "one.yaml"]);
        check(ran.code == 3 && ran.stderr.contains(says), &format!("{} says {says}", path.display()), &ran)?;
    }
    Ok(())
}

fn ends_at_once() -> Result<(), Failed> {
    let folder = workspace(&[("one.yaml", ONE)]);
    let path = script(folder.path(), "echo 'out of luck' >&2\nexit 7\n");
    let ran = pwtest(folder.path(), &["run", "--host", &host(&path), "one.yaml"]);
    let both = ran.stdout.contains("exited with code 7") && ran.stdout.contains("out of luck");
    check(ran.code == 3 && both, "it says how Envoy ended, and its last words", &ran)
}

/// It is told before anything is run.
fn another_version() -> Result<(), Failed> {
    let folder = workspace(&[("one.yaml", ONE)]);
    let path = script(folder.path(), "exit 7\n");
    let text = std::fs::read_to_string(&path).expect("a script").replace("1.40.0", "1.39.2");
    std::fs::write(&path, text).expect("a file");
    for command in ["run", "compare"] {
        let other = if command == "run" { vec![] } else { vec!["--host", "envoy"] };
        let own = host(&path);
        let args = [&[command], &other[..], &["--host", &own, "one.yaml"]].concat();
        let ran = pwtest(folder.path(), &args);
        let all = format!("{}{}", ran.stdout, ran.stderr);
        let says = all.contains("warning: ") && all.contains("is Envoy 1.39.2; the profile `envoy` was made from 1.40");
        check(says, &format!("{command} names both versions"), &ran)?;
    }
    Ok(())
}

/// While the cases still run in memory, to see what they need.
fn interrupted_early() -> Result<(), Failed> {
    let plugin = "(module (memory (export \"memory\") 1) (func (export \"proxy_abi_version_0_2_1\"))\n\
                  (func (export \"malloc\") (param i32) (result i32) i32.const 1024)\n\
                  (func (export \"proxy_on_request_headers\") (param i32 i32 i32) (result i32) (loop $on (br $on)) (i32.const 0)))";
    let case = |n: usize| format!("  - {{ name: c{n}, request: GET http://app.test/, snapshot: false }}\n");
    let cases: String = (0..40).map(case).collect();
    let scenario = format!("plugin: endless.wat\nlimits: {{ fuel: 200000000 }}\ncases:\n{cases}");
    let folder = workspace(&[("one.yaml", &scenario), ("endless.wat", plugin), ("tmp/.keep", "")]);
    let (path, pids) = (script(folder.path(), "exit 7\n"), folder.path().join("pids"));
    let mut running = start(folder.path(), &path, &pids);
    let tmp = folder.path().join("tmp");
    let files = || std::fs::read_dir(&tmp).map(|all| all.count()).unwrap_or_default();
    let asked = |all: std::fs::DirEntry| all.file_name().to_string_lossy().starts_with("pwtest-envoy-");
    let made = || std::fs::read_dir(&tmp).is_ok_and(|mut all| all.any(|one| one.is_ok_and(asked)));
    let prepares = wait(Duration::from_secs(60), made);
    let signalled = Command::new("kill").arg("-INT").arg(running.id().to_string()).status();
    // One case takes as long as its fuel lasts; forty take minutes.
    let ended = wait(Duration::from_secs(60), || !matches!(running.try_wait(), Ok(None)));
    let _ = running.kill();
    let code = running.wait().ok().and_then(|status| status.code());
    let never = read_pids(&pids).is_empty();
    if prepares && ended && never && code == Some(130) && files() == 1 && signalled.is_ok_and(|status| status.success())
    {
        return Ok(());
    }
    Err(format!("prepares {prepares}, ended {ended}, no Envoy {never}, code {code:?}, {} files left", files()).into())
}

/// A hanging Envoy that has a child of its own, and pwtest waiting for it.
fn goes_with_pwtest(signal: &str) -> Result<(), Failed> {
    let folder = workspace(&[("one.yaml", ONE), ("tmp/.keep", "")]);
    let pids = folder.path().join("pids");
    let path = script(folder.path(), "sleep 1000 &\necho $! >>\"$PWTEST_PIDS\"\nsleep 1000\n");
    let mut running = start(folder.path(), &path, &pids);
    let begun = Instant::now();
    let started = wait(Duration::from_secs(30), || read_pids(&pids).len() >= 2);
    let signalled = Command::new("kill").arg(signal).arg(running.id().to_string()).status();
    let ended = wait(Duration::from_secs(20), || !matches!(running.try_wait(), Ok(None)));
    let _ = running.kill();
    let _ = running.wait();
    let gone = wait(Duration::from_secs(10), || read_pids(&pids).iter().all(|pid| !alive(pid)));
    let left = std::fs::read_dir(folder.path().join("tmp")).map(|all| all.count()).unwrap_or_default();
    let clean = signal == "-KILL" || left == 1;
    if started && signalled.is_ok_and(|status| status.success()) && ended && gone && clean {
        return Ok(());
    }
    Err(format!("started {started}, ended {ended}, gone {gone}, {left} files left, after {:?}", begun.elapsed()).into())
}

fn start(folder: &Path, envoy: &Path, pids: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_pwtest"))
        .args(["run", "--host", &host(envoy), "one.yaml"])
        .current_dir(folder)
        .env("PWTEST_PIDS", pids)
        .env("TMPDIR", folder.join("tmp"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs")
}

fn wait(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + limit;
    while Instant::now() < until {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    done()
}

fn read_pids(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Whether a process runs; one that has ended and was not waited for does not.
fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

fn conformance(path: &Path) -> Result<(), Failed> {
    let ran = pwtest(&root(), &["conformance", "--host", &host(path), "--format", "json"]);
    check(ran.code == 0, "no case differs", &ran)?;
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).map_err(|error| error.to_string())?;
    let passed = json.pointer(&format!("/sum/{}/passed", host(path).replace('~', "~0").replace('/', "~1")));
    let passed = passed.and_then(serde_json::Value::as_u64).unwrap_or_default();
    check(passed >= 200, &format!("at least 200 cases are decided, not {passed}"), &ran)
}

fn plugins_alike(path: &Path) -> Result<(), Failed> {
    let ran = pwtest(&root(), &["compare", "--host", "envoy", "--host", &host(path), "t/plugins"]);
    check(ran.code == 0, "what both ends see, the logs and the calls are the same", &ran)
}

/// The case behind it is not harmed.
fn hangs(path: &Path) -> Result<(), Failed> {
    let scenario = "plugin: endless.wat\ncases:\n  - name: hangs\n    request: GET http://app.test/hang\n    \
                    expect: { client_sees: { status: 200 } }\n    snapshot: false\n  - name: passes\n    \
                    request: POST http://app.test/\n    expect: { client_sees: { status: 200 } }\n    snapshot: false\n";
    // Loops where the request ends with its head, so not for one with a body.
    let plugin = "(module (memory (export \"memory\") 1) (func (export \"proxy_abi_version_0_2_1\"))\n\
                  (func (export \"malloc\") (param i32) (result i32) i32.const 1024)\n\
                  (func (export \"proxy_on_request_headers\") (param i32 i32 i32) (result i32)\n\
                  (if (local.get 2) (then (loop $on (br $on)))) (i32.const 0)))";
    let scenario =
        scenario.replace("request: POST http://app.test/", "request: { send: POST http://app.test/, body: [ a ] }");
    let folder = workspace(&[("hang.yaml", &scenario), ("endless.wat", plugin)]);
    let ran = pwtest(folder.path(), &["run", "--host", &host(path), "hang.yaml"]);
    check(ran.code == 1 && ran.stdout.contains("a plugin hangs it"), "the hanging case says so", &ran)?;
    check(ran.stdout.contains("1 passed, 1 failed"), "the other case passes", &ran)
}

fn crashes(path: &Path) -> Result<(), Failed> {
    let scenario = "plugin: FIXTURES/wat/portable.wat\ncases:\n  - name: crashes\n    request: GET http://app.test/log:/local,500,x\n    \
                    expect: { client_sees: { status: 200 } }\n    snapshot: false\n  - name: passes\n    \
                    request: GET http://app.test/\n    expect: { client_sees: { status: 200 } }\n    snapshot: false\n";
    let folder = workspace(&[("crash.yaml", scenario)]);
    let ran = pwtest(folder.path(), &["run", "--host", &host(path), "crash.yaml"]);
    check(ran.code == 1 && ran.stdout.contains("local-response-at-end"), "the case that crashes Envoy says so", &ran)?;
    check(ran.stdout.contains("1 passed, 1 failed"), "the other case passes", &ran)
}

fn leaves_nothing(path: &Path) -> Result<(), Failed> {
    let folder = workspace(&[("one.yaml", ONE), ("tmp/.keep", "")]);
    // The wrapper's process becomes Envoy's.
    let envoy = script(folder.path(), &format!("exec '{}' \"$@\"\n", path.display()));
    let pids = folder.path().join("pids");
    let one = std::fs::read_to_string(folder.path().join("one.yaml")).map_err(|error| error.to_string())?;
    // A case that takes a few seconds on a real Envoy.
    let slow = one.replace("    snapshot: false", "    upstream: { fail: timeout }\n    snapshot: false");
    let failing = one.replace("200", "418");
    for (signal, case) in [("", &one), ("", &failing), ("-INT", &slow), ("-TERM", &slow), ("-KILL", &slow)] {
        std::fs::write(folder.path().join("one.yaml"), case).map_err(|error| error.to_string())?;
        let _ = std::fs::remove_file(&pids);
        let mut running = start(folder.path(), &envoy, &pids);
        if !signal.is_empty() {
            let started = wait(Duration::from_secs(60), || !read_pids(&pids).is_empty());
            let sent = Command::new("kill").arg(signal).arg(running.id().to_string()).status();
            if !started || !sent.is_ok_and(|status| status.success()) {
                let _ = running.kill();
                let _ = running.wait();
                return Err(format!("{signal}: started {started}").into());
            }
        }
        let status = running.wait().map_err(|error| error.to_string())?;
        let ids = read_pids(&pids);
        // Nobody is left to wait for the end of what `kill -9` leaves.
        let limit = if signal == "-KILL" { Duration::from_secs(20) } else { Duration::ZERO };
        let gone = wait(limit, || ids.iter().all(|pid| !alive(pid)));
        let left = std::fs::read_dir(folder.path().join("tmp")).map(|all| all.count()).unwrap_or_default();
        if ids.is_empty() || !gone || (signal != "-KILL" && left != 1) {
            return Err(format!("{signal} {status}, processes {ids:?}, gone {gone}, {left} files left").into());
        }
    }
    Ok(())
}
