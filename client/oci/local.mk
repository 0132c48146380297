# SPDX-License-Identifier: LGPL-2.1-or-later
pkglibexec_PROGRAMS += dmaownd-cdi oci-hook
dist_man_MANS += %D%/dmaownd-cdi.8

# All but the programs themselves, so that tests can link it.
client_libclient_a_SOURCES += \
	%D%/cdi.c %D%/cdi.h %D%/cdi-ask.c %D%/cdi-ask.h %D%/granted.c %D%/granted.h \
	%D%/node.c %D%/node.h %D%/state.c %D%/state.h

dmaownd_cdi_SOURCES = %D%/dmaownd-cdi.c
dmaownd_cdi_CPPFLAGS = $(AM_CPPFLAGS) -DPKGLIBEXECDIR='"$(pkglibexecdir)"'
dmaownd_cdi_LDADD = $(client_libraries)
oci_hook_SOURCES = %D%/oci-hook.c
oci_hook_LDADD = $(client_libraries)

# Tests.
if HAVE_CHECK
oci_tests = tests/unit/test-cdi tests/unit/test-cdi-ask tests/unit/test-oci-state
check_PROGRAMS += $(oci_tests)
TESTS += $(oci_tests)
endif
tests_unit_test_cdi_SOURCES = tests/unit/test-cdi.c
tests_unit_test_cdi_LDADD = $(client_libraries) $(CHECK_LIBS)
tests_unit_test_cdi_ask_SOURCES = tests/unit/test-cdi-ask.c
tests_unit_test_cdi_ask_LDADD = $(client_libraries) $(CHECK_LIBS)
tests_unit_test_oci_state_SOURCES = tests/unit/test-oci-state.c
tests_unit_test_oci_state_LDADD = $(client_libraries) $(CHECK_LIBS)
