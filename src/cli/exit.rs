//! Exit codes. They are part of the interface: scripts and CI servers read them.

/// Everything passed.
pub const PASSED: u8 = 0;
/// A case failed, or a snapshot differs.
pub const FAILED: u8 = 1;
/// The user's input is wrong: a flag, a path, a scenario.
pub const INVALID_INPUT: u8 = 2;
/// A plugin could not be loaded or started.
pub const NOT_STARTED: u8 = 3;
/// Nothing was selected.
pub const NOTHING_SELECTED: u8 = 4;
/// Ended by Ctrl-C while a real Envoy ran, as a shell says it.
pub const INTERRUPTED: u8 = 130;

/// For `--help`.
pub const HELP: &str = "Exit codes:
  0  passed
  1  a case failed, or a snapshot differs
  2  invalid input: a flag, a path, a scenario
  3  a plugin could not be loaded or started
  4  nothing selected";
