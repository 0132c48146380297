# SPDX-License-Identifier: LGPL-2.1-or-later

# The policy.
policy_test_libraries = policy/libpolicy.a daemon/libutil.a $(JSON_LIBS) $(CHECK_LIBS)
if HAVE_CHECK
policy_tests = \
	%D%/test-policy-cover %D%/test-policy-decide %D%/test-policy-examples \
	%D%/test-policy-faults %D%/test-policy-load %D%/test-policy-schema
check_PROGRAMS += $(policy_tests)
TESTS += $(policy_tests) %D%/test-policy-schema-cases.sh
endif
dist_check_SCRIPTS += %D%/test-policy-schema-cases.sh
EXTRA_DIST += %D%/validate-policies.py
tests_unit_test_policy_cover_SOURCES = %D%/test-policy-cover.c %D%/policy-test.h
tests_unit_test_policy_cover_LDADD = $(policy_test_libraries)
tests_unit_test_policy_decide_SOURCES = %D%/test-policy-decide.c %D%/policy-test.h
tests_unit_test_policy_decide_LDADD = $(policy_test_libraries)
tests_unit_test_policy_examples_SOURCES = %D%/test-policy-examples.c %D%/policy-test.h
tests_unit_test_policy_examples_LDADD = $(policy_test_libraries)
tests_unit_test_policy_faults_SOURCES = %D%/test-policy-faults.c %D%/policy-test.h
tests_unit_test_policy_faults_LDADD = $(policy_test_libraries)
tests_unit_test_policy_load_SOURCES = %D%/test-policy-load.c %D%/policy-test.h
tests_unit_test_policy_load_LDADD = $(policy_test_libraries)
tests_unit_test_policy_schema_SOURCES = %D%/test-policy-schema.c %D%/policy-test.h
tests_unit_test_policy_schema_LDADD = $(policy_test_libraries)

# The layers of the kernel, of the record and of the utilities.
layer_test_libraries = \
	daemon/kernel/libkernel.a daemon/record/librecord.a daemon/libmodel.a \
	policy/libpolicy.a daemon/libutil.a \
	$(SYSTEMD_LIBS) $(UDEV_LIBS) $(JSON_LIBS) $(ACL_LIBS) \
	$(KMOD_LIBS) $(MOUNT_LIBS) $(BLKID_LIBS) $(NETLINK_LIBS) $(FDT_LIBS) $(CHECK_LIBS)
if HAVE_CHECK
layer_tests = \
	%D%/test-audit %D%/test-devicetree %D%/test-devicetree-damage %D%/test-devicetree-live \
	%D%/test-devicetree-masters %D%/test-devicetree-memory %D%/test-drain %D%/test-driver-step %D%/test-driver-switch %D%/test-fd-store %D%/test-features \
	%D%/test-keepers %D%/test-kernel-log %D%/test-node %D%/test-node-share %D%/test-node-watch %D%/test-openers \
	%D%/test-options %D%/test-process %D%/test-reserve %D%/test-reset %D%/test-state %D%/test-state-endings \
	%D%/test-state-switch %D%/test-sysfs %D%/test-uevent \
	%D%/test-units %D%/test-units-watch \
	%D%/test-usage %D%/test-usage-disk %D%/test-usage-net %D%/test-usage-watch %D%/test-util \
	%D%/test-vfio-driver %D%/test-vfio-line %D%/test-vfio-reset
