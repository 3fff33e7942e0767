//! Counts of the calls of an allocator's functions, in modules whose allocator keeps no control block.
//!
//! The body of each such function moves to an appended function, and a body that counts and calls it takes its place. So
//! the function keeps its index: calls, exports, tables and the start function go through the count, and names and
//! backtraces stay.
//!
//! Allocators call themselves: `calloc` calls `malloc`, and `malloc` calls the runtime's own function. Only the outermost of
//! such calls counts. A global says which call is under way. After a trap inside the allocator the host clears it, so a
//! call that returns costs nothing for it.
//!
//! The counts are numbers of calls, and bytes as the calls request them. If a compiler has inlined an allocator's function,
//! there is no call to count. If a linker has merged several equal functions into one, the calls of all of them count.
//!
//! A request that is answered with no block is kept with its size, so that a memory overflow can be told from other
//! failures. A request for an alignment that is no power of two fails for another reason, and is not kept. To make it known in which of its calls that was, without the host looking after each, memory is then grown by
//! more than any can have: the engine refuses, and tells the host's limiter, which forgets when the next call begins.
//!
//! The counters are the host's: no guest can see them, and no restore puts them back.
//!
//! Before:
//!
//! ```wat
#![doc = include_str!("samples/allocations.before.wat")]
//! ```
//!
//! After:
//!
//! ```wat
#![doc = include_str!("samples/allocations.after.wat")]
//! ```

use wasm_encoder::{BlockType, ConstExpr, ExportKind, Function, InstructionSink, ValType};

use super::allocators::{self, Found, Role, Size};
pub use super::allocators::{CountedAs, FoundBy};
use super::{Context, Pass};
use crate::changes::Changes;
use crate::error::PrepareError;
use crate::module_info::{ModuleInfo, Signature, ValueType};

/// Export of the mutable `i64` global with the number of allocations so far.
const ALLOCATIONS_EXPORT: &str = "__harness_allocations";
/// Export of the mutable `i64` global with the number of frees so far.
const FREES_EXPORT: &str = "__harness_frees";
/// Export of the mutable `i64` global with the number of reallocations so far.
const REALLOCATIONS_EXPORT: &str = "__harness_reallocations";
/// Export of the mutable `i64` global with the bytes that were asked for so far: of allocations, and of reallocations the
/// new size.
const REQUESTED_BYTES_EXPORT: &str = "__harness_requested_bytes";
/// Export of the mutable `i64` global that holds what is under way: 0 for nothing, the bytes of a request and 1, or -1
/// for an operation that asks for no memory: a free, or a request for an alignment that is no power of two.
const UNDER_WAY_EXPORT: &str = "__harness_allocation_under_way";
/// Export of the mutable `i64` global with the bytes of the last request that was answered with no block; 0 where none was
/// since the host cleared it.
const REFUSED_BYTES_EXPORT: &str = "__harness_refused_allocation";

/// Value of [`UNDER_WAY_EXPORT`] during an operation that asks for no memory.
const NO_REQUEST: i64 = -1;

/// The errors for want of memory: `ENOMEM` of Linux, musl, newlib and Emscripten's allocators, and that of WASI.
const OUT_OF_MEMORY: [i32; 2] = [12, 48];

/// Exports of the counters, which are mutable globals of type `i64`. A host may set them to 0 at any time.
///
/// ```
/// use guest_prepare::{ModuleInfo, PrepareOptions, prepare};
///
/// let wasm = wat::parse_str(
///     r#"(module (memory 1)
///         (func (export "malloc") (param i32) (result i32) (i32.const 1024)))"#,
/// )?;
/// let prepared = prepare(&wasm, &ModuleInfo::analyse(&wasm)?, PrepareOptions::default())?;
/// let counters = prepared.counters.expect("there is a function to count");
/// let after = ModuleInfo::analyse(&prepared.wasm)?;
/// assert!(after.export(counters.allocations).is_some());
/// assert_eq!(prepared.counted[0].name, "malloc");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CounterExports {
    /// The number of allocations.
    pub allocations: &'static str,
    /// The number of frees.
    pub frees: &'static str,
    /// The number of reallocations.
    pub reallocations: &'static str,
    /// The bytes of all requests: of allocations, and of reallocations the new size.
    pub requested_bytes: &'static str,
    /// The call that is under way: 0 for none, -1 for a call that requests no memory, or else the bytes of the request plus
    /// 1. After a trap inside the allocator the host must set it to 0.
    pub under_way: &'static str,
    /// The bytes of the last request that the allocator answered with no block. 0 if there was none since the host last
    /// set it to 0.
    pub refused_bytes: &'static str,
}

