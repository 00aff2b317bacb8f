//! From the name of a case to the name of its file: readable, the same on every machine, and safe on
//! every file system.
//!
//! A name is kept where it can be and marked with a hash where it can't, so that two names never
//! share a file. Two kinds of names need no hash of their own and still meet: `a b` and `a-b`, and
//! on some file systems `A` and `a`. Marking every capital would make most names ugly for the sake
//! of a few, so [`FileNames`] looks at all names of a scenario and marks only those that meet.

use std::collections::{BTreeMap, BTreeSet};

/// A file name may have 255 bytes; hash, host, `.snap.new` and what writers append must fit too.
const LONGEST: usize = 150;

/// The file names of one scenario's cases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileNames(BTreeMap<String, String>);

impl FileNames {
    /// Gives every case of a scenario its file name.
    pub fn new<'a>(cases: impl IntoIterator<Item = &'a str>) -> Self {
        let cases: BTreeSet<&str> = cases.into_iter().collect();
        // A name that is its own file name goes first and keeps it, so that another case which
        // comes later can't take it away.
        let (first, rest): (Vec<&str>, Vec<&str>) =
            cases.into_iter().partition(|case| slug(case) == *case && !case.contains(|c: char| c.is_ascii_uppercase()));
        let mut taken = BTreeSet::new();
        let mut names = BTreeMap::new();
        for case in first.into_iter().chain(rest) {
            let choices = [slug(case), marked(case, 8), marked(case, 16)];
            let free = choices.iter().find(|name| !taken.contains(&name.to_ascii_lowercase()));
            let name = free.unwrap_or(&choices[2]).clone();
            taken.insert(name.to_ascii_lowercase());
            names.insert(case.to_owned(), name);
        }
        Self(names)
    }

    /// The file name of a case, without host and ending.
    pub fn get(&self, case: &str) -> String {
        self.0.get(case).cloned().unwrap_or_else(|| slug(case))
    }
}

/// A name made safe: blanks become `-`, other characters `_`; whatever else is lost is marked.
pub fn slug(name: &str) -> String {
    let kept = keep(name);
    match kept == name.replace(' ', "-") {
        true => kept,
        false => marked(name, 8),
    }
}

/// The readable part of a name, and as many digits of its hash.
fn marked(name: &str, digits: usize) -> String {
    let hash = fnv1a(name.as_bytes());
    // Folded, so that the short form draws on all of it.
    let hash = if digits <= 8 { (hash >> 32) ^ (hash & 0xffff_ffff) } else { hash };
    let kept = keep(name);
    let readable = match kept.trim_end_matches(['_', '-']) {
        "" => "case", // a file that begins with a dash looks like a flag
        readable => readable,
    };
    format!("{readable}-{hash:0digits$x}")
}

fn keep(name: &str) -> String {
    let mut kept = String::new();
    for c in name.chars() {
        match c {
            ' ' => kept.push('-'),
            // A leading dot hides a file, and `..` is a way out of the folder.
            '.' if kept.is_empty() => kept.push('_'),
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => kept.push(c),
            _ if kept.ends_with('_') => {} // one for a run of them: names may be all Chinese
            _ => kept.push('_'),
        }
        if kept.len() == LONGEST {
            break;
        }
    }
    // Windows keeps these for devices, whatever the case and whatever follows the first dot.
    let stem = kept.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let device = stem.strip_suffix(|c: char| c.is_ascii_digit()).is_some_and(|kind| kind == "com" || kind == "lpt");
    if device || ["", "con", "prn", "aux", "nul"].contains(&stem.as_str()) {
        kept.insert(0, '_');
    }
    kept
}

/// 64-bit FNV-1a. The standard library's hasher may change between releases; file names must not.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn readable_names_stay() {
        for (name, file) in [
            ("sets the header", "sets-the-header"),
            ("content-length is removed", "content-length-is-removed"),
            ("Returns 401", "Returns-401"),
            ("v1.2_x", "v1.2_x"),
        ] {
            assert_eq!(slug(name), file);
        }
    }

    #[test]
    fn others_are_marked_and_stay_the_same_for_ever() {
        // These are file names in people's repositories: a change here renames their snapshots.
        for (name, file) in [
            ("GET /a/b", "GET-_a_b-4fffa341"),
            ("../../etc/passwd", "_._.._etc_passwd-9031d1f1"),
            ("", "case-4fd0bfc1"),
            ("日本", "case-b4ceb0a4"),
            ("con", "_con-fb059532"),
            ("aux.x", "_aux.x-9d556abb"),
            ("LPT1", "_LPT1-b34b3dcf"),
            ("a@envoy", "a_envoy-9f829435"),
            (".hidden", "_hidden-e5e365c5"),
            ("tab\there", "tab_here-68abb914"),
        ] {
            assert_eq!(slug(name), file, "{name}");
        }
    }

    #[test]
    fn the_hash_is_fnv1a() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn names_that_would_meet_are_told_apart() {
        let names = FileNames::new(["a b", "a-b", "A-B", "other"]);
        assert_eq!(names.get("a-b"), "a-b", "a name that is its own file name keeps it");
        assert_eq!(names.get("other"), "other");
        let all: BTreeSet<String> =
            ["a b", "a-b", "A-B"].iter().map(|case| names.get(case).to_ascii_lowercase()).collect();
        assert_eq!(all.len(), 3, "{names:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_name_is_safe_and_none_meets_another(
            cases in proptest::collection::btree_set("[aAbB -./@_é]{0,6}|\\PC{0,300}|(?i:con|lpt1|nul)(\\.x)?", 1..20)
        ) {
            let names = FileNames::new(cases.iter().map(String::as_str));
            let mut seen = BTreeSet::new();
            for case in &cases {
                let name = names.get(case);
                prop_assert!(!name.is_empty() && name.len() <= LONGEST + 18, "{name}");
                prop_assert!(name.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c)), "{name}");
                prop_assert!(!name.starts_with('.'), "{name}");
                prop_assert!(seen.insert(name.to_ascii_lowercase()), "{case:?} meets another at {name}");
            }
        }
    }
}
