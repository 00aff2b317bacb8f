//! The gateway of a scenario: its document is read here, since what a document says is above what a scenario is.

use crate::diagnostic::Diagnostic;
use crate::gateway::document::{self, Gateway};
use crate::gateway::files::{self, Environment};
use crate::scenario::{GatewayDocument, Scenario};

/// A gateway as a scenario has it, and what its author should know.
#[derive(Debug, Clone)]
pub struct Read {
    /// The gateway.
    pub gateway: Gateway,
    /// What counts for nothing, in words.
    pub warnings: Vec<String>,
}

/// Reads the gateway document of a scenario, if it has one.
pub fn read(scenario: &Scenario) -> Result<Option<Read>, Box<Diagnostic>> {
    let Some(spec) = &scenario.gateway else { return Ok(None) };
    let read = match &spec.document {
        GatewayDocument::Inline(inline) => document::within(&scenario.source, &inline.0, &spec.base),
        // As `pwtest serve` reads them.
        GatewayDocument::File(source) => files::document(source, &spec.base, &Environment::of_process()),
        GatewayDocument::Files(path) => {
            files::load(path, &Environment::of_process()).map(|loaded| (loaded.gateway, loaded.warnings))
        }
    };
    match read {
        Ok((gateway, warnings)) => Ok(Some(Read { gateway, warnings })),
        Err(problem) if problem.source.is_none() => Err(Box::new(problem.at(&scenario.source, spec.span.clone()))),
        Err(problem) => Err(Box::new(problem)),
    }
}
