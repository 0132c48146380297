# SPDX-License-Identifier: LGPL-2.1-or-later

# replay.c stands in for libFuzzer, so that every corpus is run by make check.
EXTRA_DIST += %D%/corpus %D%/bus.dict %D%/devicetree.dict %D%/lines.dict %D%/oci.dict \
	%D%/policy.dict %D%/sysfs.dict
fuzz_targets = \
	%D%/fuzz-bus %D%/fuzz-devicetree %D%/fuzz-domain %D%/fuzz-lines %D%/fuzz-oci %D%/fuzz-policy \
	%D%/fuzz-state %D%/fuzz-switch %D%/fuzz-sysfs %D%/fuzz-topology
noinst_PROGRAMS += $(fuzz_targets)
tests_fuzz_fuzz_bus_SOURCES = \
	%D%/fuzz-bus.c %D%/bus-message.c %D%/bus-message.h %D%/bus-world.h
tests_fuzz_fuzz_bus_LDADD = daemon/libbus.a daemon/libmanager.a daemon/kernel/libkernel.a \
	daemon/record/librecord.a daemon/libmodel.a policy/libpolicy.a daemon/libutil.a \
	$(SYSTEMD_LIBS) $(UDEV_LIBS) $(EV_LIBS) $(JSON_LIBS) $(ACL_LIBS) \
	$(FDT_LIBS) $(KMOD_LIBS) $(MOUNT_LIBS) $(BLKID_LIBS) $(NETLINK_LIBS)
tests_fuzz_fuzz_bus_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_devicetree_SOURCES = %D%/fuzz-devicetree.c
tests_fuzz_fuzz_devicetree_LDADD = daemon/kernel/libkernel.a daemon/libmodel.a daemon/libutil.a \
	$(FDT_LIBS)
tests_fuzz_fuzz_devicetree_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_domain_SOURCES = %D%/fuzz-domain.c
tests_fuzz_fuzz_domain_LDADD = $(libvirt_hook_libraries)
tests_fuzz_fuzz_domain_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_lines_SOURCES = %D%/fuzz-lines.c
tests_fuzz_fuzz_lines_LDADD = daemon/kernel/libkernel.a daemon/libmodel.a policy/libpolicy.a daemon/libutil.a \
	$(SYSTEMD_LIBS) $(UDEV_LIBS) $(JSON_LIBS) $(ACL_LIBS) \
	$(KMOD_LIBS) $(MOUNT_LIBS) $(BLKID_LIBS) $(NETLINK_LIBS)
tests_fuzz_fuzz_lines_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_oci_SOURCES = %D%/fuzz-oci.c
tests_fuzz_fuzz_oci_LDADD = $(client_libraries)
tests_fuzz_fuzz_oci_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_policy_SOURCES = %D%/fuzz-policy.c
tests_fuzz_fuzz_policy_LDADD = policy/libpolicy.a daemon/libutil.a $(JSON_LIBS)
tests_fuzz_fuzz_policy_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_state_SOURCES = %D%/fuzz-state.c
tests_fuzz_fuzz_state_LDADD = daemon/record/librecord.a daemon/libmodel.a policy/libpolicy.a \
	daemon/libutil.a $(JSON_LIBS)
tests_fuzz_fuzz_state_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_switch_SOURCES = %D%/fuzz-switch.c
tests_fuzz_fuzz_switch_LDADD = daemon/record/librecord.a daemon/libmodel.a policy/libpolicy.a \
	daemon/libutil.a $(JSON_LIBS)
tests_fuzz_fuzz_switch_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_sysfs_SOURCES = %D%/fuzz-sysfs.c tests/fakekernel/uevent.c tests/fakekernel/uevent.h
tests_fuzz_fuzz_sysfs_CPPFLAGS = $(AM_CPPFLAGS)
tests_fuzz_fuzz_sysfs_LDADD = daemon/kernel/libkernel.a daemon/libmodel.a policy/libpolicy.a \
	daemon/libutil.a $(UDEV_LIBS) $(JSON_LIBS) $(FDT_LIBS)
tests_fuzz_fuzz_sysfs_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_topology_SOURCES = %D%/fuzz-topology.c
tests_fuzz_fuzz_topology_LDADD = client/libclient.a daemon/libutil.a
tests_fuzz_fuzz_topology_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
if !ENABLE_FUZZER
tests_fuzz_fuzz_bus_SOURCES += %D%/replay.c
tests_fuzz_fuzz_devicetree_SOURCES += %D%/replay.c
tests_fuzz_fuzz_domain_SOURCES += %D%/replay.c
tests_fuzz_fuzz_lines_SOURCES += %D%/replay.c
tests_fuzz_fuzz_oci_SOURCES += %D%/replay.c
tests_fuzz_fuzz_topology_SOURCES += %D%/replay.c
tests_fuzz_fuzz_state_SOURCES += %D%/replay.c
tests_fuzz_fuzz_switch_SOURCES += %D%/replay.c
tests_fuzz_fuzz_sysfs_SOURCES += %D%/replay.c
tests_fuzz_fuzz_policy_SOURCES += %D%/replay.c
TESTS += $(fuzz_targets)
endif
