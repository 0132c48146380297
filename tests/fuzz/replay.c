/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stands in for libFuzzer: runs the target over every file of its corpus, which is the folders given
 * as arguments, or $top_srcdir/tests/fuzz/corpus/NAME for a program fuzz-NAME. Prints TAP; a fault
 * of the target ends the program, and so the test. */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/fd.h"
#include "util/string.h"

#define INPUT_MAX (16 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned count;

static int replay_file(int folder, const char *name) {
    _cleanup_(freep) char *data = NULL;
    size_t size;
    int r = file_read(folder, name, INPUT_MAX, &data, &size);

    if (r < 0)
        return r;
    /* without a byte behind the end, so that reading one is seen */
    _cleanup_(freep) uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        return -ENOMEM;
    memcpy(exact, data, size);
    printf("# %s\n", name);
    (void)fflush(stdout);
    (void)LLVMFuzzerTestOneInput(exact, size);
    printf("ok %u - %s\n", ++count, name);
    return 0;
}

static int replay_folder(const char *path) {
    _cleanup_(closedirp) DIR *folder = NULL;
    struct dirent *entry;
    int r = directory_open(AT_FDCWD, path, &folder);

    while (r >= 0 && (entry = directory_next(folder)))
        r = replay_file(dirfd(folder), entry->d_name);
    if (r < 0)
        fprintf(stderr, "%s: %s\n", path, strerror(-r));
    return r;
}

int main(int argc, char **argv) {
    const char *top = getenv("top_srcdir");
    const char *name = string_after(path_basename(argv[0]), "fuzz-");
    int r = 0;

    _cleanup_(freep) char *own =
        string_format("%s/tests/fuzz/corpus/%s", top ? top : ".", name ? name : "");
    if (!own)
        return EXIT_FAILURE;
    if (argc < 2)
        r = replay_folder(own);
    for (int i = 1; r >= 0 && i < argc; i++)
        r = replay_folder(argv[i]);
    if (r < 0 || count == 0) {
        fprintf(stderr, "nothing was replayed\n");
        return EXIT_FAILURE;
    }
    printf("1..%u\n", count);
    return EXIT_SUCCESS;
}
