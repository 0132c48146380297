# SPDX-License-Identifier: LGPL-2.1-or-later
# All but main(), so that tests can link it.
noinst_LIBRARIES += %D%/liblibvirthook.a
client_libvirt_liblibvirthook_a_SOURCES = \
	%D%/domain.c %D%/domain.h %D%/domain-process.c %D%/domain-process.h \
	%D%/leased.c %D%/leased.h %D%/qemu-user.c %D%/qemu-user.h
client_libvirt_liblibvirthook_a_CFLAGS = $(AM_CFLAGS) $(XML_CFLAGS)
libvirt_hook_libraries = %D%/liblibvirthook.a $(client_libraries) $(XML_LIBS)

dmaownd_libvirt_hook_SOURCES = %D%/libvirt-hook.c
dmaownd_libvirt_hook_LDADD = $(libvirt_hook_libraries)
EXTRA_DIST += %D%/dmaownd-libvirt-hook.8
# In sbin, although nobody calls it by hand: where AppArmor confines libvirt, it may run what is there.
if LIBVIRT_HOOK
sbin_PROGRAMS += dmaownd-libvirt-hook
man_MANS = %D%/dmaownd-libvirt-hook.8
else
noinst_PROGRAMS += dmaownd-libvirt-hook
endif

# The link is what makes libvirt run it.
install-exec-hook: install-libvirt-link
uninstall-hook: uninstall-libvirt-link
.PHONY: install-libvirt-link uninstall-libvirt-link
install-libvirt-link:
	test '$(libvirthooksdir)' = no || { \
		$(MKDIR_P) '$(DESTDIR)$(libvirthooksdir)' && \
		rm -f '$(DESTDIR)$(libvirthooksdir)/50-dmaownd' && \
		$(LN_S) '$(sbindir)/dmaownd-libvirt-hook' '$(DESTDIR)$(libvirthooksdir)/50-dmaownd'; }
uninstall-libvirt-link:
	rm -f '$(DESTDIR)$(libvirthooksdir)/50-dmaownd'

# Tests.
if HAVE_CHECK
check_PROGRAMS += tests/unit/test-domain
TESTS += tests/unit/test-domain
endif
tests_unit_test_domain_SOURCES = tests/unit/test-domain.c
tests_unit_test_domain_LDADD = $(libvirt_hook_libraries) $(CHECK_LIBS)
