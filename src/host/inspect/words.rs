//! The words of the reasons: one line for what is wrong, one for what to do.

use super::refusal::{Feature, Instead, ItemKind, Lookalike, Reason, Unlinked};
use super::table::Signature;
use crate::abi::AbiVersion;
use std::fmt;

/// A name out of a module: escaped, and cut where it is long.
pub(super) struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 160;
        let mut rest = self.0.chars();
        for c in rest.by_ref().take(LONGEST) {
            match c {
                // Not escape_debug for all: it would escape quotes and letters of other scripts' marks.
                c if c.is_control() || is_invisible(c) => write!(f, "{}", c.escape_default())?,
                c => write!(f, "{c}")?,
            }
        }
        if rest.next().is_some() { f.write_str("...") } else { Ok(()) }
    }
}

/// Separators and marks that turn the direction of a line in a terminal.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the file is empty"),
            Self::NotWasm { looks: Lookalike::Unknown, first } => {
                f.write_str("not a WebAssembly module: it begins with the bytes")?;
                first.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
            }
            Self::NotWasm { looks, .. } => write!(f, "not a WebAssembly module: this is {looks}"),
            Self::Text { line, column, message, excerpt } => {
                let message = Shown(message);
                write!(f, "syntax error in line {line}, column {column}: {message}, at `{}`", Shown(excerpt))
            }
            Self::Truncated { size, section, missing } => {
                write!(f, "the file ends too early, after {size} bytes")?;
                if let Some(section) = section {
                    write!(f, ", in the {section} section")?;
                }
                match missing {
                    Some(missing) => write!(f, ", where at least {missing} more should follow"),
                    None => Ok(()),
                }
            }
            Self::Component => f.write_str("this is a WebAssembly component, and Proxy-Wasm plugins are modules"),
            Self::Version(version) => write!(f, "version {version:#x} of the WebAssembly format does not exist"),
            Self::Invalid { offset: Some(offset), message } => {
                write!(f, "invalid module: {} (at byte {offset:#x})", Shown(message))
            }
            Self::Invalid { offset: None, message } => write!(f, "invalid module: {}", Shown(message)),
            Self::Unlinked(Unlinked::Object) => f.write_str("this is an object file, not a linked module"),
            Self::Unlinked(Unlinked::SharedLibrary) => {
                f.write_str("this is a library for dynamic linking, not a complete module")
            }
            Self::Feature(feature) => write!(f, "the module uses {feature}, which the engine does not have"),
            Self::NoMarker { instead: Instead::Command } => {
                f.write_str("this is a command, not a Proxy-Wasm plugin: it exports `_start` and no marker of the ABI")
            }
            Self::NoMarker { instead: Instead::Marker(name) } => {
                write!(f, "`{}` declares no version of the ABI that hosts know", Shown(name))
            }
            Self::NoMarker { instead: Instead::NotAFunction(name) } => {
                write!(f, "`{name}` is exported, but not as a function")
            }
            Self::NoMarker { .. } => f.write_str("no version of the ABI is declared"),
            Self::UnknownImport { module, name, .. } => {
                write!(f, "unknown import `{}.{}`", Shown(module), Shown(name))
            }
            Self::UndefinedHere { name, host } => write!(f, "{host} does not define the hostcall `{}`", Shown(name)),
            Self::MoreImports(count) => write!(f, "{count} further imports that the host does not define"),
            Self::OtherVersion { name, declared, exists_in } => {
                write!(
                    f,
                    "the hostcall `{}` is not in ABI {declared}, which the module declares, but in ",
                    Shown(name)
                )?;
                list(f, exists_in.iter())
            }
            Self::ImportSignature { module, name, wanted, found } => {
                let name = format_args!("{}.{}", Shown(module), Shown(name));
                write!(f, "the import `{name}` has the signature {found}, and the host's is ")?;
                list(f, wanted.iter())
            }
            Self::RedefinedHere { name, host, wanted, found } => {
                write!(f, "{host} does not define the hostcall `{}` as the ABI does, {found}, but as ", Shown(name))?;
                list(f, wanted.iter())
            }
            Self::ImportKind { module, name, kind } => {
                write!(f, "the {kind} `{}.{}` is imported, and hosts define only functions", Shown(module), Shown(name))
            }
            Self::NoMemory => f.write_str("no memory is exported"),
            Self::MemoryName { found, host } => {
                write!(f, "the memory is exported as `{}`, and {host} looks for `memory`", Shown(found))
            }
            Self::NoAllocator => {
                f.write_str("no allocator is exported: neither `malloc` nor `proxy_on_memory_allocate`")
            }
            Self::MissingCallback { callback, host } => {
                write!(f, "`{}` is not exported, and {host} requires it", callback.export())
            }
            Self::ExportSignature { name, wanted, found } => {
                write!(f, "the export `{}` has the signature {found}, and hosts call {wanted}", Shown(name))
            }
        }
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: impl Iterator<Item = T>) -> fmt::Result {
    items.enumerate().try_for_each(|(i, item)| write!(f, "{}{item}", if i == 0 { "" } else { " or " }))
}

