//! From an offset in a module to names and lines, for people who look at a trap.
//!
//! The engine could do this too, at 100 ms for each trap, shown or not. So a trap keeps bare offsets, and this
//! reads the name section and DWARF when somebody looks. Whatever is missing or damaged is left out: a trap
//! without lines is still a trap. Separate debug files and source maps are not followed.

use addr2line::Context;
use gimli::{Dwarf, EndianSlice, LittleEndian, SectionId};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use wasmparser::{BinaryReader, Name, NameSectionReader, Parser, Payload, TypeRef};

/// More frames than this are inlined at one place only in damaged DWARF.
const MOST_FRAMES: usize = 64;

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// A place in the source code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Location {
    /// The function, demangled.
    pub function: Option<String>,
    /// The file, without what differs between machines.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
}

/// What a module knows about its source code. Borrows the module, because DWARF is most of it.
#[derive(Default)]
pub struct Symbols<'a> {
    /// Where the contents of the code section begin: DWARF counts from there.
    code: Range<usize>,
    /// Function bodies, in order: where they begin and end, and the index of the function.
    bodies: Vec<(Range<usize>, u32)>,
    names: BTreeMap<u32, &'a str>,
    dwarf: Option<Context<Slice<'a>>>,
}

impl std::fmt::Debug for Symbols<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (functions, names, dwarf) = (self.bodies.len(), self.names.len(), self.dwarf.is_some());
        write!(f, "Symbols {{ functions: {functions}, names: {names}, dwarf: {dwarf} }}")
    }
}

impl<'a> Symbols<'a> {
    /// Reads the names and the DWARF of a module. What can't be read is left out.
    pub fn load(wasm: &'a [u8]) -> Symbols<'a> {
        let mut symbols = Symbols::default();
        let mut sections: BTreeMap<&str, &'a [u8]> = BTreeMap::new();
        let mut next = 0;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload {
                Ok(Payload::ImportSection(section)) => {
                    let functions = section.into_imports().flatten();
                    next +=
                        functions.filter(|i| matches!(i.ty, TypeRef::Func(_) | TypeRef::FuncExact(_))).count() as u32;
                }
                Ok(Payload::CodeSectionStart { range, .. }) => symbols.code = range,
                Ok(Payload::CodeSectionEntry(body)) => {
                    symbols.bodies.push((body.range(), next));
                    next += 1;
                }
                Ok(Payload::CustomSection(section)) if section.name() == "name" => {
                    let reader = BinaryReader::new(section.data(), section.data_offset());
                    symbols.names = function_names(NameSectionReader::new(reader));
                }
                Ok(Payload::CustomSection(section)) if section.name().starts_with(".debug_") => {
                    sections.insert(section.name(), section.data());
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        if sections.contains_key(".debug_info") {
            symbols.dwarf = context(&sections);
        }
        symbols
    }

    /// The functions at an offset in the module, the innermost first; the others have inlined it.
    ///
    /// Empty without DWARF for this place; [`Symbols::function_at`] may still know the function's name.
    pub fn locate(&self, module_offset: usize) -> Vec<Location> {
        let (Some(context), true) = (&self.dwarf, self.code.contains(&module_offset)) else { return Vec::new() };
        let probe = (module_offset - self.code.start) as u64;
        let Ok(mut frames) = context.find_frames(probe).skip_all_loads() else { return Vec::new() };
        let mut found = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            if found.len() == MOST_FRAMES {
                break;
            }
            let function = frame.function.as_ref().and_then(|f| f.raw_name().ok().map(|name| demangle(&name)));
            let place = frame.location;
            found.push(Location {
                function,
                file: place.as_ref().and_then(|p| p.file).map(shorten),
                // 0 means that the compiler did not know.
                line: place.as_ref().and_then(|p| p.line).filter(|n| *n > 0),
                column: place.as_ref().and_then(|p| p.column).filter(|n| *n > 0),
            });
        }
        // The outermost frame is the function that the name section knows, and there with its full path: what
        // compilers leave of DWARF in release builds says `read_name` for `<Fragile>::read_name`.
        if let (Some(outermost), Some(name)) = (found.last_mut(), self.function_at(module_offset)) {
            outermost.function = Some(name);
        }
        found.retain(|l| *l != Location::default());
        found
    }

    /// The name of the function at an offset in the module, demangled, from the name section.
    pub fn function_at(&self, module_offset: usize) -> Option<String> {
        let after = self.bodies.partition_point(|(range, _)| range.start <= module_offset);
        let (range, index) = self.bodies.get(after.checked_sub(1)?)?;
        let name = self.names.get(index).filter(|_| range.contains(&module_offset))?;
        Some(demangle(name))
    }
}

fn function_names(section: NameSectionReader<'_>) -> BTreeMap<u32, &str> {
    let maps = section.flatten().filter_map(|name| match name {
        Name::Function(map) => Some(map),
        _ => None,
    });
    maps.flatten().flatten().map(|naming| (naming.index, naming.name)).collect()
}

fn context<'a>(sections: &BTreeMap<&str, &'a [u8]>) -> Option<Context<Slice<'a>>> {
    let load = |id: SectionId| {
        let bytes = sections.get(id.name()).copied().unwrap_or_default();
        Ok::<_, gimli::Error>(EndianSlice::new(bytes, LittleEndian))
    };
    Context::from_dwarf(Dwarf::load(load).ok()?).ok()
}

