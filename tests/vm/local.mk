# SPDX-License-Identifier: LGPL-2.1-or-later
EXTRA_DIST += \
	tests/install-deps \
	%D%/prepare \
	%D%/run \
	%D%/guest-lib.sh \
	%D%/guest/configure \
	%D%/guest/merge-install \
	%D%/guest/runner \
	%D%/guest/qemu-exit.c \
	%D%/guest/tty-drain.c \
	%D%/guest/vfio-open.c \
	%D%/topology/groups.args \
	%D%/topology/nvme.args \
	%D%/scenario-kernel.sh
