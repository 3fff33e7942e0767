/* The exttinygo contract, version 0.0.1, for extensions in C and C++: what a host offers, and what an extension exports.
 *
 *     #include "exttinygo.h"
 *
 *     EXT_SPEAKS_VERSION_0_0_1
 *
 *     EXT_FUNCTION(count_up) {
 *         ext_handle key = ext_key(EXT("sys.Record"), EXT("shop.Counter"));
 *         ext_put_int64(ext_intent_new(key), EXT_INTENT, EXT("Value"), 1);
 *     }
 *
 * Handles and strings are valid for one call of an extension function.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef EXTTINYGO_H
#define EXTTINYGO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- what an extension exports ------------------------------------------------------------------------------------- */

#define EXT_EXPORT(name) __attribute__((export_name(name), used, visibility("default")))

/* Defines an extension function, `() -> ()`. */
#define EXT_FUNCTION(name) EXT_EXPORT(#name) void name(void)

/* Says, once in a module, which version of the contract it speaks. */
#define EXT_SPEAKS_VERSION_0_0_1 \
    EXT_EXPORT("WasmAbiVersion_0_0_1") void WasmAbiVersion_0_0_1(void) {}

/* Defines `_start`, which a host calls once before everything else: it runs constructors, and returns. With wasi-libc, link with
 * -nostartfiles: its own `_start` is that of a program that ends with `main`, and has the linker run all constructors anew at each
 * call of any export. (A reactor, by -mexec-model=reactor, has `_initialize` instead and needs neither.) */
#define EXT_START                        \
    extern void __wasm_call_ctors(void); \
    EXT_EXPORT("_start") void _start(void) { __wasm_call_ctors(); }

/* Defines what ext_read calls for each row. */
#define EXT_ON_READ_VALUE(key, value) \
    EXT_EXPORT("WasmOnReadValue") void WasmOnReadValue(ext_handle key, ext_handle value)

/* --- strings, handles ---------------------------------------------------------------------------------------------- */

/* A key, a value or an intent. */
typedef int64_t ext_handle;

/* What ext_query returns where there is no record. */
#define EXT_ABSENT ((ext_handle)-1)

/* Text in UTF-8, or bytes. It is a view, and ends with no zero. */
typedef struct ext_view {
    const char *data;
    uint32_t length;
} ext_view;

static inline ext_view ext_view_of(const char *data, uint32_t length) {
    ext_view view;
    view.data = data;
    view.length = length;
    return view;
}

/* The view of a literal. */
#define EXT(literal) ext_view_of("" literal, (uint32_t)(sizeof(literal) - 1))

/* The view that the host's `address << 32 | length` stands for. */
static inline ext_view ext_unpack(int64_t packed) {
    return ext_view_of((const char *)(uintptr_t)(uint32_t)((uint64_t)packed >> 32), (uint32_t)packed);
}

static inline bool ext_equal(ext_view one, ext_view other) {
    return one.length == other.length && __builtin_memcmp(one.data, other.data, one.length) == 0;
}

/* What is written to: a key while it is built, or an intent. */
typedef enum ext_writer { EXT_KEY = 0, EXT_INTENT = 1 } ext_writer;

/* --- what the host offers, as it is -------------------------------------------------------------------------------- */

#define EXT_IMPORT(name) __attribute__((import_module("env"), import_name(#name))) extern

EXT_IMPORT(hostGetKey) ext_handle hostGetKey(const char *, uint32_t, const char *, uint32_t);
EXT_IMPORT(hostGetValue) ext_handle hostGetValue(ext_handle);
EXT_IMPORT(hostQueryValue) ext_handle hostQueryValue(ext_handle);
EXT_IMPORT(hostReadValues) void hostReadValues(ext_handle);
EXT_IMPORT(hostNewValue) ext_handle hostNewValue(ext_handle);
EXT_IMPORT(hostUpdateValue) ext_handle hostUpdateValue(ext_handle, ext_handle);
EXT_IMPORT(hostPanic) void hostPanic(const char *, uint32_t);
EXT_IMPORT(hostValueLength) int32_t hostValueLength(ext_handle);

