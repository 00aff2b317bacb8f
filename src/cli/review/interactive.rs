//! The conversation of `pwtest review` on a terminal: one screen for each snapshot, one key for each
//! decision.
//!
//! The terminal is only in raw mode while it waits for a key, and Ctrl-C arrives as a key; so
//! whatever ends the conversation leaves the terminal as it was. A decision is carried out at once,
//! not at the end: what was decided before a crash stays decided.

use std::io;

use console::{Key, Style, Term};

use super::{PASSED, PENDING, body, explained, title};
use crate::snapshot::{Pending, SnapshotError};

/// Where the conversation takes place; a trait, so that a test can have it without a terminal.
pub(super) trait Screen {
    /// Replaces what is shown.
    fn show(&mut self, text: &str) -> io::Result<()>;
    /// Waits for a key.
    fn key(&mut self) -> io::Result<Key>;
    /// Says what came of it, after all.
    fn end(&mut self, text: &str) -> io::Result<()>;
}

/// The real one.
pub(super) struct Terminal(Term);

impl Default for Terminal {
    fn default() -> Self {
        Self(Term::stdout())
    }
}

impl Screen for Terminal {
    fn show(&mut self, text: &str) -> io::Result<()> {
        self.0.clear_screen()?;
        self.0.write_str(text)
    }

    fn key(&mut self) -> io::Result<Key> {
        match self.0.read_key_raw() {
            // The terminal went away.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Key::CtrlC),
            key => key,
        }
    }

    fn end(&mut self, text: &str) -> io::Result<()> {
        Term::stderr().write_str(text)
    }
}

/// What a key means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Accept,
    Reject,
    Skip,
    AcceptAll,
    RejectAll,
    Toggle,
    Quit,
}

impl Answer {
    /// Keys and meanings as in `cargo insta review`; other keys mean nothing.
    fn of(key: &Key) -> Option<Self> {
        Some(match key {
            Key::Char('a') => Answer::Accept,
            Key::Char('r') => Answer::Reject,
            Key::Char('s') => Answer::Skip,
            Key::Char('A') => Answer::AcceptAll,
            Key::Char('R') => Answer::RejectAll,
            Key::Char('d') => Answer::Toggle,
            Key::Char('q' | '\u{4}') | Key::CtrlC => Answer::Quit,
            _ => return None,
        })
    }
}

/// Asks about each snapshot; returns the exit code.
pub(super) fn review(pending: &[Pending], colour: bool, screen: &mut dyn Screen) -> io::Result<u8> {
    let mut talk = Talk { colour, whole: false, accepted: Vec::new(), rejected: Vec::new(), left: Vec::new() };
    let mut at = 0;
    let mut trouble = None;
    while let Some(one) = pending.get(at) {
        screen.show(&talk.page(one, at, pending.len(), trouble.take().as_ref()))?;
        let answer = loop {
            if let Some(answer) = Answer::of(&screen.key()?) {
                break answer;
            }
        };
        match answer {
            Answer::Accept | Answer::Reject => match talk.decide(one, answer == Answer::Accept) {
                Ok(()) => at += 1,
                Err(error) => trouble = Some(error), // the same page again, with the reason
            },
            Answer::Skip => {
                talk.left.push(&one.name);
                at += 1;
            }
            Answer::AcceptAll | Answer::RejectAll => {
                let mut failed = String::new();
                for one in &pending[at..] {
                    if let Err(error) = talk.decide(one, answer == Answer::AcceptAll) {
                        failed += &explained(&error);
                        talk.left.push(&one.name);
                    }
                }
                screen.end(&failed)?;
                break;
            }
            Answer::Toggle => talk.whole = !talk.whole,
            Answer::Quit => {
                talk.left.extend(pending[at..].iter().map(|one| one.name.as_str()));
                break;
            }
        }
    }
    screen.end(&talk.summary())?;
    Ok(if talk.left.is_empty() { PASSED } else { PENDING })
}

struct Talk<'a> {
    colour: bool,
    whole: bool,
    accepted: Vec<&'a str>,
    rejected: Vec<&'a str>,
    left: Vec<&'a str>,
}

impl<'a> Talk<'a> {
    fn decide(&mut self, pending: &'a Pending, accept: bool) -> Result<(), SnapshotError> {
        match accept {
            true => pending.accept().map(|()| self.accepted.push(&pending.name)),
            false => pending.reject().map(|()| self.rejected.push(&pending.name)),
        }
    }

    fn page(&self, pending: &Pending, at: usize, of: usize, trouble: Option<&SnapshotError>) -> String {
        let bold = Style::new().bold().force_styling(self.colour);
        let title = title(pending, at, of);
        let (first, rest) = title.split_once('\n').unwrap_or((&title, ""));
        let mut page = format!("{}\n{rest}\n", bold.apply_to(first));
        match &pending.change {
            Ok(change) if self.whole => page += &crate::snapshot::diff::plain(&change.new.contents),
            Ok(_) | Err(_) => page += &body(pending, self.colour),
        }
        page.push('\n');
        if let Some(error) = trouble {
            page += &explained(error);
            page.push('\n');
        }
        let old = match pending.change.as_ref().is_ok_and(|change| change.old.is_none()) {
            true => "drop the new results",
            false => "keep the old snapshot",
        };
        let other = if self.whole { "show the difference" } else { "show the whole of the new results" };
        for (key, name, meaning) in [
            ("a", "accept", "make the new results the snapshot"),
            ("r", "reject", old),
            ("s", "skip", "decide later"),
            ("d", "diff", other),
            ("A", "accept all", "this one and those that follow"),
            ("R", "reject all", "this one and those that follow"),
            ("q", "quit", "decide about the rest later"),
        ] {
            page += &format!("  {} {name:<11} {meaning}\n", bold.apply_to(key));
        }
        page
    }

    fn summary(&self) -> String {
        let mut text = String::new();
        for (what, names) in
            [("accepted", &self.accepted), ("rejected", &self.rejected), ("left for later", &self.left)]
        {
            if !names.is_empty() {
                text += &format!("{what}:\n");
                names.iter().for_each(|name| text += &format!("  {name}\n"));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests;
