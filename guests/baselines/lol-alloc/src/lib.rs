//! Grows its memory with each call, over lol_alloc's freelist.

#[path = "../../growth/src/grow.rs"]
mod grow;

#[cfg(target_arch = "wasm32")]
mod allocator {
    #![expect(unsafe_code, reason = "the promise of a single thread")]

    use lol_alloc::{AssumeSingleThreaded, FreeListAllocator};

    // SAFETY: a guest has one thread.
    #[global_allocator]
    static ALLOCATOR: AssumeSingleThreaded<FreeListAllocator> =
        unsafe { AssumeSingleThreaded::new(FreeListAllocator::new()) };
}
