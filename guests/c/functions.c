/* Functions of every kind of type that crosses to a module without signatures of its own: a host calls them by declarations. */

#ifdef __wasi__
#include <stdlib.h>
#else
#include "guest_alloc.h"
#endif
#include "guest_functions.h"

/* Memory for `count` items, which is never freed: the host restores the instance. Without memory the call ends here. */
static void *allocate(size_t count, size_t size) {
    size_t bytes;
    void *memory = __builtin_mul_overflow(count, size, &bytes) ? NULL : malloc(bytes);
    if (memory == NULL) {
        __builtin_trap();
    }
    return memory;
}

#ifndef __wasi__
/* The host calls this before it takes its snapshot. Once the allocator has run, its control block has the addresses of the heap,
 * which some strategies need. */
GUEST_FUNCTION(_initialize) void _initialize(void) {
    void *volatile block = malloc(1);
    free(block);
}
#endif

/* The greatest common divisor: gcd(a: i64, b: i64) -> i64. */
GUEST_FUNCTION(gcd) int64_t gcd(int64_t a, int64_t b) {
    uint64_t one = a < 0 ? -(uint64_t)a : (uint64_t)a;
    uint64_t other = b < 0 ? -(uint64_t)b : (uint64_t)b;
    while (other != 0) {
        uint64_t rest = one % other;
        one = other;
        other = rest;
    }
    return (int64_t)one;
}

struct characters {
    uint32_t *items;
    size_t count;
};

/* The characters of a text. The host passes UTF-8 only. */
static struct characters characters(const char *text, size_t length) {
    struct characters found = {allocate(length, sizeof(uint32_t)), 0};
    for (size_t at = 0; at < length; found.count++) {
        uint32_t character = (unsigned char)text[at++];
        if (character >= 0xC0) {
            int more = character >= 0xF0 ? 3 : character >= 0xE0 ? 2 : 1;
            character &= 0x3Fu >> more;
            for (; more > 0; more--) {
                character = character << 6 | ((unsigned char)text[at++] & 0x3Fu);
            }
        }
        found.items[found.count] = character;
    }
    return found;
}

/* The least number of characters to change, insert or delete: levenshtein(a: string, b: string) -> i64. */
GUEST_FUNCTION(levenshtein)
int64_t levenshtein(const char *a, size_t a_length, const char *b, size_t b_length) {
    struct characters one = characters(a, a_length), other = characters(b, b_length);
    size_t *row = allocate(other.count + 1, sizeof(size_t));
    for (size_t at = 0; at <= other.count; at++) {
        row[at] = at;
    }
    for (size_t index = 0; index < one.count; index++) {
        size_t diagonal = row[0];
        row[0] = index + 1;
        for (size_t at = 0; at < other.count; at++) {
            size_t replaced = diagonal + (one.items[index] != other.items[at]);
            diagonal = row[at + 1];
            size_t one_more = (diagonal < row[at] ? diagonal : row[at]) + 1;
            row[at + 1] = replaced < one_more ? replaced : one_more;
        }
    }
    return (int64_t)row[other.count];
}

/* The text with the letters of ASCII in capitals: upper(text: string) -> string. */
GUEST_FUNCTION(upper) guest_result upper(const char *text, size_t length) {
    char *capitals = allocate(length, 1);
    for (size_t at = 0; at < length; at++) {
        bool is_small = 'a' <= text[at] && text[at] <= 'z';
        capitals[at] = is_small ? text[at] - 'a' + 'A' : text[at];
    }
    return guest_pack(capitals, length);
}

/* The sum of a list: sum(numbers: list(f64)) -> f64. */
GUEST_FUNCTION(sum) double sum(const struct guest_column *numbers) {
    const double *values = numbers->values;
    double sum = 0;
    for (uint32_t row = 0; row < numbers->rows; row++) {
        sum += values[row];
    }
    return sum;
}

/* The square root, null for null and for what has none: root(number: f64?) -> f64?. */
GUEST_FUNCTION(root) guest_result root(bool is_present, double number) {
    static double found;
    if (!is_present || !(number >= 0)) {
        return GUEST_NULL;
    }
    found = __builtin_sqrt(number);
    return guest_pack(&found, sizeof found);
}

/* Lies about its type: latin1(text: string) -> string returns a byte for each character, which is no UTF-8 beyond ASCII. */
GUEST_FUNCTION(latin1) guest_result latin1(const char *text, size_t length) {
    struct characters found = characters(text, length);
    char *bytes = allocate(found.count, 1);
    for (size_t at = 0; at < found.count; at++) {
        bytes[at] = found.items[at] < 0x100 ? (char)found.items[at] : '?';
    }
    return guest_pack(bytes, found.count);
}
