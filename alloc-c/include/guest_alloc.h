/* C's allocation functions over the allocators of this project, and the control block that they keep.
 *
 * Link a guest with one of the static libraries of alloc-c; its README has the flags. The functions are those of <stdlib.h>,
 * so with a C library this header is needed for malloc_usable_size and the control block only.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef GUEST_ALLOC_H
#define GUEST_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define GUEST_ALLOC_ASSERT(condition, message) static_assert(condition, message)
extern "C" {
#else
#define GUEST_ALLOC_ASSERT(condition, message) _Static_assert(condition, message)
#endif

/* Allocates `size` bytes, aligned to 16. NULL where there is no memory left; malloc(0) gives a pointer of its own, which may
 * be freed. What the bytes are is not said. */
void *malloc(size_t size);

/* Allocates an array of zeros. NULL where there is no memory left, or `count * size` overflows. */
void *calloc(size_t count, size_t size);

/* Gives an allocation another size, in place where the allocator can; it keeps its alignment. realloc(NULL, size) allocates,
 * realloc(pointer, 0) leaves an allocation of no bytes, which is still to be freed. Where the result is NULL nothing has
 * changed. */
void *realloc(void *pointer, size_t size);

/* Frees. free(NULL) does nothing. What the memory is good for afterwards depends on the allocator: alloc-leaking gives none
 * back, alloc-bump-reset that of the newest allocation. */
void free(void *pointer);

/* Allocates `size` bytes, aligned to `alignment` and to 16. NULL where there is no memory left, the alignment is no power of
 * two, or it is above 1 GiB. */
void *aligned_alloc(size_t alignment, size_t size);

/* The same: 0 and the allocation in `*result`, or an error number of WASI with `*result` as it was: 28 (EINVAL) for an
 * alignment that is no power of two or smaller than a pointer, 48 (ENOMEM) where there is no memory left. */
int posix_memalign(void **result, size_t alignment, size_t size);

/* Bytes of an allocation, exactly as many as were asked for. 0 for NULL. */
size_t malloc_usable_size(void *pointer);

/* Which allocator keeps a control block. */
enum guest_alloc_kind {
    GUEST_ALLOC_NONE_YET = 0, /* it has not run yet */
    GUEST_ALLOC_LEAKING = 1,
    GUEST_ALLOC_BUMP_RESET = 2,
    GUEST_ALLOC_FREELIST = 3,
    GUEST_ALLOC_WEE = 4
};

/* Bit of guest_alloc_control_block.flags: the counters are kept. */
#define GUEST_ALLOC_FLAG_COUNTERS 1u

/* The first word of every control block: the bytes "CBLK". */
#define GUEST_ALLOC_MAGIC 0x4B4C4243u

/* The version of this layout. */
#define GUEST_ALLOC_LAYOUT_VERSION 1u

/* The control block, through which allocator and host talk without a call. Sizes are bytes, addresses are offsets into linear
 * memory. A guest may read it; it is for the allocator and the host to write. */
struct guest_alloc_control_block {
    uint32_t magic;
    uint16_t version;
    uint16_t kind;            /* enum guest_alloc_kind */
    uint32_t heap_base;       /* first address of the heap */
    uint32_t top;             /* next free byte; for alloc-freelist the end of the claimed heap */
    uint32_t high_water;      /* what lies above the larger of this and `top` is zero */
    uint32_t limit;           /* end of the memory that the allocator has adopted */
    uint32_t mark;            /* where a reset leads to, 0 for none */
    uint32_t flags;
    uint32_t failed_size;     /* the last request that could not be served, 0 for none */
    uint32_t failed_align;
    uint32_t grows;           /* successful memory.grow */
    uint32_t lowest_stack;    /* the host's */
    uint64_t allocations;     /* malloc, calloc, aligned_alloc and posix_memalign that succeeded */
    uint64_t deallocations;   /* free of what is not NULL */
    uint64_t reallocations;   /* realloc of what is not NULL that succeeded; counts nowhere else */
    uint64_t allocated_bytes; /* asked for and served */
    uint64_t freed_bytes;     /* given back */
    uint64_t peak_live_bytes; /* largest difference of the two */
};

GUEST_ALLOC_ASSERT(sizeof(struct guest_alloc_control_block) == 96, "the control block has 96 bytes");
GUEST_ALLOC_ASSERT(offsetof(struct guest_alloc_control_block, kind) == 6, "kind is at 6");
GUEST_ALLOC_ASSERT(offsetof(struct guest_alloc_control_block, top) == 12, "top is at 12");
GUEST_ALLOC_ASSERT(offsetof(struct guest_alloc_control_block, high_water) == 16, "high_water is at 16");
GUEST_ALLOC_ASSERT(offsetof(struct guest_alloc_control_block, mark) == 24, "mark is at 24");
GUEST_ALLOC_ASSERT(offsetof(struct guest_alloc_control_block, failed_size) == 32, "failed_size is at 32");
GUEST_ALLOC_ASSERT(offsetof(struct guest_alloc_control_block, lowest_stack) == 44, "lowest_stack is at 44");
GUEST_ALLOC_ASSERT(offsetof(struct guest_alloc_control_block, allocations) == 48, "allocations is at 48");
GUEST_ALLOC_ASSERT(offsetof(struct guest_alloc_control_block, peak_live_bytes) == 88, "peak_live_bytes is at 88");

/* The control block of this module. Volatile, because the host writes to it between two calls. */
extern volatile const struct guest_alloc_control_block __allocator_control_block;

/* Only in the library of alloc-bump-reset, for hosts that reset by a call: set the mark; give back what was allocated since.
 * The guest itself calls neither. */
void __alloc_mark(void);
void __alloc_reset(void);

#ifdef __cplusplus
}
#endif

#endif
