//! Draws diagnostics: the title, the line of the file with carets under the place, and what to do.
//!
//! The drawing is done by `annotate-snippets`. It panics on a span that leaves the text or cuts a character,
//! so every span is fitted to the text here first; and it is given no more of the file than it will show.

use super::{Diagnostic, Source, Span};
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str};

/// A line longer than this is cut around the place that matters. The library does so too, but looks at all
/// of the line first.
const LONG_LINE: usize = 64 << 10;
/// How much of a long line stays on either side.
const AROUND: usize = 200;

impl Diagnostic {
    /// The diagnostic as text for a terminal, ending with a line break.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let title = normalize_untrusted_str(&self.title);
        let mut group = Group::with_title(Level::ERROR.primary_title(title));
        if let Some(source) = &self.source {
            let origin = Origin::path(source.path.display().to_string());
            group = match &self.span {
                Some(span) if line_of(&source.text, boundary(&source.text, span.start)).len() > LONG_LINE => {
                    // The snippet would count columns from where it was cut.
                    let (line, column) = source.position(fit(&source.text, span).start);
                    group.element(origin.line(line).char_column(column)).element(self.snippet(source, span))
                }
                Some(span) => group.element(self.snippet(source, span).path(source.path.display().to_string())),
                None => group.element(origin),
            };
        }
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(normalize_untrusted_str(hint)));
        }
        renderer.render(&[group]) + "\n"
    }

    fn snippet<'a>(&'a self, source: &'a Source, span: &Span) -> Snippet<'a, Annotation<'a>> {
        let text = source.text.as_str();
        let primary = fit(text, span);
        // On a line that is far too long, the other place would be cut away: only the first one is drawn.
        let line = line_of(text, primary.start);
        let (window, also) = if line.len() > LONG_LINE {
            (around(text, &line, &primary), None)
        } else {
            let also = self.also.as_deref();
            let places = || also.iter().map(|(span, _)| fit(text, span)).chain([primary.clone()]);
            let start = places().map(|span| span.start).min().unwrap_or(primary.start);
            let end = places().map(|span| span.end).max().unwrap_or(primary.end);
            (line_of(text, start).start..line_of(text, end).end, also)
        };
        let inside = |span: Span| {
            let start = span.start.clamp(window.start, window.end);
            start - window.start..span.end.clamp(start, window.end) - window.start
        };
        let (line_number, _) = source.position(window.start);
        Snippet::source(&text[window.clone()])
            .line_start(line_number)
            .annotation(AnnotationKind::Primary.span(inside(primary)).label(self.label.as_deref()))
            .annotations(
                also.iter()
                    .map(|(span, label)| AnnotationKind::Context.span(inside(fit(text, span))).label(label.as_str())),
            )
    }
}

/// All diagnostics, one after the other with an empty line between.
pub fn render_all(diagnostics: &[Diagnostic], color: bool) -> String {
    let drawn: Vec<String> = diagnostics.iter().map(|diagnostic| diagnostic.render(color)).collect();
    drawn.join("\n")
}

/// The nearest character boundary at or before an offset.
fn boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// The line around an offset, without its line break and without a byte order mark.
fn line_of(text: &str, offset: usize) -> Span {
    let bom = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let start = text[..offset].rfind('\n').map_or(bom, |at| at + 1).min(offset.max(bom));
    let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let end = if text[start..end].ends_with('\r') { end - 1 } else { end };
    start..end
}

/// A span as it can be drawn: inside the text, on character boundaries, within its first line.
fn fit(text: &str, span: &Span) -> Span {
    let start = boundary(text, span.start);
    let line = line_of(text, start);
    let start = start.clamp(line.start, line.end);
    let end = boundary(text, span.end).clamp(start, line.end);
    start..end
}

/// A piece of a long line.
fn around(text: &str, line: &Span, place: &Span) -> Span {
    let start = boundary(text, place.start.saturating_sub(AROUND)).max(line.start);
    let end = boundary(text, place.start.saturating_add(AROUND)).clamp(start, line.end);
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::sync::Arc;

    fn source(text: &str) -> Arc<Source> {
        Arc::new(Source { path: PathBuf::from("a.yaml"), text: text.to_string() })
    }

    #[test]
    fn the_place_is_under_the_caret() {
        let source = source("plugin: x\nhots: apisix\ncases: []\n");
        let drawn = Diagnostic::new("unknown key `hots`")
            .at(&source, 10..14)
            .label("not a key of a scenario file")
            .hint("did you mean `host`?");
        assert_eq!(
            drawn.render(false),
            "error: unknown key `hots`\n --> a.yaml:2:1\n  |\n2 | hots: apisix\n  | ^^^^ not a key of a scenario file\n  |\n  = help: did you mean `host`?\n"
        );
        assert!(drawn.render(true).contains('\u{1b}'));
    }

    #[test]
    fn two_places_are_drawn_together() {
        let source = source("a: 1\nb: 2\nc: 3\nd: 4\ne: 5\na: 6\n");
        let drawn = Diagnostic::new("key `a` is given twice")
            .at(&source, 25..26)
            .label("again")
            .also(0..1, "first")
            .render(false);
        assert!(drawn.contains("1 | a: 1\n  | - first\n"), "{drawn}");
        assert!(drawn.contains("6 | a: 6\n  | ^ again\n"), "{drawn}");
    }

    #[test]
    fn a_byte_order_mark_is_not_a_column() {
        let source = source("\u{feff}hots: x\r\n");
        let drawn = Diagnostic::new("x").at(&source, 3..7).render(false);
        assert!(drawn.contains("a.yaml:1:1\n"), "{drawn}");
        assert!(drawn.contains("1 | hots: x\n  | ^^^^\n"), "{drawn}");
    }

    #[test]
    fn every_span_of_every_text_can_be_drawn() {
        let texts = [
            "",
            "\n",
            "\r\n",
            "a",
            "a\r\nb\r\n",
            "\u{feff}",
            "\u{feff}ä\tb",
            "日本\n\u{1f600}\u{200d}x\n",
            "\t\u{1b}[31m\0\n",
            "a\rb\n\n",
        ];
        for text in texts {
            let source = source(text);
            for start in 0..text.len() + 2 {
                for end in 0..text.len() + 2 {
                    let drawn = Diagnostic::new("t\u{1b}\n")
                        .at(&source, Span { start, end })
                        .label("l")
                        .also(end..start, "o")
                        .hint("h\nh");
                    assert!(!drawn.render(false).contains('\u{1b}'));
                    drawn.render(true);
                }
            }
        }
    }

    #[test]
    fn a_line_of_megabytes_is_cut() {
        let short = source(&"äx".repeat(10_000));
        let drawn = Diagnostic::new("t").at(&short, 3_000..3_003).render(false);
        assert!(drawn.len() < 2000 && drawn.contains("a.yaml:1:2001\n"), "{drawn}");
        let source = source(&"äx".repeat(1 << 20));
        let drawn = Diagnostic::new("t").at(&source, 1_000_000..1_000_003).render(false);
        assert!(drawn.len() < 2000 && drawn.contains("a.yaml:1:666667\n"), "{drawn}");
    }
}
