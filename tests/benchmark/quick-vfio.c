/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preloaded into dmaownd: a VFIO that says yes to every group at once. The supervisor of the fake
 * kernel answers truly, but stops the daemon at each open for writing, which takes longer than all
 * that a claim costs. Nothing here knows who has a node open. */
#include <linux/vfio.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int ioctl(int fd, unsigned long request, ...) {
    va_list arguments;

    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (request == VFIO_GROUP_SET_CONTAINER)
        return 0;
    if (request != VFIO_GROUP_GET_STATUS)
        return (int)syscall(SYS_ioctl, fd, request, argument);
    ((struct vfio_group_status *)argument)->flags = VFIO_GROUP_FLAGS_VIABLE;
    return 0;
}
