//! Random modules, by wasm-smith, that end by themselves, export everything, and surely grow and write.

use arbitrary::Unstructured;
use guest_prepare::module_info::{ModuleInfo, ValueType};
use wasm_encoder::reencode::{self, Reencode};
use wasm_smith::{Config, InstructionKind, InstructionKinds};

/// Bytes of a page of memory.
pub(crate) const PAGE: usize = 65_536;
/// Loop iterations and calls that a random module may make in its whole life.
const STEPS: u32 = 500;

/// Bytes that follow from a seed (SplitMix64).
#[must_use]
pub fn random_bytes(seed: u64, length: usize) -> Vec<u8> {
    let words = (1..).map(|step: u64| {
        let mut word = seed.wrapping_add(step.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    });
    words.flat_map(u64::to_le_bytes).take(length).collect()
}

/// A module without imports that exports everything, and ends by itself.
#[must_use]
pub fn random_module(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut random = Unstructured::new(bytes);
    let kinds =
        [InstructionKind::Memory, InstructionKind::Control, InstructionKind::Variable, InstructionKind::Parametric];
    let config = Config {
        // Half of the modules do little else than use their memory.
        allowed_instructions: if random.arbitrary().ok()? {
            InstructionKinds::all()
        } else {
            InstructionKinds::new(&kinds)
        },
        disallow_traps: random.arbitrary().ok()?,
        max_imports: 0,
        bulk_memory_enabled: random.arbitrary().ok()?,
        reference_types_enabled: random.arbitrary().ok()?,
        simd_enabled: random.arbitrary().ok()?,
        allow_start_export: random.arbitrary().ok()?,
        ..admitted()
    };
    let mut module = wasm_smith::Module::new(config, &mut random).ok()?;
    module.ensure_termination(STEPS).ok()?;
    with_driver(&module.to_bytes())
}

/// What modules by wasm-smith have in common: admission and the engine take them.
pub(crate) fn admitted() -> Config {
    Config {
        // Everything is exported: compare all there is.
        export_everything: true,
        min_funcs: 1,
        min_memories: 1,
        max_memories: 1,
        max_memory32_bytes: 12 * PAGE as u64,
        max_table_elements: 100,
        // What results it gives is up to the machine.
        relaxed_simd_enabled: false,
        // Refused by admission, or by the engine.
        exceptions_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        threads_enabled: false,
        custom_page_sizes_enabled: false,
        wide_arithmetic_enabled: false,
        ..Config::default()
    }
}

/// Appends functions that surely grow and write, which random code seldom does, and gives functions names by which they
/// are taken for an allocator's. `None` for a module without code.
fn with_driver(wasm: &[u8]) -> Option<Vec<u8>> {
    let info = ModuleInfo::analyse(wasm).unwrap();
    if info.memories.is_empty() || info.defined_functions == 0 {
        return None;
    }
    let mut driver = Driver { types: info.types, functions: info.functions() };
    let mut module = wasm_encoder::Module::new();
    driver.parse_core_module(&mut module, wasmparser::Parser::new(0), wasm).unwrap();
    let mut names = wasm_encoder::NameSection::new();
    names.functions(&allocator_names(&info));
    module.section(&names);
    Some(module.finish())
}

/// A name for every function whose type is one that an allocator has.
fn allocator_names(info: &ModuleInfo) -> wasm_encoder::NameMap {
    let mut names = wasm_encoder::NameMap::new();
    for index in info.imported_functions..info.functions() {
        let Some(signature) = info.signature(index) else { continue };
        let numbers = signature.params.iter().chain(&signature.results).all(|ty| *ty == ValueType::I32);
        let name = match (numbers, signature.params.len(), signature.results.len()) {
            (true, 1, 1) => "malloc",
            (true, 1, 0) => "free",
            (true, 2, 1) if index % 2 == 0 => "calloc",
            (true, 2, 1) => "realloc",
            (true, 3, 1) => "posix_memalign",
            (true, 2 | 3, 0) => "__rust_dealloc",
            _ => continue,
        };
        names.append(index, name);
    }
    // One allocates for sure, so that the others count too.
    names.append(info.functions() + 2, "malloc");
    names
}

/// Name of the appended function that grows memory by a page.
pub const GROW: &str = "drive: grow by a page";
/// Name of the appended function that is taken for an allocator's, and gives no block.
pub const ALLOCATE: &str = "drive: allocate";
/// Name of the appended function that writes into memory.
pub const POKE: &str = "drive: write into the first page";

struct Driver {
    types: u32,
    functions: u32,
}

impl Reencode for Driver {
    type Error = std::convert::Infallible;

    fn parse_type_section(
        &mut self,
        types: &mut wasm_encoder::TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        reencode::utils::parse_type_section(self, types, section)?;
        types.ty().function([], [wasm_encoder::ValType::I32]);
        types.ty().function([wasm_encoder::ValType::I32], [wasm_encoder::ValType::I32]);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut wasm_encoder::FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        reencode::utils::parse_function_section(self, functions, section)?;
        functions.function(self.types).function(self.types).function(self.types + 1);
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut wasm_encoder::ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        reencode::utils::parse_export_section(self, exports, section)?;
        exports.export(GROW, wasm_encoder::ExportKind::Func, self.functions);
        exports.export(POKE, wasm_encoder::ExportKind::Func, self.functions + 1);
        exports.export(ALLOCATE, wasm_encoder::ExportKind::Func, self.functions + 2);
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut wasm_encoder::CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        reencode::utils::parse_code_section(self, code, section)?;
        let mut grow = wasm_encoder::Function::new([]);
        grow.instructions().i32_const(1).memory_grow(0).end();
        let mut poke = wasm_encoder::Function::new([]);
        let word = wasm_encoder::MemArg { offset: 0, align: 0, memory_index: 0 };
        // Returns what was there before.
        poke.instructions()
            .i32_const(40_000)
            .i32_load(word)
            .i32_const(40_000)
            .i32_const(40_000)
            .i32_load(word)
            .i32_const(1)
            .i32_add()
            .i32_store(word)
            .end();
        let mut allocate = wasm_encoder::Function::new([]);
        allocate.instructions().local_get(0).i32_const(i32::MIN).i32_and().end();
        code.function(&grow).function(&poke).function(&allocate);
        Ok(())
    }
}
