//! The analysis of a module: its parts, as far as they matter to a host that restores its instances.
//!
//! [`ModuleInfo::analyse`] validates a module and collects its parts in one pass over its bytes. It changes nothing
//! ([`prepare`](crate::prepare()) does), and it does not decide whether a host can restore the module: hosts do.

mod collect;
mod custom;
mod instructions;
mod layout;
mod newer;
mod proposals;
mod types;

use std::collections::BTreeMap;

use guest_abi::block::EXPORT_STAGE;
use guest_abi::exttinygo;
use guest_abi::function::{EXPORT_AGGREGATE, EXPORT_BATCH, EXPORT_ROW, EXPORT_TABLE};
use wasmparser::WasmFeatures;

use crate::error::offset_of;

pub use custom::{AbiVersion, Producer, Producers};
pub use instructions::{InstructionUse, Occurrences, Tracked};
pub use layout::{Evidence, LayoutUnknown, MemoryLayout, StackPointer};
pub use proposals::Proposal;
pub use types::{
    Constant, DataSegment, Export, ExternType, Global, GlobalType, Import, Memory, MemoryType, Placement, Signature,
    Sizes, Table, TableType, ValueType,
};

/// The proposals of WebAssembly that an engine needs for prepared modules: version 3.0 without threads, exceptions and
/// garbage-collected types.
pub const ENGINE_FEATURES: WasmFeatures =
    UNDERSTOOD_FEATURES.difference(WasmFeatures::THREADS.union(WasmFeatures::EXCEPTIONS).union(WasmFeatures::GC_TYPES));

/// The proposals that an analysis understands, so that it can say precisely what an engine would refuse.
const UNDERSTOOD_FEATURES: WasmFeatures = WasmFeatures::WASM3;

/// Why bytes are not a module that can be analysed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// Bytes that are not WebAssembly.
    #[error(
        "not a WebAssembly file: {found}; use a core module in binary form, for example of cargo's target \
         wasm32-unknown-unknown"
    )]
    NotWasm {
        /// The kind of file that they look like instead.
        found: String,
    },
    /// WebAssembly in text form.
    #[error(
        "the file is WebAssembly text; convert it to a binary module first, for instance with `wasm-tools parse -o`"
    )]
    Text,
    /// A WebAssembly component.
    #[error(
        "the file is a WebAssembly component; use the core module from which it was made, or extract that with \
         `wasm-tools component unbundle`"
    )]
    Component,
    /// The module is valid, and needs proposals of WebAssembly that the engine lacks and the harness does not understand.
    #[error(
        "the module needs a WebAssembly proposal that this engine is built without: {}",
        proposals::refusal(proposals, &format!("{message} (at byte {offset})"))
    )]
    Proposals {
        /// Those that the engine lacks.
        proposals: Vec<Proposal>,
        /// The validator's message without them.
        message: String,
        /// Where, in bytes from the start of the file.
        offset: u64,
    },
    /// The module is damaged: no proposal makes it valid.
    #[error(
        "the module is not valid: {message} (at byte {offset}); the file may be damaged or truncated, build it again"
    )]
    Invalid {
        /// The validator's message.
        message: String,
        /// Where, in bytes from the start of the file.
        offset: u64,
    },
}

