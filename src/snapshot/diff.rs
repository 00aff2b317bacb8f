//! A difference between two snapshots, as lines that people can read.
//!
//! Readable without colour: the sign says which side a line is on, the numbers say where. Whether
//! there is colour is the caller's flag and no global state. Whatever a plugin logged is drawn as
//! text: control characters are shown and not obeyed. Work and output have limits, so that a body of
//! a few megabytes can't make a terminal useless.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::{Duration, Instant};

use console::Style;
use similar::{ChangeTag, DiffOp, TextDiff};

mod line;

use line::{Piece, crop, differing, visible};

/// How a difference is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiffOptions {
    /// Whether to colour, and to mark the words that differ.
    pub colour: bool,
    /// How many equal lines stand around a difference.
    pub context: usize,
    /// How many characters of a line are shown.
    pub width: usize,
    /// How many lines are shown.
    pub lines: usize,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self { colour: false, context: 3, width: 240, lines: 1000 }
    }
}

/// How long to look for the smallest difference between the lines, and again between their words.
/// What has not been matched by then is shown as removed and added.
const PATIENCE: Duration = Duration::from_millis(500);
/// Columns of a line number.
const NUMBER: usize = 5;

/// Draws the difference between what was accepted (if anything was) and what a run says.
///
/// Each line ends with a newline. Equal texts give no text at all.
pub fn diff(old: Option<&str>, new: &str, options: DiffOptions) -> String {
    if old == Some(new) {
        return String::new();
    }
    let (before, old_ended) = lines(old.unwrap_or_default());
    let (after, new_ended) = lines(new);
    let compared = TextDiff::configure().timeout(PATIENCE).diff_slices(&before, &after);
    let mut sheet = Sheet::new(options); // its patience begins here
    sheet.header(if old.is_some() { "old snapshot" } else { "no snapshot yet" });
    for (at, group) in compared.grouped_ops(options.context).iter().enumerate() {
        if at > 0 {
            sheet.gap();
        }
        for op in group {
            sheet.op(op, &before, &after);
        }
    }
    if sheet.hidden > 0 {
        sheet.note(&format!("{} more lines are not shown", line::grouped(sheet.hidden)));
    }
    if old.is_some() && old_ended != new_ended {
        let side = if old_ended { "the new results end" } else { "the old snapshot ends" };
        sheet.note(&format!("{side} without a newline"));
    }
    sheet.out
}

/// The text as it is, made safe for a terminal.
pub fn plain(text: &str) -> String {
    lines(text).0.iter().map(|line| visible(line) + "\n").collect()
}

/// The lines without their newlines, and whether the last one had one. A lone newline at the end
/// makes no line of its own.
fn lines(text: &str) -> (Vec<&str>, bool) {
    if text.is_empty() {
        return (Vec::new(), true);
    }
    match text.strip_suffix('\n') {
        Some(body) => (body.split('\n').collect(), true),
        None => (text.split('\n').collect(), false),
    }
}

struct Sheet {
    out: String,
    options: DiffOptions,
    shown: usize,
    hidden: usize,
    until: Instant,
}

impl Sheet {
    fn new(options: DiffOptions) -> Self {
        Self { out: String::new(), options, shown: 0, hidden: 0, until: Instant::now() + PATIENCE }
    }

    fn style(&self, style: Style) -> Style {
        style.force_styling(self.options.colour)
    }

    fn header(&mut self, old: &str) {
        let (red, green) = (self.style(Style::new().red()), self.style(Style::new().green()));
        let _ = writeln!(self.out, "{}\n{}", red.apply_to(format_args!("- {old}")), green.apply_to("+ new results"));
    }

    fn gap(&mut self) {
        let dim = self.style(Style::new().dim());
        let _ = writeln!(self.out, "{}", dim.apply_to(format_args!("{:>1$} ┊", "⋮", NUMBER * 2 + 1)));
    }

    fn note(&mut self, text: &str) {
        let dim = self.style(Style::new().dim());
        let _ = writeln!(self.out, "{}", dim.apply_to(format_args!("\\ {text}")));
    }

    fn op(&mut self, op: &DiffOp, before: &[&str], after: &[&str]) {
        let (old, new) = (op.old_range(), op.new_range());
        match op {
            DiffOp::Equal { .. } => {
                for (left, right) in old.zip(new) {
                    self.line(ChangeTag::Equal, Some(left), Some(right), before[left], None);
                }
            }
            DiffOp::Delete { .. } | DiffOp::Insert { .. } | DiffOp::Replace { .. } => {
                // Line by line: what came instead of what. Only worth it where lines stand in pairs.
                let (first, second) = (&before[old.clone()], &after[new.clone()]);
                let worthwhile = self.options.lines - self.shown;
                let pairs = first.iter().zip(second).take(worthwhile);
                let parts: Vec<_> = pairs.map(|(left, right)| differing(left, right, self.until)).collect();
                for (at, left) in old.enumerate() {
                    self.line(ChangeTag::Delete, Some(left), None, before[left], parts.get(at).map(|(left, _)| left));
                }
                for (at, right) in new.enumerate() {
                    self.line(
                        ChangeTag::Insert,
                        None,
                        Some(right),
                        after[right],
                        parts.get(at).map(|(_, right)| right),
                    );
                }
            }
        }
    }

    fn line(
        &mut self,
        tag: ChangeTag,
        old: Option<usize>,
        new: Option<usize>,
        text: &str,
        differs: Option<&Vec<Range<usize>>>,
    ) {
        if self.shown == self.options.lines {
            self.hidden += 1;
            return;
        }
        self.shown += 1;
        let number = |at: Option<usize>| at.map(|at| (at + 1).to_string()).unwrap_or_default();
        let dim = self.style(Style::new().dim());
        let style = match tag {
            ChangeTag::Equal => dim.clone(),
            ChangeTag::Delete => self.style(Style::new().red()),
            ChangeTag::Insert => self.style(Style::new().green()),
        };
        let sign = match tag {
            ChangeTag::Equal => ' ',
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
        };
        let numbers = format!("{:>NUMBER$} {:>NUMBER$} │", number(old), number(new));
        let _ = write!(self.out, "{} {}", dim.apply_to(numbers), style.apply_to(sign));
        let marked = style.clone().bold().underlined();
        let none = Vec::new();
        let pieces = crop(text, differs.unwrap_or(&none), self.options.width);
        if !text.is_empty() {
            self.out.push(' ');
        }
        for piece in pieces {
            let _ = match piece {
                Piece::Text { text, differs: true } => write!(self.out, "{}", marked.apply_to(visible(text))),
                Piece::Text { text, differs: false } => write!(self.out, "{}", style.apply_to(visible(text))),
                Piece::LeftOut(count) => {
                    write!(self.out, "{}", dim.apply_to(format_args!(" …{} characters… ", line::grouped(count))))
                }
            };
        }
        self.out.push('\n');
    }
}

#[cfg(test)]
mod tests;
