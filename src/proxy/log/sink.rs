//! Where lines go: a buffer that threads append to, and one thread that writes it out.
//!
//! A worker never waits for a disk or for whoever reads a pipe. What waits to be written is bounded: past the bound
//! lines are dropped, counted, and the count is written as soon as something can be. At a stop everything that was
//! accepted is written, within the time that is given for it. Lines are kept in the order of their arrival and are
//! never mixed.

use super::backtrace::{self, TrapLine};
use crate::host::backtrace::Backtraces;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that may wait.
const MOST_WAITING: usize = 8 << 20;
/// As soon as so many wait, they are written.
const ENOUGH: usize = 64 << 10;
/// For so long the first line waits for others, so that a busy server makes few system calls.
const PATIENCE: Duration = Duration::from_millis(5);

/// Where a sink writes to.
pub enum Destination {
    /// A stream of the process.
    Stream(Box<dyn Write + Send>),
    /// A file that is appended to, and opened again by its name when asked (as `logrotate` wants it).
    File(PathBuf),
}

/// A handle for writing; all clones write to the same place.
#[derive(Clone)]
pub struct Sink {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Item>,
    bytes: usize,
    dropped: u64,
    stopping: bool,
    reopen: bool,
    /// The thread has nothing in its hands.
    idle: bool,
}

enum Item {
    /// Whole lines.
    Text { bytes: Vec<u8>, lines: u64 },
    /// Its frames are looked up by the thread that writes: that takes long.
    Trap(Box<TrapLine>),
}

/// Makes the line that tells how many were dropped, for the log itself or for another one.
pub type OnDropped = Box<dyn FnMut(u64, &mut Vec<u8>) + Send>;

impl Sink {
    /// Starts the thread.
    pub fn start(name: &str, destination: Destination, on_dropped: OnDropped) -> io::Result<Self> {
        let output = Output::open(destination)?;
        let state = State { idle: true, ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), written: Condvar::new() });
        let sink = Self { shared: shared.clone() };
        thread::Builder::new()
            .name(format!("log {name}"))
            .spawn(move || Writer { shared, output, on_dropped }.run())?;
        Ok(sink)
    }

    /// Adds whole lines, each ended.
    pub fn write(&self, lines: &[u8]) {
        self.shared.add(lines.len(), |waiting| match waiting.back_mut() {
            Some(Item::Text { bytes, lines: count }) if bytes.len() < ENOUGH => {
                bytes.extend_from_slice(lines);
                *count += 1;
            }
            Some(_) | None => waiting.push_back(Item::Text { bytes: lines.to_vec(), lines: 1 }),
        });
    }

    /// Adds a trap, in the order of its arrival.
    pub(super) fn trap(&self, line: TrapLine) {
        self.shared.add(backtrace::SIZE, |waiting| waiting.push_back(Item::Trap(Box::new(line))));
    }

    /// Opens the file again by its name.
    pub fn reopen(&self) {
        self.shared.lock().reopen = true;
        self.shared.changed.notify_one();
    }

    /// Waits until everything has been written; `false` when there was no time for it.
    pub fn flush(&self, within: Duration) -> bool {
        let end = Instant::now() + within;
        let mut state = self.shared.lock();
        while !(state.idle && state.waiting.is_empty()) {
            let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return false;
            };
            state = self.shared.written.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Writes what is there and ends the thread; `false` when there was no time for it.
    pub fn stop(&self, within: Duration) -> bool {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_one();
        self.flush(within)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, size: usize, add: impl FnOnce(&mut VecDeque<Item>)) {
        let mut state = self.lock();
        if state.bytes.saturating_add(size) > MOST_WAITING {
            state.dropped += 1;
            return;
        }
        let before = state.bytes;
        state.bytes += size;
        add(&mut state.waiting);
        let wakes = before == 0 || (before < ENOUGH && state.bytes >= ENOUGH);
        drop(state);
        if wakes {
            self.changed.notify_one();
        }
    }
}

/// An open destination.
struct Output {
    stream: Box<dyn Write + Send>,
    /// For opening it again.
    path: Option<PathBuf>,
}

impl Output {
    fn open(destination: Destination) -> io::Result<Self> {
        Ok(match destination {
            Destination::Stream(stream) => Self { stream, path: None },
            Destination::File(path) => Self { stream: Box::new(append(&path)?), path: Some(path) },
        })
    }

