//! Where stack, statics and heap lie in a module's linear memory, and the evidence for it.
//!
//! LLVM's linker puts the shadow stack either first (`--stack-first`, which rustc and TinyGo use) or between statics and
//! heap, and puts the address of the heap into the global `__heap_base`. The bytes of zero-initialised statics appear
//! nowhere in the module, so only that global says where the statics end.

use std::ops::Range;

use guest_abi::names::{EXPORT_DATA_END, EXPORT_HEAP_BASE, EXPORT_STACK_POINTER, PAGE_SIZE};

use super::{Global, ModuleInfo, Placement, ValueType};

/// The evidence for a fact about a module's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Evidence {
    /// An exported global of the linker's name.
    Export,
    /// A global that has the linker's name in the name section.
    NameSection,
    /// An exported `__heap_base`, and a mutable `i32` in the place where LLVM's linker puts the stack pointer: before any
    /// other global. Its value is where a stack ends: right below the data, or at the heap base. Modules look like this
    /// once their names are stripped.
    Convention,
    /// A global that looks like it: the first mutable one, an `i32` without a name, whose value fits.
    Guess,
}

/// The global that holds the shadow-stack pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StackPointer {
    /// Its index.
    pub global: u32,
    /// Its first value: the stack grows down from there.
    pub initial: u32,
    /// The evidence for it.
    pub evidence: Evidence,
}

impl StackPointer {
    /// The module's shadow-stack pointer, if it has one that can be recognised.
    #[must_use]
    pub fn find(info: &ModuleInfo) -> Option<Self> {
        let address = |global: &Global| {
            let fits = global.ty.mutable && global.ty.value == ValueType::I32 && !global.imported;
            global.init.filter(|_| fits)?.address()
        };
        let found = |evidence, has_name: &dyn Fn(&Global) -> bool| {
            let global = info.globals.iter().find(|global| has_name(global) && address(global).is_some())?;
            Some(Self { global: global.index, initial: address(global)?, evidence })
        };
        found(Evidence::Export, &|global| global.exports.iter().any(|name| name == EXPORT_STACK_POINTER))
            .or_else(|| found(Evidence::NameSection, &|global| global.name.as_deref() == Some(EXPORT_STACK_POINTER)))
            .or_else(|| Self::guess(info, address))
    }

    /// The linker defines the stack pointer before any other global, aligns it to 16 bytes, and has no data across it.
    fn guess(info: &ModuleInfo, address: impl Fn(&Global) -> Option<u32>) -> Option<Self> {
        let global = info.globals.iter().find(|global| global.ty.mutable && !global.imported)?;
        let initial = address(global).filter(|_| global.name.is_none())?;
        let memory_end = info.memories.first()?.ty.minimum.saturating_mul(PAGE_SIZE.into());
        let data = data_ranges(info)?;
        let plausible = initial != 0
            && initial.is_multiple_of(16)
            && u64::from(initial) <= memory_end
            && (data.iter().all(|range| range.start >= initial.into())
                || data.iter().all(|range| range.end <= initial.into()));
        // What lies between is alignment.
        let gap = 16_u64;
        let data_start = data.iter().map(|range| range.start).min();
        let below_data = data_start.is_some_and(|start| start >= initial.into() && start - u64::from(initial) < gap);
        let zeroed_only = data.is_empty() && info.exported_address(EXPORT_DATA_END).is_some_and(|end| end >= initial);
        let heap_base = info.exported_address(EXPORT_HEAP_BASE);
        let below_heap = heap_base.is_some_and(|base| base >= initial && u64::from(base - initial) < gap);
        let is_first = !info.globals.iter().any(|other| !other.imported && other.index < global.index);
        let conventional = is_first && heap_base.is_some() && (below_data || zeroed_only || below_heap);
        let evidence = if conventional { Evidence::Convention } else { Evidence::Guess };
        plausible.then_some(Self { global: global.index, initial, evidence })
    }
}

/// Where stack, statics and heap lie. Addresses are bytes from the start of linear memory.
///
/// ```
/// use guest_prepare::ModuleInfo;
///
/// let wasm = wat::parse_str(
///     r#"(module (memory 1)
///         (global (export "__stack_pointer") (mut i32) (i32.const 1024))
///         (global (export "__heap_base") i32 (i32.const 2048))
///         (data (i32.const 1024) "statics"))"#,
/// )?;
/// let layout = ModuleInfo::analyse(&wasm)?.layout()?;
/// assert_eq!(layout.stack, Some(0..1024));
/// assert_eq!(layout.statics, 1024..2048);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryLayout {
    /// The shadow stack, if the module itself says where it is. For a guessed stack pointer ([`Evidence::Guess`]) this is
    /// `None`, and its bytes count as statics.
    pub stack: Option<Range<u32>>,
    /// The bytes below the heap that a restore must put back: all below [`Self::heap_base`] that are not [`Self::stack`].
    pub statics: Range<u32>,
    /// First address of the heap.
    pub heap_base: u32,
    /// The evidence for the heap base.
    pub heap_base_evidence: Evidence,
    /// The shadow-stack pointer, even if it is only guessed.
    pub stack_pointer: Option<StackPointer>,
}

