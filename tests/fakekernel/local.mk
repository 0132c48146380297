# SPDX-License-Identifier: LGPL-2.1-or-later
# Not instrumented by --enable-sanitizers: it stands for the kernel, not for the daemon.
FAKEKERNEL_CFLAGS = -std=gnu11 -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes \
	-Wno-unused-parameter -Wno-missing-field-initializers
FAKEKERNEL_MODEL = \
	%D%/bind.c \
	%D%/bus.c \
	%D%/children.c \
	%D%/control.c \
	%D%/control-commands.h \
	%D%/control-switch.c \
	%D%/control.h \
	%D%/device.c \
	%D%/devicetree.c \
	%D%/devicetree.h \
	%D%/iommu.c \
	%D%/iommu.h \
	%D%/loop.c \
	%D%/model.h \
	%D%/modules.c \
	%D%/nodes.c \
	%D%/nodes.h \
	%D%/pci.c \
	%D%/populate.c \
	%D%/populate.h \
	%D%/scale.c \
	%D%/scale.h \
	%D%/sriov.c \
	%D%/tree.c \
	%D%/tree.h \
	%D%/uevent.c \
	%D%/uevent.h \
	%D%/vfio.c \
	%D%/writes.c \
	%D%/writes.h

if HAVE_FUSE
noinst_PROGRAMS += %D%/fakekernel %D%/fakectl %D%/mktree
endif

%C%_fakekernel_SOURCES = $(FAKEKERNEL_MODEL) \
	%D%/bind-iommufd.h \
	%D%/calls.c \
	%D%/calls.h \
	%D%/fs.c \
	%D%/fs.h \
	%D%/init.c \
	%D%/init.h \
	%D%/journal.c \
	%D%/journal.h \
	%D%/listen.c \
	%D%/main.c \
	%D%/mounts.c \
	%D%/mounts.h \
	%D%/parallel.c \
	%D%/parallel.h \
	%D%/remote.c \
	%D%/remote.h \
	%D%/services.c \
	%D%/services.h \
	%D%/supervisor.c \
	%D%/supervisor.h
%C%_fakekernel_CFLAGS = $(FAKEKERNEL_CFLAGS) $(FUSE_CFLAGS) $(FDT_CFLAGS)
%C%_fakekernel_LDFLAGS = -pthread
%C%_fakekernel_LDADD = $(FUSE_LIBS) $(FDT_LIBS)

%C%_fakectl_SOURCES = %D%/bind-iommufd.h %D%/fakectl.c
%C%_fakectl_CFLAGS = $(FAKEKERNEL_CFLAGS)
%C%_fakectl_LDFLAGS = -Wl,--as-needed

%C%_mktree_SOURCES = $(FAKEKERNEL_MODEL) %D%/mktree.c
%C%_mktree_CFLAGS = $(FAKEKERNEL_CFLAGS) $(FDT_CFLAGS)
%C%_mktree_LDADD = $(FDT_LIBS)
%C%_mktree_LDFLAGS = -pthread

EXTRA_DIST += %D%/default.scenario %D%/devicetree.dts %D%/devicetree.scenario %D%/switch.scenario %D%/two-groups.scenario %D%/two-kernel.scenario
dist_check_SCRIPTS += %D%/make-modules %D%/check-fakekernel.sh %D%/check-devicetree.sh %D%/check-switch.sh %D%/check-vfio.sh
TESTS += %D%/check-fakekernel.sh %D%/check-devicetree.sh %D%/check-switch.sh %D%/check-vfio.sh
