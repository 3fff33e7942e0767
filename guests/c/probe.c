/* Nothing but the allocator: its functions are exported, and the tests of alloc-c call them. */
#ifdef __wasi__
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#else
#include "guest_alloc.h"
#endif

#define EXPORT(name) __attribute__((export_name(#name), used))

#ifdef __wasi__
/* wasi-libc's errno, which is set to 0. */
EXPORT(take_errno) int take_errno(void) {
    int error = errno;
    errno = 0;
    return error;
}

static void at_exit(void) {}

/* What of the C library allocates: were any of it served by another allocator than the one that is exported, the pointer would
 * lie outside of its heap and freeing it would trap. Gives the bytes of a string that was allocated for it. */
EXPORT(use_libc) int use_libc(int number) {
    /* More handlers than fit the table that is there without allocating. */
    for (int handler = 0; handler < 40; handler++) {
        if (atexit(at_exit) != 0) {
            return -1;
        }
    }
    char *text = NULL;
    int length = asprintf(&text, "%d", number);
    char *copy = length < 0 ? NULL : strdup(text);
    length = copy == NULL ? -1 : (int)strlen(copy);
    free(copy);
    free(text);
    return length;
}
#endif
