//! All tests of pwtest that go beyond one file: one binary, and every scenario file below `t` is a test by its own
//! name (`cargo test plugins/censor`).

mod cli;
mod conformance;
mod coverage;
mod envoy;
mod findings;
mod hosts;
mod insta_files;
mod layering;
#[cfg(feature = "proxy")]
mod readme;
mod scenarios;
#[cfg(feature = "proxy")]
mod serve;
#[cfg(feature = "proxy")]
mod serve_cli;
mod support;
#[cfg(feature = "proxy")]
mod twins;

use libtest_mimic::{Arguments, run};

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = scenarios::trials();
    trials.extend(coverage::trials());
    trials.extend(layering::trials());
    trials.extend(cli::trials());
    trials.extend(envoy::trials());
    trials.extend(conformance::trials());
    trials.extend(hosts::trials());
    trials.extend(findings::trials());
    trials.extend(insta_files::trials());
    #[cfg(feature = "proxy")]
    trials.extend(readme::trials());
    #[cfg(feature = "proxy")]
    trials.extend(serve::trials());
    #[cfg(feature = "proxy")]
    trials.extend(serve_cli::trials());
    #[cfg(feature = "proxy")]
    trials.extend(twins::trials());
    run(&arguments, trials).exit_code()
}
