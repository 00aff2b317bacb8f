//! Where things stand in the text of a document.

use crate::diagnostic::{Diagnostic, Source, Span};
use crate::gateway::schema::Step;
use crate::scenario::yaml::{self, Node};
use serde_json::Value;
use std::fmt::Write;
use std::sync::Arc;

/// The text of a document as a tree with places; without one, mistakes are named and not shown.
#[derive(Debug)]
pub(in crate::gateway) struct Places(Option<(Arc<Source>, Option<Node>)>);

/// Reads YAML, or JSON that YAML does not take.
pub(in crate::gateway) fn parse(source: &Arc<Source>) -> Result<(Value, Places), Diagnostic> {
    let source = source.clone();
    if source.text.trim().is_empty() {
        return Err(Diagnostic::new("this file is empty").at(&source, 0..0));
    }
    let (tree, problems) = yaml::read(&source);
    match (tree, problems.into_iter().next()) {
        (Some(tree), None) => match yaml::to_json(&tree) {
            Ok(value) => Ok((value, Places(Some((source, Some(tree)))))),
            Err(span) => Err(Diagnostic::new("this number is none that JSON has").at(&source, span)),
        },
        (_, Some(problem)) => match serde_json::from_str(&source.text) {
            // Indented with tabs, for example. JSON lets a key be there twice; here that is a mistake.
            Ok(value) if !problem.title.contains("given twice") => Ok((value, Places(Some((source, None))))),
            _ => Err(reworded(problem)),
        },
        (None, None) => Err(Diagnostic::new("this file could not be read").at(&source, 0..0)),
    }
}

/// The reader of YAML talks to people who write scenarios.
fn reworded(mut problem: Diagnostic) -> Diagnostic {
    problem.title = problem.title.replace("a scenario file is", "this has to be").replace(" in a scenario", " here");
    problem.hint = problem.hint.filter(|hint| !hint.contains("`cases`"));
    problem
}

impl Places {
    /// Of a part of a file.
    pub fn within(source: &Arc<Source>, tree: &Node) -> Self {
        Self(Some((source.clone(), Some(tree.clone()))))
    }

    /// Of something that has no text.
    pub fn none() -> Self {
        Self(None)
    }

    /// A mistake at the end of a path, or as near to it as the text goes. Its title names the path.
    pub fn at(&self, path: &[Step], title: impl AsRef<str>) -> Diagnostic {
        let shown = shown(path);
        let title = title.as_ref();
        let problem = match shown.as_str() {
            "" => Diagnostic::new(title),
            _ => Diagnostic::new(format!("{shown}: {title}")),
        };
        match &self.0 {
            Some((source, tree)) => problem.at(source, tree.as_ref().map_or(0..0, |tree| span(tree, path))),
            None => problem,
        }
    }
}

fn span(tree: &Node, path: &[Step]) -> Span {
    let (mut node, mut found) = (tree, None);
    for step in path {
        let next = match (step, &node.value) {
            (Step::Key(name), yaml::Value::Map(entries)) => {
                entries.iter().find(|(key, _)| key.text == *name).map(|(key, node)| (key.span.clone(), node))
            }
            (Step::Item(at), yaml::Value::List(items)) => items.get(*at).map(|node| (node.span.clone(), node)),
            _ => None,
        };
        let Some((span, below)) = next else { break };
        (node, found) = (below, Some(span));
    }
    found.unwrap_or(tree.span.start..tree.span.start)
}

/// `routes[0].plugins.wasm_log`
fn shown(path: &[Step]) -> String {
    let mut out = String::new();
    for step in path {
        // Writing to a text does not fail.
        let _ = match step {
            Step::Key(name) if out.is_empty() => write!(out, "{name}"),
            Step::Key(name) => write!(out, ".{name}"),
            Step::Item(at) => write!(out, "[{at}]"),
        };
    }
    out
}
