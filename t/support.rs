//! Running the binary, and places to run it in.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What a run of the binary gave.
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs `pwtest` in a folder, without a terminal and without the variables that change what it does.
pub fn pwtest(folder: &Path, arguments: &[&str]) -> Ran {
    pwtest_with(folder, arguments, &[])
}

/// The same with variables set.
pub fn pwtest_with(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pwtest"));
    command.current_dir(folder).args(arguments);
    for variable in ["CI", "GITHUB_ACTIONS", "NO_COLOR"] {
        command.env_remove(variable);
    }
    command.envs(variables.iter().copied());
    let output = command.output().expect("the binary runs");
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A folder of its own, with a `.git` so that nothing above it is looked at, and a way to the fixtures.
pub fn workspace(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join(".git")).expect("a folder");
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(path, content.replace("FIXTURES", &root().join("fixtures").to_string_lossy())).expect("a file");
    }
    folder
}

/// Fails with everything that was printed.
pub fn check(condition: bool, what: &str, ran: &Ran) -> Result<(), libtest_mimic::Failed> {
    if condition {
        return Ok(());
    }
    Err(format!("{what}\nexit code {}\n--- stdout\n{}\n--- stderr\n{}", ran.code, ran.stdout, ran.stderr).into())
}
