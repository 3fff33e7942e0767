//! The imports of the exttinygo contract, and nothing else. `guest_abi::exttinygo` describes them.
//!
//! This file lacks the imports that the SDK does not use.
//!
//! Natively `testing/imports.rs` stands in for this file.
#![expect(unsafe_code, reason = "imports are foreign functions")]

use guest_abi::names::unpack;

/// Text or bytes that the host has put somewhere: address and length.
pub(crate) type Placed = i64;

/// Those bytes.
///
/// # Safety
/// `placed` is what the host returned in a call that lasts as long as `'call`.
pub(crate) unsafe fn bytes<'call>(placed: Placed) -> &'call [u8] {
    let (start, length) = unpack(placed);
    if start == 0 || length == 0 {
        return &[];
    }
    // SAFETY: the host has written that many bytes there, into a buffer that it has from `malloc`, and leaves them
    // until the call ends.
    unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance(start as usize), length as usize) }
}

/// A piece of what [`fd_write`] writes.
#[repr(C)]
pub(crate) struct Piece {
    pub(crate) start: *const u8,
    pub(crate) length: usize,
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    pub(crate) fn fd_write(file: i32, pieces: *const Piece, count: usize, written: *mut usize) -> i32;
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    #[link_name = "hostGetKey"]
    pub(crate) fn get_key(storage: *const u8, storage_len: usize, entity: *const u8, entity_len: usize) -> i64;
    #[link_name = "hostQueryValue"]
    pub(crate) fn query_value(key: i64) -> i64;
    #[link_name = "hostReadValues"]
    pub(crate) fn read_values(key: i64);
    #[link_name = "hostNewValue"]
    pub(crate) fn new_value(key: i64) -> i64;
    #[link_name = "hostUpdateValue"]
    pub(crate) fn update_value(key: i64, existing: i64) -> i64;

    #[link_name = "hostRowWriterPutInt32"]
    pub(crate) fn put_i32(writer: i64, kind: i32, name: *const u8, name_len: usize, value: i32);
    #[link_name = "hostRowWriterPutInt64"]
    pub(crate) fn put_i64(writer: i64, kind: i32, name: *const u8, name_len: usize, value: i64);
    #[link_name = "hostRowWriterPutFloat32"]
    pub(crate) fn put_f32(writer: i64, kind: i32, name: *const u8, name_len: usize, value: f32);
    #[link_name = "hostRowWriterPutFloat64"]
    pub(crate) fn put_f64(writer: i64, kind: i32, name: *const u8, name_len: usize, value: f64);
    #[link_name = "hostRowWriterPutBool"]
    pub(crate) fn put_bool(writer: i64, kind: i32, name: *const u8, name_len: usize, value: i32);
    #[link_name = "hostRowWriterPutString"]
    pub(crate) fn put_string(
        writer: i64,
        kind: i32,
        name: *const u8,
        name_len: usize,
        value: *const u8,
        value_len: usize,
    );
    #[link_name = "hostRowWriterPutBytes"]
    pub(crate) fn put_bytes(
        writer: i64,
        kind: i32,
        name: *const u8,
        name_len: usize,
        value: *const u8,
        value_len: usize,
    );
    #[link_name = "hostRowWriterPutQName"]
    pub(crate) fn put_qname(
        writer: i64,
        kind: i32,
        name: *const u8,
        name_len: usize,
        package: *const u8,
        package_len: usize,
        entity: *const u8,
        entity_len: usize,
    );

    #[link_name = "hostValueLength"]
    pub(crate) fn value_length(value: i64) -> i32;
    #[link_name = "hostValueAsValue"]
    pub(crate) fn value_as_value(value: i64, name: *const u8, name_len: usize) -> i64;
    #[link_name = "hostValueGetAsValue"]
    pub(crate) fn value_get_as_value(value: i64, index: u32) -> i64;
}

/// The functions that read: each of a field of a value, of a field of a row's key, and of an element of an array.
macro_rules! reading {
    ($($value:ident $value_import:literal $key:ident $key_import:literal $item:ident $item_import:literal -> $type:ty;)+) => {
        #[link(wasm_import_module = "env")]
        unsafe extern "C" {
            $(
                #[link_name = $value_import]
                pub(crate) fn $value(value: i64, name: *const u8, name_len: usize) -> $type;
                #[link_name = $key_import]
                pub(crate) fn $key(key: i64, name: *const u8, name_len: usize) -> $type;
                #[link_name = $item_import]
                pub(crate) fn $item(value: i64, index: u32) -> $type;
            )+
        }
    };
}

reading! {
    value_as_i32 "hostValueAsInt32" key_as_i32 "hostKeyAsInt32" value_get_as_i32 "hostValueGetAsInt32" -> i32;
    value_as_i64 "hostValueAsInt64" key_as_i64 "hostKeyAsInt64" value_get_as_i64 "hostValueGetAsInt64" -> i64;
    value_as_f32 "hostValueAsFloat32" key_as_f32 "hostKeyAsFloat32" value_get_as_f32 "hostValueGetAsFloat32" -> f32;
    value_as_f64 "hostValueAsFloat64" key_as_f64 "hostKeyAsFloat64" value_get_as_f64 "hostValueGetAsFloat64" -> f64;
    value_as_bool "hostValueAsBool" key_as_bool "hostKeyAsBool" value_get_as_bool "hostValueGetAsBool" -> i64;
    value_as_string "hostValueAsString" key_as_string "hostKeyAsString" value_get_as_string "hostValueGetAsString"
        -> Placed;
    value_as_bytes "hostValueAsBytes" key_as_bytes "hostKeyAsBytes" value_get_as_bytes "hostValueGetAsBytes" -> Placed;
    value_as_package "hostValueAsQNamePkg" key_as_package "hostKeyAsQNamePkg"
        value_get_as_package "hostValueGetAsQNamePkg" -> Placed;
    value_as_entity "hostValueAsQNameEntity" key_as_entity "hostKeyAsQNameEntity"
        value_get_as_entity "hostValueGetAsQNameEntity" -> Placed;
}
