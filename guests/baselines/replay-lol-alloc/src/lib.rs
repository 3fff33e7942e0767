//! Replays allocation traces, and runs the workloads, over lol_alloc's freelist.

#[path = "../../../replay/src/replay/mod.rs"]
mod replay;

#[path = "../../../replay/src/workloads.rs"]
mod workloads;

#[cfg(target_arch = "wasm32")]
mod allocator {
    #![expect(unsafe_code, reason = "the promise of a single thread")]

    use lol_alloc::{AssumeSingleThreaded, FreeListAllocator};

    // SAFETY: a guest has one thread.
    #[global_allocator]
    static ALLOCATOR: AssumeSingleThreaded<FreeListAllocator> =
        unsafe { AssumeSingleThreaded::new(FreeListAllocator::new()) };
}