/// Names of Rust and C++ become readable; those of Go and C are so already.
fn demangle(name: &str) -> String {
    // The demangler takes a C++ function named `h` for the type `unsigned char`.
    if !name.starts_with("_Z") && !name.starts_with("_R") {
        return without_hash(name.to_owned());
    }
    without_hash(addr2line::demangle_auto(Cow::Borrowed(name), None).into_owned())
}

/// Linkers that demangle by themselves keep the hash of Rust's old scheme (`f::h0123456789abcdef`), which changes with
/// every build.
fn without_hash(mut name: String) -> String {
    let is_hash = |hash: &str| hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    if let Some((start, _)) = name.rsplit_once("::h").filter(|(_, hash)| is_hash(hash)) {
        name.truncate(start.len());
    }
    name
}

/// Keeps the part of a path that is the same on every machine.
///
/// Rust's own library: `library/core/src/x.rs`. A dependency: `crate-1.2.3/src/x.rs`. The plugin's own
/// code: from `src/`, or the last three components; relative paths stay as the build wrote them.
fn shorten(path: &str) -> String {
    let path = path.replace('\\', "/");
    // Each is a folder that toolchains and package managers fill; the number says how many folders below it differ.
    const ROOTS: [(&str, usize); 5] = [
        ("/rustc/", 1),
        ("/lib/rustlib/src/rust/", 0),
        ("/git/checkouts/", 0),
        ("/pkg/mod/", 0),
        ("/node_modules/", 0),
    ];
    for (root, differing) in ROOTS {
        if let Some((_, rest)) = path.rsplit_once(root) {
            return rest.splitn(differing + 1, '/').last().unwrap_or(rest).to_owned();
        }
    }
    let parts: Vec<&str> = path.split('/').filter(|p| !matches!(*p, "" | "." | "..")).collect();
    let absolute = path.starts_with('/') || path.as_bytes().get(1) == Some(&b':');
    let src = parts.iter().rposition(|p| *p == "src").filter(|at| at + 1 < parts.len());
    let own_library = |at: &usize| {
        let crate_name = at.checked_sub(1).and_then(|i| parts.get(i));
        let folder = at.checked_sub(2).and_then(|i| parts.get(i));
        matches!(crate_name, Some(&"core" | &"alloc" | &"std")) && matches!(folder, Some(&"rust" | &"library"))
    };
    if let Some(at) = src.filter(own_library) {
        return format!("library/{}", parts.get(at - 1..).unwrap_or_default().join("/"));
    }
    let folders = parts.len().saturating_sub(1);
    let from = match parts.iter().take(folders).rposition(|p| has_version(p)) {
        Some(at) => at,
        None if !absolute => 0,
        None => src.unwrap_or(parts.len().saturating_sub(3)),
    };
    parts.get(from..).unwrap_or_default().join("/")
}

