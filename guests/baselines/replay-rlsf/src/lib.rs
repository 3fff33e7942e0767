//! Replays allocation traces, and runs the workloads, over rlsf's global allocator.

#[path = "../../../replay/src/replay/mod.rs"]
mod replay;

#[path = "../../../replay/src/workloads.rs"]
mod workloads;

#[cfg(target_arch = "wasm32")]
mod allocator {
    #[global_allocator]
    static ALLOCATOR: rlsf::GlobalTlsf = rlsf::GlobalTlsf::new();
}
