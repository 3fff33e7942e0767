//! The linear memory of the module itself, and the control block in it; natively, a memory without pages.
#![expect(unsafe_code, reason = "the promise of `Memory`; on wasm32 an exported static and a symbol of the linker")]

use crate::Memory;
use guest_abi::ControlBlock;

/// The linear memory of the module that runs this code.
///
/// The type has no fields, so on wasm32 an allocator over it may be a `static`. On any other target it is a memory without
/// pages that cannot grow and is not `Sync`: an allocator over it compiles, but not as a `static`.
///
/// ```
/// use alloc_core::{LinearMemory, Memory};
///
/// # #[cfg(not(target_arch = "wasm32"))]
/// assert!(LinearMemory::new().pages() == 0 && !LinearMemory::new().grow(1));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct LinearMemory {
    #[cfg(not(target_arch = "wasm32"))]
    unshared: core::marker::PhantomData<*mut u8>,
}

impl LinearMemory {
    /// The memory of this module.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            #[cfg(not(target_arch = "wasm32"))]
            unshared: core::marker::PhantomData,
        }
    }
}

impl Default for LinearMemory {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(target_arch = "wasm32")]
mod linked {
    //! The control block of the module. It begins with addresses that only the linker knows, which spares every guest
    //! the code that would write them; so its static has another type than [`ControlBlock`], with the same layout.

    use crate::account::FLAGS;
    use core::{
        mem::offset_of,
        ptr,
        sync::atomic::{AtomicPtr, AtomicU16, AtomicU32, AtomicU64},
    };
    use guest_abi::{
        ControlBlock,
        control_block::{LAYOUT_VERSION, MAGIC},
    };

    /// A [`ControlBlock`] with pointers where the addresses are.
    #[repr(C)]
    pub(super) struct LinkedBlock {
        magic: AtomicU32,
        version: AtomicU16,
        kind: AtomicU16,
        heap_base: AtomicPtr<u8>,
        top: AtomicPtr<u8>,
        high_water: AtomicU32,
        limit: AtomicPtr<u8>,
        mark: AtomicU32,
        flags: AtomicU32,
        failed_size: AtomicU32,
        failed_align: AtomicU32,
        grows: AtomicU32,
        lowest_stack: AtomicU32,
        counters: [AtomicU64; 6],
    }

    const _: () = {
        assert!(size_of::<LinkedBlock>() == size_of::<ControlBlock>());
        assert!(align_of::<LinkedBlock>() == align_of::<ControlBlock>());
        assert!(offset_of!(LinkedBlock, kind) == offset_of!(ControlBlock, kind));
        assert!(offset_of!(LinkedBlock, heap_base) == offset_of!(ControlBlock, heap_base));
        assert!(offset_of!(LinkedBlock, top) == offset_of!(ControlBlock, top));
        assert!(offset_of!(LinkedBlock, limit) == offset_of!(ControlBlock, limit));
        assert!(offset_of!(LinkedBlock, flags) == offset_of!(ControlBlock, flags));
        assert!(offset_of!(LinkedBlock, counters) == offset_of!(ControlBlock, allocations));
    };

    unsafe extern "C" {
        /// Its address is the first one behind statics and stack, a multiple of 16; its value means nothing.
        static __heap_base: u8;
    }

    const HEAP_BASE: *mut u8 = (&raw const __heap_base).cast_mut();

    /// The linker exports a global of this name that holds the address.
    #[unsafe(no_mangle)]
    pub(super) static __allocator_control_block: LinkedBlock = LinkedBlock {
        magic: AtomicU32::new(MAGIC),
        version: AtomicU16::new(LAYOUT_VERSION),
        kind: AtomicU16::new(0),
        heap_base: AtomicPtr::new(HEAP_BASE),
        top: AtomicPtr::new(HEAP_BASE),
        high_water: AtomicU32::new(0),
        limit: AtomicPtr::new(HEAP_BASE),
        mark: AtomicU32::new(0),
        flags: AtomicU32::new(FLAGS),
        failed_size: AtomicU32::new(0),
        failed_align: AtomicU32::new(0),
        grows: AtomicU32::new(0),
        lowest_stack: AtomicU32::new(0),
        counters: [const { AtomicU64::new(0) }; 6],
    };

    /// The same, as everybody else sees it.
    #[inline]
    pub(super) fn control_block() -> &'static ControlBlock {
        // SAFETY: both types are `repr(C)` structs of atomics with the same layout, as asserted above; a pointer of
        // wasm32 is four bytes that any `u32` may replace, and nothing reads it as a pointer.
        unsafe { &*ptr::from_ref(&__allocator_control_block).cast() }
    }
}

// SAFETY: linear memory from `__heap_base` on holds neither statics nor stack, and the crate documents that it belongs
// to the allocator. That address is not 0, since the control block, a static, lies below. Memory starts at address 0, so
// pointers are as aligned as addresses; it never moves or shrinks, and new pages are zero, by the WebAssembly
// specification. There is one thread, because `atomics` is refused at compile time.
#[cfg(target_arch = "wasm32")]
unsafe impl Memory for LinearMemory {
    #[inline]
    fn control_block(&self) -> &ControlBlock {
        linked::control_block()
    }

    #[inline]
    fn pages(&self) -> u32 {
        core::arch::wasm32::memory_size::<0>() as u32
    }

    #[inline]
    fn grow(&self, pages: u32) -> bool {
        core::arch::wasm32::memory_grow::<0>(pages as usize) != usize::MAX
    }

    #[inline]
    fn pointer(&self, address: u32) -> *mut u8 {
        core::ptr::with_exposed_provenance_mut(address as usize)
    }

    #[inline]
    fn address(&self, pointer: *mut u8) -> u32 {
        pointer.expose_provenance() as u32
    }
}

#[cfg(not(target_arch = "wasm32"))]
static CONTROL_BLOCK: ControlBlock = crate::claim::control_block(crate::HEAP_ALIGN);

// SAFETY: there is no page, so nothing is promised of any.
#[cfg(not(target_arch = "wasm32"))]
unsafe impl Memory for LinearMemory {
    fn control_block(&self) -> &ControlBlock {
        &CONTROL_BLOCK
    }

    fn pages(&self) -> u32 {
        0
    }

    fn grow(&self, _pages: u32) -> bool {
        false
    }

    fn pointer(&self, address: u32) -> *mut u8 {
        core::ptr::without_provenance_mut(address as usize)
    }

    fn address(&self, pointer: *mut u8) -> u32 {
        pointer.addr() as u32
    }
}