check_PROGRAMS += $(layer_tests)
TESTS += $(layer_tests)
endif
tests_unit_test_audit_SOURCES = %D%/test-audit.c %D%/tree.h
tests_unit_test_audit_LDADD = $(layer_test_libraries)
tests_unit_test_devicetree_SOURCES = %D%/test-devicetree.c %D%/tree.h %D%/devicetree-fixture.h
tests_unit_test_devicetree_LDADD = $(layer_test_libraries)
tests_unit_test_devicetree_damage_SOURCES = %D%/test-devicetree-damage.c %D%/tree.h %D%/devicetree-fixture.h
tests_unit_test_devicetree_damage_LDADD = $(layer_test_libraries)
tests_unit_test_devicetree_live_SOURCES = %D%/test-devicetree-live.c %D%/tree.h %D%/devicetree-fixture.h
tests_unit_test_devicetree_live_LDADD = $(layer_test_libraries)
tests_unit_test_devicetree_masters_SOURCES = %D%/test-devicetree-masters.c %D%/tree.h %D%/devicetree-fixture.h
tests_unit_test_devicetree_masters_LDADD = $(layer_test_libraries)
tests_unit_test_devicetree_memory_SOURCES = %D%/test-devicetree-memory.c %D%/tree.h %D%/devicetree-fixture.h
tests_unit_test_devicetree_memory_LDADD = $(layer_test_libraries)
tests_unit_test_devicetree_memory_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=reallocarray,--wrap=strdup,--wrap=strndup,--wrap=vasprintf
tests_unit_test_drain_SOURCES = %D%/test-drain.c %D%/tree.h %D%/manager-fixture.h
tests_unit_test_drain_LDADD = daemon/libmanager.a $(layer_test_libraries) $(EV_LIBS)
tests_unit_test_driver_step_SOURCES = %D%/test-driver-step.c %D%/tree.h %D%/kernel-fixture.h
tests_unit_test_driver_step_LDADD = $(layer_test_libraries)
tests_unit_test_driver_switch_SOURCES = %D%/test-driver-switch.c %D%/tree.h
tests_unit_test_driver_switch_LDADD = $(layer_test_libraries)
tests_unit_test_fd_store_SOURCES = %D%/test-fd-store.c %D%/tree.h
tests_unit_test_fd_store_LDADD = $(layer_test_libraries)
tests_unit_test_features_SOURCES = %D%/test-features.c %D%/tree.h
tests_unit_test_features_LDADD = $(layer_test_libraries)
tests_unit_test_keepers_SOURCES = %D%/test-keepers.c %D%/tree.h %D%/manager-fixture.h
tests_unit_test_keepers_LDADD = daemon/libmanager.a $(layer_test_libraries) $(EV_LIBS)
tests_unit_test_kernel_log_SOURCES = %D%/test-kernel-log.c %D%/tree.h
tests_unit_test_kernel_log_LDADD = $(layer_test_libraries)
tests_unit_test_node_SOURCES = %D%/test-node.c %D%/tree.h
tests_unit_test_node_LDADD = $(layer_test_libraries)
tests_unit_test_node_share_SOURCES = %D%/test-node-share.c %D%/tree.h
tests_unit_test_node_share_LDADD = $(layer_test_libraries)
tests_unit_test_node_watch_SOURCES = %D%/test-node-watch.c %D%/tree.h
tests_unit_test_node_watch_LDADD = $(layer_test_libraries)
tests_unit_test_openers_SOURCES = %D%/test-openers.c %D%/tree.h
tests_unit_test_openers_LDADD = $(layer_test_libraries)
tests_unit_test_options_SOURCES = %D%/test-options.c %D%/tree.h %D%/units-fixture.h
tests_unit_test_options_LDADD = daemon/libbus.a daemon/libmanager.a $(layer_test_libraries) $(EV_LIBS)
tests_unit_test_process_SOURCES = %D%/test-process.c %D%/tree.h
tests_unit_test_process_LDADD = $(layer_test_libraries)
tests_unit_test_reset_SOURCES = %D%/test-reset.c %D%/tree.h
tests_unit_test_reset_LDADD = $(layer_test_libraries)
tests_unit_test_reserve_SOURCES = %D%/test-reserve.c %D%/reserve-fixture.h %D%/tree.h
tests_unit_test_reserve_LDADD = daemon/libmanager.a $(layer_test_libraries) $(EV_LIBS)
tests_unit_test_state_SOURCES = %D%/test-state.c %D%/tree.h
tests_unit_test_state_LDADD = $(layer_test_libraries)
tests_unit_test_state_endings_SOURCES = %D%/test-state-endings.c %D%/tree.h
tests_unit_test_state_endings_LDADD = $(layer_test_libraries)
tests_unit_test_state_switch_SOURCES = %D%/test-state-switch.c %D%/tree.h
tests_unit_test_state_switch_LDADD = $(layer_test_libraries)
tests_unit_test_sysfs_SOURCES = %D%/test-sysfs.c %D%/tree.h
tests_unit_test_sysfs_LDADD = $(layer_test_libraries)
tests_unit_test_uevent_SOURCES = %D%/test-uevent.c %D%/tree.h \
	tests/fakekernel/uevent.c tests/fakekernel/uevent.h
