# SPDX-License-Identifier: LGPL-2.1-or-later
# The unmodified daemon on the fake kernel and a private bus.
check_PROGRAMS += %D%/caller %D%/killer
%C%_caller_SOURCES = \
	%D%/caller.c \
	%D%/caller.h \
	%D%/caller-claim.c \
	%D%/caller-common.c \
	%D%/caller-floods.c \
	%D%/caller-jobs.c \
	%D%/caller-stand-ins.c
%C%_killer_SOURCES = \
	%D%/caller.h \
	%D%/caller-common.c \
	%D%/killer.c \
	%D%/killer.h \
	%D%/killer-look.c \
	%D%/killer-switch.c \
	%D%/killer-trace.c
%C%_killer_CFLAGS = $(FAKEKERNEL_CFLAGS) $(SYSTEMD_CFLAGS)
%C%_killer_LDFLAGS = -Wl,--as-needed
%C%_killer_LDADD = $(SYSTEMD_LIBS)
%C%_caller_CFLAGS = $(FAKEKERNEL_CFLAGS) $(SYSTEMD_CFLAGS)
%C%_caller_LDFLAGS = -Wl,--as-needed
%C%_caller_LDADD = $(SYSTEMD_LIBS)

BUS_TESTS = \
	%D%/audit-dt.sh \
	%D%/cdev.sh \
	%D%/cdi.sh \
	%D%/claim-detach.sh \
	%D%/claim-wait.sh \
	%D%/claim.sh \
	%D%/ctl.sh \
	%D%/detach-faults.sh \
	%D%/detach-hangs.sh \
	%D%/detach-kill.sh \
	%D%/detach-odd.sh \
	%D%/detach-others.sh \
	%D%/detach-storm.sh \
	%D%/detach.sh \
	%D%/devicetree-detach.sh \
	%D%/devicetree.sh \
	%D%/fd.sh \
	%D%/foreign.sh \
	%D%/full-disk.sh \
	%D%/guard.sh \
	%D%/hygiene.sh \
	%D%/iommu.sh \
	%D%/journal.sh \
	%D%/key.sh \
	%D%/kill.sh \
	%D%/lease-lifetime.sh \
	%D%/libvirt-hook.sh \
	%D%/lies.sh \
	%D%/lifetime.sh \
	%D%/lifetimes.sh \
	%D%/load.sh \
	%D%/manual-page.sh \
	%D%/modules.sh \
	%D%/moved.sh \
	%D%/options.sh \
	%D%/overlap.sh \
	%D%/platform.sh \
	%D%/policy.sh \
	%D%/random.sh \
	%D%/read.sh \
	%D%/reattach-after.sh \
	%D%/reattach-due.sh \
	%D%/recovery.sh \
	%D%/revoke.sh \
	%D%/run.sh \
	%D%/service.sh \
	%D%/stand-ins.sh \
	%D%/unbind.sh \
	%D%/watch.sh

dist_check_SCRIPTS += $(BUS_TESTS)
TESTS += $(BUS_TESTS)
EXTRA_DIST += %D%/callers.sh %D%/devicetree-lib.sh %D%/lib.sh %D%/manual-page.scenario %D%/switch.sh
