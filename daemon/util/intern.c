/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/intern.h"

#include <stdlib.h>
#include <string.h>

struct interned {
    UT_hash_handle hh;
    char text[];
};

const char *intern_string(struct intern *intern, const char *text) {
    struct interned *string;

    if (!text)
        return NULL;
    HASH_FIND_STR(intern->strings, text, string);
    if (string)
        return string->text;
    size_t size = strlen(text) + 1;
    string = malloc(sizeof(*string) + size);
    if (!string)
        return NULL;
    memcpy(string->text, text, size);
    HASH_ADD_STR(intern->strings, text, string);
    if (!string->hh.tbl) {
        free(string);
        return NULL;
    }
    return string->text;
}

void intern_done(struct intern *intern) {
    struct interned *string, *next;

    HASH_ITER(hh, intern->strings, string, next) {
        HASH_DEL(intern->strings, string);
        free(string);
    }
}
