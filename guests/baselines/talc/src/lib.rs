//! Grows its memory with each call, over talc with the source of pages that it recommends for wasm.

#[path = "../../growth/src/grow.rs"]
mod grow;

#[cfg(target_arch = "wasm32")]
mod allocator {
    #[global_allocator]
    static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();
}
