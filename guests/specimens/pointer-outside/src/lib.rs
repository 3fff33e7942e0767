//! Broken on purpose: the allocator keeps its bump pointer in the dead part of the shadow stack.
//!
//! A restore that copies the statics back and sets `top` in the control block does not reach it there, so the guest goes
//! on where the call before ended. A comparison of memory that leaves out the dead stack does not see it either; what
//! shows it is what the guest does.

use std::hint::black_box;

use guest_sdk::{Context, KeyBuilder, Result, extension, storage};

/// Does not allocate.
#[extension]
fn do_nothing(_cx: &mut Context) -> Result<()> {
    Ok(())
}

/// Leaves the address of a new box of 1000 bytes, which is never freed.
#[extension]
fn address_of_a_box(cx: &mut Context) -> Result<()> {
    let address = Box::leak(black_box(Box::new([7_u8; 1000]))).as_ptr().addr();
    cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?.put_i64("Address", i64::try_from(address)?);
    Ok(())
}

#[cfg(target_arch = "wasm32")]
mod allocator {
    #![expect(unsafe_code, reason = "a global allocator, and the place where it keeps its pointer")]

    use core::alloc::{GlobalAlloc, Layout};
    use core::sync::atomic::Ordering::Relaxed;

    use alloc_bump_reset::BumpResetAllocator;
    use alloc_core::{LinearMemory, Memory};

    /// Top and limit, in the lowest bytes of the shadow stack, which grows down towards them.
    const KEPT: *mut [u32; 2] = core::ptr::without_provenance_mut(16);

    struct PointerOutside(BumpResetAllocator);

    /// Runs `step` with top and limit as they were after the step before, whatever the control block says.
    fn with_kept<R>(step: impl FnOnce() -> R) -> R {
        let block = LinearMemory::new();
        let block = block.control_block();
        // SAFETY: the stack of this guest does not get that deep, and nothing else lies there.
        let [top, limit] = unsafe { KEPT.read_volatile() };
        if top != 0 {
            block.top.store(top, Relaxed);
            block.limit.store(limit, Relaxed);
        }
        let result = step();
        let kept = [block.top.load(Relaxed), block.limit.load(Relaxed)];
        // SAFETY: as above.
        unsafe { KEPT.write_volatile(kept) };
        result
    }

    // SAFETY: as sound as the allocator within as long as nobody restores: it sees its own top and limit.
    unsafe impl GlobalAlloc for PointerOutside {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's promise.
            with_kept(|| unsafe { self.0.alloc(layout) })
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            // SAFETY: the caller's promise.
            with_kept(|| unsafe { self.0.dealloc(pointer, layout) });
        }
    }

    #[global_allocator]
    static ALLOCATOR: PointerOutside = PointerOutside(BumpResetAllocator::new());
}
