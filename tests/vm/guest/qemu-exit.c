/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qemu-exit STATUS: ends the machine at once; QEMU itself ends with (STATUS << 1) | 1
 * (isa-debug-exit at port 0x501). */
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (ioperm(0x501, 4, 1) < 0) {
        perror("ioperm");
        return 1;
    }
    outb(argc > 1 ? atoi(argv[1]) & 127 : 0, 0x501);
    pause();
    return 1;
}
