/* The sample extension in C: what guests/shop does of orders and its counter, over the exttinygo contract, and functions that
 * provoke what a host must cope with.
 *
 * It is built over each allocator, with and without wasi-libc. Without, guest_alloc.h declares what there is.
 */
#include "exttinygo.h"

#ifdef __wasi__
#include <stdio.h>
#include <stdlib.h>
#else
#include "guest_alloc.h"
#endif

EXT_SPEAKS_VERSION_0_0_1

/* --- before the first call ----------------------------------------------------------------------------------------- */

#define SQUARES 256

/* Built before the snapshot, and therefore in it: a heap allocation that a static points to. */
static int64_t *squares;
static int64_t times_started;

__attribute__((constructor)) static void start(void) {
    times_started += 1;
    squares = (int64_t *)malloc(SQUARES * sizeof *squares);
    if (squares == NULL) {
        ext_out_of_memory();
    }
    for (int64_t number = 0; number < SQUARES; number++) {
        squares[number] = number * number;
    }
}

#ifdef EXT_COMMAND
EXT_START
#endif

/* Leaves what the constructor has done. */
EXT_FUNCTION(what_was_started) {
    ext_handle left = ext_intent_new(ext_key(EXT("sys.Result"), EXT("")));
    int64_t sum = 0;
    for (int64_t number = 0; number < SQUARES; number++) {
        sum += squares[number];
    }
    ext_put_int64(left, EXT_INTENT, EXT("TimesStarted"), times_started);
    ext_put_int64(left, EXT_INTENT, EXT("SumOfSquares"), sum);
    /* A call may spoil what was started; the next one must not see it. */
    times_started += 1;
    squares[1] += 1;
}

/* --- the sample ---------------------------------------------------------------------------------------------------- */

static int64_t total_of(ext_handle order) {
    ext_handle items = ext_value(order, EXT("Items"));
    int32_t length = ext_length(items);
    int64_t total = 0;
    for (int32_t index = 0; index < length; index++) {
        ext_handle item = ext_value_at(items, index);
        total += (int64_t)ext_int32(item, EXT("Quantity")) * ext_int64(item, EXT("SinglePrice"));
    }
    return total;
}

/* Adds the order's total to the view of ordered items. */
EXT_FUNCTION(calc_ordered_items) {
    ext_handle event = ext_get(ext_key(EXT("sys.Event"), EXT("")));
    ext_handle order = ext_value(event, EXT("ArgumentObject"));
    int64_t amount = total_of(order);
    ext_handle key = ext_key(EXT("sys.View"), EXT("example.com/shop.OrderedItems"));
    ext_put_int32(key, EXT_KEY, EXT("Year"), ext_int32(order, EXT("Year")));
    ext_put_int32(key, EXT_KEY, EXT("Month"), ext_int32(order, EXT("Month")));
    ext_handle found = ext_query(key);
    ext_handle intent;
    if (found == EXT_ABSENT) {
        intent = ext_intent_new(key);
    } else {
        amount += ext_int64(found, EXT("Amount"));
        intent = ext_intent_update(key, found);
    }
    ext_put_int64(intent, EXT_INTENT, EXT("Amount"), amount);
}

/* Counts up. */
EXT_FUNCTION(count_up) {
    ext_handle key = ext_key(EXT("sys.Record"), EXT("shop.Counter"));
    ext_put_string(key, EXT_KEY, EXT("Name"), EXT("orders"));
    ext_handle found = ext_query(key);
    if (found == EXT_ABSENT) {
        ext_put_int64(ext_intent_new(key), EXT_INTENT, EXT("Value"), 1);
    } else {
        int64_t value = ext_int64(found, EXT("Value")) + 1;
        ext_put_int64(ext_intent_update(key, found), EXT_INTENT, EXT("Value"), value);
    }
}

/* --- what a host must cope with ------------------------------------------------------------------------------------ */

struct node {
    struct node *next;
    char payload[60000];
};

/* Grows from call to call, as long as nobody restores the guest. */
static struct node *appended;

/* Appends 60 KB to a list that nobody frees; with no memory left it ends as a TinyGo program does. */
EXT_FUNCTION(append_for_ever) {
    struct node *node = (struct node *)malloc(sizeof *node);
    if (node == NULL) {
        ext_out_of_memory();
    }
    __builtin_memset(node->payload, 1, sizeof node->payload);
    node->next = appended;
    appended = node;
    int64_t length = 0;
    for (struct node *each = appended; each != NULL; each = each->next) {
        length += 1;
    }
    ext_put_int64(ext_intent_new(ext_key(EXT("sys.Result"), EXT(""))), EXT_INTENT, EXT("Length"), length);
}

