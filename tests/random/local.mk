# SPDX-License-Identifier: LGPL-2.1-or-later
# The same random sequences against the pure parts and against the whole daemon.
random_sources = \
	%D%/inventory.c \
	%D%/naive.c \
	%D%/naive.h \
	%D%/naive-lease.c \
	%D%/naive-verdict.c \
	%D%/sequence.c \
	%D%/sequence.h \
	%D%/shrink.c \
	%D%/shrink.h

check_PROGRAMS += %D%/drive-model
TESTS += %D%/drive-model
%C%_drive_model_SOURCES = $(random_sources) \
	%D%/drive-model.c \
	%D%/subject.c \
	%D%/subject-call.c \
	%D%/subject.h
%C%_drive_model_LDADD = \
	daemon/record/librecord.a daemon/libmodel.a policy/libpolicy.a daemon/libutil.a \
	$(SYSTEMD_LIBS) $(JSON_LIBS)

# Outside of --enable-sanitizers, as the fake kernel.
check_PROGRAMS += %D%/drive-daemon
%C%_drive_daemon_SOURCES = $(random_sources) \
	%D%/compare.c \
	%D%/compare.h \
	%D%/drive-daemon.c \
	%D%/host.c \
	%D%/host.h \
	%D%/kept.c \
	%D%/kept.h \
	%D%/talk.c \
	%D%/talk.h
%C%_drive_daemon_CFLAGS = $(FAKEKERNEL_CFLAGS) $(SYSTEMD_CFLAGS) $(ACL_CFLAGS)
%C%_drive_daemon_LDFLAGS = -Wl,--as-needed
%C%_drive_daemon_LDADD = $(SYSTEMD_LIBS) $(ACL_LIBS)

dist_check_SCRIPTS += %D%/random-daemon.sh
TESTS += %D%/random-daemon.sh
EXTRA_DIST += %D%/host.scenario
