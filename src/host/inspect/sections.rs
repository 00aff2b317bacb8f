//! One pass over a module's sections, without the function bodies.
//!
//! What the inspection reads is validated first, so it can be trusted. The bodies are skipped by the length of
//! their section, and so are the segments of data and elements (a Go module has 30,000): they take most of the
//! time, a cached module runs its case in less, and the engine validates them when it compiles.

use super::refusal::{Feature, Reason, Unlinked};
use super::table::{Signature, ValKind};
use wasmparser::types::Types;
use wasmparser::{
    BinaryReader, BinaryReaderError, Chunk, CompositeInnerType, CustomSectionReader, Export, ExternalKind, Import,
    MemoryType, Parser, Payload, ValType, ValidPayload, Validator, WasmFeatures,
};

const MAGIC: &[u8] = b"\0asm";

/// What a module says of itself outside its function bodies.
pub(super) struct Sections<'a> {
    types: Types,
    pub imports: Vec<Import<'a>>,
    pub exports: Vec<Export<'a>>,
    pub start: bool,
    pub names: bool,
    pub dwarf: bool,
    pub target_features: Vec<&'a str>,
    pub features: Vec<Feature>,
    pub unlinked: Option<Unlinked>,
}

impl<'a> Sections<'a> {
    /// Reads a module that is known to begin with the magic number, or with a piece of it.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Reason> {
        version(bytes)?;
        // Every feature on: a feature that our engine lacks deserves a better message than the validator's.
        let features = WasmFeatures::all();
        let mut validator = Validator::new_with_features(features);
        let mut parser = Parser::new(0);
        parser.set_features(features);
        let mut read = Reading::default();
        let mut at = 0;
        let types = loop {
            let begin = at;
            let rest = bytes.get(begin..).unwrap_or_default();
            let payload = match parser.parse(rest, rest.is_empty()).map_err(invalid)? {
                Chunk::Parsed { consumed, payload } => {
                    at += consumed;
                    payload
                }
                Chunk::NeedMoreData(missing) => return Err(truncated(bytes, begin, missing)),
            };
            if matches!(payload, Payload::DataSection(_) | Payload::ElementSection(_)) {
                continue;
            }
            if let ValidPayload::End(types) = validator.payload(&payload).map_err(invalid)? {
                break types;
            }
            match payload {
                Payload::CodeSectionStart { range, .. } => {
                    if range.end > bytes.len() {
                        return Err(truncated(bytes, begin, (range.end - bytes.len()) as u64));
                    }
                    parser.skip_section();
                    at = range.end;
                }
                other => read.take(other).map_err(invalid)?,
            }
        };
        read.memory_and_tag_features(&types);
        let Reading { imports, exports, start, names, dwarf, target_features, features, unlinked } = read;
        Ok(Self { types, imports, exports, start, names, dwarf, target_features, features, unlinked })
    }

    /// The signature of a function.
    pub(super) fn signature(&self, function: u32) -> Signature {
        let types = self.types.as_ref();
        if function >= types.function_count() {
            return Signature::of(&[], &[]);
        }
        self.shape(types.core_function_at(function))
    }

    /// The signature that a function of this type has.
    pub(super) fn signature_of_type(&self, index: u32) -> Signature {
        let types = self.types.as_ref();
        if index >= types.core_type_count_in_module() {
            return Signature::of(&[], &[]);
        }
        self.shape(types.core_type_at_in_module(index))
    }

    fn shape(&self, id: wasmparser::types::CoreTypeId) -> Signature {
        match &self.types.as_ref()[id].composite_type.inner {
            CompositeInnerType::Func(ty) => Signature {
                params: ty.params().iter().map(kind).collect(),
                results: ty.results().iter().map(kind).collect(),
            },
            // The validator has checked that functions have function types.
            _ => Signature::of(&[], &[]),
        }
    }

    /// A memory.
    pub(super) fn memory(&self, index: u32) -> Option<MemoryType> {
        let types = self.types.as_ref();
        (index < types.memory_count()).then(|| types.memory_at(index))
    }

    /// The exported functions, in order, with the index of each.
    pub(super) fn functions(&self) -> impl Iterator<Item = (&'a str, u32)> {
        let of = |e: &Export<'a>| matches!(e.kind, ExternalKind::Func | ExternalKind::FuncExact);
        self.exports.iter().filter(move |e| of(e)).map(|e| (e.name, e.index))
    }
}

#[derive(Default)]
struct Reading<'a> {
    imports: Vec<Import<'a>>,
    exports: Vec<Export<'a>>,
    start: bool,
    names: bool,
    dwarf: bool,
    target_features: Vec<&'a str>,
    features: Vec<Feature>,
    unlinked: Option<Unlinked>,
}

