//! `--record`: a thread that writes down what passes. Nobody waits for it; what comes faster than it can be tried out and
//! written is lost, and the error log says how much.

use super::arguments::Wanted;
use crate::host::engine::{ModuleCache, engine};
use crate::proxy::journal::Journal;
use crate::proxy::log::{ErrorLog, Severity};
use crate::proxy::record::{Collector, Heard, Serving};
use crate::runner::Plugins;
use crate::runner::record::{Masks, Outcome, Recorder, Setting};
use anyhow::Context as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// Requests that wait to be written.
const WAITING: usize = 256;
/// How long what waits may take at the end.
const GRACE: Duration = Duration::from_secs(10);
/// What was lost is not said more often.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// A recording under way.
pub(super) struct Recording {
    to: SyncSender<Heard>,
    ended: Receiver<()>,
}

/// Starts one, if one is wanted, and has the journal listen for it.
pub(super) fn start(wanted: &Wanted, journal: Journal) -> anyhow::Result<(Journal, Option<Recording>)> {
    let Some(folder) = &wanted.record else { return Ok((journal, None)) };
    let cache = if wanted.cache { ModuleCache::User } else { ModuleCache::Off };
    let plugins = Plugins::new(engine(&cache)?);
    let recorder = Recorder::new(folder, Masks::new(&wanted.mask), plugins, wanted.profile)?;
    let (to, heard) = sync_channel(WAITING);
    let (end, ended) = sync_channel(1);
    let lost = Arc::new(AtomicU64::new(0));
    let collector = Collector::new(to.clone(), lost.clone());
    let writer = Writer { recorder, serving: None, errors: journal.errors().clone(), lost, said: 0, last: None };
    let thread = std::thread::Builder::new().name("record".to_owned());
    let run = move || {
        writer.run(&heard);
        let _ = end.send(());
    };
    thread.spawn(run).context("no thread for the recording")?;
    Ok((journal.recording(collector), Some(Recording { to, ended })))
}

impl Recording {
    /// Writes what waits, and nothing that comes later.
    pub(super) fn stop(self) {
        let until = Instant::now() + GRACE;
        let mut end = Heard::End;
        while let Err(TrySendError::Full(back)) = self.to.try_send(end) {
            if Instant::now() > until {
                return;
            }
            end = back;
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.ended.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

struct Writer {
    recorder: Recorder,
    serving: Option<Arc<Serving>>,
    errors: ErrorLog,
    lost: Arc<AtomicU64>,
    /// How many lost ones have been told of, and when.
    said: u64,
    last: Option<Instant>,
}

impl Writer {
    fn run(mut self, heard: &Receiver<Heard>) {
        while let Ok(Heard::Request(passed, serving)) = heard.recv() {
            if !self.serving.as_ref().is_some_and(|known| Arc::ptr_eq(known, &serving)) {
                let setting = Setting { resources: serving.resources.clone(), route: serving.route.clone() };
                self.serving = Some(serving);
                if let Err(error) = self.recorder.set(&setting) {
                    self.errors.say(Severity::Error, &format!("recording: {error}"));
                }
            }
            match self.recorder.record(*passed) {
                Ok(Outcome::Written(_)) => {}
                Ok(Outcome::LeftOut(line)) => self.errors.say(Severity::Info, &format!("recording: {line}")),
                Err(error) => {
                    // With a full disk every request would say so.
                    self.errors.say(Severity::Error, &format!("recording has ended: {error}"));
                    return;
                }
            }
            if self.last.is_none_or(|last| last.elapsed() > SAID_EVERY) {
                self.say_lost();
            }
        }
        self.say_lost();
    }

    fn say_lost(&mut self) {
        let lost = self.lost.load(Ordering::Relaxed);
        if lost > self.said {
            let more = lost - self.said;
            let line = format!("recording: {more} requests are not recorded, more came than could be written");
            self.errors.say(Severity::Warn, &line);
            (self.said, self.last) = (lost, Some(Instant::now()));
        }
    }
}
