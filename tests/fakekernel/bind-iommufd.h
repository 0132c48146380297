/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <linux/vfio.h>

#ifndef VFIO_DEVICE_BIND_IOMMUFD /* since 6.6; not in the headers of Debian 12 */
#define VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
struct vfio_device_bind_iommufd {
    __u32 argsz, flags;
    __s32 iommufd;
    __u32 out_devid;
};
#endif
