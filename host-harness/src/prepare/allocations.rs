//! Step 6: calls of the allocator's functions are counted, in modules whose allocator keeps no control block.
//!
//! The body of each such function moves to an appended one, and what counts takes its place and calls it. So the function
//! keeps its index: calls, exports, tables and the start function go through the count, and names and backtraces stay.
//!
//! Allocators call themselves: `calloc` calls `malloc`, `malloc` what the runtime allocates by. Only the outermost of
//! such calls counts. A global that holds what is under way says which that is; after a call that trapped inside it is
//! the host that clears it, so that a call which returns costs nothing for it.
//!
//! What is counted is calls, and bytes as they were asked for. Where a compiler has put an allocator's function into those
//! that call it, there is no call to count. A module whose linker has made one function of several that do the same has
//! calls of all of them counted.
//!
//! A request that is answered with no block is kept with its size, so that a memory overflow can be told from other
//! failures. A request for an alignment that is no power of two fails for another reason, and is not kept. To make it known in which of its calls that was, without the host looking after each, memory is then grown by
//! more than any can have: the engine refuses, and tells the host's limiter, which forgets when the next call begins.
//!
//! The counters are the host's: no guest can see them, and no restore puts them back.

use wasm_encoder::{BlockType, ConstExpr, ExportKind, Function, InstructionSink, ValType};

use super::allocators::{self, CountedAs, Found, FoundBy, Role, Size};
use super::splice::Additions;
use crate::module_info::{ModuleInfo, Signature, ValueType};

/// Export of the mutable `i64` global with the number of allocations so far.
pub const ALLOCATIONS_EXPORT: &str = "__harness_allocations";
/// Export of the mutable `i64` global with the number of frees so far.
pub const FREES_EXPORT: &str = "__harness_frees";
/// Export of the mutable `i64` global with the number of reallocations so far.
pub const REALLOCATIONS_EXPORT: &str = "__harness_reallocations";
/// Export of the mutable `i64` global with the bytes that were asked for so far: of allocations, and of reallocations the
/// new size.
pub const REQUESTED_BYTES_EXPORT: &str = "__harness_requested_bytes";
/// Export of the mutable `i64` global that holds what is under way: 0 for nothing, the bytes of a request and 1, or -1
/// for an operation that asks for no memory: a free, or a request for an alignment that is no power of two.
pub const UNDER_WAY_EXPORT: &str = "__harness_allocation_under_way";
/// Export of the mutable `i64` global with the bytes of the last request that was answered with no block; 0 where none was
/// since the host cleared it.
pub const REFUSED_BYTES_EXPORT: &str = "__harness_refused_allocation";

/// Value of [`UNDER_WAY_EXPORT`] during an operation that asks for no memory.
const NO_REQUEST: i64 = -1;

/// The errors for want of memory: `ENOMEM` of Linux, musl, newlib and Emscripten's allocators, and that of WASI.
const OUT_OF_MEMORY: [i32; 2] = [12, 48];

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
    /// What its calls are counted as.
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

/// Whether a guest without a control block tells by a function of its own how often it has allocated.
pub(crate) fn tells_allocations(info: &ModuleInfo) -> bool {
    let count = Signature::new([], [ValueType::I64]);
    info.control_block_address().is_none()
        && info.exported_function(guest_abi::exttinygo::EXPORT_MALLOCS) == Some(&count)
}

/// Plans the step, and adds what it needs. Says which functions are counted.
pub(super) fn plan(info: &ModuleInfo, additions: &mut Additions) -> Vec<CountedFunction> {
    let found = countable(info);
    if found.is_empty() {
        return Vec::new();
    }
    let mut global = |name| {
        let index = additions.global(info, ValType::I64, true, &ConstExpr::i64_const(0));
        additions.export(name, ExportKind::Global, index);
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
        let moved = additions.move_body(info, *index, &params, &results);
        let call = Call { params: u32::try_from(params.len()).unwrap_or(u32::MAX), moved };
        additions.put_in_place(info, *index, &counters.body(*role, call));
    }
    found.iter().map(CountedFunction::of).collect()
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
    /// What takes the place of the body of a function with this role.
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