    fn reopen(&mut self) {
        // Where that fails the old file is better than none.
        if let Some(Ok(file)) = self.path.as_deref().map(append) {
            self.stream = Box::new(file);
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// The thread.
struct Writer {
    shared: Arc<Shared>,
    output: Output,
    on_dropped: OnDropped,
}

impl Writer {
    fn run(mut self) {
        let mut backtraces = Backtraces::default();
        loop {
            let mut state = self.shared.lock();
            while state.waiting.is_empty() && !state.stopping && !state.reopen {
                state.idle = true;
                self.shared.written.notify_all();
                state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.waiting.is_empty() && state.stopping {
                state.idle = true;
                self.shared.written.notify_all();
                return;
            }
            state.idle = false;
            if !state.stopping && state.bytes < ENOUGH {
                let wait = self.shared.changed.wait_timeout(state, PATIENCE);
                state = wait.unwrap_or_else(PoisonError::into_inner).0;
            }
            let items = std::mem::take(&mut state.waiting);
            state.bytes = 0;
            let dropped = std::mem::take(&mut state.dropped);
            let reopen = std::mem::take(&mut state.reopen);
            drop(state);
            if reopen {
                self.output.reopen();
            }
            let lost = self.write(items, dropped, &mut backtraces);
            self.shared.lock().dropped += lost;
        }
    }

    /// Gives the number of lines that could not be written.
    fn write(&mut self, items: VecDeque<Item>, dropped: u64, backtraces: &mut Backtraces) -> u64 {
        let mut lost = 0;
        for item in items {
            let (bytes, lines) = match item {
                Item::Text { bytes, lines } => (bytes, lines),
                Item::Trap(trap) => (trap.render(backtraces), 1),
            };
            if self.output.stream.write_all(&bytes).is_err() {
                lost += lines;
            }
        }
        if dropped > 0 && lost == 0 {
            let mut note = Vec::new();
            (self.on_dropped)(dropped, &mut note);
            if self.output.stream.write_all(&note).is_err() {
                lost += dropped;
            }
        } else {
            lost += dropped;
        }
        // A stream may have a buffer of its own.
        let _ = self.output.stream.flush();
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const SOON: Duration = Duration::from_secs(20);

    /// What was written, piece by piece; a piece is taken only when somebody takes it.
    struct Slow(mpsc::SyncSender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn note(count: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{count} dropped\n").as_bytes());
    }

    #[test]
    fn lines_of_many_threads_are_whole_and_none_is_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let sink = Sink::start("test", Destination::File(path.clone()), Box::new(note)).expect("a file");
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let sink = sink.clone();
                thread::spawn(move || {
                    (0..500).for_each(|line| sink.write(format!("thread {thread} line {line}\n").as_bytes()));
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        assert!(sink.stop(SOON));
        let text = std::fs::read_to_string(path).expect("the file");
        for thread in 0..4 {
            let own = format!("thread {thread} ");
            let lines: Vec<_> = text.lines().filter(|line| line.starts_with(&own)).collect();
            let expected: Vec<_> = (0..500).map(|line| format!("thread {thread} line {line}")).collect();
            assert_eq!(lines, expected);
        }
        assert_eq!(text.lines().count(), 2000);
    }

    #[test]
    fn a_reader_that_stands_still_costs_lines_and_not_memory_or_time() {
        let (sender, receiver) = mpsc::sync_channel(0);
        let sink = Sink::start("test", Destination::Stream(Box::new(Slow(sender))), Box::new(note)).expect("a thread");
        let line = vec![b'x'; 1 << 20];
        // Nobody reads: the first ones are in the writer's hands, then the bound is reached.
        for _ in 0..40 {
            sink.write(&line);
        }
        assert!(sink.shared.lock().bytes <= MOST_WAITING);
        assert!(!sink.flush(Duration::from_millis(1)));
        let reader = thread::spawn(move || receiver.iter().collect::<Vec<_>>());
        sink.write(b"again\n");
        assert!(sink.stop(SOON));
        drop(sink);
        let pieces = reader.join().expect("no panic").concat();
        let text = String::from_utf8(pieces).expect("text");
        let kept = text.matches('x').count() >> 20;
        assert!(kept < 40);
        let told: usize = text
            .lines()
            .filter_map(|line| line.trim_start_matches('x').strip_suffix(" dropped")?.parse::<usize>().ok())
            .sum();
        let again = text.matches("again").count();
        assert_eq!(kept + told + again, 41);
    }

    #[test]
    fn a_reader_that_is_gone_is_no_error() {
        let (sender, receiver) = mpsc::sync_channel(0);
        drop(receiver);
        let sink = Sink::start("test", Destination::Stream(Box::new(Slow(sender))), Box::new(note)).expect("a thread");
        sink.write(b"one\n");
        assert!(sink.stop(SOON));
    }

    #[test]
    fn a_file_that_was_moved_away_is_opened_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let sink = Sink::start("test", Destination::File(path.clone()), Box::new(note)).expect("a file");
        sink.write(b"one\n");
        assert!(sink.flush(SOON));
        std::fs::rename(&path, folder.path().join("log.1")).expect("moves");
        sink.reopen();
        sink.write(b"two\n");
        assert!(sink.stop(SOON));
        assert_eq!(std::fs::read(folder.path().join("log.1")).expect("a file"), b"one\n");
        assert_eq!(std::fs::read(&path).expect("a file"), b"two\n");
    }
}
