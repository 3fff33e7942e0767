//! Names and version of the native contract. Nothing else in this project spells them out.

/// Version of the contract that this crate describes. Hosts reject every other.
pub const ABI_VERSION: u32 = 1;

/// Name of the custom section that holds the guest's [`ABI_VERSION`] as four little-endian bytes.
pub const ABI_SECTION: &str = "guest-abi";

/// Module name of every import of the native contract.
pub const IMPORT_MODULE: &str = "extension";

/// `(key_ptr, key_len, out_ptr, out_cap) -> i32`: the value of a key.
pub const IMPORT_GET: &str = "get";
/// `(key_ptr, key_len, after_ptr, after_len, out_ptr, out_cap) -> i32`: the next chunk of matching rows.
pub const IMPORT_READ: &str = "read";
/// `(ptr, len)`: appends bytes to the call's stream of intents.
pub const IMPORT_INTENTS: &str = "intents";
/// `(level, ptr, len)`: a log line.
pub const IMPORT_LOG: &str = "log";
/// `(code, ptr, len)`: the error with which the running call will return.
pub const IMPORT_FAIL: &str = "fail";
/// `(name_ptr, name_len, out_ptr, out_cap) -> i32`: the value of a secret.
pub const IMPORT_SECRET: &str = "secret";
/// `(out_ptr, out_cap) -> i32`: the next bytes of the stream of the call; 0 at its end.
pub const IMPORT_STREAM_READ: &str = "stream_read";
/// `(ptr, len)`: writes bytes to the stream of the call.
pub const IMPORT_STREAM_WRITE: &str = "stream_write";
/// `(msg_ptr, msg_len, file_ptr, file_len, line, column)`: a panic; does not return.
pub const IMPORT_PANIC: &str = "panic";

/// The exported linear memory.
pub const EXPORT_MEMORY: &str = "memory";
/// Immutable `i32` global that holds the address of the allocator's control block.
pub const EXPORT_CONTROL_BLOCK: &str = "__allocator_control_block";
/// `() -> i32`: the guest's initialisation hook, run once before the snapshot; 0 is success.
pub const EXPORT_INIT: &str = "__guest_init";
/// `(size: i32) -> i32`: allocates the exchange region and returns its address, or 0 if that fails.
pub const EXPORT_EXCHANGE: &str = "__guest_exchange";
/// `() -> ()`: initialises a WASI reactor. Some toolchains export it from other modules too. Hosts call it first.
pub const EXPORT_INITIALIZE: &str = "_initialize";
/// `() -> ()`: sets the reset mark; for hosts that prefer a call to a write.
pub const EXPORT_ALLOC_MARK: &str = "__alloc_mark";
/// `() -> ()`: resets the heap to the mark; for hosts that prefer a call to a write.
pub const EXPORT_ALLOC_RESET: &str = "__alloc_reset";
/// Immutable `i32` global that linkers export: first address behind the statics.
pub const EXPORT_HEAP_BASE: &str = "__heap_base";
/// Immutable `i32` global that linkers export: end of the initialised data.
pub const EXPORT_DATA_END: &str = "__data_end";
/// The linkers' name for the shadow-stack pointer.
pub const EXPORT_STACK_POINTER: &str = "__stack_pointer";

/// Result of an extension function that has reported an error through [`IMPORT_FAIL`].
pub const RESULT_FAILED: i64 = -1;

/// Result of [`IMPORT_GET`] if no record has the key.
pub const GET_ABSENT: i32 = -1;

/// Result of [`IMPORT_SECRET`] if the guest may read no secret of this name.
pub const SECRET_ABSENT: i32 = -1;

/// First character of exports that are never extension functions.
pub const RESERVED_PREFIX: char = '_';

/// Size of a WebAssembly page in bytes.
pub const PAGE_SIZE: u32 = 65_536;

/// Default size of the exchange region in bytes.
pub const DEFAULT_EXCHANGE_SIZE: u32 = 65_536;

/// Packs the address and the length of the pending intents into an extension function's result.
///
/// ```
/// assert_eq!(guest_abi::names::unpack(guest_abi::names::pack(0x8000_0000, 7)), (0x8000_0000, 7));
/// ```
#[must_use]
#[expect(clippy::cast_possible_wrap, reason = "the bits cross; the sign has no meaning")]
pub const fn pack(address: u32, length: u32) -> i64 {
    (((address as u64) << 32) | length as u64) as i64
}

/// The address and the length that [`pack`] packed.
#[must_use]
#[expect(clippy::cast_sign_loss, reason = "the bits cross; the sign has no meaning")]
pub const fn unpack(packed: i64) -> (u32, u32) {
    let bits = packed as u64;
    ((bits >> 32) as u32, bits as u32)
}
