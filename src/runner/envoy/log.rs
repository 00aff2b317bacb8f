//! Envoy's log file: where one record ends and the next begins, who wrote it, and how far it has been read.
//!
//! A plugin's message may hold line breaks and anything else, so records are told apart by a mark that is drawn
//! for each process. Envoy's worker writes each line before it goes on, so that once the worker has answered
//! somebody, everything it logged before is in the file.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// One record of Envoy's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it begins in the file.
    pub offset: u64,
    /// Whether Envoy's worker wrote it, and not the main thread, where plugins are started too.
    pub worker: bool,
    /// `trace` to `critical`.
    pub level: String,
    /// The text, line breaks and all.
    pub text: Vec<u8>,
}

/// More than this no case logs; a plugin that logs without end is stopped.
pub const LARGEST: u64 = 256 << 20;

/// The log of one Envoy.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    mark: String,
    read: u64,
}

impl LogFile {
    /// A log that nothing was read of.
    pub fn new(path: PathBuf) -> Self {
        let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_nanos());
        // Not a secret: a plugin would have to guess it to forge a record, and gain a wrong test.
        let mark = format!("\u{1e}pwtest-{:x}-{nanos:x} ", std::process::id());
        Self { path, mark, read: 0 }
    }

    /// What Envoy gets as `--log-format`.
    pub fn format(&self) -> String {
        format!("{}%P %t %l %v", self.mark)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How long the file is.
    pub fn length(&self) -> u64 {
        length(&self.path)
    }

    /// Everything that was written since the last time.
    pub fn read_new(&mut self) -> std::io::Result<Vec<Record>> {
        let mut file = std::fs::File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut text = Vec::new();
        file.take(LARGEST).read_to_end(&mut text)?;
        let records = records(&text, self.mark.as_bytes(), self.read);
        self.read += text.len() as u64;
        Ok(records)
    }

    /// The last lines of what is not the plugins', for people.
    pub fn tail(&self) -> String {
        const MOST: usize = 12;
        let text = std::fs::read(&self.path).unwrap_or_default();
        let start = text.len().saturating_sub(1 << 20);
        let text = text.get(start..).unwrap_or_default();
        let all = records(text, self.mark.as_bytes(), 0);
        let serious: Vec<String> = all
            .iter()
            .filter(|record| matches!(record.level.as_str(), "warning" | "error" | "critical"))
            .flat_map(|record| String::from_utf8_lossy(&record.text).lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let lines = match all.is_empty() {
            // Not Envoy's format: a loader's message, a script's.
            true => String::from_utf8_lossy(text).lines().map(str::to_owned).collect(),
            false => serious,
        };
        lines.get(lines.len().saturating_sub(MOST)..).unwrap_or_default().join("\n")
    }
}

/// How long a file is; 0 where it can't be asked.
pub fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.len())
}

fn records(text: &[u8], mark: &[u8], base: u64) -> Vec<Record> {
    let mut found = Vec::new();
    let mut starts = Vec::new();
    let mut from = 0;
    while let Some(at) = find(text.get(from..).unwrap_or_default(), mark) {
        let at = from + at;
        // A record begins a line.
        if at == 0 || text.get(at - 1) == Some(&b'\n') {
            starts.push(at);
        }
        from = at + mark.len();
    }
    for (i, start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).copied().unwrap_or(text.len());
        let body = text.get(start + mark.len()..end).unwrap_or_default();
        let body = body.strip_suffix(b"\n").unwrap_or(body);
        found.extend(record(body, base + *start as u64));
    }
    found
}

fn record(body: &[u8], offset: u64) -> Option<Record> {
    let mut parts = body.splitn(4, |byte| *byte == b' ');
    let (process, thread, level) = (parts.next()?, parts.next()?, parts.next()?);
    let text = parts.next()?.to_vec();
    Some(Record { offset, worker: process != thread, level: String::from_utf8_lossy(level).into_owned(), text })
}

pub(super) fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len().max(1)).position(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_may_hold_line_breaks() {
        let text = b"\x1em 7 7 info one\n\x1em 7 9 error two\nthree \x1em 7 9 info four\n\n\x1em 7 9 info \n";
        let found = records(text, b"\x1em ", 100);
        let texts: Vec<&[u8]> = found.iter().map(|record| &record.text[..]).collect();
        assert_eq!(texts, [&b"one"[..], b"two\nthree \x1em 7 9 info four\n", b""]);
        assert_eq!(
            found.iter().map(|r| (r.offset, r.worker)).collect::<Vec<_>>(),
            [(100, false), (116, true), (157, true)]
        );
        assert_eq!(found[1].level, "error");
    }

    #[test]
    fn what_is_no_record_is_left_out() {
        assert_eq!(records(b"sh: not found\n", b"\x1em ", 0), []);
        assert_eq!(records(b"\x1em 7\n", b"\x1em ", 0), []);
    }
}
