/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Cleanup attributes: a local that owns something says so where it is declared, and gives it away
 * with TAKE_POINTER or TAKE_FD. Every function named here accepts NULL (or a negative fd). */

#include <stddef.h>
#include <stdlib.h>

#define _cleanup_(function) __attribute__((cleanup(function)))
#define _must_check_ __attribute__((warn_unused_result))
#define _printf_(position, first) __attribute__((format(printf, position, first)))

#define ELEMENTS_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Moves a pointer or an fd out of a variable, which is left empty. */
#define TAKE_POINTER(pointer)                                                                      \
    ({                                                                                             \
        __typeof__(pointer) *_from = &(pointer);                                                   \
        __typeof__(pointer) _taken = *_from;                                                       \
        *_from = NULL;                                                                             \
        _taken;                                                                                    \
    })
#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int *_from = &(fd);                                                                        \
        int _taken = *_from;                                                                       \
        *_from = -1;                                                                               \
        _taken;                                                                                    \
    })

/* Defines NAMEp(TYPE *p), for _cleanup_(NAMEp), out of a destructor NAME(TYPE). */
#define DEFINE_CLEANUP(type, name)                                                                 \
    static inline void name##p(type *pointer) {                                                    \
        if (*pointer)                                                                              \
            name(*pointer);                                                                        \
    }

static inline void freep(void *pointer) {
    free(*(void **)pointer);
}

/* NULL-terminated array of strings: frees the strings and the array. */
void strings_free(char **strings);
DEFINE_CLEANUP(char **, strings_free)
