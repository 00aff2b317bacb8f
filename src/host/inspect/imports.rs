//! Whether the host defines what a module imports.

use super::origin::Origin;
use super::refusal::{ItemKind, Reason};
use super::sections::Sections;
use super::table::{ImportTable, Known, LinkRules, LinkedHostcalls, Signature};
use crate::abi::AbiVersion;
use std::collections::BTreeSet;
use wasmparser::TypeRef;

/// More reasons than this help nobody, and a hostile module has a million imports.
const MOST: usize = 64;
/// Names longer than this have no similar name, and comparing them takes time.
const LONGEST: usize = 64;

/// A function that a module imports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Import {
    /// The module it is imported from.
    pub module: String,
    /// Its name.
    pub name: String,
    /// Its signature, as the module has it.
    pub signature: Signature,
}

/// Checks every import; the same one twice, as Go writes it, counts once.
pub(super) fn check(
    sections: &Sections<'_>,
    table: &ImportTable,
    rules: &LinkRules,
    version: Option<AbiVersion>,
    reasons: &mut Vec<Reason>,
) -> Vec<Import> {
    let linker = Linker { table, rules, version };
    let mut seen = BTreeSet::new();
    let mut used = Vec::new();
    let mut unlisted = 0;
    let mut listed = 0;
    for import in &sections.imports {
        let (module, name) = (import.module, import.name);
        let kind = match import.ty {
            TypeRef::Func(index) | TypeRef::FuncExact(index) => Ok(index),
            TypeRef::Memory(_) => Err(ItemKind::Memory),
            TypeRef::Table(_) => Err(ItemKind::Table),
            TypeRef::Global(_) => Err(ItemKind::Global),
            TypeRef::Tag(_) => Err(ItemKind::Tag),
        };
        if !seen.insert((module, name, kind.ok())) {
            continue;
        }
        let wrong = match kind {
            Ok(index) => {
                let signature = sections.signature_of_type(index);
                let wrong = linker.check(module, name, &signature, listed < MOST);
                if wrong.is_none() {
                    used.push(Import { module: module.to_owned(), name: name.to_owned(), signature });
                }
                wrong
            }
            Err(kind) => Some(Reason::ImportKind { module: module.to_owned(), name: name.to_owned(), kind }),
        };
        match wrong {
            Some(reason) if listed < MOST => {
                listed += 1;
                reasons.push(reason);
            }
            Some(_) => unlisted += 1,
            None => {}
        }
    }
    if unlisted > 0 {
        reasons.push(Reason::MoreImports(unlisted));
    }
    used
}

struct Linker<'t> {
    table: &'t ImportTable,
    rules: &'t LinkRules,
    version: Option<AbiVersion>,
}

impl<'t> Linker<'t> {
    /// The rows of a name on this host.
    fn rows(&self, module: &str, name: &str) -> Vec<&'t Known> {
        let of = |rows: &'t [Known]| rows.iter().filter(|k| k.name == name && k.module == module).collect();
        let redefined: Vec<_> = of(&self.rules.redefined);
        if redefined.is_empty() { of(&self.table.known) } else { redefined }
    }

    fn check(&self, module: &str, name: &str, found: &Signature, search: bool) -> Option<Reason> {
        let rows = self.rows(module, name);
        if rows.is_empty() {
            let origin = Origin::of(module, name);
            let nearest = if search { self.nearest(module, name) } else { None };
            return Some(Reason::UnknownImport { module: module.to_owned(), name: name.to_owned(), nearest, origin });
        }
        if self.rules.undefined.contains(&name) {
            return Some(Reason::UndefinedHere { name: name.to_owned(), host: self.rules.host });
        }
        let mut linked = rows.clone();
        if let (Some(declared), LinkedHostcalls::OfItsVersion) = (self.version, self.rules.hostcalls) {
            linked.retain(|k| k.exists_in(declared));
            if linked.is_empty() {
                let mut exists_in: Vec<_> = rows.iter().flat_map(|k| k.versions.iter().copied()).collect();
                exists_in.sort_unstable();
                exists_in.dedup();
                return Some(Reason::OtherVersion { name: name.to_owned(), declared, exists_in });
            }
        }
        let wanted: Vec<_> = linked.iter().flat_map(|k| k.signatures()).collect();
        if wanted.contains(found) {
            return None;
        }
        let of_the_abi = self.table.known.iter().filter(|k| k.name == name && k.module == module && module == "env");
        let as_the_abi = of_the_abi.flat_map(|k| k.signatures()).any(|signature| signature == *found);
        let (module, name, found) = (module.to_owned(), name.to_owned(), found.clone());
        if as_the_abi {
            return Some(Reason::RedefinedHere { name, host: self.rules.host, wanted, found });
        }
        Some(Reason::ImportSignature { module, name, wanted, found })
    }

    /// The most similar import of this host: the same name elsewhere, or a similar name.
    fn nearest(&self, module: &str, name: &str) -> Option<String> {
        if name.len() > LONGEST {
            return None;
        }
        let here = self.table.known.iter().filter(|k| !self.rules.undefined.contains(&k.name));
        let scored = here.map(|k| {
            let close = strsim::normalized_damerau_levenshtein(k.name, name);
            // One letter too many in the module's name is a mistake of the same kind.
            (if k.module == module { close } else { close - 0.05 }, k)
        });
        let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
        (best.0 >= 0.75).then(|| format!("{}.{}", best.1.module, best.1.name))
    }
}