tests_unit_test_uevent_CPPFLAGS = $(AM_CPPFLAGS)
tests_unit_test_uevent_LDADD = $(layer_test_libraries)
tests_unit_test_units_SOURCES = %D%/test-units.c %D%/tree.h %D%/units-fixture.h
tests_unit_test_units_LDADD = daemon/libbus.a $(layer_test_libraries) $(EV_LIBS)
tests_unit_test_units_watch_SOURCES = %D%/test-units-watch.c %D%/tree.h %D%/units-fixture.h
tests_unit_test_units_watch_LDADD = daemon/libbus.a $(layer_test_libraries) $(EV_LIBS)
tests_unit_test_usage_SOURCES = %D%/test-usage.c %D%/tree.h %D%/usage-fixture.h
tests_unit_test_usage_LDADD = $(layer_test_libraries)
tests_unit_test_usage_disk_SOURCES = %D%/test-usage-disk.c %D%/tree.h %D%/usage-fixture.h
tests_unit_test_usage_disk_LDADD = $(layer_test_libraries)
tests_unit_test_usage_net_SOURCES = %D%/test-usage-net.c %D%/tree.h %D%/usage-fixture.h
tests_unit_test_usage_net_LDADD = $(layer_test_libraries)
tests_unit_test_usage_watch_SOURCES = %D%/test-usage-watch.c %D%/tree.h
tests_unit_test_usage_watch_LDADD = $(layer_test_libraries) $(EV_LIBS)
tests_unit_test_util_SOURCES = %D%/test-util.c %D%/tree.h
tests_unit_test_util_LDADD = $(layer_test_libraries)
tests_unit_test_vfio_driver_SOURCES = %D%/test-vfio-driver.c %D%/vfio-driver-fixture.h %D%/tree.h
tests_unit_test_vfio_driver_LDADD = $(layer_test_libraries)
tests_unit_test_vfio_reset_SOURCES = %D%/test-vfio-reset.c %D%/vfio-driver-fixture.h %D%/tree.h
tests_unit_test_vfio_reset_LDADD = $(layer_test_libraries)
tests_unit_test_vfio_line_SOURCES = %D%/test-vfio-line.c %D%/tree.h
tests_unit_test_vfio_line_LDADD = $(layer_test_libraries)

# Switching drivers, on a tree in which a kernel moves them.
switch_test_headers = %D%/tree.h %D%/manager-fixture.h %D%/kernel-fixture.h %D%/switch-fixture.h
switch_test_libraries = daemon/libmanager.a $(layer_test_libraries) $(EV_LIBS)
if HAVE_CHECK
switch_tests = %D%/test-detachments %D%/test-guard %D%/test-hygiene %D%/test-switch %D%/test-switch-back
check_PROGRAMS += $(switch_tests)
TESTS += $(switch_tests)
endif
tests_unit_test_detachments_SOURCES = %D%/test-detachments.c $(switch_test_headers)
tests_unit_test_detachments_LDADD = $(switch_test_libraries)
tests_unit_test_guard_SOURCES = %D%/test-guard.c %D%/policy-test.h $(switch_test_headers)
tests_unit_test_guard_LDADD = $(switch_test_libraries)
tests_unit_test_hygiene_SOURCES = %D%/test-hygiene.c $(switch_test_headers)
tests_unit_test_hygiene_LDADD = $(switch_test_libraries)
tests_unit_test_switch_SOURCES = %D%/test-switch.c %D%/switch-scene.h $(switch_test_headers)
tests_unit_test_switch_LDADD = $(switch_test_libraries)
tests_unit_test_switch_back_SOURCES = %D%/test-switch-back.c %D%/switch-scene.h $(switch_test_headers)
tests_unit_test_switch_back_LDADD = $(switch_test_libraries)

# The model, the verdict and the leases: no system call.
pure_test_libraries = daemon/libmodel.a policy/libpolicy.a daemon/libutil.a $(JSON_LIBS) $(CHECK_LIBS)
pure_test_headers = %D%/model-fixture.h %D%/model-test.h
if HAVE_CHECK
pure_tests = \
	%D%/test-cdev %D%/test-detachment %D%/test-device-tree \
	%D%/test-isolation-file %D%/test-isolation-live %D%/test-isolation-maps %D%/test-isolation-sets \
	%D%/test-random-isolation %D%/test-random-streams \
	%D%/test-lease %D%/test-model %D%/test-model-group %D%/test-random-model \
	%D%/test-role %D%/test-survey %D%/test-target %D%/test-verdict %D%/test-verdict-detach \
	%D%/test-device-streams %D%/test-verdict-others %D%/test-verdict-platform %D%/test-verdict-policy \
	%D%/test-worker
check_PROGRAMS += $(pure_tests)
TESTS += $(pure_tests)
endif
tests_unit_test_cdev_SOURCES = %D%/test-cdev.c $(pure_test_headers) \
	%D%/policy-test.h %D%/verdict-fixture.h