impl CounterExports {
    const ALL: Self = Self {
        allocations: ALLOCATIONS_EXPORT,
        frees: FREES_EXPORT,
        reallocations: REALLOCATIONS_EXPORT,
        requested_bytes: REQUESTED_BYTES_EXPORT,
        under_way: UNDER_WAY_EXPORT,
        refused_bytes: REFUSED_BYTES_EXPORT,
    };
}

/// A function whose calls are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CountedFunction {
    /// Its index.
    pub index: u32,
    /// The name by which it was found, without the compiler's mangling.
    pub name: String,
    /// By what it was found.
    pub found_by: FoundBy,
    /// The kind of event that its calls count as.
    pub counted_as: CountedAs,
}

impl CountedFunction {
    fn of(found: &Found) -> Self {
        let Found { index, name, role, by } = found;
        Self { index: *index, name: name.clone(), found_by: *by, counted_as: role.counted_as() }
    }
}

/// The functions of a module that would be counted; none where the guest counts by itself, where nothing allocates, or
/// where there is no 32-bit memory of its own to allocate from.
fn countable(info: &ModuleInfo) -> Vec<Found> {
    let [memory] = info.memories.as_slice() else {
        return Vec::new();
    };
    let tells = info.control_block_address().is_some() || tells_allocations(info);
    if memory.imported || memory.ty.memory64 || memory.ty.shared || tells {
        return Vec::new();
    }
    let found = allocators::find(info);
    let allocates = found.iter().any(|found| found.role.counted_as() == CountedAs::Allocation);
    if allocates { found } else { Vec::new() }
}

/// Whether a guest without a control block exports a function that returns how often it has allocated.
#[must_use]
pub fn tells_allocations(info: &ModuleInfo) -> bool {
    let count = Signature::new([], [ValueType::I64]);
    info.control_block_address().is_none()
        && info.exported_function(guest_abi::exttinygo::EXPORT_MALLOCS) == Some(&count)
}

/// Counts calls of the allocator's functions. Reports these functions, by index, and the counters if there are any.
///
/// Does nothing if the guest counts by itself, if no function is known to allocate, or if the module's memory is not one
/// 32-bit memory of its own.
pub(crate) struct CountedCalls;

impl Pass for CountedCalls {
    type Report = (Vec<CountedFunction>, Option<CounterExports>);

    fn plan(self, module: &Context<'_>, changes: &mut Changes) -> Result<Self::Report, PrepareError> {
        let info = module.info;
        let found = countable(info);
        if found.is_empty() {
            return Ok(Self::Report::default());
        }
        let mut global = |name| {
            let index = changes.global(ValType::I64, &ConstExpr::i64_const(0));
            changes.export(name, ExportKind::Global, index);
            index
        };
        let counters = Counters {
            allocations: global(ALLOCATIONS_EXPORT),
            frees: global(FREES_EXPORT),
            reallocations: global(REALLOCATIONS_EXPORT),
            requested_bytes: global(REQUESTED_BYTES_EXPORT),
            under_way: global(UNDER_WAY_EXPORT),
            refused_bytes: global(REFUSED_BYTES_EXPORT),
        };
        for Found { index, role, .. } in &found {
            let Some(signature) = info.signature(*index) else { continue };
            let params = vec![ValType::I32; signature.params.len()];
            let results = vec![ValType::I32; signature.results.len()];
            let moved = changes.move_body(*index, &params, &results);
            let call = Call { params: u32::try_from(params.len()).unwrap_or(u32::MAX), moved };
            changes.put_in_place(*index, &counters.body(*role, call));
        }
        Ok((found.iter().map(CountedFunction::of).collect(), Some(CounterExports::ALL)))
    }
}

/// The added globals.
#[derive(Debug, Clone, Copy)]
struct Counters {
    allocations: u32,
    frees: u32,
    reallocations: u32,
    requested_bytes: u32,
    under_way: u32,
    refused_bytes: u32,
}

/// A call of a moved body with all parameters as they were given.
#[derive(Debug, Clone, Copy)]
struct Call {
    params: u32,
    moved: u32,
}

