# SPDX-License-Identifier: LGPL-2.1-or-later
bin_PROGRAMS += %D%/dmaownctl
noinst_LIBRARIES += %D%/libclient.a

# All but main(), so that tests can link it.
client_libclient_a_SOURCES = \
	%D%/bus.c %D%/bus.h %D%/event.c %D%/event.h %D%/exit-status.c %D%/exit-status.h \
	%D%/json.c %D%/json.h %D%/options.c %D%/options.h %D%/policy-files.c %D%/policy-files.h \
	%D%/policy-question.c %D%/policy-question.h %D%/table.c %D%/table.h %D%/text.c %D%/text.h \
	%D%/verb.c %D%/verb.h %D%/verb-monitor.c %D%/verb-policy-test.c %D%/verbs-daemon.c \
	%D%/verbs-groups.c %D%/verbs-groups.h %D%/verbs-leases.c %D%/verbs-policy.c
client_libclient_a_CFLAGS = $(AM_CFLAGS) $(SMARTCOLS_CFLAGS)

client_dmaownctl_SOURCES = %D%/main.c
client_dmaownctl_LDADD = \
	%D%/libclient.a policy/libpolicy.a daemon/libutil.a \
	$(SYSTEMD_LIBS) $(JSON_LIBS) $(SMARTCOLS_LIBS)
