# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LIBRARIES += daemon/kernel/libkernel.a
daemon_kernel_libkernel_a_SOURCES = \
	daemon/kernel/devicetree.c daemon/kernel/devicetree.h daemon/kernel/devicetree-facts.c \
	daemon/kernel/devicetree-folders.c daemon/kernel/devicetree-internal.h \
	daemon/kernel/devicetree-master.c daemon/kernel/devicetree-scan.c \
	daemon/kernel/driver-switch.c daemon/kernel/driver-switch.h \
	daemon/kernel/features.c daemon/kernel/features.h \
	daemon/kernel/kernel-log.c daemon/kernel/kernel-log.h \
	daemon/kernel/module-load.c daemon/kernel/module-load.h daemon/kernel/modules.c \
	daemon/kernel/modules.h \
	daemon/kernel/node-acl.c daemon/kernel/node-acl.h \
	daemon/kernel/node-watch.c daemon/kernel/node.c daemon/kernel/node.h \
	daemon/kernel/openers.c daemon/kernel/openers.h \
	daemon/kernel/path.c daemon/kernel/path.h \
	daemon/kernel/process.c daemon/kernel/process.h \
	daemon/kernel/requester.c daemon/kernel/requester.h \
	daemon/kernel/reset.c daemon/kernel/reset.h \
	daemon/kernel/sysfs-list.c daemon/kernel/sysfs.c daemon/kernel/sysfs.h \
	daemon/kernel/uevent.c daemon/kernel/uevent.h \
	daemon/kernel/usage-block.c daemon/kernel/usage-disk.c daemon/kernel/usage-elsewhere.c daemon/kernel/usage-functions.c \
	daemon/kernel/usage-mounts.c daemon/kernel/usage-net.c daemon/kernel/usage-netlink.c \
	daemon/kernel/usage-nodes.c daemon/kernel/usage-tree.c \
	daemon/kernel/usage.c daemon/kernel/usage.h daemon/kernel/usage-internal.h \
	daemon/kernel/usage-watch.c daemon/kernel/usage-watch.h \
	daemon/kernel/vfio-driver.c daemon/kernel/vfio-driver.h \
	daemon/kernel/vfio-reset.c daemon/kernel/vfio-reset.h
