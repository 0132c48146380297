/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mktree COUNT|SCENARIO DIRECTORY: the tree that fakekernel would show, as plain files. */
#include "control.h"
#include "model.h"
#include "scale.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    char *end;
    unsigned long count;
    int fd, r;

    if (argc != 3) {
        fprintf(stderr, "usage: mktree COUNT|SCENARIO DIRECTORY\n");
        return 2;
    }
    count = strtoul(argv[1], &end, 10);
    model_initialise();
    r = *end ? control_file(argv[1]) : scale_add((unsigned) count);
    fd = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r == 0)
        r = fd < 0 ? -errno : tree_dump(tree_root(), fd);
    if (r < 0)
        fprintf(stderr, "mktree: %s\n", strerror(-r));
    return r < 0;
}