#define EXT_PUT(type, ...) \
    EXT_IMPORT(hostRowWriterPut##type) void hostRowWriterPut##type(ext_handle, int32_t, const char *, uint32_t, __VA_ARGS__)
EXT_PUT(String, const char *, uint32_t);
EXT_PUT(Bytes, const char *, uint32_t);
EXT_PUT(Int32, int32_t);
EXT_PUT(Bool, int32_t);
EXT_PUT(Int64, int64_t);
EXT_PUT(Float32, float);
EXT_PUT(Float64, double);
EXT_PUT(QName, const char *, uint32_t, const char *, uint32_t);
#undef EXT_PUT

/* Of a field by its name in a value, of an element by its index in an array, and of a field in the key of a row. */
#define EXT_AS(type, result)                                                                                   \
    EXT_IMPORT(hostValueAs##type) result hostValueAs##type(ext_handle, const char *, uint32_t);                \
    EXT_IMPORT(hostValueGetAs##type) result hostValueGetAs##type(ext_handle, int32_t)
#define EXT_AS_OF_KEYS(type, result) \
    EXT_AS(type, result);            \
    EXT_IMPORT(hostKeyAs##type) result hostKeyAs##type(ext_handle, const char *, uint32_t)
EXT_AS_OF_KEYS(String, int64_t);
EXT_AS_OF_KEYS(Bytes, int64_t);
EXT_AS_OF_KEYS(QNamePkg, int64_t);
EXT_AS_OF_KEYS(QNameEntity, int64_t);
EXT_AS_OF_KEYS(Int32, int32_t);
EXT_AS_OF_KEYS(Int64, int64_t);
EXT_AS_OF_KEYS(Bool, int64_t);
EXT_AS_OF_KEYS(Float32, float);
EXT_AS_OF_KEYS(Float64, double);
EXT_AS(Value, ext_handle);
#undef EXT_AS_OF_KEYS
#undef EXT_AS

/* --- the same, with views ------------------------------------------------------------------------------------------ */

/* A new key of a storage and an entity. */
static inline ext_handle ext_key(ext_view storage, ext_view entity) {
    return hostGetKey(storage.data, storage.length, entity.data, entity.length);
}

/* The value of a key; that there is none ends the call. */
static inline ext_handle ext_get(ext_handle key) { return hostGetValue(key); }

/* The value of a key, or EXT_ABSENT. */
static inline ext_handle ext_query(ext_handle key) { return hostQueryValue(key); }

/* Calls WasmOnReadValue for each row that matches the key. */
static inline void ext_read(ext_handle key) { hostReadValues(key); }

/* An intent to write a new record. */
static inline ext_handle ext_intent_new(ext_handle key) { return hostNewValue(key); }

/* An intent to change a record. */
static inline ext_handle ext_intent_update(ext_handle key, ext_handle existing) { return hostUpdateValue(key, existing); }

/* Elements of an array. */
static inline int32_t ext_length(ext_handle array) { return hostValueLength(array); }

#define EXT_PUT_SCALAR(name, type, argument)                                                             \
    static inline void ext_put_##name(ext_handle writer, ext_writer kind, ext_view field, argument value) { \
        hostRowWriterPut##type(writer, (int32_t)kind, field.data, field.length, value);                  \
    }
EXT_PUT_SCALAR(int32, Int32, int32_t)
EXT_PUT_SCALAR(bool, Bool, bool)
EXT_PUT_SCALAR(int64, Int64, int64_t)
EXT_PUT_SCALAR(float32, Float32, float)
EXT_PUT_SCALAR(float64, Float64, double)
#undef EXT_PUT_SCALAR

static inline void ext_put_string(ext_handle writer, ext_writer kind, ext_view field, ext_view value) {
    hostRowWriterPutString(writer, (int32_t)kind, field.data, field.length, value.data, value.length);
}

static inline void ext_put_bytes(ext_handle writer, ext_writer kind, ext_view field, ext_view value) {
    hostRowWriterPutBytes(writer, (int32_t)kind, field.data, field.length, value.data, value.length);
}

static inline void ext_put_qname(ext_handle writer, ext_writer kind, ext_view field, ext_view package, ext_view entity) {
    hostRowWriterPutQName(writer, (int32_t)kind, field.data, field.length, package.data, package.length, entity.data,
                          entity.length);
}

#define EXT_FIELD(name, type, result, convert)                                     \
    static inline result ext_##name(ext_handle value, ext_view field) {            \
        return convert(hostValueAs##type(value, field.data, field.length));        \
    }                                                                              \
    static inline result ext_##name##_at(ext_handle array, int32_t index) {        \
        return convert(hostValueGetAs##type(array, index));                        \
    }
#define EXT_FIELD_OF_KEYS(name, type, result, convert)                             \
    EXT_FIELD(name, type, result, convert)                                         \
    static inline result ext_key_##name(ext_handle key, ext_view field) {          \
        return convert(hostKeyAs##type(key, field.data, field.length));            \
    }
#define EXT_AS_IS(value) (value)
#define EXT_IS_TRUE(value) ((value) != 0)
EXT_FIELD_OF_KEYS(string, String, ext_view, ext_unpack)
EXT_FIELD_OF_KEYS(bytes, Bytes, ext_view, ext_unpack)
EXT_FIELD_OF_KEYS(qname_package, QNamePkg, ext_view, ext_unpack)
EXT_FIELD_OF_KEYS(qname_entity, QNameEntity, ext_view, ext_unpack)
EXT_FIELD_OF_KEYS(int32, Int32, int32_t, EXT_AS_IS)
EXT_FIELD_OF_KEYS(int64, Int64, int64_t, EXT_AS_IS)
EXT_FIELD_OF_KEYS(bool, Bool, bool, EXT_IS_TRUE)
EXT_FIELD_OF_KEYS(float32, Float32, float, EXT_AS_IS)
EXT_FIELD_OF_KEYS(float64, Float64, double, EXT_AS_IS)
EXT_FIELD(value, Value, ext_handle, EXT_AS_IS)
#undef EXT_IS_TRUE
#undef EXT_AS_IS
#undef EXT_FIELD_OF_KEYS
#undef EXT_FIELD

/* --- failing ------------------------------------------------------------------------------------------------------- */

/* A vector of WASI preview 1. */
struct ext_iovec {
    const char *data;
    uint32_t length;
};

__attribute__((import_module("wasi_snapshot_preview1"), import_name("fd_write"))) extern int32_t
ext_wasi_fd_write(int32_t, const struct ext_iovec *, uint32_t, uint32_t *);

/* Ends the call as TinyGo's panic does: prints `panic: <message>` on standard output, and traps. Allocates nothing. */
static inline __attribute__((noreturn, cold)) void ext_panic(ext_view message) {
    struct ext_iovec parts[3] = {{"panic: ", 7}, {message.data, message.length}, {"\n", 1}};
    uint32_t written;
    (void)ext_wasi_fd_write(1, parts, 3, &written);
    __builtin_trap();
}

/* The same, with the message by which a host knows that memory was exhausted. */
static inline __attribute__((noreturn, cold)) void ext_out_of_memory(void) {
    ext_panic(EXT("runtime error: out of memory"));
}

#undef EXT_IMPORT

#ifdef __cplusplus
}
#endif

#endif
