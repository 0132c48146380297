# SPDX-License-Identifier: LGPL-2.1-or-later
# No udev rules: dmaownd finds every device itself, and gives access by ACLs that udev leaves alone.
nodist_systemdsystemunit_DATA = %D%/dmaownd.service
dist_systemdpreset_DATA = %D%/90-dmaownd.preset
dist_sysusers_DATA = %D%/sysusers.d/dmaownd.conf
dist_catalog_DATA = %D%/dmaownd.catalog
nodist_tmpfiles_DATA = %D%/tmpfiles.d/dmaownd.conf

systemd_templates = %D%/dmaownd.service.in %D%/tmpfiles.d/dmaownd.conf.in
EXTRA_DIST += $(systemd_templates)
CLEANFILES += $(systemd_templates:.in=)

$(systemd_templates:.in=): %: %.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SUBSTITUTE) < $< > $@.tmp && mv $@.tmp $@
