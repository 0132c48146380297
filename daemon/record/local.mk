# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LIBRARIES += daemon/record/librecord.a
daemon_record_librecord_a_SOURCES = \
	daemon/record/audit.c daemon/record/audit.h \
	daemon/record/denials.c daemon/record/denials.h \
	daemon/record/entry.c daemon/record/entry.h daemon/record/log.c \
	daemon/record/fd-store.c daemon/record/fd-store.h \
	daemon/record/json-fields.c daemon/record/json-fields.h \
	daemon/record/message-ids.h \
	daemon/record/detachment-json.c daemon/record/detachment-json.h \
	daemon/record/state-fields.h \
	daemon/record/state-json.c daemon/record/state-json.h daemon/record/state-read.c \
	daemon/record/state-internal.h daemon/record/state-switch.c \
	daemon/record/state.c daemon/record/state.h
