# SPDX-License-Identifier: LGPL-2.1-or-later
EXTRA_DIST += \
	tests/install-deps \
	%D%/all \
	%D%/make-cdev-modules \
	%D%/prepare \
	%D%/run \
	%D%/guest-lib.sh \
	%D%/guest/configure \
	%D%/guest/merge-install \
	%D%/guest/runner \
	%D%/guest/qemu-exit.c \
	%D%/guest/tty-drain.c \
	%D%/guest/vfio-open.c \
	%D%/guest/bus-client.c \
	%D%/guest/edu-dma/fds.c \
	%D%/guest/edu-dma/fds.h \
	%D%/guest/edu-dma/main.c \
	%D%/topology/groups.args \
	%D%/topology/nvme.args \
	%D%/topology/shared.args \
	%D%/demo.sh \
	%D%/scenario-bus.sh \
	%D%/scenario-cdev.sh \
	%D%/scenario-claim.sh \
	%D%/scenario-client.sh \
	%D%/scenario-daemon.sh \
	%D%/scenario-edges.sh \
	%D%/scenario-fd.sh \
	%D%/scenario-hotplug.sh \
	%D%/scenario-kernel.sh \
	%D%/scenario-lease.sh \
	%D%/scenario-lifetimes.sh \
	%D%/scenario-policy.sh \
	%D%/scenario-virtio-iommu.sh \
	%D%/scenario-why.sh
