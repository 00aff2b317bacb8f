//! Colour, as a flag and not as a global state; and the few shapes that every part of a report uses.
//!
//! Colour only repeats what a word or a sign says.

use console::Style;
use std::fmt::Display;

/// Whether and how to colour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    /// Whether to colour at all.
    pub color: bool,
}

impl Paint {
    fn with(self, style: Style, text: impl Display) -> String {
        style.force_styling(self.color).apply_to(text).to_string()
    }

    pub fn red(self, text: impl Display) -> String {
        self.with(Style::new().red().bold(), text)
    }

    pub fn green(self, text: impl Display) -> String {
        self.with(Style::new().green().bold(), text)
    }

    pub fn yellow(self, text: impl Display) -> String {
        self.with(Style::new().yellow().bold(), text)
    }

    pub fn bold(self, text: impl Display) -> String {
        self.with(Style::new().bold(), text)
    }

    pub fn dim(self, text: impl Display) -> String {
        self.with(Style::new().dim(), text)
    }

    /// A heading over the whole width.
    pub fn rule(self, word: &str, title: &str, width: usize) -> String {
        let used = word.chars().count() + title.chars().count() + 6;
        let line = "─".repeat(width.min(120).saturating_sub(used).max(2));
        match title.is_empty() {
            true => format!("── {} {line}\n", self.bold(word)),
            false => format!("── {} {title} {line}\n", self.red(word)),
        }
    }
}

/// Text in lines of at most so many characters, each with an indent.
pub(super) fn wrapped(text: &str, indent: &str, width: usize) -> String {
    let room = width.saturating_sub(indent.chars().count()).max(20);
    let mut out = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > room {
            out.push('\n');
            used = 0;
        }
        out.push_str(if used == 0 { indent } else { " " });
        used += length + usize::from(used > 0);
        out.push_str(word);
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}
