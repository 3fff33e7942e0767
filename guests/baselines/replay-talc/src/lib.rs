//! Replays an allocation trace over talc with the source of pages that it recommends for wasm.

#[path = "../../../replay/src/replay/mod.rs"]
mod replay;

#[cfg(target_arch = "wasm32")]
mod allocator {
    #[global_allocator]
    static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();
}
