/* Functions with texts, lists and nulls, for hosts that call them by a declared signature: how arguments and results cross.
 *
 *     #include "guest_functions.h"
 *
 *     GUEST_FUNCTION(first_half) guest_result first_half(const char *text, size_t length) {
 *         return guest_pack(text, length / 2);
 *     }
 *
 * The host calls it if it is declared as `first_half(text: bytes) -> bytes`. Numbers cross as they are. Export `malloc`, from
 * which the host takes memory for texts and lists: -Wl,--export=malloc.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef GUEST_FUNCTIONS_H
#define GUEST_FUNCTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define GUEST_FUNCTIONS_ASSERT(condition, message) static_assert(condition, message)
extern "C" {
#else
#define GUEST_FUNCTIONS_ASSERT(condition, message) _Static_assert(condition, message)
#endif

/* Exports the function that follows. A parameter of a nullable type is two: a `bool` that is true for a value, and the value. */
#define GUEST_FUNCTION(name) __attribute__((export_name(#name), used, visibility("default")))

/* A result that is text, bytes, a list, a decimal or of a nullable type. */
typedef int64_t guest_result;

/* The result of a function of a nullable type that is null. */
#define GUEST_NULL ((guest_result)-1)

/* A result: the address in the upper half, the length in the lower one. The bytes are those of text or of bytes, or the
 * little-endian bytes of a number; for a list, the address is that of its column and the length 0. The host reads them right
 * after the function returned, so they may be static, and must not be on the stack. */
static inline guest_result guest_pack(const void *address, size_t length) {
    return (guest_result)((uint64_t)(uintptr_t)address << 32 | length);
}

/* How a column holds its values. */
enum guest_encoding {
    GUEST_PLAIN = 0,      /* a value for each row */
    GUEST_CONSTANT = 1,   /* `child` is a column of one row, which has the value of every row */
    GUEST_DICTIONARY = 2, /* for each row a signed 32-bit number of a row of `child` */
    GUEST_VIEWS = 3       /* text or bytes: 16 bytes for each row, as Arrow's view types have them */
};

/* A list, as its address is passed: a column of Apache Arrow. A list of numbers of which none can be null is plain. */
struct guest_column {
    uint32_t encoding;       /* enum guest_encoding */
    uint32_t rows;
    const void *values;      /* the numbers, the bytes of all texts, or a bitmap of truth values */
    const int32_t *offsets;  /* text and bytes: rows + 1 ends, of which the first is 0 */
    const uint8_t *validity; /* a bitmap with a 1 for each row that is not null; NULL if no row is null */
    uint32_t first_bit;      /* the bit of the bitmaps that is that of the first row */
    const void *child;       /* another column, or data buffers */
    uint32_t reserved;       /* 0 */
};

GUEST_FUNCTIONS_ASSERT(sizeof(struct guest_column) == 32, "a column has 32 bytes");
GUEST_FUNCTIONS_ASSERT(offsetof(struct guest_column, values) == 8, "values is at 8");
GUEST_FUNCTIONS_ASSERT(offsetof(struct guest_column, validity) == 16, "validity is at 16");
GUEST_FUNCTIONS_ASSERT(offsetof(struct guest_column, child) == 24, "child is at 24");

#ifdef __cplusplus
}
#endif

#endif