impl Reason {
    /// The usual cause and what to do.
    pub fn hint(&self) -> Option<String> {
        let text: &str = match self {
            Self::Empty => "the build or the download that wrote it has most likely failed",
            Self::NotWasm { looks, .. } => looks.hint()?,
            Self::Text { .. } => return None,
            Self::Truncated { .. } => "the download or copy was most likely cut off; fetch or build the file again",
            Self::Component => {
                "it was most likely built for wasm32-wasip2 or with cargo-component; build for wasm32-wasip1 or \
                 wasm32-unknown-unknown"
            }
            Self::Version(_) | Self::Invalid { .. } => {
                "the file is damaged, or the tool that wrote it has a defect; build it again, and check it with \
                 `wasm-tools validate`"
            }
            Self::Unlinked(Unlinked::Object) => "link it with wasm-ld, or let the compiler do so: leave out `-c`",
            Self::Unlinked(Unlinked::SharedLibrary) => "build without `-shared`, `-fPIC` and Emscripten's SIDE_MODULE",
            Self::Feature(feature) => feature.hint(),
            Self::NoMarker { instead } => return Some(no_marker_hint(instead)),
            Self::UnknownImport { module, name, nearest, origin } => {
                return unknown_import_hint(module, name, nearest.as_deref(), *origin);
            }
            Self::UndefinedHere { .. } | Self::RedefinedHere { .. } => {
                "the module is right, but that host can't load it; leave out what calls the function, or choose another host"
            }
            Self::MoreImports(_) => return None,
            Self::OtherVersion { declared, .. } => {
                return Some(format!(
                    "hosts link only the hostcalls of the declared version; use an SDK made for ABI {declared}, or export \
                     another marker"
                ));
            }
            Self::ImportSignature { module, .. } if module == "env" => {
                "the function is declared with other types than the ABI has; pointers, sizes and results are i32"
            }
            Self::ImportSignature { .. } => "the function is declared with other types than WASI preview 1 has",
            Self::ImportKind { kind: ItemKind::Memory, .. } => {
                "plugins bring their own memory; build without `--import-memory` and export it as `memory`"
            }
            Self::ImportKind { .. } => {
                "the module is made for dynamic linking or for a JavaScript host; link it statically, without `-fPIC`, \
                 `--import-table` and SIDE_MODULE"
            }
            Self::NoMemory | Self::MemoryName { .. } => {
                "hosts read and write the plugin's memory; export it as `memory` (linkers do so unless told otherwise)"
            }
            Self::NoAllocator => {
                "hosts need it to hand over data; the SDKs export it, and by hand it is \
                 `proxy_on_memory_allocate(i32) -> i32` (C and C++: `-Wl,--export=malloc`)"
            }
            Self::MissingCallback { .. } => "the SDKs export it; by hand, export it even if it does nothing",
            Self::ExportSignature { name, wanted, found } => return Some(export_hint(name, wanted, found)),
        };
        Some(text.to_owned())
    }
}

fn unknown_import_hint(
    module: &str,
    name: &str,
    nearest: Option<&str>,
    origin: Option<super::Origin>,
) -> Option<String> {
    match (nearest, origin) {
        (_, Some(origin)) if origin.is_certain() => Some(origin.cause().to_owned()),
        (Some(nearest), _) => Some(format!("did you mean `{nearest}`")),
        (None, Some(origin)) => Some(origin.cause().to_owned()),
        (None, None) if module == "env" && name.starts_with("proxy_") => {
            Some("the specification has no hostcall of this name; it may be private to another host".to_owned())
        }
        (None, None) => {
            Some(format!("hosts define functions in `env` and `wasi_snapshot_preview1`, not in `{}`", Shown(module)))
        }
    }
}

