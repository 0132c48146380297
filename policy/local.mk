# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LIBRARIES += %D%/libpolicy.a
policy_libpolicy_a_SOURCES = \
	%D%/compile.c %D%/compile.h %D%/compile-match.c %D%/compile-rule.c %D%/compile-subjects.c \
	%D%/decide.c %D%/document.c %D%/document.h %D%/load.c %D%/match.c %D%/memory.c \
	%D%/names.c %D%/pattern.c %D%/pattern.h %D%/policy.h %D%/report.c %D%/report.h \
	%D%/rule.h %D%/subjects.c %D%/value.c %D%/words.c

dist_man_MANS += %D%/dmaownd-policy.5

policydatadir = $(datadir)/dmaownd
dist_policydata_DATA = %D%/policy.schema.json
policyexamplesdir = $(datadir)/dmaownd/examples
dist_policyexamples_DATA = \
	%D%/examples/containers.json %D%/examples/display-complex.json \
	%D%/examples/dpdk-nic.json %D%/examples/gpu-vm-runner.json %D%/examples/libvirt.json \
	%D%/examples/management-nic.json %D%/examples/soc-ethernet.json \
	%D%/examples/spare-nic.json %D%/examples/sriov-vfs.json

# The default denies everything. What an administrator wrote is never replaced.
EXTRA_DIST += %D%/default.json
install-data-local: install-policy
uninstall-local: uninstall-policy
.PHONY: install-policy uninstall-policy
install-policy:
	$(MKDIR_P) '$(DESTDIR)$(sysconfdir)/dmaownd/policy.d'
	test -e '$(DESTDIR)$(sysconfdir)/dmaownd/policy.json' || \
		$(INSTALL_DATA) $(srcdir)/policy/default.json '$(DESTDIR)$(sysconfdir)/dmaownd/policy.json'
uninstall-policy:
	! cmp -s $(srcdir)/policy/default.json '$(DESTDIR)$(sysconfdir)/dmaownd/policy.json' || \
		rm -f '$(DESTDIR)$(sysconfdir)/dmaownd/policy.json'
	-rmdir '$(DESTDIR)$(sysconfdir)/dmaownd/policy.d' '$(DESTDIR)$(sysconfdir)/dmaownd'
