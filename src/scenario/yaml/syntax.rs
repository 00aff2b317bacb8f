//! Broken YAML in the words of somebody who writes scenarios: what the parser says, and the usual cause.

use super::MAX_DEPTH;
use crate::diagnostic::{Diagnostic, Source, Span};
use serde_saphyr::granit_parser::{ErrorKind, ScanError};
use std::sync::Arc;

const COLON: &str = "text that holds a colon and a space needs quotes: `\"a: b\"`";
const TABS: &str = "indent with spaces, YAML has no tabs";
const INDENT: &str = "keys of one mapping begin in the same column";
const COMMAS: &str = "text that holds a bracket, a brace or a comma needs quotes here: `\"${name}\"`";
const FLOW: &str = "close it, or quote the text: `\"{…}\"`";
const ESCAPE: &str = "between double quotes `\\` begins an escape; write single quotes (`'\\d+'`) or none";
const TRAILING: &str = "the quotes must be around the whole text; a quote inside single quotes is doubled (`'it''s'`)";

/// The parser's error as a diagnostic.
pub(super) fn diagnostic(source: &Arc<Source>, error: &ScanError) -> Diagnostic {
    let offset = error.marker().byte_offset().unwrap_or_default();
    let offset = match error.kind() {
        // Reported where the text before it ends, which may be the line before.
        ErrorKind::TabInPlainScalar => {
            let tab = source.text.get(offset..).and_then(|rest| rest.find('\t'));
            offset + tab.unwrap_or_default()
        }
        _ => offset,
    };
    let (title, hint) = explain(error.kind(), source, offset);
    let title = title.unwrap_or_else(|| format!("this is not YAML: {}", said(&error.info())));
    let problem = Diagnostic::new(title).at(source, place(&source.text, offset));
    match hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// A better title, and the usual cause.
fn explain(kind: &ErrorKind, source: &Source, offset: usize) -> (Option<String>, Option<&'static str>) {
    let title = |text: &str| Some(text.to_string());
    match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => (title("a tab where only spaces may stand"), Some(TABS)),
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            (title("a colon where no key can stand"), Some(COLON))
        }
        ErrorKind::UnclosedFlowCollection { open } => (Some(format!("`{open}` is never closed")), Some(FLOW)),
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            (Some(format!("`{open}` is closed by `{close}`")), Some(FLOW))
        }
        ErrorKind::MisplacedFlowCollectionEnd => {
            (title("a closing bracket without an opening one"), Some("text that begins with a bracket needs quotes"))
        }
        ErrorKind::ExpectedFlowMappingSeparator => (title("expected `,` or `}`"), Some(COMMAS)),
        ErrorKind::ExpectedFlowSequenceSeparator => (title("expected `,` or `]`"), Some(COMMAS)),
        ErrorKind::ExpectedBlockMappingKey => expected_key(&source.text, offset),
        ErrorKind::ExpectedBlockSequenceEntry => {
            (title("expected another `- `"), Some("a list and keys can't be mixed at one level; check the indentation"))
        }
        ErrorKind::SimpleKeyExpected => (
            title("expected `key: value`"),
            Some("a colon and a space make a key; text over several lines is indented, or follows `|`"),
        ),
        ErrorKind::InvalidIndentation => (title("this line is indented wrongly"), Some(INDENT)),
        ErrorKind::BlockSequenceEntryNotAllowed => {
            (title("a list can't begin here"), Some("put `- ` on a line of its own, or write `[a, b]`"))
        }
        ErrorKind::UnexpectedCharacter { character } if character.is_control() => {
            let text = format!("the control character {} can't stand here", character.escape_unicode());
            (Some(text), Some("between double quotes write `\\x01`; raw bytes are `{ hex: 01 }`"))
        }
        ErrorKind::UnexpectedCharacter { character } => {
            (Some(format!("text can't begin with `{character}`")), Some("put the text in quotes"))
        }
        ErrorKind::MissingAnchorOrAliasName => {
            (title("a name is missing after `*` or `&`"), Some("text that begins with `*` or `&` needs quotes"))
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
            (title("a quote is never closed"), None)
        }
        ErrorKind::InvalidQuotedScalarIndent => (
            title("a quote is never closed, or its text is indented wrongly"),
            Some("text between quotes ends on its line, or its further lines are indented"),
        ),
        ErrorKind::InvalidTrailingDoubleQuotedScalar | ErrorKind::InvalidTrailingSingleQuotedScalar => {
            (title("something follows the closing quote"), Some(TRAILING))
        }
        ErrorKind::UnknownQuotedScalarEscape => (title("an unknown escape between double quotes"), Some(ESCAPE)),
        ErrorKind::InvalidBlockScalarHeader => (
            title("the text of `|` or `>` begins on the next line"),
            Some("text that begins with `|` or `>` needs quotes"),
        ),
        ErrorKind::FlowMappingValueAdjacentCollection | ErrorKind::InvalidMappingValueWhitespace => {
            (title("a space is needed after the colon"), Some("keys are written `key: value`"))
        }
        ErrorKind::InvalidSimpleKey => (None, Some(COLON)),
        ErrorKind::CommentInterceptedScalar => (None, Some("text that holds ` #` needs quotes")),
        ErrorKind::RecursionLimitExceeded => (Some(format!("nested more than {MAX_DEPTH} deep")), None),
        // The rest is rare, and the parser's own words are good enough; the enum may also grow.
        _ => (None, None),
    }
}

/// "Did not find expected key" has three usual causes, told apart by what stands there.
fn expected_key(text: &str, offset: usize) -> (Option<String>, Option<&'static str>) {
    let offset = offset.min(text.len());
    let line = text.get(..offset).and_then(|before| before.rsplit('\n').next()).unwrap_or_default();
    let rest = text.get(offset..).unwrap_or_default();
    if line.trim_end().ends_with(['}', ']']) {
        let hint = "text that begins with `{` or `[` needs quotes as a whole";
        return (Some("something follows the closing bracket".to_string()), Some(hint));
    }
    if line.trim() == "-" || rest.starts_with("- ") || rest.starts_with("-\n") {
        let hint = "a list and keys can't be mixed at one level; check the indentation";
        return (Some("expected a key, found an item of a list".to_string()), Some(hint));
    }
    (Some("expected a key; this line is indented wrongly".to_string()), Some(INDENT))
}

/// The parser's words without the "while scanning …" before the comma.
fn said(info: &str) -> &str {
    match info.split_once(", ") {
        Some((context, rest)) if context.starts_with("while ") => rest,
        _ => info,
    }
}

/// The word at an offset; at a line break, the place itself.
fn place(text: &str, offset: usize) -> Span {
    let mut start = offset.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let word = text[start..].find(|c: char| c.is_whitespace()).unwrap_or(text.len() - start);
    start..start + word
}
