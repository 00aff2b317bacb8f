//! `pwtest abi`: the hostcalls and callbacks, from the very tables that the host is made of.

use crate::abi::{ALL_CALLBACKS, AbiVersion, Returns};
use crate::host::hostcalls::{FAMILIES, row};
use crate::host::profile::{self, Profile, Support};
use std::io::Write;

/// Prints the tables.
pub fn run() -> anyhow::Result<u8> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "hostcalls")?;
    for (family, rows) in FAMILIES {
        writeln!(out, "  {family}")?;
        for row in *rows {
            let versions = match row.versions {
                [] => row.modules.join(", "),
                versions => versions.iter().map(AbiVersion::to_string).collect::<Vec<_>>().join(" "),
            };
            writeln!(out, "    {:<40} {versions}", format!("{}{}", row.name, signature(row)))?;
            if !row.versions.is_empty() {
                for (hosts, answers) in by_host(|profile| answers(profile, row.name)) {
                    writeln!(out, "      {hosts}: {answers}")?;
                }
            }
        }
    }
    writeln!(out, "callbacks")?;
    for callback in ALL_CALLBACKS {
        let result = match callback.returns() {
            Returns::Nothing => "",
            Returns::Bool => " -> bool",
            Returns::Action => " -> action",
        };
        writeln!(out, "  {}({}){result}", callback.export(), callback.params().join(", "))?;
        let never = profile::ALL.iter().filter(|profile| !profile.documented.calls(*callback));
        let never: Vec<&str> = never.map(|profile| profile.name).collect();
        if !never.is_empty() {
            writeln!(out, "    never called by {}", never.join(", "))?;
        }
    }
    Ok(super::exit::PASSED)
}

/// What is the same under several hosts, said once.
fn by_host(say: impl Fn(&Profile) -> String) -> Vec<(String, String)> {
    let mut said: Vec<(String, String)> = Vec::new();
    for profile in profile::ALL {
        let text = say(profile);
        match said.iter_mut().find(|(_, other)| *other == text) {
            Some((hosts, _)) => *hosts += &format!(", {}", profile.name),
            None => said.push((profile.name.to_owned(), text)),
        }
    }
    said
}

fn answers(profile: &Profile, name: &str) -> String {
    let statuses: Vec<&str> = profile.documented.statuses(name).iter().map(|status| status.name()).collect();
    match profile.documented.support(name) {
        Support::Undefined => "not defined".to_owned(),
        Support::Dummy => format!("{}, and does nothing", statuses.join(" ")),
        Support::Unimplemented | Support::Works => statuses.join(" "),
    }
}

fn signature(row: &row::Row) -> String {
    let (mut ins, mut outs) = (Vec::new(), Vec::new());
    for param in row.params {
        match param.kind {
            row::Kind::Word | row::Kind::Long | row::Kind::Slice | row::Kind::Pairs => ins.push(param.name),
            row::Kind::OutWord | row::Kind::OutLong | row::Kind::OutBytes => outs.push(param.name),
        }
    }
    match outs.is_empty() {
        true => format!("({})", ins.join(", ")),
        false => format!("({}) -> {}", ins.join(", "), outs.join(", ")),
    }
}
