# SPDX-License-Identifier: LGPL-2.1-or-later
dbuspolicydir = $(dbusdatadir)/dbus-1/system.d
dist_dbuspolicy_DATA = %D%/org.dmaownd1.conf

dbusactivationdir = $(dbusdatadir)/dbus-1/system-services
dist_dbusactivation_DATA = %D%/org.dmaownd1.service

dbusinterfacesdir = $(dbusdatadir)/dbus-1/interfaces
dist_dbusinterfaces_DATA = \
	%D%/org.dmaownd1.Device.xml \
	%D%/org.dmaownd1.Group.xml \
	%D%/org.dmaownd1.Lease.xml \
	%D%/org.dmaownd1.Manager.xml

dist_man_MANS += %D%/org.dmaownd1.5

# polkit has one folder for actions, beside the system bus's own files.
polkitactiondir = $(dbusdatadir)/polkit-1/actions
dist_polkitaction_DATA = %D%/org.dmaownd1.policy
