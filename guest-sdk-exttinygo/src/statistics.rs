//! The counters of the guest's allocator, as exports. A guest has them only if its allocator is one of this project's and
//! counts: numbers of `malloc` alone would describe the host's buffers and not the extension.
#![expect(unsafe_code, reason = "exports have names that anything may have, and the control block is a symbol")]

use core::sync::atomic::Ordering::Relaxed;

use guest_abi::ControlBlock;

unsafe extern "C" {
    safe static __allocator_control_block: ControlBlock;
}

fn block() -> &'static ControlBlock {
    &__allocator_control_block
}

/// Bytes requested and not given back.
#[unsafe(export_name = "WasmGetHeapInuse")]
extern "C" fn heap_in_use() -> u64 {
    block().allocated_bytes.load(Relaxed).saturating_sub(block().freed_bytes.load(Relaxed))
}

/// Bytes of memory that the allocator has adopted.
#[unsafe(export_name = "WasmGetHeapSys")]
extern "C" fn heap_sys() -> u64 {
    u64::from(block().limit.load(Relaxed).saturating_sub(block().heap_base.load(Relaxed)))
}

/// Calls of `alloc` and `alloc_zeroed` that succeeded.
#[unsafe(export_name = "WasmGetMallocs")]
extern "C" fn mallocs() -> u64 {
    block().allocations.load(Relaxed)
}

/// Calls of `dealloc`.
#[unsafe(export_name = "WasmGetFrees")]
extern "C" fn frees() -> u64 {
    block().deallocations.load(Relaxed)
}
