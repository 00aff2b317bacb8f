//! YAML text to a tree of nodes with places.
//!
//! The parser is `granit-parser`, which `serde-saphyr` carries and re-exports. Its events are used and not
//! serde's `Deserialize`, because only they tell `null` from `"null"` and keep the place of every key.
//! What is refused here: more than one document, tags, merge keys, keys that are not text, duplicate keys,
//! and whatever is too deep or too large.

mod build;
mod json;
mod node;
mod syntax;

pub(crate) use json::to_json;
pub(crate) use node::{Key, Node, Size, Text, Value};

use crate::diagnostic::{Diagnostic, Source};
use build::Builder;
use serde_saphyr::granit_parser::{Event, Parser, options};
use std::sync::Arc;

/// Deeper nesting than this is refused; aliases count with what they stand for. Every walk over the tree is
/// recursive and relies on it.
pub(super) const MAX_DEPTH: usize = 100;
/// A file may hold this many keys and values, aliases written out.
pub(super) const MAX_NODES: usize = 1_000_000;
/// Of these, so many may come from aliases.
const MAX_ALIASED_NODES: usize = 100_000;
/// And so many bytes of text.
const MAX_ALIASED_TEXT: usize = 16 << 20;

/// Reads the tree. It is `None` where the syntax is broken; it can be there beside mistakes, so that the
/// rest of the file is checked too.
pub(crate) fn read(source: &Arc<Source>) -> (Option<Node>, Vec<Diagnostic>) {
    let options = options! {
        emit_unresolved_aliases: true,
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder::new(source);
    for event in Parser::new_from_str_with_options(&source.text, options) {
        let (event, span) = match event {
            Ok(found) => found,
            Err(error) => {
                let problem = syntax::diagnostic(source, &error);
                return (None, builder.give_up(problem));
            }
        };
        let tag = span.tag_span().and_then(|tag| tag.byte_range());
        let span = span.byte_range().unwrap_or_default();
        let went_on = match event {
            Event::Scalar(text, style, anchor, written_tag) => {
                let as_text = builder.tag(written_tag.as_deref(), tag);
                builder.scalar(text, style, as_text, anchor, span)
            }
            Event::SequenceStart(_, anchor, written_tag) => {
                builder.tag(written_tag.as_deref(), tag);
                builder.open_list(anchor, span)
            }
            Event::MappingStart(_, anchor, written_tag) => {
                builder.tag(written_tag.as_deref(), tag);
                builder.open_map(anchor, span)
            }
            Event::SequenceEnd | Event::MappingEnd => builder.close(span),
            Event::Alias(anchor) => builder.alias(anchor, span),
            Event::UnresolvedAlias(name) => builder.unknown_alias(&name, span),
            Event::DocumentStart(..) => builder.document(span),
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            // Comments and anchors are switched off; the enum may grow with the library.
            _ => Ok(()),
        };
        if let Err(problem) = went_on {
            return (None, builder.give_up(problem));
        }
    }
    builder.finish()
}
