//! `pwtest abi`: the hostcalls and callbacks, from the very tables that the host is made of.

use crate::abi::{ALL_CALLBACKS, AbiVersion, Returns};
use crate::host::hostcalls::{FAMILIES, row};
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
            let note = if row.unimplemented { "  (answered with unimplemented)" } else { "" };
            writeln!(out, "    {:<40} {versions}{note}", format!("{}{}", row.name, signature(row)))?;
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
    }
    Ok(super::exit::PASSED)
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