impl Call {
    fn emit(self, code: &mut InstructionSink<'_>) {
        for param in 0..self.params {
            code.local_get(param);
        }
        code.call(self.moved);
    }
}

/// A request for memory: the indices of its parameters, and its kind of result.
#[derive(Debug, Clone, Copy)]
struct Request {
    size: Size,
    /// The parameter with the block to reallocate.
    block: Option<u32>,
    /// The parameter with the alignment.
    alignment: Option<u32>,
    /// The function returns an error or 0, instead of a block's address or 0.
    errors: bool,
}

impl Counters {
    /// The code that replaces the body of a function with this role.
    fn body(self, role: Role, call: Call) -> Function {
        match role {
            Role::Free(block) => self.free(block, call),
            Role::Allocate(size) => self.request(Request { size, block: None, alignment: None, errors: false }, call),
            Role::AllocateAligned { alignment, size } => {
                self.request(Request { size, block: None, alignment: Some(alignment), errors: false }, call)
            }
            Role::AllocateOrError { alignment, size } => {
                self.request(Request { size, block: None, alignment: Some(alignment), errors: true }, call)
            }
            Role::Reallocate { block, size } => {
                self.request(Request { size, block: Some(block), alignment: None, errors: false }, call)
            }
        }
    }

    fn free(self, block: u32, call: Call) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        code.global_get(self.under_way).i64_eqz().if_(BlockType::Empty);
        // To free no block does nothing, so that is not counted.
        code.global_get(self.frees).local_get(block).i32_const(0).i32_ne().i64_extend_i32_u().i64_add();
        code.global_set(self.frees);
        code.i64_const(NO_REQUEST).global_set(self.under_way);
        call.emit(&mut code);
        code.i64_const(0).global_set(self.under_way);
        code.else_();
        call.emit(&mut code);
        code.end().end();
        function
    }

    fn request(self, request: Request, call: Call) -> Function {
        let Request { size, block, alignment, errors } = request;
        let (bytes, result) = (call.params, call.params + 1);
        let mut function = Function::new([(1, ValType::I64), (1, ValType::I32)]);
        let mut code = function.instructions();
        code.global_get(self.under_way).i64_eqz().if_(BlockType::Result(ValType::I32));
        match size {
            Size::Bytes(param) => drop(code.local_get(param).i64_extend_i32_u()),
            // Of two numbers of 32 bits, so it does not wrap.
            Size::Product(one, other) => {
                code.local_get(one).i64_extend_i32_u().local_get(other).i64_extend_i32_u().i64_mul();
            }
        }
        code.local_tee(bytes).global_get(self.requested_bytes).i64_add().global_set(self.requested_bytes);
        match block {
            None => increment(self.allocations, &mut code),
            Some(block) => {
                code.local_get(block).if_(BlockType::Empty).local_get(bytes).i64_eqz().if_(BlockType::Empty);
                increment(self.frees, &mut code);
                code.else_();
                increment(self.reallocations, &mut code);
                code.end().else_();
                increment(self.allocations, &mut code);
                code.end();
            }
        }
        code.local_get(bytes).i64_const(1).i64_add();
        if let Some(alignment) = alignment {
            code.i64_const(NO_REQUEST).local_get(alignment).i32_popcnt().i32_const(1).i32_eq().select();
        }
        code.global_set(self.under_way);
        call.emit(&mut code);
        code.local_tee(result);
        if errors {
            let [one, other] = OUT_OF_MEMORY;
            code.i32_const(one).i32_eq().local_get(result).i32_const(other).i32_eq().i32_or();
        } else {
            code.i32_eqz();
        }
        code.if_(BlockType::Empty);
        // Nothing may be the right answer to a request for nothing.
        code.local_get(bytes).i64_eqz().i32_eqz();
        if alignment.is_some() && !errors {
            code.global_get(self.under_way).i64_const(NO_REQUEST).i64_ne().i32_and();
        }
        code.if_(BlockType::Empty);
        code.local_get(bytes).global_set(self.refused_bytes);
        code.i32_const(-1).memory_grow(0).drop();
        code.end().end();
        code.i64_const(0).global_set(self.under_way);
        code.local_get(result).else_();
        call.emit(&mut code);
        code.end().end();
        function
    }
}

fn increment(global: u32, code: &mut InstructionSink<'_>) {
    code.global_get(global).i64_const(1).i64_add().global_set(global);
}