/// The parts of a module.
///
/// ```
/// use guest_prepare::ModuleInfo;
/// use guest_prepare::module_info::Tracked;
///
/// let wasm = wat::parse_str(
///     r#"(module
///         (memory (export "memory") 2)
///         (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
///         (func (drop (memory.grow (i32.const 1)))))"#,
/// )?;
/// let info = ModuleInfo::analyse(&wasm)?;
/// assert_eq!(info.exported_function("add").unwrap().to_string(), "(i32, i32) -> i32");
/// assert_eq!(info.memories[0].ty.minimum, 2);
/// assert_eq!(info.instructions.count(Tracked::MemoryGrow), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModuleInfo {
    /// The module's name in its name section.
    pub name: Option<String>,
    /// Its imports, in the module's order.
    pub imports: Vec<Import>,
    /// Its exports, in the module's order.
    pub exports: Vec<Export>,
    /// Its linear memories by index, imported ones first.
    pub memories: Vec<Memory>,
    /// Its globals by index, imported ones first.
    pub globals: Vec<Global>,
    /// Its tables by index, imported ones first.
    pub tables: Vec<Table>,
    /// Number of types that it declares.
    pub types: u32,
    /// Number of functions that it imports.
    pub imported_functions: u32,
    /// Number of functions that it defines.
    pub defined_functions: u32,
    /// Index of the function that runs at instantiation.
    pub start: Option<u32>,
    /// Its data segments.
    pub data_segments: Vec<DataSegment>,
    /// The instructions that matter to a restore.
    pub instructions: InstructionUse,
    /// The version of the native contract that it names.
    pub abi_version: AbiVersion,
    /// The languages and tools that made it.
    pub producers: Producers,
    /// Target features that its compiler recorded, with `+` (used) or `-` (disallowed) before the name.
    pub target_features: Vec<String>,
    /// Whether it carries DWARF debug information.
    pub debug_information: bool,
    /// Sizes of its parts.
    pub sizes: Sizes,
    /// The [signatures of its functions](guest_abi::function::SECTION) as the module has them, unread.
    pub function_section: Vec<u8>,
    /// Why the engine would refuse it although it is valid: which proposals outside [`ENGINE_FEATURES`] it needs, what the
    /// validator says, and how it is built without them.
    pub engine_refusal: Option<String>,
    function_names: BTreeMap<u32, String>,
    data_segment_names: BTreeMap<u32, String>,
    /// One for each type; `None` for types that are no functions.
    signatures: Vec<Option<Signature>>,
    /// Type of each function.
    function_types: Vec<u32>,
}

/// A contract between guests and the host.
///
/// The enum is exhaustive on purpose: a host must handle every contract, so a new one is a breaking change for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContractKind {
    /// The contract of `guest-sdk`, see [`guest_abi::names`].
    Native,
    /// The contract of extensions that TinyGo compiles for existing hosts, see [`guest_abi::exttinygo`].
    ExtTinyGo,
    /// None: a module of anybody's, whose functions of numbers are called with arguments from outside.
    Bare,
}

impl ModuleInfo {
    /// Validates and analyses a binary module.
    ///
    /// # Errors
    /// [`ModuleError`] if the bytes are not a valid core module.
    pub fn analyse(wasm: &[u8]) -> Result<Self, ModuleError> {
        recognise(wasm)?;
        match collect::collect(wasm, ENGINE_FEATURES) {
            Ok(info) => Ok(info),
            Err(refusal) => {
                let proposals = proposals::needed(wasm);
                let (message, offset) = (refusal.message(), offset_of(&refusal));
                match collect::collect(wasm, UNDERSTOOD_FEATURES) {
                    Ok(info) => Ok(Self { engine_refusal: Some(proposals::refusal(&proposals, message)), ..info }),
                    Err(error) if proposals.is_empty() => {
                        Err(ModuleError::Invalid { message: error.message().to_owned(), offset: offset_of(&error) })
                    }
                    Err(_) => Err(ModuleError::Proposals { proposals, message: message.to_owned(), offset }),
                }
            }
        }
    }

    /// The contract that the module means to speak, whether or not it keeps it. It is the native one if the module names a
    /// version of it, imports its functions or exports its exchange region. It is exttinygo if an export names a version of that contract or an import
    /// is one of its functions. Every other module is bare.
    #[must_use]
    pub fn contract(&self) -> ContractKind {
        let imports = |of: &dyn Fn(&Import) -> bool| self.imports.iter().any(of);
        let native = || {
            self.exports.iter().any(|export| export.name == guest_abi::names::EXPORT_EXCHANGE)
                || imports(&|import| import.module == guest_abi::names::IMPORT_MODULE)
        };
        let exttinygo = || {
            self.exports.iter().any(|export| export.name.starts_with(exttinygo::VERSION_PREFIX))
                || imports(&|import| import.module == exttinygo::IMPORT_MODULE && import.name.starts_with("host"))
        };
        match self.abi_version {
            AbiVersion::Absent if exttinygo() => ContractKind::ExtTinyGo,
            AbiVersion::Absent if !native() => ContractKind::Bare,
            _ => ContractKind::Native,
        }
    }

    /// The exports that a host may invoke. Under the native contract these are the functions of type `() -> i64` whose name
    /// does not begin with [`guest_abi::names::RESERVED_PREFIX`]. Under exttinygo these are the functions of type `() -> ()`
    /// whose name the contract [does not reserve](guest_abi::exttinygo::RESERVED_EXPORTS). Of a bare module these are the
    /// functions of numbers whose name does not begin with `_`.
    pub fn extension_functions(&self) -> impl Iterator<Item = &Export> {
        let contract = self.contract();
        self.exports.iter().filter(move |export| is_extension_function(export, contract))
    }

