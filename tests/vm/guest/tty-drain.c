/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tty-drain: returns when all that was written to the terminal on standard output has left it. */
#include <termios.h>
#include <unistd.h>

int main(void) {
    return tcdrain(STDOUT_FILENO) < 0;
}
