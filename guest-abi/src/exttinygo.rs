//! The names of the exttinygo contract, version 0.0.1: what extensions speak that TinyGo compiles for existing hosts.
//! Nothing else in this workspace spells them out.
//!
//! Handles are `i64` and valid for one call of an extension function. Text and bytes are passed as address and length;
//! those that come back are one `i64`, [packed](crate::names::pack), and lie in a buffer that the host has from the
//! guest's `malloc`.

/// `() -> ()`: that it is there says that the guest speaks this version.
pub const EXPORT_VERSION: &str = "WasmAbiVersion_0_0_1";
/// What the names of exports for all versions begin with; the version follows.
pub const VERSION_PREFIX: &str = "WasmAbiVersion_";
/// Exports that begin with this are never extension functions.
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
/// `(key: i64, value: i64)`: is called for each row of a read.
pub const EXPORT_ON_READ_VALUE: &str = "WasmOnReadValue";
/// `() -> i64`: bytes of heap that are in use.
pub const EXPORT_HEAP_IN_USE: &str = "WasmGetHeapInuse";
/// `() -> i64`: bytes of heap that the allocator has from the system.
pub const EXPORT_HEAP_SYS: &str = "WasmGetHeapSys";
/// `() -> i64`: allocations so far.
pub const EXPORT_MALLOCS: &str = "WasmGetMallocs";
/// `() -> i64`: frees so far.
pub const EXPORT_FREES: &str = "WasmGetFrees";
/// `() -> ()`: collects garbage.
pub const EXPORT_GC: &str = "WasmGC";

/// Module name of every import of the contract.
pub const IMPORT_MODULE: &str = "env";
/// `(storage, entity) -> handle`: a new key.
pub const IMPORT_GET_KEY: &str = "hostGetKey";
/// `(key) -> handle`: the value of a key; that there is none ends the call.
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
/// `(value) -> i32`: elements of an array.
pub const IMPORT_VALUE_LENGTH: &str = "hostValueLength";
/// `(writer, kind, name, ...)`: the type of what is put follows.
pub const IMPORT_PUT_PREFIX: &str = "hostRowWriterPut";
/// `(value, name) -> ...`: a field of a value; the type that is asked for follows.
pub const IMPORT_VALUE_AS_PREFIX: &str = "hostValueAs";
/// `(value, index) -> ...`: an element of an array; the type that is asked for follows.
pub const IMPORT_VALUE_GET_AS_PREFIX: &str = "hostValueGetAs";
/// `(key, name) -> ...`: a field of a row's key; the type that is asked for follows.
pub const IMPORT_KEY_AS_PREFIX: &str = "hostKeyAs";

/// What [`IMPORT_QUERY_VALUE`] returns when no record has the key.
pub const ABSENT: i64 = -1;
/// The kind of writer that is a key, in what begins with [`IMPORT_PUT_PREFIX`].
pub const WRITER_KEY: i32 = 0;
/// The kind of writer that is an intent.
pub const WRITER_INTENT: i32 = 1;

/// Bytes of the buffer that a host asks for unless it is told otherwise.
pub const DEFAULT_BUFFER_SIZE: u32 = 64_000;
/// Bytes that a further buffer has at least.
pub const LEAST_FURTHER_BUFFER: u32 = 1000;
/// Bytes of a call's output that a host keeps unless it is told otherwise.
pub const DEFAULT_OUTPUT_LIMIT: usize = 1024;
