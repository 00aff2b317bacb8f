//! The language from the outside: what a good file becomes, what is said of bad ones, and that nothing panics.

mod good;
mod grpc;
mod hostile;
mod mistakes;

use super::{Scenario, parse};
use crate::diagnostic::Diagnostic;
use std::path::PathBuf;

const GOOD: &str = include_str!("good.yaml");

/// A folder with the files that the tests' scenarios name.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("plugin.wasm"), "").expect("written");
        std::fs::write(folder.path().join("body.txt"), "from a file").expect("written");
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("scenario.yaml")
    }

    fn parse(&self, text: &str) -> Result<Scenario, Vec<Diagnostic>> {
        parse(&self.path(), text.to_string())
    }

    /// A file whose `cases` are these lines.
    fn cases(&self, text: &str) -> Result<Scenario, Vec<Diagnostic>> {
        self.parse(&format!("plugin: plugin.wasm\ncases:\n{text}"))
    }
}
