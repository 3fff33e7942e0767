//! Replays allocation traces, and runs the workloads, over wee_alloc 0.4, the original.

#[path = "../../../replay/src/replay/mod.rs"]
mod replay;

#[path = "../../../replay/src/workloads.rs"]
mod workloads;

#[cfg(target_arch = "wasm32")]
mod allocator {
    #[global_allocator]
    static ALLOCATOR: wee_alloc::WeeAlloc<'static> = wee_alloc::WeeAlloc::INIT;
}
