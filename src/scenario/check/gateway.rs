//! `gateway` at the top of a file, and `admin` steps.

use super::context::{Cx, quote};
use super::file::wanted;
use super::headers::{self, Part};
use super::keys::ADMIN;
use super::plugin;
use crate::diagnostic::Source;
use crate::scenario::model::{Admin, GatewayDocument, GatewaySpec, InlineDocument, Spanned};
use crate::scenario::yaml::{Node, Value};
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;

const SEND: &str = "it is written `PUT /apisix/admin/routes/1`";

/// An inline document, the path of one, or of what APISIX is configured with. What it says is looked at when the modules are loaded.
pub(super) fn document(cx: &mut Cx, node: &Node) -> Option<GatewaySpec> {
    match &node.value {
        Value::Map(_) => {
            let document = GatewayDocument::Inline(InlineDocument(node.clone()));
            Some(GatewaySpec { span: node.span.clone(), base: cx.folder().to_path_buf(), document })
        }
        Value::Text(_) => {
            let name = cx.word(node, "the path of a gateway document")?;
            let path = cx.resolve(name);
            if of_apisix(&path) {
                let base = path.clone();
                return Some(GatewaySpec { span: node.span.clone(), base, document: GatewayDocument::Files(path) });
            }
            let content = cx.file(node, &path)?;
            let Ok(text) = String::from_utf8(content.to_vec()) else {
                cx.push(cx.at(&node.span, format!("{} is not UTF-8 text", quote(&path.to_string_lossy()))));
                return None;
            };
            let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
            let document = GatewayDocument::File(Arc::new(Source { path, text }));
            Some(GatewaySpec { span: node.span.clone(), base, document })
        }
        Value::Nothing | Value::Null | Value::List(_) => {
            cx.expected(node, "`gateway`", "a path or a mapping");
            None
        }
    }
}

/// A folder with APISIX's files, or one of them: what `pwtest serve` takes for the same.
fn of_apisix(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    path.is_dir() || (matches!(name, Some("config.yaml" | "apisix.yaml")) && path.is_file())
}

/// `METHOD PATH`, or `send` with headers and body.
pub(super) fn admin(cx: &mut Cx, node: &Node) -> Option<Admin> {
    if !cx.gateway {
        let problem = cx.at(&node.span, "`admin` without `gateway`");
        cx.push(
            problem.hint("there is no admin API without one; a plugin's configuration is changed by `reconfigure`"),
        );
        return None;
    }
    if node.as_text().is_some() {
        let (method, target) = send(cx, node)?;
        return Some(Admin { method, target, headers: Vec::new(), body: Bytes::new() });
    }
    if node.as_map().is_none() {
        cx.expected(node, "`admin`", "`METHOD PATH` or a mapping");
        return None;
    }
    let fields = cx.fields(node, "`admin`", &ADMIN)?;
    let send = cx.required(&fields, "send", SEND).and_then(|node| send(cx, node));
    let headers = headers::of(cx, &fields, "headers", Part::Request);
    let body = fields.get("body").map(|node| plugin::config(cx, node, "`body`"));
    let (method, target) = send?;
    Some(Admin { method, target, headers: headers?, body: wanted(body)?.unwrap_or_default() })
}

fn send(cx: &mut Cx, node: &Node) -> Option<(String, Spanned<String>)> {
    let text = cx.word(node, "`admin`")?.trim();
    let wrong = |cx: &mut Cx, title: String, hint: &str| {
        cx.push(cx.at(&node.span, title).hint(hint));
        None
    };
    let Some((method, target)) = text.split_once(' ') else {
        return wrong(cx, format!("{} is not `METHOD PATH`", quote(text)), SEND);
    };
    if !headers::is_token(method.as_bytes()) {
        return wrong(cx, format!("{} is not a method", quote(method)), SEND);
    }
    let target = target.trim_start();
    if !target.starts_with('/') {
        return wrong(cx, format!("{} is not a path", quote(target)), "the address of the admin API is left out");
    }
    if target.contains(char::is_whitespace) {
        return wrong(cx, "a path can't hold a space".to_owned(), "write it percent-encoded: `%20`");
    }
    Some((method.to_owned(), Spanned { value: target.to_owned(), span: node.span.clone() }))
}
