//! Bodies and raw bytes.

use super::context::{Cx, MAX_BODY, quote};
use super::file::wanted;
use super::keys::{self, BODY, BODY_FORMS, CHUNK, CHUNK_FORMS, CONNECT_DATA, RAW};
use super::read::Fields;
use crate::scenario::model::{Body, Cut, End, Framing};
use crate::scenario::yaml::{Node, Value};
use bytes::Bytes;

/// A body that is cut in every way is run about twice for each of its bytes.
const MAX_CUT_EVERY: usize = 4096;
const ENDS: &[(&str, End)] = &[("with_last", End::WithLast), ("separate", End::Separate)];

/// A body in any of its forms.
pub(super) fn body(cx: &mut Cx, node: &Node) -> Option<Body> {
    let plain = |chunks, framing| Body { chunks, framing, cut: None, end: None, span: node.span.clone() };
    match &node.value {
        Value::Text(text) => Some(plain(vec![Bytes::from(text.text.clone())], Framing::Length)),
        Value::List(_) => chunks(cx, node, "`body`").map(|chunks| plain(chunks, Framing::Chunked)),
        Value::Map(_) => mapping(cx, node),
        Value::Null => {
            cx.push(
                cx.at(&node.span, "`body`: expected text, a list or a mapping, found null")
                    .hint("leave `body` out for a message without one"),
            );
            None
        }
        Value::Nothing => {
            cx.push(
                cx.at(&node.span, "`body` has no value")
                    .hint("`\"\"` is an empty body; leave `body` out for a message without one"),
            );
            None
        }
    }
}

fn mapping(cx: &mut Cx, node: &Node) -> Option<Body> {
    let fields = cx.fields(node, "`body`", &BODY)?;
    let form = form(cx, &fields, BODY_FORMS, "a body");
    let end = fields.get("end").map(|node| cx.one_of(node, "`end`", ENDS));
    let written = form.filter(|form| *form == "chunks").and_then(|_| fields.get("chunks"));
    let (chunks, framing) = match (form, written) {
        (_, Some(list)) => (chunks(cx, list, "`chunks`"), Framing::Chunked),
        (Some(form), None) => (piece(cx, &fields, form).map(|piece| vec![piece]), Framing::Length),
        (None, None) => (None, Framing::Length),
    };
    let cut = fields.get("cut").map(|cut_node| {
        if written.is_some() {
            cx.push(cx.at(&cut_node.span, "`cut` beside `chunks`").label("these are cut already"));
            return None;
        }
        // The whole body is known only if nothing is wrong with it.
        let length = chunks.as_ref().map(|chunks| chunks.iter().map(Bytes::len).sum());
        cut(cx, cut_node, length)
    });
    Some(Body { chunks: chunks?, framing, cut: wanted(cut)?, end: wanted(end)?, span: node.span.clone() })
}