impl<'a> Reading<'a> {
    fn take(&mut self, payload: Payload<'a>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    for ty in group?.types() {
                        match ty.composite_type.inner {
                            CompositeInnerType::Func(_) => {}
                            CompositeInnerType::Array(_) | CompositeInnerType::Struct(_) => self.uses(Feature::Gc),
                            CompositeInnerType::Cont(_) => self.uses(Feature::StackSwitching),
                        }
                    }
                }
            }
            Payload::ImportSection(section) => self.imports = section.into_imports().collect::<Result<_, _>>()?,
            Payload::ExportSection(section) => self.exports = section.into_iter().collect::<Result<_, _>>()?,
            Payload::StartSection { .. } => self.start = true,
            Payload::CustomSection(section) => self.custom(&section),
            _ => {}
        }
        Ok(())
    }

    fn custom(&mut self, section: &CustomSectionReader<'a>) {
        match section.name() {
            "name" => self.names = true,
            ".debug_line" => self.dwarf = true,
            "linking" => self.unlinked = Some(Unlinked::Object),
            "dylink" | "dylink.0" => self.unlinked = Some(Unlinked::SharedLibrary),
            // Custom sections may hold anything: what is not understood is left alone.
            "target_features" => self.target_features = target_features(section).unwrap_or_default(),
            _ => {}
        }
    }

    fn memory_and_tag_features(&mut self, types: &Types) {
        let types = types.as_ref();
        for memory in (0..types.memory_count()).map(|i| types.memory_at(i)) {
            if memory.shared {
                self.uses(Feature::Threads);
            }
            if memory.memory64 {
                self.uses(Feature::Memory64);
            }
            if memory.page_size_log2.is_some_and(|log2| log2 != 16) {
                self.uses(Feature::CustomPageSizes);
            }
        }
        if types.tag_count() > 0 && !self.features.contains(&Feature::StackSwitching) {
            self.uses(Feature::Exceptions);
        }
    }

    fn uses(&mut self, feature: Feature) {
        if !self.features.contains(&feature) {
            self.features.push(feature);
        }
    }
}

/// The features that the compiler was told to use: `+simd128`, without the sign.
fn target_features<'a>(section: &CustomSectionReader<'a>) -> Result<Vec<&'a str>, BinaryReaderError> {
    let mut reader = BinaryReader::new(section.data(), section.data_offset());
    let mut found = Vec::new();
    for _ in 0..reader.read_var_u32()? {
        let prefix = reader.read_u8()?;
        let name = reader.read_string()?;
        if prefix == b'+' {
            found.push(name);
        }
    }
    Ok(found)
}

/// Checks the eight bytes that every module begins with.
fn version(bytes: &[u8]) -> Result<(), Reason> {
    let (magic, rest) = bytes.split_at(bytes.len().min(MAGIC.len()));
    if magic.len() < MAGIC.len() {
        return Err(Reason::Truncated { size: bytes.len(), section: None, missing: None });
    }
    match rest {
        [1, 0, 0, 0, ..] => Ok(()),
        // The second half is the layer: 0 for modules, 1 for components.
        [_, _, 1, 0, ..] => Err(Reason::Component),
        [a, b, c, d, ..] => Err(Reason::Version(u32::from_le_bytes([*a, *b, *c, *d]))),
        _ => Err(Reason::Truncated { size: bytes.len(), section: None, missing: None }),
    }
}

fn truncated(bytes: &[u8], at: usize, missing: u64) -> Reason {
    let section = bytes.get(at).and_then(|id| section_name(*id));
    Reason::Truncated { size: bytes.len(), section, missing: Some(missing) }
}

fn section_name(id: u8) -> Option<&'static str> {
    const NAMES: [&str; 14] = [
        "custom",
        "type",
        "import",
        "function",
        "table",
        "memory",
        "global",
        "export",
        "start",
        "element",
        "code",
        "data",
        "data count",
        "tag",
    ];
    NAMES.get(usize::from(id)).copied()
}

fn invalid(error: BinaryReaderError) -> Reason {
    // The parser appends nothing but our own Display adds the offset, so only the text is kept.
    Reason::Invalid { offset: Some(error.offset()), message: error.message().to_owned() }
}

fn kind(ty: &ValType) -> ValKind {
    match ty {
        ValType::I32 => ValKind::I32,
        ValType::I64 => ValKind::I64,
        ValType::F32 => ValKind::F32,
        ValType::F64 => ValKind::F64,
        ValType::V128 => ValKind::V128,
        ValType::Ref(_) => ValKind::Ref,
    }
}
