//! Why there is nothing, or nothing new, to serve: in one line, for the log.

use super::ModuleError;
use crate::diagnostic::Diagnostic;
use crate::proxy::ServeError;
use crate::proxy::state::StateError;

/// Why there is nothing, or nothing new, to serve.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// What was written can't be used.
    #[error("{}", line(.0))]
    Configuration(Diagnostic),
    /// A module can't be used.
    #[error(transparent)]
    Module(#[from] Box<ModuleError>),
    /// The state file can't be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The workers can't.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// There are no workers any more.
    #[error("the server is about to stop")]
    Stopping,
}

/// A diagnostic in one line, for the log.
fn line(problem: &Diagnostic) -> String {
    let mut text = problem.title.clone();
    if let Some(source) = &problem.source {
        text += &format!(", in {}", source.path.display());
        if let Some(span) = &problem.span {
            let (line, column) = source.position(span.start);
            text += &format!(":{line}:{column}");
        }
    }
    if let Some(hint) = &problem.hint {
        text += &format!(" ({hint})");
    }
    text
}