    /// Whether it imports functions of [memory blocks](guest_abi::block).
    #[must_use]
    pub fn imports_blocks(&self) -> bool {
        self.imports.iter().any(|import| import.module == guest_abi::block::IMPORT_MODULE)
    }

    /// The [stages](guest_abi::block), with the name of each: functions that take a memory block and return one, in a module that imports
    /// their functions. Bare modules export a stage under its own name.
    pub fn stages(&self) -> impl Iterator<Item = (&str, &Export)> {
        let (contract, imports) = (self.contract(), self.imports_blocks());
        let ty = ExternType::Function(Signature::new([ValueType::I32], [ValueType::I32]));
        self.callable_functions().filter(move |export| imports && export.ty == ty).filter_map(move |export| {
            let name = match contract {
                ContractKind::Bare => Some(export.name.as_str()),
                _ => export.name.strip_prefix(EXPORT_STAGE),
            };
            Some((name?, export))
        })
    }

    /// The exports of [typed functions](guest_abi::function), aggregates and table functions, whose types are numbers. Only
    /// modules of the native contract have them.
    pub fn typed_functions(&self) -> impl Iterator<Item = &Export> {
        self.named_functions(&[EXPORT_ROW, EXPORT_BATCH, EXPORT_AGGREGATE, EXPORT_TABLE])
    }

    /// The functions of numbers of a native module whose names begin with one of these.
    fn named_functions(&self, prefixes: &'static [&'static str]) -> impl Iterator<Item = &Export> {
        let native = self.contract() == ContractKind::Native;
        self.exports.iter().filter(move |export| {
            let is_named = prefixes.iter().any(|prefix| export.name.starts_with(prefix));
            native && is_named && numbers(&export.ty).is_some()
        })
    }

    /// The exports that a host may call with a restore after the call: [extension functions](Self::extension_functions),
    /// [typed functions](Self::typed_functions) and the [stages](Self::stages) of a native module, in this order.
    pub fn callable_functions(&self) -> impl Iterator<Item = &Export> {
        self.extension_functions().chain(self.typed_functions()).chain(self.named_functions(&[EXPORT_STAGE]))
    }

    /// The exported functions that are not extension functions, with their signatures.
    pub fn other_functions(&self) -> impl Iterator<Item = (&Export, &Signature)> {
        let contract = self.contract();
        let others = self.exports.iter().filter(move |export| !is_extension_function(export, contract));
        others.filter_map(|export| match &export.ty {
            ExternType::Function(signature) => Some((export, signature)),
            _ => None,
        })
    }

    /// The export of this name.
    #[must_use]
    pub fn export(&self, name: &str) -> Option<&Export> {
        self.exports.iter().find(|export| export.name == name)
    }

    /// The signature of the exported function of this name.
    #[must_use]
    pub fn exported_function(&self, name: &str) -> Option<&Signature> {
        match &self.export(name)?.ty {
            ExternType::Function(signature) => Some(signature),
            _ => None,
        }
    }

    /// The name of the exported memory: `memory`, which the contract requires, or else the first export of the module's
    /// first memory.
    #[must_use]
    pub fn memory_export(&self) -> Option<&str> {
        let named = self.exports.iter().find(|export| {
            export.name == guest_abi::names::EXPORT_MEMORY && matches!(export.ty, ExternType::Memory(_))
        });
        let first = || self.memories.first()?.exports.first().map(String::as_str);
        named.map(|export| export.name.as_str()).or_else(first)
    }

    /// The value of an exported immutable `i32` global. Linkers publish addresses in such globals, also those of `no_mangle`
    /// statics.
    #[must_use]
    pub fn exported_address(&self, name: &str) -> Option<u32> {
        let Export { index, ty: ExternType::Global(ty), .. } = self.export(name)? else {
            return None;
        };
        let global = self.globals.get(*index as usize)?;
        global.init.filter(|_| !ty.mutable)?.address()
    }

    /// Address of the control block that one of this project's allocators maintains, if the module has one.
    #[must_use]
    pub fn control_block_address(&self) -> Option<u32> {
        self.exported_address(guest_abi::names::EXPORT_CONTROL_BLOCK)
    }

    /// Number of all functions, imported and defined.
    #[must_use]
    pub const fn functions(&self) -> u32 {
        self.imported_functions.saturating_add(self.defined_functions)
    }

    /// A name for a function in messages: its name in the name section, or else the name of its export, or else its index.
    #[must_use]
    pub fn function_name(&self, index: u32) -> String {
        if let Some(name) = self.function_names.get(&index) {
            return name.clone();
        }
        let exported =
            self.exports.iter().find(|export| export.index == index && matches!(export.ty, ExternType::Function(_)));
        exported.map_or_else(|| format!("function {index}"), |export| export.name.clone())
    }

    /// The name of a data segment, where the name section has one: `.rodata` or `.data`, or that of a static if the module was
    /// linked with `--no-merge-data-segments`.
    #[must_use]
    pub fn data_segment_name(&self, index: u32) -> Option<&str> {
        self.data_segment_names.get(&index).map(String::as_str)
    }

    /// Names of functions in the name section, by index.
    pub fn function_names(&self) -> impl Iterator<Item = (u32, &str)> {
        self.function_names.iter().map(|(index, name)| (*index, name.as_str()))
    }

    /// The signature of a function, imported or defined. `None` if there is no function of this index.
    #[must_use]
    pub fn signature(&self, index: u32) -> Option<&Signature> {
        let ty = self.function_types.get(index as usize)?;
        self.signatures.get(*ty as usize)?.as_ref()
    }

    /// Where stack, statics and heap lie in the module's memory.
    ///
    /// # Errors
    /// [`LayoutUnknown`] if the module does not say where its heap begins, or if it contradicts itself.
    pub fn layout(&self) -> Result<MemoryLayout, LayoutUnknown> {
        MemoryLayout::of(self)
    }
}

