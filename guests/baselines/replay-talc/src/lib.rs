//! Replays allocation traces, and runs the workloads, over talc with the source of pages that it recommends for wasm.

#[path = "../../../replay/src/replay/mod.rs"]
mod replay;

#[path = "../../../replay/src/workloads.rs"]
mod workloads;

#[cfg(target_arch = "wasm32")]
mod allocator {
    #[global_allocator]
    static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();
}
