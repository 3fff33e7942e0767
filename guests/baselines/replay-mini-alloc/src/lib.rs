//! Replays allocation traces, and runs the workloads, over mini-alloc, which never frees.

#[path = "../../../replay/src/replay/mod.rs"]
mod replay;

#[path = "../../../replay/src/workloads.rs"]
mod workloads;

#[cfg(target_arch = "wasm32")]
mod allocator {
    #[global_allocator]
    static ALLOCATOR: mini_alloc::MiniAlloc = mini_alloc::MiniAlloc::INIT;
}
