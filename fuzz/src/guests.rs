//! Random guests that keep the native contract, so that the harness can run and restore them.

use arbitrary::{Result, Unstructured};
use guest_abi::{AllocatorKind, control_block, names};
use guest_prepare::module_info::ModuleInfo;
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{
    CodeSection, ConstExpr, CustomSection, DataSection, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType, Module, StartSection,
    TypeSection, ValType,
};
use wasm_smith::Config;

use crate::functions::{Indices, function, place};
use crate::modules::{PAGE, admitted};

/// Functions of a guest that are made here.
const FUNCTIONS: u32 = 4;

/// Calls and iterations that a function by wasm-smith may make.
const STEPS: u32 = 300;

/// A guest, and its extension functions.
pub(crate) struct Guest {
    /// The module.
    pub(crate) wasm: Vec<u8>,
    /// Whether it has a control block, which it keeps as an allocator of ours does.
    pub(crate) allocator: Option<AllocatorKind>,
}

/// The guest that the bytes describe; `None` where they describe none.
pub(crate) fn guest(bytes: &mut Unstructured<'_>) -> Option<Guest> {
    match bytes.int_in_range(0..=3_u8).ok()? {
        0 => Some(Guest { wasm: smith(bytes)?, allocator: None }),
        1 => {
            let kind = if bytes.arbitrary().ok()? { AllocatorKind::BumpReset } else { AllocatorKind::Leaking };
            Some(Guest { wasm: own(bytes, Some(kind)).ok()?, allocator: Some(kind) })
        }
        _ => Some(Guest { wasm: own(bytes, None).ok()?, allocator: None }),
    }
}

/// `() -> i64`, `(i32) -> i32` and what `log` takes, in this order.
fn add_types(types: &mut TypeSection) {
    types.ty().function([], [ValType::I64]);
    types.ty().function([ValType::I32], [ValType::I32]);
    types.ty().function([ValType::I32; 3], []);
}

/// The frame that every guest has, at these indices.
struct Frame {
    /// The first of the types of [`add_types`].
    types: u32,
    /// The first function of the frame: the exchange's, and behind it the extension functions.
    functions: u32,
    /// The first global of the frame.
    globals: u32,
    allocator: Option<AllocatorKind>,
}

impl Frame {
    fn globals(&self, globals: &mut GlobalSection) {
        let of = |val_type, mutable| GlobalType { val_type, mutable, shared: false };
        let address = |address: u32| ConstExpr::i32_const(address.cast_signed());
        globals.global(of(ValType::I32, true), &address(place::STACK_TOP));
        globals.global(of(ValType::I64, true), &ConstExpr::i64_const(0));
        globals.global(of(ValType::I32, false), &address(place::HEAP));
        globals.global(of(ValType::I32, false), &address(place::HEAP));
        globals.global(of(ValType::I32, false), &address(place::CONTROL_BLOCK));
    }

    fn exports(&self, exports: &mut ExportSection) {
        let global = |index| (ExportKind::Global, self.globals + index);
        let mut export = |name: &str, (kind, index)| {
            exports.export(name, kind, index);
        };
        export(names::EXPORT_STACK_POINTER, global(0));
        export(names::EXPORT_HEAP_BASE, global(2));
        export(names::EXPORT_DATA_END, global(3));
        if self.allocator.is_some() {
            export(names::EXPORT_CONTROL_BLOCK, global(4));
        }
        export(names::EXPORT_MEMORY, (ExportKind::Memory, 0));
        export(names::EXPORT_EXCHANGE, (ExportKind::Func, self.functions));
        for number in 0..FUNCTIONS {
            export(&format!("f{number}"), (ExportKind::Func, self.functions + 1 + number));
        }
    }

    fn function_types(&self, functions: &mut FunctionSection) {
        functions.function(self.types + 1);
        for _ in 0..FUNCTIONS {
            functions.function(self.types);
        }
    }

    fn code(&self, bytes: &mut Unstructured<'_>, log: Option<u32>, code: &mut CodeSection) -> Result<()> {
        let mut exchange = Function::new([]);
        // A memory without a page gets one. An allocator has its heap begin behind the region.
        exchange.instructions().memory_size(0).i32_eqz().if_(wasm_encoder::BlockType::Empty).i32_const(1);
        exchange.instructions().memory_grow(0).drop().end().i32_const(place::HEAP.cast_signed()).end();
        code.function(&exchange);
        let first = self.functions + 1;
        let indices = Indices {
            log,
            stack_pointer: self.globals,
            counter: self.globals + 1,
            first,
            tame: self.allocator.is_some(),
        };
        for number in 0..FUNCTIONS {
            code.function(&function(bytes, first + number, indices)?);
        }
        Ok(())
    }
}

fn add_version(module: &mut Module) {
    let version = names::ABI_VERSION.to_le_bytes();
    module.section(&CustomSection { name: names::ABI_SECTION.into(), data: (&version[..]).into() });
}

/// Bytes of the exchange region.
pub(crate) const EXCHANGE: u32 = 256;

