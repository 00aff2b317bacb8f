//! `pwtest findings`: what findings there are, and what one of them means.

use super::exit;
use crate::host::portability::{KINDS, Kind, Scope};
use crate::host::profile;
use clap::Args;
use std::io::Write as _;

/// List findings.
#[derive(Args)]
pub struct FindingsArgs {
    /// Explain these; without one, list all.
    ids: Vec<String>,
}

/// Runs the command.
pub fn run(args: &FindingsArgs) -> anyhow::Result<u8> {
    let mut out = std::io::stdout().lock();
    if args.ids.is_empty() {
        let column = KINDS.iter().map(|kind| kind.id.len()).max().unwrap_or(0);
        for (scope, title) in [(Scope::Plugin, "about the plugin"), (Scope::Portability, "about other hosts")] {
            writeln!(out, "{title}")?;
            for kind in KINDS.iter().filter(|kind| kind.scope == scope) {
                writeln!(out, "  {:column$}  {}", kind.id, kind.what)?;
            }
        }
        return Ok(exit::PASSED);
    }
    for id in &args.ids {
        let Some(kind) = KINDS.iter().find(|kind| kind.id == id) else {
            let scored = KINDS.iter().map(|kind| (strsim::normalized_damerau_levenshtein(kind.id, id), kind.id));
            let near = scored.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(close, _)| *close > 0.6);
            let near =
                near.map_or("`pwtest findings` lists them".to_owned(), |(_, near)| format!("did you mean `{near}`"));
            eprintln!("error: no finding is called `{}`; {near}", crate::trace::show::clipped(id, 100));
            return Ok(exit::INVALID_INPUT);
        };
        out.write_all(explain(kind).as_bytes())?;
    }
    Ok(exit::PASSED)
}

fn explain(kind: &Kind) -> String {
    let mut text = format!("{}: {}\n", kind.id, kind.what);
    if kind.scope == Scope::Portability {
        for profile in profile::ALL {
            let quirk = profile.quirks.iter().find(|quirk| quirk.id == kind.id);
            text += &match quirk {
                Some(quirk) => format!("  {} {} ({})\n", profile.name, quirk.does, quirk.source),
                None => format!("  {} {}\n", profile.name, kind.usual),
            };
        }
    }
    text + &format!("  help: {}\n", kind.advice)
}