tests_unit_test_cdev_LDADD = $(pure_test_libraries)
tests_unit_test_detachment_SOURCES = %D%/test-detachment.c $(pure_test_headers)
tests_unit_test_detachment_LDADD = $(pure_test_libraries)
tests_unit_test_isolation_file_SOURCES = %D%/test-isolation-file.c %D%/isolation-fixture.h %D%/model-test.h
tests_unit_test_isolation_file_LDADD = $(pure_test_libraries)
tests_unit_test_isolation_live_SOURCES = %D%/test-isolation-live.c %D%/isolation-fixture.h %D%/model-test.h
tests_unit_test_isolation_live_LDADD = $(pure_test_libraries)
tests_unit_test_isolation_maps_SOURCES = %D%/test-isolation-maps.c %D%/isolation-fixture.h %D%/model-test.h
tests_unit_test_isolation_maps_LDADD = $(pure_test_libraries)
tests_unit_test_device_tree_SOURCES = %D%/test-device-tree.c %D%/tree.h
tests_unit_test_device_tree_LDADD = $(pure_test_libraries)
tests_unit_test_isolation_sets_SOURCES = %D%/test-isolation-sets.c %D%/isolation-fixture.h %D%/model-test.h
tests_unit_test_isolation_sets_LDADD = $(pure_test_libraries)
tests_unit_test_random_isolation_SOURCES = %D%/test-random-isolation.c %D%/random-steps.h %D%/random-tree.h %D%/smmu-v2.h
tests_unit_test_random_isolation_LDADD = $(pure_test_libraries)
tests_unit_test_random_streams_SOURCES = %D%/test-random-streams.c %D%/random-steps.h %D%/random-tree.h
tests_unit_test_random_streams_LDADD = $(pure_test_libraries)
tests_unit_test_lease_SOURCES = %D%/test-lease.c $(pure_test_headers)
tests_unit_test_lease_LDADD = $(pure_test_libraries)
tests_unit_test_model_SOURCES = %D%/test-model.c $(pure_test_headers)
tests_unit_test_model_LDADD = $(pure_test_libraries)
tests_unit_test_model_group_SOURCES = %D%/test-model-group.c $(pure_test_headers)
tests_unit_test_model_group_LDADD = $(pure_test_libraries)
tests_unit_test_random_model_SOURCES = %D%/test-random-model.c %D%/random-steps.h $(pure_test_headers)
tests_unit_test_random_model_LDADD = $(pure_test_libraries)
tests_unit_test_role_SOURCES = %D%/test-role.c $(pure_test_headers)
tests_unit_test_role_LDADD = $(pure_test_libraries)
tests_unit_test_survey_SOURCES = %D%/test-survey.c $(pure_test_headers)
tests_unit_test_survey_LDADD = $(pure_test_libraries)
tests_unit_test_target_SOURCES = %D%/test-target.c $(pure_test_headers)
tests_unit_test_target_LDADD = $(pure_test_libraries)
tests_unit_test_verdict_SOURCES = %D%/test-verdict.c $(pure_test_headers) \
	%D%/policy-test.h %D%/verdict-fixture.h
tests_unit_test_verdict_LDADD = $(pure_test_libraries)
tests_unit_test_verdict_detach_SOURCES = %D%/test-verdict-detach.c $(pure_test_headers) \
	%D%/policy-test.h %D%/verdict-fixture.h
tests_unit_test_verdict_detach_LDADD = $(pure_test_libraries)
tests_unit_test_device_streams_SOURCES = %D%/test-device-streams.c $(pure_test_headers) \
	%D%/verdict-fixture.h %D%/policy-test.h
tests_unit_test_device_streams_LDADD = $(pure_test_libraries)
tests_unit_test_verdict_others_SOURCES = %D%/test-verdict-others.c $(pure_test_headers) \
	%D%/policy-test.h %D%/verdict-fixture.h
tests_unit_test_verdict_others_LDADD = $(pure_test_libraries)
tests_unit_test_verdict_platform_SOURCES = %D%/test-verdict-platform.c $(pure_test_headers) \
	%D%/policy-test.h %D%/verdict-fixture.h
tests_unit_test_verdict_platform_LDADD = $(pure_test_libraries)
tests_unit_test_verdict_policy_SOURCES = %D%/test-verdict-policy.c $(pure_test_headers) \
	%D%/policy-test.h %D%/verdict-fixture.h
tests_unit_test_verdict_policy_LDADD = $(pure_test_libraries)
tests_unit_test_worker_SOURCES = %D%/test-worker.c $(pure_test_headers)
tests_unit_test_worker_LDADD = daemon/libmanager.a daemon/libutil.a $(EV_LIBS) $(CHECK_LIBS)