/// Whether a folder is named like a crate with its version: `proxy-wasm-0.2.4`.
fn has_version(folder: &str) -> bool {
    folder.match_indices('-').any(|(at, _)| {
        let mut numbers = folder.get(at + 1..).unwrap_or_default().splitn(3, '.');
        let mut whole = || numbers.next().is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        whole() && whole() && numbers.next().is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_the_same_on_every_machine() {
        let cases = [
            ("/rustc/59807616e1fa/library/core/src/panicking.rs", "library/core/src/panicking.rs"),
            ("/root/.rustup/toolchains/x/lib/rustlib/src/rust/library/std/src/rt.rs", "library/std/src/rt.rs"),
            (
                "/home/u/.cargo/registry/src/index.example.org-1949cf8c6b5b557f/proxy-wasm-0.2.2/src/hostcalls.rs",
                "proxy-wasm-0.2.2/src/hostcalls.rs",
            ),
            ("/home/u/.cargo/git/checkouts/sdk-abc/19e691b/src/lib.rs", "sdk-abc/19e691b/src/lib.rs"),
            ("/root/go/pkg/mod/github.com/x/y@v1.2.3/z.go", "github.com/x/y@v1.2.3/z.go"),
            ("fixtures/rust/crates/proxy-wasm-0.2.5-rc.1/src/traits.rs", "proxy-wasm-0.2.5-rc.1/src/traits.rs"),
            ("fixtures/rust/rust/core/src/fmt/mod.rs", "library/core/src/fmt/mod.rs"),
            ("fixtures/rust/fragile/src/lib.rs", "fixtures/rust/fragile/src/lib.rs"),
            ("C:\\Users\\u\\plugin\\src\\lib.rs", "src/lib.rs"),
            ("/home/src/u/plugin/src/auth/mod.rs", "src/auth/mod.rs"),
            ("/home/u/plugin/filter/a/plugin.cc", "filter/a/plugin.cc"),
            ("./plugin/../main.go", "plugin/main.go"),
            ("/main.c", "main.c"),
            ("", ""),
            ("/src", "src"),
        ];
        for (path, expected) in cases {
            assert_eq!(shorten(path), expected, "{path}");
        }
    }

    #[test]
    fn names_are_demangled() {
        assert_eq!(demangle("_ZN7fragile9read_name17h0123456789abcdefE"), "fragile::read_name");
        assert_eq!(demangle("fragile::read_name::h0123456789abcdef"), "fragile::read_name");
        assert_eq!(
            demangle("_RNvNtCsaaAiUdAOePQ_10proxy_wasm9hostcalls9proxy_log"),
            "proxy_wasm::hostcalls::proxy_log"
        );
        assert_eq!(demangle("_ZN6Filter16onRequestHeadersEj"), "Filter::onRequestHeaders(unsigned int)");
        assert_eq!(demangle("h"), "h");
        assert_eq!(demangle("main.(*httpContext).OnHttpRequestHeaders"), "main.(*httpContext).OnHttpRequestHeaders");
    }

    #[test]
    fn functions_have_names_where_the_module_has_them() {
        let text = r#"(module (import "env" "f" (func $f)) (func $g (nop) (nop) (nop)) (func $h (unreachable)))"#;
        let wasm = wat::parse_str(text).expect("valid text");
        let symbols = Symbols::load(&wasm);
        // A body without locals, `unreachable`, `end`.
        let at = 1 + wasm.windows(3).position(|w| w == [0, 0, 0x0b]).expect("the body of $h");
        assert_eq!(symbols.function_at(at).as_deref(), Some("h"));
        assert_eq!(symbols.locate(at), []);
        assert_eq!(symbols.function_at(0), None);
        assert_eq!(symbols.function_at(usize::MAX), None);
    }

    fn fixture() -> Vec<u8> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/rust/fragile.debug.wasm");
        std::fs::read(path).expect("the fixture with DWARF")
    }

    #[test]
    fn dwarf_leads_to_the_line() {
        let wasm = fixture();
        let symbols = Symbols::load(&wasm);
        let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/rust/fragile/src/lib.rs"));
        let source = source.expect("the fixture's source");
        let unwrapping =
            source.lines().position(|l| l.contains("get_http_request_header(\"x-name\")")).expect("the line");
        let frames: Vec<_> = (0..wasm.len()).map(|at| symbols.locate(at)).filter(|frames| !frames.is_empty()).collect();
        let outermost = frames.iter().filter_map(|frames| frames.last());
        let there = outermost.clone().find(|l| {
            l.line == Some(unwrapping as u32 + 1)
                && l.file.as_deref().is_some_and(|f| f.ends_with("fragile/src/lib.rs"))
        });
        let function = there.and_then(|l| l.function.as_deref()).expect("the line has code");
        assert!(function.contains("read_name"), "{function}");
        assert!(frames.iter().any(|frames| frames.len() > 1), "nothing is inlined");
        for file in outermost.filter_map(|l| l.file.as_deref()) {
            assert!(!file.starts_with('/') && !file.contains(".cargo"), "{file}");
        }
        assert_eq!(symbols.locate(usize::MAX), []);
    }

    #[test]
    fn damaged_dwarf_is_left_out() {
        let wasm = fixture();
        let debug = wasm.windows(11).position(|w| w == b".debug_info").expect("DWARF");
        // Any cheap sequence that reaches every place will do.
        let mut at = 1usize;
        for _ in 0..150 {
            let mut damaged = wasm.clone();
            for _ in 0..20 {
                at = at.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let place = debug + 11 + (at >> 33) % (wasm.len() - debug - 11);
                damaged[place] ^= 1 << (at >> 8 & 7);
            }
            let symbols = Symbols::load(&damaged);
            for at in (0..debug).step_by(997) {
                assert!(symbols.locate(at).len() <= MOST_FRAMES);
                let _ = symbols.function_at(at);
            }
        }
    }

    #[test]
    fn nonsense_is_left_out() {
        for bytes in [&b""[..], b"\0asm", b"\0asm\x01\0\0\0\x0a\xff\xff\xff\xff\x0f", b"hello"] {
            let symbols = Symbols::load(bytes);
            assert_eq!(symbols.locate(3), []);
            assert_eq!(symbols.function_at(3), None);
        }
    }
}
