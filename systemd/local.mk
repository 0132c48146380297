# SPDX-License-Identifier: LGPL-2.1-or-later
# The daemon itself needs no udev rules: it finds every device, and gives access by ACLs that udev leaves
# alone. The one that there is keeps host drivers from devices that policy reserves.
nodist_systemdsystemunit_DATA = %D%/dmaownd.service %D%/dmaownd-cdi.service
dist_systemdpreset_DATA = %D%/90-dmaownd.preset
dist_sysusers_DATA = %D%/sysusers.d/dmaownd.conf
dist_catalog_DATA = %D%/dmaownd.catalog
nodist_tmpfiles_DATA = %D%/tmpfiles.d/dmaownd.conf
udevrulesdir = $(udevdir)/rules.d
nodist_udevrules_DATA = %D%/60-dmaownd.rules

systemd_templates = \
	%D%/60-dmaownd.rules.in %D%/dmaownd.service.in %D%/dmaownd-cdi.service.in \
	%D%/tmpfiles.d/dmaownd.conf.in
EXTRA_DIST += $(systemd_templates)
CLEANFILES += $(systemd_templates:.in=)

$(systemd_templates:.in=): %: %.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SUBSTITUTE) < $< > $@.tmp && mv $@.tmp $@
