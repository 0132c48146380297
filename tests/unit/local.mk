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
