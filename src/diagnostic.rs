//! What the user wrote wrong: a title, the place in the file, and what to do about it.
//!
//! A diagnostic is data; `render` draws it with a caret under the line. It is never a panic and never a
//! verdict on a plugin.

mod render;

pub use render::render_all;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A range of bytes in a source text.
pub type Span = Range<usize>;

/// A text file that diagnostics can point into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The path as the user gave it.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// The 1-based line and column (in characters) of a byte offset. A byte order mark is no character.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &self.text[..offset];
        let before = before.strip_prefix('\u{feff}').unwrap_or(before);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (line, before[start..].chars().count() + 1)
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, in lower case, without a full stop.
    pub title: String,
    /// The file it is in, where there is one.
    pub source: Option<Arc<Source>>,
    /// The place in that file.
    pub span: Option<Span>,
    /// What stands under the caret.
    pub label: Option<String>,
    /// Another place that belongs to it, with its own label: where a name was given first. Boxed, since it is
    /// rare and diagnostics travel in `Result`s.
    pub also: Option<Box<(Span, String)>>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A diagnostic without a place.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), source: None, span: None, label: None, also: None, hint: None }
    }

    /// Says where.
    pub fn at(mut self, source: &Arc<Source>, span: Span) -> Self {
        self.source = Some(source.clone());
        self.span = Some(span);
        self
    }

    /// What stands under the caret.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Another place in the same file that belongs to it.
    pub fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.also = Some(Box::new((span, label.into())));
        self
    }

    /// What to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
