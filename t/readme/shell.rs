//! The terminal that a reader of the README has: a folder, servers in the background, and the commands `pwtest`, `curl`,
//! `kill` and `cat`. Any other command is refused, so that no line of the README goes untried.
//!
//! Servers get ports that the system chooses. Whatever names a port of the README afterwards means the chosen one,
//! in commands and in files alike, and outputs have the README's again.

use super::curl;
use crate::serve_cli::support::{LONG, Server};
use crate::support::pwtest_with;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Who runs the command `curl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Our own.
    StandIn,
    /// The machine's.
    Curl,
}

/// A server in the background.
struct Job {
    /// Its `%1`, `%2`: one more than the highest that still runs, as shells count.
    number: usize,
    server: Server,
    /// How much of its standard error and output was shown.
    shown: (usize, usize),
    ended: bool,
}

impl Job {
    /// All that was written and not shown, and how much there is by now.
    fn news(&self) -> (String, (usize, usize)) {
        let (stderr, stdout) = (self.server.stderr.now(), self.server.stdout.now());
        let news = [stderr.get(self.shown.0..), stdout.get(self.shown.1..)];
        (news.into_iter().flatten().collect(), (stderr.len(), stdout.len()))
    }
}

/// The terminal.
pub struct Shell {
    folder: PathBuf,
    /// Files of the README, with its ports.
    files: Vec<(String, String)>,
    client: Client,
    jobs: Vec<Job>,
    /// The README's ports, and those that stand for them.
    ports: BTreeMap<u16, u16>,
}

impl Shell {
    /// A terminal in this folder, with these files in it.
    pub fn new(folder: &Path, files: Vec<(String, String)>, client: Client) -> Result<Self, String> {
        let shell = Self { folder: folder.to_owned(), files, client, jobs: Vec::new(), ports: BTreeMap::new() };
        shell.write_files()?;
        Ok(shell)
    }

    /// Runs a command and waits until what is shown is right; what was shown instead, if it never is.
    pub fn run(&mut self, command: &str, is_right: &dyn Fn(&str) -> bool) -> Result<(), String> {
        let words = words(&self.with_chosen(command))?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut output = match &*words {
            ["pwtest", "serve", arguments @ .., "&"] => self.serve(arguments)?,
            // The set-up command is the same program, built first.
            ["pwtest", arguments @ ..] | ["cargo", "run", "-q", "--", arguments @ ..] => {
                let ran = pwtest_with(&self.folder, arguments, &[]);
                let output = format!("{}{}", ran.stdout, ran.stderr);
                if !(0..=4).contains(&ran.code) {
                    return Err(format!("{output}\nexit code {}", ran.code));
                }
                output
            }
            ["curl", arguments @ ..] => match self.client {
                Client::StandIn => curl::stand_in(arguments)?,
                Client::Curl => curl::real(arguments)?,
            },
            ["kill", arguments @ ..] => self.kill(arguments)?,
            ["cat", file] => {
                std::fs::read_to_string(self.folder.join(file)).map_err(|error| format!("{file}: {error}"))?
            }
            _ => return Err("it is not known to the test: see `t/readme/shell.rs`".to_owned()),
        };
        // The README's lines begin where lines begin, whoever wrote the one before.
        if !output.is_empty() && !output.ends_with('\n') {
            output.push('\n');
        }
        let end = Instant::now() + if self.jobs.is_empty() { Duration::ZERO } else { LONG };
        loop {
            let (news, lengths): (Vec<String>, Vec<(usize, usize)>) = self.jobs.iter().map(Job::news).unzip();
            let shown = self.with_shown(&format!("{output}{}", news.concat()));
            if is_right(&shown) {
                // What comes from now on is news for the next command.
                self.jobs.iter_mut().zip(lengths).for_each(|(job, lengths)| job.shown = lengths);
                return Ok(());
            }
            if Instant::now() > end {
                return Err(shown);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Says whether everything that was started has been ended.
    pub fn leave(self) -> Result<(), String> {
        let left = self.jobs.iter().filter(|job| !job.ended).map(|job| format!("%{}", job.number));
        let left: Vec<String> = left.collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{} still run at the end", left.join(", "))) }
    }

    /// Starts a server on ports of the system's choice.
    fn serve(&mut self, arguments: &[&str]) -> Result<String, String> {
        // One that was taken before stands in the command as it was chosen then.
        let again =
            |port: u16| self.ports.iter().find(|(_, chosen)| **chosen == port).map_or(port, |(shown, _)| *shown);
        let port_of = |address: &str| address.rsplit(':').next().and_then(|port| port.parse().ok()).map(again);
        let (mut given, mut listen, mut admin) = (Vec::new(), 9080, 9180);
        let mut rest = arguments.iter().copied().peekable();
        while let Some(word) = rest.next() {
            given.push(word);
            let shown = match word {
                "--listen" => &mut listen,
                "--admin" => &mut admin,
                _ => continue,
            };
            if let Some(port) = rest.next_if(|next| !next.starts_with("--")) {
                *shown = port_of(port).ok_or(format!("`{port}` is no address"))?;
            }
            given.push("0");
        }
        let server = Server::start(&self.folder, &given)?;
        self.ports.insert(listen, server.address.port());
        if let Some(address) = server.admin {
            self.ports.insert(admin, address.port());
        }
        let number = self.jobs.iter().filter(|job| !job.ended).map(|job| job.number + 1).max().unwrap_or(1);
        self.jobs.push(Job { number, server, shown: (0, 0), ended: false });
        self.write_files()?;
        Ok(String::new())
    }

    /// `kill %1 %2`, `kill -HUP %1`. What is told to stop has to.
    fn kill(&mut self, arguments: &[&str]) -> Result<String, String> {
        let (signal, jobs) = match arguments {
            [first, rest @ ..] if first.starts_with('-') => (first.trim_start_matches('-'), rest),
            all => ("TERM", all),
        };
        for name in jobs {
            let is_it = |job: &&mut Job| !job.ended && format!("%{}", job.number) == *name;
            let job = self.jobs.iter_mut().find(is_it);
            let job = job.ok_or(format!("there is no job `{name}`"))?;
            job.server.signal(signal);
            if signal == "TERM" {
                let code = job.server.end()?;
                job.ended = true;
                if code != Some(0) {
                    return Err(format!("{name} ended with {code:?}\n{}", job.server.stderr.now()));
                }
            }
        }
        Ok(String::new())
    }

    /// Writes the files whose ports have changed.
    fn write_files(&self) -> Result<(), String> {
        for (name, text) in &self.files {
            let (path, text) = (self.folder.join(name), self.with_chosen(text));
            if std::fs::read_to_string(&path).is_ok_and(|there| there == text) {
                continue;
            }
            let parent = path.parent().unwrap_or(&self.folder);
            let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, text));
            written.map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(())
    }

    fn with_chosen(&self, text: &str) -> String {
        replaced(text, self.ports.iter().map(|(shown, chosen)| (*shown, *chosen)).collect())
    }

    fn with_shown(&self, text: &str) -> String {
        replaced(text, self.ports.iter().map(|(shown, chosen)| (*chosen, *shown)).collect())
    }
}

/// Ports of 127.0.0.1 replaced.
fn replaced(text: &str, ports: BTreeMap<u16, u16>) -> String {
    let address = regex::Regex::new(r"127\.0\.0\.1:(\d+)").expect("a pattern");
    let by = |found: &regex::Captures<'_>| {
        let port = found[1].parse().ok().and_then(|port: u16| ports.get(&port).copied());
        port.map_or_else(|| found[0].to_owned(), |port| format!("127.0.0.1:{port}"))
    };
    address.replace_all(text, by).into_owned()
}

/// The words of a command, with single quotes and lines that go on.
fn words(command: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    for c in command.replace("\\\n", " ").chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' | '\n' if !quoted => words.extend(word.take()),
            '"' | '$' | '|' | ';' | '>' | '<' | '`' | '*' | '\\' if !quoted => {
                return Err(format!("`{c}` is not known to the test outside of single quotes"));
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}