fn is_extension_function(export: &Export, contract: ContractKind) -> bool {
    let ExternType::Function(signature) = &export.ty else {
        return false;
    };
    let name = export.name.as_str();
    let (reserved, results): (_, &[ValueType]) = match contract {
        ContractKind::Native => (name.starts_with(guest_abi::names::RESERVED_PREFIX), &[ValueType::I64]),
        ContractKind::ExtTinyGo => {
            (name.starts_with(exttinygo::RESERVED_PREFIX) || exttinygo::RESERVED_EXPORTS.contains(&name), &[])
        }
        ContractKind::Bare => {
            return !name.starts_with(guest_abi::names::RESERVED_PREFIX) && signature.is_numeric();
        }
    };
    !reserved && signature.params.is_empty() && signature.results == results
}

/// The signature of a function whose parameters and results are all numbers.
fn numbers(ty: &ExternType) -> Option<&Signature> {
    match ty {
        ExternType::Function(signature) if signature.is_numeric() => Some(signature),
        _ => None,
    }
}

/// Tells a binary core module from what people give by mistake.
fn recognise(bytes: &[u8]) -> Result<(), ModuleError> {
    const MAGIC: &[u8] = b"\0asm";
    const COMPONENT_LAYER: [u8; 2] = [1, 0];

    if let Some(rest) = bytes.strip_prefix(MAGIC) {
        return match rest {
            [_, _, layer @ ..] if layer.starts_with(&COMPONENT_LAYER) => Err(ModuleError::Component),
            _ => Ok(()),
        };
    }
    let found = match bytes {
        [] => "it is empty",
        [0x7F, b'E', b'L', b'F', ..] => "it is a native program or library (ELF)",
        [b'M', b'Z', ..] => "it is a native program or library (PE)",
        [0xCF | 0xCE, 0xFA, 0xED, 0xFE, ..] => "it is a native program or library (Mach-O)",
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => "it is an archive of object files (.a or .rlib)",
        [b'B', b'C', 0xC0, 0xDE, ..] => "it is LLVM bitcode",
        [0x1F, 0x8B, ..] => "it is compressed with gzip",
        _ if MAGIC.starts_with(bytes) => "it is cut short",
        _ if is_text(bytes) => return Err(ModuleError::Text),
        _ => "it does not begin with the bytes `\\0asm`",
    };
    Err(ModuleError::NotWasm { found: found.to_owned() })
}

/// Whether the first thing that is neither white space nor a comment opens a module in text form.
fn is_text(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    loop {
        rest = rest.trim_ascii_start();
        let Some(comment) = rest.strip_prefix(b";;") else {
            break;
        };
        rest = comment.iter().position(|byte| *byte == b'\n').map_or(&[], |end| &comment[end..]);
    }
    rest.starts_with(b"(module") || rest.starts_with(b"(component") || rest.starts_with(b"(;")
}

#[cfg(test)]
mod tests;
