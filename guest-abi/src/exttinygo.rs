//! Names of the exttinygo contract, version 0.0.1: the contract of extensions that TinyGo compiles for existing hosts.
//! Nothing else in this project spells them out.
//!
//! Handles are `i64` and valid for one call of an extension function. Text and bytes are passed as address and length. Those
//! that the host returns are one `i64`, [packed](crate::names::pack), and lie in a buffer that the host gets from the
//! guest's `malloc`.

/// `() -> ()`: an export that marks a guest of this version.
pub const EXPORT_VERSION: &str = "WasmAbiVersion_0_0_1";
/// Start of the exports that mark a version; the version follows.
pub const VERSION_PREFIX: &str = "WasmAbiVersion_";
/// Start of exports that are never extension functions.
pub const RESERVED_PREFIX: &str = "Wasm";
/// Other exports that are never extension functions.
pub const RESERVED_EXPORTS: [&str; 11] = [
    EXPORT_MALLOC,
    EXPORT_FREE,
    EXPORT_CALLOC,
    EXPORT_REALLOC,
    "alloc",
    EXPORT_START,
    crate::names::EXPORT_INITIALIZE,
    "__wasm_call_ctors",
    crate::names::EXPORT_ALLOC_MARK,
    crate::names::EXPORT_ALLOC_RESET,
    crate::names::EXPORT_MEMORY,
];

/// `() -> ()`: runs `main`, which initialises the guest.
pub const EXPORT_START: &str = "_start";
/// `(size: i32) -> i32`: allocates.
pub const EXPORT_MALLOC: &str = "malloc";
/// `(address: i32)`: frees.
pub const EXPORT_FREE: &str = "free";
/// `(count: i32, size: i32) -> i32`: allocates zeroed memory.
pub const EXPORT_CALLOC: &str = "calloc";
/// `(address: i32, size: i32) -> i32`: reallocates.
pub const EXPORT_REALLOC: &str = "realloc";
/// `(key: i64, value: i64)`: the host calls it for each row of a read.
pub const EXPORT_ON_READ_VALUE: &str = "WasmOnReadValue";
/// `() -> i64`: number of bytes of heap in use.
pub const EXPORT_HEAP_IN_USE: &str = "WasmGetHeapInuse";
/// `() -> i64`: number of bytes that the allocator has from the system.
pub const EXPORT_HEAP_SYS: &str = "WasmGetHeapSys";
/// `() -> i64`: number of allocations so far.
pub const EXPORT_MALLOCS: &str = "WasmGetMallocs";
/// `() -> i64`: number of frees so far.
pub const EXPORT_FREES: &str = "WasmGetFrees";
/// `() -> ()`: collects garbage.
pub const EXPORT_GC: &str = "WasmGC";

/// Module name of every import of the contract.
pub const IMPORT_MODULE: &str = "env";
/// `(storage, entity) -> handle`: a new key.
pub const IMPORT_GET_KEY: &str = "hostGetKey";
/// `(key) -> handle`: the value of a key. If there is none, the call ends.
pub const IMPORT_GET_VALUE: &str = "hostGetValue";
/// `(key) -> handle`: the value of a key, or [`ABSENT`].
pub const IMPORT_QUERY_VALUE: &str = "hostQueryValue";
/// `(key)`: calls [`EXPORT_ON_READ_VALUE`] for each row that matches.
pub const IMPORT_READ_VALUES: &str = "hostReadValues";
/// `(key) -> handle`: an intent to write a new record.
pub const IMPORT_NEW_VALUE: &str = "hostNewValue";
/// `(key, existing) -> handle`: an intent to change a record.
pub const IMPORT_UPDATE_VALUE: &str = "hostUpdateValue";
/// `(message)`: ends the call with a panic.
pub const IMPORT_PANIC: &str = "hostPanic";
/// `(value) -> i32`: number of elements of an array.
pub const IMPORT_VALUE_LENGTH: &str = "hostValueLength";
/// `(writer, kind, name, ...)`: puts a field. The name of its type follows.
pub const IMPORT_PUT_PREFIX: &str = "hostRowWriterPut";
/// `(value, name) -> ...`: a field of a value. The name of the type follows.
pub const IMPORT_VALUE_AS_PREFIX: &str = "hostValueAs";
/// `(value, index) -> ...`: an element of an array. The name of the type follows.
pub const IMPORT_VALUE_GET_AS_PREFIX: &str = "hostValueGetAs";
/// `(key, name) -> ...`: a field of a row's key. The name of the type follows.
pub const IMPORT_KEY_AS_PREFIX: &str = "hostKeyAs";

/// Result of [`IMPORT_QUERY_VALUE`] if no record has the key.
pub const ABSENT: i64 = -1;
/// Kind of the writer of a key, in the functions that begin with [`IMPORT_PUT_PREFIX`].
pub const WRITER_KEY: i32 = 0;
/// Kind of the writer of an intent.
pub const WRITER_INTENT: i32 = 1;

/// Default size in bytes of the buffer that a host asks for.
pub const DEFAULT_BUFFER_SIZE: u32 = 64_000;
/// Smallest size of a further buffer in bytes.
pub const LEAST_FURTHER_BUFFER: u32 = 1000;
/// Default limit in bytes of the output of a call that a host keeps.
pub const DEFAULT_OUTPUT_LIMIT: usize = 1024;
