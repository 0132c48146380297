# SPDX-License-Identifier: LGPL-2.1-or-later
BENCHMARK_CLIENT = %D%/client.c %D%/client.h %D%/noop.c %D%/noop.h

noinst_PROGRAMS += %D%/latency %D%/crowd %D%/cycles %D%/startup %D%/switch \
	%D%/walk
%C%_latency_SOURCES = %D%/latency.c $(BENCHMARK_CLIENT)
%C%_latency_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
%C%_latency_LDADD = $(SYSTEMD_LIBS) $(EV_LIBS)
%C%_crowd_SOURCES = %D%/crowd.c $(BENCHMARK_CLIENT)
%C%_crowd_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
%C%_crowd_LDADD = $(SYSTEMD_LIBS) $(EV_LIBS)
%C%_cycles_SOURCES = %D%/cycles.c $(BENCHMARK_CLIENT)
%C%_cycles_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
%C%_cycles_LDADD = $(SYSTEMD_LIBS) $(EV_LIBS)
%C%_switch_SOURCES = %D%/switch.c $(BENCHMARK_CLIENT)
%C%_switch_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
%C%_switch_LDADD = $(SYSTEMD_LIBS) $(EV_LIBS)
%C%_startup_SOURCES = %D%/startup.c
%C%_walk_SOURCES = %D%/walk.c

# Preloaded by tests/bench alone: without what a library of the package has.
noinst_DATA = %D%/quick-vfio.so
CLEANFILES += %D%/quick-vfio.so
%D%/quick-vfio.so: %D%/quick-vfio.c
	@$(MKDIR_P) $(@D)
	$(AM_V_CC)$(CC) -O2 -g -shared -fPIC -o $@ $(srcdir)/%D%/quick-vfio.c

EXTRA_DIST += tests/all tests/bench tests/corpus tests/corpus.md tests/demo %D%/in-vm.sh %D%/policy.json %D%/quick-vfio.c \
	%D%/under-valgrind