fn no_marker_hint(instead: &Instead) -> String {
    let names = AbiVersion::ALL.map(|v| format!("`{}`", v.marker())).join(", ");
    match instead {
        Instead::Marker(_) => {
            format!("export a function named {names}; drafts of later versions are not accepted by any host")
        }
        Instead::NotAFunction(_) => "the marker is an exported function; it is never called".to_owned(),
        Instead::Callbacks => format!("export a function named {names}; the SDKs do"),
        Instead::Command => format!(
            "plugins are libraries (Rust: `crate-type = [\"cdylib\"]`; Go: `-buildmode=c-shared`; C and C++: \
             `-mexec-model=reactor`) made with a Proxy-Wasm SDK, which exports one of {names}"
        ),
        Instead::Nothing => format!(
            "a plugin exports a function named {names}; with an SDK, it was not linked in or was stripped (Rust: \
             `crate-type = [\"cdylib\"]` and `proxy_wasm::main!`)"
        ),
    }
}

fn export_hint(name: &str, wanted: &Signature, found: &Signature) -> String {
    let headers = matches!(name, "proxy_on_request_headers" | "proxy_on_response_headers");
    match (headers, wanted.params.len(), found.params.len()) {
        (true, 3, 2) => "two parameters are ABI 0.1.0; since 0.2.0 `end_of_stream` is the third".to_owned(),
        (true, 2, 3) => "`end_of_stream` came with ABI 0.2.0, and the module declares 0.1.0".to_owned(),
        _ => format!("declare it as {wanted}"),
    }
}

impl fmt::Display for Lookalike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elf => "a native Linux program (ELF)",
            Self::MachO => "a native macOS program (Mach-O)",
            Self::Windows => "a native Windows program",
            Self::Gzip => "a gzip archive",
            Self::Zstd => "a zstd archive",
            Self::Zip => "a zip archive",
            Self::Tar => "a tar archive",
            Self::StaticLibrary => "a static library",
            Self::Bitcode => "LLVM bitcode",
            Self::GitLfs => "a Git LFS pointer",
            Self::Base64 => "a module in base64",
            Self::Utf16 => "text in UTF-16",
            Self::Html => "a web page",
            Self::Json => "JSON",
            Self::Text => "text",
            Self::Unknown => "something else",
        })
    }
}

impl Lookalike {
    fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::Elf | Self::MachO | Self::Windows => {
                "it was built for this machine; build for WebAssembly (Rust: `--target wasm32-wasip1`, Go: `GOOS=wasip1 \
                 GOARCH=wasm`)"
            }
            Self::Gzip | Self::Zstd | Self::Tar => {
                "unpack it first; a layer of an OCI image is a tar.gz that holds `plugin.wasm`"
            }
            Self::Zip => "unpack it first",
            Self::StaticLibrary | Self::Bitcode => {
                "it is not linked yet; Rust: `crate-type = [\"cdylib\"]`, C and C++: link with wasm-ld"
            }
            Self::GitLfs => "the file itself is missing; run `git lfs pull`",
            Self::Base64 => "decode it first, with `base64 -d`",
            Self::Utf16 => "save it as UTF-8; PowerShell's `>` writes UTF-16 and damages binary files",
            Self::Html | Self::Json => "the download that wrote it has most likely failed; look at the file",
            Self::Text => "give what the compiler wrote; if it was downloaded, that has failed: look at the file",
            Self::Unknown => return None,
        })
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Threads => "shared memory",
            Self::Memory64 => "64-bit memory",
            Self::Exceptions => "exception handling",
            Self::Gc => "garbage-collected types",
            Self::StackSwitching => "stack switching",
            Self::CustomPageSizes => "memory pages of another size than 64 KiB",
        })
    }
}

impl Feature {
    fn hint(self) -> &'static str {
        match self {
            Self::Threads => "plugins have one thread; build without `-pthread` and `+atomics`",
            Self::Memory64 => "pointers of the ABI have 32 bits; build for wasm32",
            Self::Exceptions => "build with `-fno-exceptions` (Rust: `panic = \"abort\"`)",
            Self::Gc | Self::StackSwitching => "this compiler's output needs another engine; plugins use linear memory",
            Self::CustomPageSizes => "build with the usual page size",
        }
    }
}

impl fmt::Display for ItemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Table => "table",
            Self::Global => "global",
            Self::Tag => "tag",
        })
    }
}