/// A guest of functions of our own alone.
fn own(bytes: &mut Unstructured<'_>, allocator: Option<AllocatorKind>) -> Result<Vec<u8>> {
    let frame = Frame { types: 0, functions: 1, globals: 0, allocator };
    let mut module = Module::new();
    let mut types = TypeSection::new();
    add_types(&mut types);
    let mut imports = ImportSection::new();
    imports.import(names::IMPORT_MODULE, names::IMPORT_LOG, EntityType::Function(2));
    let mut functions = FunctionSection::new();
    frame.function_types(&mut functions);
    // Behind them one that begins with what an extension function does, so that the snapshot is not all zeros.
    let begin = frame.functions + 1 + FUNCTIONS;
    types.ty().function([], []);
    functions.function(3);
    let (starts, initializes) = (bytes.ratio(1, 8)?, bytes.ratio(1, 8)?);
    let mut memories = MemorySection::new();
    let minimum = bytes.int_in_range(1..=3)?;
    let maximum = bytes.ratio(1, 2)?.then_some(minimum + bytes.int_in_range(0..=8)?);
    memories.memory(MemoryType { minimum, maximum, memory64: false, shared: false, page_size_log2: None });
    let mut globals = GlobalSection::new();
    frame.globals(&mut globals);
    let mut exports = ExportSection::new();
    frame.exports(&mut exports);
    if initializes {
        exports.export(names::EXPORT_INITIALIZE, ExportKind::Func, begin);
    }
    let mut code = CodeSection::new();
    // A start function may not call the host.
    frame.code(bytes, (!starts).then_some(0), &mut code)?;
    let mut beginning = Function::new([]);
    beginning.instructions().call(frame.functions + 1).drop().end();
    code.function(&beginning);
    let mut data = DataSection::new();
    if let Some(kind) = allocator {
        let (base, limit) = (place::HEAP, u32::try_from(minimum).unwrap_or(0) * PAGE as u32);
        let top = base + EXCHANGE;
        let words = [control_block::MAGIC, (kind as u32) << 16 | u32::from(control_block::LAYOUT_VERSION), base, top];
        let block: Vec<u8> = words.into_iter().chain([0, limit, 0, 0]).flat_map(u32::to_le_bytes).collect();
        data.active(0, &ConstExpr::i32_const(place::CONTROL_BLOCK.cast_signed()), block);
    }
    let text: Vec<u8> = (0..100).map(|_| b'a').collect();
    data.active(0, &ConstExpr::i32_const(place::SHOWN.cast_signed()), text);
    module.section(&types).section(&imports).section(&functions).section(&memories).section(&globals);
    module.section(&exports);
    if starts {
        module.section(&StartSection { function_index: begin });
    }
    module.section(&code).section(&data);
    add_version(&mut module);
    Ok(module.finish())
}

/// A guest by wasm-smith, with the frame around it and functions of our own behind it.
fn smith(bytes: &mut Unstructured<'_>) -> Option<Vec<u8>> {
    let config = Config {
        available_imports: Some(contract_imports()),
        max_imports: 6,
        disallow_traps: bytes.arbitrary().ok()?,
        min_globals: 1,
        allow_start_export: bytes.arbitrary().ok()?,
        canonicalize_nans: true,
        reference_types_enabled: bytes.ratio(1, 8).ok()?,
        ..admitted()
    };
    let (inner, rest) = bytes.bytes(bytes.len() / 2).ok().map(|inner| (inner, bytes))?;
    let mut module = wasm_smith::Module::new(config, &mut Unstructured::new(inner)).ok()?;
    module.ensure_termination(STEPS).ok()?;
    let wasm = module.to_bytes();
    let info = ModuleInfo::analyse(&wasm).ok()?;
    let name_is = |import: &guest_prepare::module_info::Import| import.name == names::IMPORT_LOG;
    let log = info.imports.iter().position(name_is).and_then(|index| u32::try_from(index).ok());
    if info.memories.is_empty() || info.globals.is_empty() || info.defined_functions == 0 {
        return None;
    }
    let globals = u32::try_from(info.globals.len()).ok()?;
    let frame = Frame { types: info.types, functions: info.functions(), globals, allocator: None };
    let mut framed = Framed { frame, bytes: rest, log };
    let mut module = Module::new();
    framed.parse_core_module(&mut module, wasmparser::Parser::new(0), &wasm).ok()?;
    add_version(&mut module);
    Some(module.finish())
}

/// A module with the imports that the contract has, as wasm-smith wants them.
fn contract_imports() -> Vec<u8> {
    let mut module = Module::new();
    let (mut types, mut imports) = (TypeSection::new(), ImportSection::new());
    for (index, import) in (0..).zip(guest_host::admission::native_imports()) {
        let results = import.signature.results.iter().map(|_| ValType::I32).collect::<Vec<_>>();
        types.ty().function(import.signature.params.iter().map(|_| ValType::I32), results);
        imports.import(&import.module, &import.name, EntityType::Function(index));
    }
    module.section(&types).section(&imports);
    module.finish()
}

/// Puts the frame around a module.
struct Framed<'b, 'u> {
    frame: Frame,
    bytes: &'b mut Unstructured<'u>,
    log: Option<u32>,
}

impl Reencode for Framed<'_, '_> {
    type Error = arbitrary::Error;

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> std::result::Result<(), reencode::Error<Self::Error>> {
        reencode::utils::parse_type_section(self, types, section)?;
        add_types(types);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> std::result::Result<(), reencode::Error<Self::Error>> {
        reencode::utils::parse_function_section(self, functions, section)?;
        self.frame.function_types(functions);
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> std::result::Result<(), reencode::Error<Self::Error>> {
        reencode::utils::parse_global_section(self, globals, section)?;
        self.frame.globals(globals);
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> std::result::Result<(), reencode::Error<Self::Error>> {
        reencode::utils::parse_export_section(self, exports, section)?;
        self.frame.exports(exports);
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> std::result::Result<(), reencode::Error<Self::Error>> {
        reencode::utils::parse_code_section(self, code, section)?;
        self.frame.code(self.bytes, self.log, code).map_err(reencode::Error::UserError)
    }
}
