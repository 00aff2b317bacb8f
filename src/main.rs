//! The `pwtest` command: parse, dispatch, exit code.

fn main() -> std::process::ExitCode {
    pwtest::cli::main()
}
