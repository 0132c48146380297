# SPDX-License-Identifier: LGPL-2.1-or-later
# One static library a layer, each linked after those above it.
noinst_LIBRARIES += %D%/libutil.a %D%/libmodel.a %D%/libbus.a %D%/libmanager.a
daemon_libutil_a_SOURCES = \
	%D%/util/cleanup.h %D%/util/clock.c %D%/util/clock.h %D%/util/fd.c %D%/util/fd.h %D%/util/hash.h \
	%D%/util/intern.c %D%/util/intern.h %D%/util/pci-class.h %D%/util/string.c %D%/util/string.h \
	%D%/util/user.c %D%/util/user.h
daemon_libmodel_a_SOURCES = \
	%D%/model/detachment.c %D%/model/detachment.h %D%/model/device.c %D%/model/device.h \
	%D%/model/device-tree.c %D%/model/device-tree.h \
	%D%/model/device-streams.c %D%/model/device-streams.h %D%/model/driver-role.c %D%/model/driver-role.h \
	%D%/model/finding-text.c %D%/model/group.c %D%/model/group.h \
	%D%/model/isolation.c %D%/model/isolation.h %D%/model/isolation-file.c %D%/model/isolation-finding.c \
	%D%/model/isolation-internal.h %D%/model/isolation-live.c %D%/model/isolation-maps.c \
	%D%/model/isolation-sets.c %D%/model/isolation-single.c \
	%D%/model/lease.c %D%/model/lease.h %D%/model/model.c %D%/model/model.h \
	%D%/model/node-facts.c %D%/model/node-facts.h \
	%D%/model/outcome.c %D%/model/outcome.h %D%/model/target.c \
	%D%/model/survey.c %D%/model/survey.h %D%/model/verdict-internal.h \
	%D%/model/verdict-others.c %D%/model/verdict-policy.c %D%/model/verdict.c %D%/model/verdict.h \
	%D%/model/vfio-facts.h
daemon_libmanager_a_SOURCES = \
	%D%/manager.c %D%/manager.h %D%/manager-access.c %D%/manager-claim.c %D%/manager-claim.h %D%/manager-drain.c \
	%D%/manager-endings.c %D%/manager-facts.c %D%/manager-foreign.c %D%/manager-keepers.c \
	%D%/manager-leases.c %D%/manager-lifetime.c \
	%D%/manager-repeat.c %D%/manager-return.c %D%/manager-detach.c %D%/manager-detachments.c \
	%D%/manager-guard.c %D%/manager-holders.c %D%/manager-hygiene.c %D%/manager-reattach.c %D%/manager-reserve.c \
	%D%/manager-tree.c %D%/manager-usage.c \
	%D%/manager-steps.c %D%/manager-survey.c %D%/manager-switch.c %D%/manager-switch.h \
	%D%/manager-policy.c %D%/manager-recovery.c %D%/manager-watch.c \
	%D%/reserve.c %D%/reserve.h %D%/reserve-bind.c %D%/reserve-group.c %D%/reserve-internal.h \
	%D%/reserve-policy.c \
	%D%/util/worker.c %D%/util/worker.h
daemon_libbus_a_SOURCES = \
	%D%/bus/audit-tree.c %D%/bus/audit-tree.h %D%/bus/bus.h %D%/bus/call.c %D%/bus/call.h %D%/bus/claim.c %D%/bus/claim.h \
	%D%/bus/connection.c %D%/bus/explain.c %D%/bus/device-interface.c %D%/bus/group-interface.c \
	%D%/bus/identity.c %D%/bus/identity.h %D%/bus/keeper.c %D%/bus/keeper.h %D%/bus/lifetime.c \
	%D%/bus/lease-interface.c \
	%D%/bus/manager-interface.c %D%/bus/options.c %D%/bus/options.h %D%/bus/paths.c \
	%D%/bus/modules.c %D%/bus/modules.h %D%/bus/plan.c %D%/bus/reattach.c %D%/bus/switch.c %D%/bus/switch.h %D%/bus/switch-internal.h \
	%D%/bus/publish.c %D%/bus/question.c %D%/bus/question.h %D%/bus/revoke.c %D%/bus/targets.c %D%/bus/targets.h \
	%D%/bus/units.c %D%/bus/units.h

include daemon/kernel/local.mk
include daemon/record/local.mk

sbin_PROGRAMS += dmaownd
dmaownd_SOURCES = %D%/main.c
dmaownd_LDADD = %D%/libbus.a %D%/libmanager.a %D%/kernel/libkernel.a %D%/record/librecord.a \
	%D%/libmodel.a policy/libpolicy.a %D%/libutil.a \
	$(SYSTEMD_LIBS) $(UDEV_LIBS) $(EV_LIBS) $(JSON_LIBS) $(ACL_LIBS) \
	$(KMOD_LIBS) $(MOUNT_LIBS) $(BLKID_LIBS) $(NETLINK_LIBS) $(FDT_LIBS)
dist_man_MANS += %D%/dmaownd.8
