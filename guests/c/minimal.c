/* The smallest guest that allocates: what it is larger by with an allocator, the allocator weighs. */
#include <stddef.h>

#ifdef NO_ALLOCATOR
/* The baseline: hidden from the compiler, it always fails. */
__attribute__((noinline)) static void *malloc(size_t size) {
    void *nothing = NULL;
    __asm__ volatile("" : "+r"(nothing) : "r"(size));
    return nothing;
}

__attribute__((noinline)) static void free(void *pointer) { __asm__ volatile("" : : "r"(pointer)); }
#else
#include "guest_alloc.h"
#endif

/* Allocates once. */
__attribute__((export_name("allocate_once"))) int allocate_once(size_t size) {
    unsigned char *volatile block = (unsigned char *)malloc(size);
    if (block == NULL) {
        return 0;
    }
    *block = 1;
    free(block);
    return 1;
}