static ext_handle kept;

/* Keeps a handle for a later call, which no contract allows. */
EXT_FUNCTION(keep_handle) { kept = ext_key(EXT("sys.Result"), EXT("")); }

/* Uses it. */
EXT_FUNCTION(use_kept_handle) { ext_put_int64(ext_intent_new(kept), EXT_INTENT, EXT("Value"), 1); }

static int64_t rows, months, amounts;

EXT_ON_READ_VALUE(key, value) {
    rows += 1;
    months += ext_key_int32(key, EXT("Month"));
    amounts += ext_int64(value, EXT("Amount"));
}

/* Reads the views of a year, a row at a time. */
EXT_FUNCTION(read_all) {
    rows = months = amounts = 0;
    ext_handle key = ext_key(EXT("sys.View"), EXT("example.com/shop.OrderedItems"));
    ext_put_int32(key, EXT_KEY, EXT("Year"), 2023);
    ext_read(key);
    ext_handle left = ext_intent_new(ext_key(EXT("sys.Result"), EXT("")));
    ext_put_int64(left, EXT_INTENT, EXT("Rows"), rows);
    ext_put_int64(left, EXT_INTENT, EXT("Months"), months);
    ext_put_int64(left, EXT_INTENT, EXT("Amounts"), amounts);
}

#define STRINGS 8000

/* Reads so many strings that they do not fit the host's buffer, and sees that all of them are still there. */
EXT_FUNCTION(big_strings) {
    ext_handle key = ext_key(EXT("sys.Record"), EXT("shop.Customer"));
    ext_put_int64(key, EXT_KEY, EXT("Id"), 7);
    ext_handle customer = ext_get(key);
    ext_view *strings = (ext_view *)calloc(STRINGS, sizeof *strings);
    if (strings == NULL) {
        ext_out_of_memory();
    }
    for (int32_t number = 0; number < STRINGS; number++) {
        strings[number] = number % 2 == 0 ? ext_string(customer, EXT("Name")) : ext_string(customer, EXT("Mail"));
    }
    int64_t bytes = 0, spoiled = 0;
    for (int32_t number = 0; number < STRINGS; number++) {
        bytes += strings[number].length;
        spoiled += !ext_equal(strings[number], strings[number % 2]);
    }
    ext_handle left = ext_intent_new(ext_key(EXT("sys.Result"), EXT("")));
    ext_put_int64(left, EXT_INTENT, EXT("Bytes"), bytes);
    ext_put_int64(left, EXT_INTENT, EXT("Spoiled"), spoiled);
    ext_put_string(left, EXT_INTENT, EXT("First"), strings[0]);
    ext_put_string(left, EXT_INTENT, EXT("Last"), strings[STRINGS - 1]);
    free(strings);
}

/* Panics with a message. */
EXT_FUNCTION(panic_with_message) { ext_panic(EXT("no such order")); }

#ifdef __wasi__
/* Prints through the C library. */
EXT_FUNCTION(print_lines) {
    for (int line = 1; line <= 3; line++) {
        printf("line %d of %d\n", line, 3);
    }
    fflush(stdout);
}

/* Ends the program, as C knows it. */
EXT_FUNCTION(exit_with_3) { exit(3); }
#endif

#ifdef EXT_STATISTICS
/* --- statistics, for hosts that ask the guest ---------------------------------------------------------------------- */

EXT_EXPORT("WasmGetHeapInuse") int64_t WasmGetHeapInuse(void) {
    return (int64_t)(__allocator_control_block.allocated_bytes - __allocator_control_block.freed_bytes);
}

EXT_EXPORT("WasmGetHeapSys") int64_t WasmGetHeapSys(void) {
    return (int64_t)(__allocator_control_block.limit - __allocator_control_block.heap_base);
}

EXT_EXPORT("WasmGetMallocs") int64_t WasmGetMallocs(void) { return (int64_t)__allocator_control_block.allocations; }

EXT_EXPORT("WasmGetFrees") int64_t WasmGetFrees(void) { return (int64_t)__allocator_control_block.deallocations; }

EXT_EXPORT("WasmGC") void WasmGC(void) {}
#endif