/// Why a module's layout is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutUnknown {
    /// No memory, or not exactly one 32-bit memory of its own.
    #[error("it does not have exactly one 32-bit memory of its own")]
    Memory,
    /// No heap base.
    #[error("it does not say where its heap begins; export the linker's global `__heap_base`")]
    HeapBase,
    /// A data segment whose address is only known at instantiation.
    #[error("data segment {segment} has an address that is known only at instantiation")]
    ComputedData {
        /// Index of the segment.
        segment: usize,
    },
    /// Data inside the declared heap, so that the heap base cannot be right.
    #[error("data segment {segment} ends at {end:#x}, above the heap base {heap_base:#x} that the module declares")]
    DataAboveHeapBase {
        /// Index of the segment.
        segment: usize,
        /// Where it ends.
        end: u64,
        /// The heap base that the module declares.
        heap_base: u32,
    },
    /// Data inside the declared stack, so that the stack pointer cannot be right.
    #[error("data segment {segment} lies inside the shadow stack {:#x}..{:#x}", stack.start, stack.end)]
    DataInStack {
        /// Index of the segment.
        segment: usize,
        /// The shadow stack that follows from the module's globals.
        stack: Range<u32>,
    },
    /// A heap base outside the memory that the module starts with.
    #[error("the heap base {heap_base:#x} is beyond the memory's end {memory_end:#x}")]
    HeapBaseOutside {
        /// The heap base that the module declares.
        heap_base: u32,
        /// End of the memory at instantiation.
        memory_end: u64,
    },
}

impl MemoryLayout {
    pub(super) fn of(info: &ModuleInfo) -> Result<Self, LayoutUnknown> {
        let [memory] = info.memories.as_slice() else {
            return Err(LayoutUnknown::Memory);
        };
        if memory.imported || memory.ty.memory64 {
            return Err(LayoutUnknown::Memory);
        }
        let (heap_base, heap_base_evidence) = address(info, EXPORT_HEAP_BASE).ok_or(LayoutUnknown::HeapBase)?;
        let memory_end = memory.ty.minimum.saturating_mul(PAGE_SIZE.into());
        if u64::from(heap_base) > memory_end {
            return Err(LayoutUnknown::HeapBaseOutside { heap_base, memory_end });
        }
        let stack_pointer = StackPointer::find(info);
        let stack = stack_pointer
            .filter(|pointer| pointer.evidence != Evidence::Guess)
            .and_then(|pointer| stack_range(info, pointer.initial, heap_base));
        let statics = match &stack {
            Some(stack) if stack.start == 0 => stack.end..heap_base,
            Some(stack) => 0..stack.start,
            None => 0..heap_base,
        };
        check_data(info, stack.as_ref(), heap_base)?;
        Ok(Self { stack, statics, heap_base, heap_base_evidence, stack_pointer })
    }
}

/// The stack ends where its pointer starts. If it lies first, it begins at 0. Otherwise it begins behind the statics, whose
/// end only `__data_end` has, and it reaches up to the heap.
fn stack_range(info: &ModuleInfo, initial: u32, heap_base: u32) -> Option<Range<u32>> {
    if initial == 0 || initial > heap_base {
        return None;
    }
    let data = data_ranges(info)?;
    let data_end = address(info, EXPORT_DATA_END).map(|(end, _)| end);
    let is_first = data.iter().all(|range| range.start >= initial.into()) && data_end.is_none_or(|end| end >= initial);
    if is_first {
        // Without data above it, the stack may just as well follow zero-initialised statics of unknown size.
        return (!data.is_empty() || data_end.is_some()).then_some(0..initial);
    }
    // What lies between the top of the stack and the heap base is alignment.
    data_end.filter(|end| *end < initial && heap_base - initial < 16).map(|end| end..heap_base)
}

fn check_data(info: &ModuleInfo, stack: Option<&Range<u32>>, heap_base: u32) -> Result<(), LayoutUnknown> {
    for (segment, data) in info.data_segments.iter().enumerate() {
        let range = match data.placement {
            Placement::At(start) => start..start.saturating_add(data.length),
            Placement::Passive => continue,
            Placement::Computed => return Err(LayoutUnknown::ComputedData { segment }),
        };
        if range.is_empty() {
            continue;
        }
        if range.end > heap_base.into() {
            return Err(LayoutUnknown::DataAboveHeapBase { segment, end: range.end, heap_base });
        }
        if let Some(stack) = stack.filter(|stack| range.start < stack.end.into() && range.end > stack.start.into()) {
            return Err(LayoutUnknown::DataInStack { segment, stack: stack.clone() });
        }
    }
    Ok(())
}

/// The addresses of active data. `None` if one of them is not known.
fn data_ranges(info: &ModuleInfo) -> Option<Vec<Range<u64>>> {
    let mut ranges = Vec::new();
    for segment in &info.data_segments {
        match segment.placement {
            Placement::At(start) if segment.length > 0 => ranges.push(start..start.saturating_add(segment.length)),
            Placement::At(_) | Placement::Passive => {}
            Placement::Computed => return None,
        }
    }
    Some(ranges)
}

/// An address that the linker publishes in an immutable global of this name.
fn address(info: &ModuleInfo, name: &str) -> Option<(u32, Evidence)> {
    if let Some(address) = info.exported_address(name) {
        return Some((address, Evidence::Export));
    }
    let global = info.globals.iter().find(|global| !global.ty.mutable && global.name.as_deref() == Some(name))?;
    Some((global.init?.address()?, Evidence::NameSection))
}
