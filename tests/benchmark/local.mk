# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_PROGRAMS += %D%/latency %D%/startup %D%/walk
%C%_latency_SOURCES = %D%/latency.c %D%/noop.c %D%/noop.h
%C%_latency_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
%C%_latency_LDADD = $(SYSTEMD_LIBS) $(EV_LIBS)
%C%_startup_SOURCES = %D%/startup.c
%C%_walk_SOURCES = %D%/walk.c
EXTRA_DIST += tests/all tests/bench tests/demo %D%/in-vm.sh %D%/policy.json %D%/under-valgrind