/// The one form that a mapping uses.
pub(super) fn form(cx: &mut Cx, fields: &Fields, forms: &[&'static str], name: &str) -> Option<&'static str> {
    let present = fields.present(forms);
    cx.only_one(&present, name);
    let found = present.first().and_then(|(key, _)| forms.iter().copied().find(|form| key.text == *form));
    if found.is_none() && !fields.misspelt(forms) {
        let problem = cx.at(&fields.node.span, format!("{name} without content"));
        cx.push(problem.hint(format!("it has one of {}", keys::list(forms))));
    }
    if let Some((key, _)) = fields.entry("times").filter(|_| found.is_some_and(|form| form != "repeat")) {
        cx.push(cx.at(&key.span, "`times` without `repeat`"));
    }
    found
}

fn cut(cx: &mut Cx, node: &Node, length: Option<usize>) -> Option<Cut> {
    if node.as_text() == Some("every") {
        if let Some(length) = length.filter(|length| *length > MAX_CUT_EVERY) {
            let problem = cx.at(&node.span, format!("`cut: every` on a body of {length} bytes"));
            cx.push(
                problem
                    .label(format!("at most {MAX_CUT_EVERY}"))
                    .hint("the case runs once for each way; take a shorter body"),
            );
            return None;
        }
        return Some(Cut::Every);
    }
    let at: usize = cx.number(node, "`cut`", "a number of bytes or `every`")?;
    let length = length?;
    if at == 0 || at >= length {
        let problem = cx.at(&node.span, format!("`cut: {at}` leaves nothing on one side"));
        cx.push(problem.label(match length {
            0 => "the body is empty".to_string(),
            1 => "the body has 1 byte".to_string(),
            _ => format!("the body has {length} bytes: cut after 1 to {}", length - 1),
        }));
        return None;
    }
    Some(Cut::At(at))
}

pub(super) fn chunks(cx: &mut Cx, node: &Node, name: &str) -> Option<Vec<Bytes>> {
    let items = cx.items(node, name)?;
    let chunks: Vec<_> = items.iter().filter_map(|item| chunk(cx, item)).collect();
    (chunks.len() == items.len()).then_some(chunks)
}

fn chunk(cx: &mut Cx, node: &Node) -> Option<Bytes> {
    bytes(cx, node, "a chunk")
}

/// Bytes in any of the forms of a chunk.
pub(super) fn bytes(cx: &mut Cx, node: &Node, name: &str) -> Option<Bytes> {
    if node.as_map().is_none() {
        return cx.text(node, name).map(|text| Bytes::from(text.to_string()));
    }
    let fields = cx.fields(node, name, &CHUNK)?;
    let form = form(cx, &fields, CHUNK_FORMS, name)?;
    piece(cx, &fields, form)
}

/// Bytes that one end of a connection sends: text, or a mapping with one of the forms of a chunk; the flag is `end`.
pub(super) fn data(cx: &mut Cx, node: &Node, name: &str) -> Option<(Bytes, bool)> {
    if node.as_map().is_none() {
        return cx.text(node, name).map(|text| (Bytes::from(text.to_string()), false));
    }
    let fields = cx.fields(node, name, &CONNECT_DATA)?;
    let end = fields.get("end").map(|node| cx.flag(node, "`end`"));
    let form = form(cx, &fields, CHUNK_FORMS, "data");
    let bytes = piece(cx, &fields, form?);
    Some((bytes?, wanted(end)?.unwrap_or(false)))
}

/// `text`, `hex`, `file` or `repeat`.
pub(super) fn piece(cx: &mut Cx, fields: &Fields, form: &str) -> Option<Bytes> {
    let node = fields.get(form)?;
    match form {
        "text" => cx.text(node, "`text`").map(|text| Bytes::from(text.to_string())),
        "hex" => hex(cx, node),
        "file" => file(cx, node).map(|(_, content)| content),
        _ => {
            let piece = match node.as_map() {
                Some(_) => raw(cx, node, "`repeat`"),
                None => cx.text(node, "`repeat`").map(|text| Bytes::from(text.to_string())),
            };
            let times = cx
                .required(fields, "times", "`{ repeat: x, times: 1MiB }`")
                .and_then(|node| cx.byte_count(node, "`times`"));
            let (piece, times) = (piece?, times?);
            cx.repeat(fields.node, piece, usize::try_from(times).unwrap_or(MAX_BODY + 1))
        }
    }
}

/// The content of a file beside the scenario, and its path as written.
pub(super) fn file<'n>(cx: &mut Cx, node: &'n Node) -> Option<(&'n str, Bytes)> {
    let written = cx.word(node, "`file`")?;
    let path = cx.resolve(written);
    cx.file(node, &path).map(|content| (written, content))
}

/// `{hex: 4d6f7a}`
pub(super) fn raw(cx: &mut Cx, node: &Node, name: &str) -> Option<Bytes> {
    let fields = cx.fields(node, name, &RAW)?;
    let digits = cx.required(&fields, "hex", "raw bytes are written `{ hex: 4d6f7a }`")?;
    hex(cx, digits)
}

/// Digits of bytes; spaces between them are for the eye.
pub(super) fn hex(cx: &mut Cx, node: &Node) -> Option<Bytes> {
    let text = cx.text(node, "`hex`")?;
    let mut digits = Vec::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        match c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()) {
            Some(digit) => digits.push(digit),
            None => {
                cx.push(cx.at(&node.span, format!("`hex`: {} is not a hexadecimal digit", quote(&c.to_string()))));
                return None;
            }
        }
    }
    if digits.len() % 2 == 1 {
        let problem = cx.at(&node.span, "`hex`: half a byte at the end");
        cx.push(problem.label(format!("{} digits", digits.len())).hint("a byte has two digits: `0a`"));
        return None;
    }
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
