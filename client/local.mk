# SPDX-License-Identifier: LGPL-2.1-or-later
bin_PROGRAMS += dmaownctl
noinst_LIBRARIES += %D%/libclient.a
dist_man_MANS += %D%/dmaownctl.1

# All but main(), so that tests can link it.
client_libclient_a_SOURCES = \
	%D%/audit.c %D%/audit.h %D%/audit-dot.c %D%/audit-json.c %D%/audit-live.c \
	%D%/audit-predict.c %D%/audit-print.c %D%/audit-print.h \
	%D%/bus.c %D%/bus.h %D%/caller.c %D%/caller.h %D%/claim.c %D%/claim.h %D%/event.c %D%/event.h \
	%D%/exit-status.c %D%/exit-status.h %D%/json.c %D%/json.h %D%/listen-fds.c %D%/listen-fds.h \
	%D%/options.c %D%/options.h %D%/policy-files.c %D%/policy-files.h \
	%D%/policy-question.c %D%/policy-question.h %D%/reserve-folder.c %D%/reserve-folder.h \
	%D%/reserve-rule.c %D%/reserve-rule.h %D%/table.c %D%/table.h %D%/text.c %D%/text.h \
	%D%/topology.c %D%/topology.h %D%/topology-config.c %D%/topology-config.h \
	%D%/topology-read.c %D%/topology-read.h %D%/topology-text.c %D%/topology-text.h \
	%D%/verb.c %D%/verb.h %D%/verb-audit.c %D%/verb-hold.c %D%/verb-monitor.c %D%/verb-policy-test.c \
	%D%/verb-run.c %D%/verbs-daemon.c %D%/verbs-groups.c %D%/verbs-groups.h \
	%D%/verbs-leases.c %D%/verbs-policy.c %D%/verbs-reserve.c %D%/verbs-switch.c \
	%D%/why.c %D%/why.h
client_libclient_a_CFLAGS = $(AM_CFLAGS) $(SMARTCOLS_CFLAGS)

client_libraries = \
	%D%/libclient.a policy/libpolicy.a daemon/kernel/libkernel.a daemon/libmodel.a daemon/libutil.a \
	$(SYSTEMD_LIBS) $(JSON_LIBS) $(SMARTCOLS_LIBS) $(FDT_LIBS)

include client/oci/local.mk

dmaownctl_SOURCES = %D%/main.c
dmaownctl_LDADD = $(client_libraries)

dist_bashcompletion_DATA = %D%/completion/dmaownctl

include client/libvirt/local.mk

# Tests.
client_test_scripts = \
	tests/unit/test-client-audit.sh tests/unit/test-client-documents.sh tests/unit/test-client-hold.sh \
	tests/unit/test-client-run.sh tests/unit/test-client-switch.sh tests/unit/test-client-verbs.sh
dist_check_SCRIPTS += $(client_test_scripts)
EXTRA_DIST += tests/unit/client-lib.sh
TESTS += $(client_test_scripts)
check_PROGRAMS += tests/unit/test-client-daemon
tests_unit_test_client_daemon_SOURCES = tests/unit/test-client-daemon.c \
	tests/unit/test-client-daemon.h tests/unit/test-client-leases.c
tests_unit_test_client_daemon_LDADD = daemon/libutil.a $(SYSTEMD_LIBS)
if HAVE_CHECK
client_tests = tests/unit/test-client-reserve tests/unit/test-client-status \
	tests/unit/test-client-text tests/unit/test-topology tests/unit/test-why
check_PROGRAMS += $(client_tests)
TESTS += $(client_tests)
endif
tests_unit_test_client_reserve_SOURCES = tests/unit/test-client-reserve.c
tests_unit_test_client_reserve_LDADD = $(client_libraries) $(CHECK_LIBS)
tests_unit_test_client_status_SOURCES = tests/unit/test-client-status.c
tests_unit_test_client_status_LDADD = %D%/libclient.a daemon/libmodel.a daemon/libutil.a $(CHECK_LIBS)
tests_unit_test_client_text_SOURCES = tests/unit/test-client-text.c
tests_unit_test_client_text_LDADD = $(client_libraries) $(CHECK_LIBS)
tests_unit_test_topology_SOURCES = tests/unit/test-topology.c tests/unit/topology-fixture.h
tests_unit_test_topology_LDADD = $(client_libraries) $(CHECK_LIBS)
tests_unit_test_why_SOURCES = tests/unit/test-why.c tests/unit/topology-fixture.h tests/unit/tree.h
tests_unit_test_why_LDADD = $(client_libraries) $(CHECK_LIBS)
