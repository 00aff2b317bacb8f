//! `curl`: the machine's, or a stand-in for machines that have none, which knows the options that the README uses and
//! refuses others.

use crate::serve_cli::support::LONG;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

/// Whether the machine has one.
pub fn is_installed() -> bool {
    let version = Command::new("curl").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// The machine's, whatever somebody has configured for it.
pub fn real(arguments: &[&str]) -> Result<String, String> {
    let limits = ["-q", "--noproxy", "*", "--max-time", "60"];
    let ran = Command::new("curl").args(limits).args(arguments).output().map_err(|error| error.to_string())?;
    match ran.status.success() {
        true => Ok(String::from_utf8_lossy(&ran.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&ran.stderr).into_owned()),
    }
}

/// What a command line asks for.
struct Asked<'a> {
    url: &'a str,
    method: Option<&'a str>,
    headers: Vec<&'a str>,
    data: Option<&'a str>,
    head_is_shown: bool,
}

fn read<'a>(arguments: &[&'a str]) -> Result<Asked<'a>, String> {
    let mut asked = Asked { url: "", method: None, headers: Vec::new(), data: None, head_is_shown: false };
    let mut rest = arguments.iter().copied();
    while let Some(word) = rest.next() {
        let mut value = || rest.next().ok_or(format!("`{word}` has no value"));
        match word {
            "-i" => asked.head_is_shown = true,
            "-X" => asked.method = Some(value()?),
            "-H" => asked.headers.push(value()?),
            "-d" => asked.data = Some(value()?),
            option if option.starts_with('-') => return Err(format!("the stand-in for curl has no `{option}`")),
            url if asked.url.is_empty() => asked.url = url,
            second => return Err(format!("`{second}` is a second URL")),
        }
    }
    Ok(asked)
}

/// Does what curl would do.
pub fn stand_in(arguments: &[&str]) -> Result<String, String> {
    let Asked { url, method, headers, data, head_is_shown } = read(arguments)?;
    let rest = url.strip_prefix("http://").ok_or(format!("`{url}` is no http URL"))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let method = method.unwrap_or(if data.is_some() { "POST" } else { "GET" });
    let mut text =
        format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: curl/8.0.0\r\nAccept: */*\r\n");
    for header in headers {
        text += &format!("{header}\r\n");
    }
    if let Some(data) = data {
        let length = data.len();
        text += &format!("Content-Length: {length}\r\nContent-Type: application/x-www-form-urlencoded\r\n");
    }
    text += "\r\n";
    text += data.unwrap_or_default();
    let (head, body) = exchange(authority, &text).map_err(|error| format!("{url}: {error}"))?;
    Ok(if head_is_shown { head + &body } else { body })
}

/// Sends a request and reads the response to it: the head with the empty line, and the body without its framing.
fn exchange(authority: &str, request: &str) -> std::io::Result<(String, String)> {
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(LONG))?;
    stream.write_all(request.as_bytes())?;
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(answer) = whole(&String::from_utf8_lossy(&got)) {
            return Ok(answer);
        }
        match stream.read(&mut buffer)? {
            0 => return Err(std::io::Error::other(format!("it ended after {:?}", String::from_utf8_lossy(&got)))),
            read => got.extend_from_slice(&buffer[..read]),
        }
    }
}

/// The response, if all of it is there. The README's are text.
fn whole(text: &str) -> Option<(String, String)> {
    let (head, rest) = text.split_once("\r\n\r\n")?;
    let lower = head.to_lowercase();
    let header = |name: &str| lower.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let body = match (header("transfer-encoding"), header("content-length")) {
        (Some(_), _) => unchunked(rest)?,
        (None, Some(length)) => rest.get(..length.trim().parse().ok()?)?.to_owned(),
        (None, None) => return None,
    };
    Some((format!("{head}\r\n\r\n"), body))
}

fn unchunked(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return after.contains("\r\n").then_some(body);
        }
        body.push_str(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix("\r\n")?;
    }
}
