# SPDX-License-Identifier: LGPL-2.1-or-later
# One static library a layer, each linked after those above it.
noinst_LIBRARIES += %D%/libutil.a %D%/libmodel.a
daemon_libutil_a_SOURCES = \
	%D%/util/cleanup.h %D%/util/fd.c %D%/util/fd.h %D%/util/hash.h \
	%D%/util/intern.c %D%/util/intern.h %D%/util/string.c %D%/util/string.h
daemon_libmodel_a_SOURCES = \
	%D%/model/device.c %D%/model/device.h %D%/model/driver-role.c %D%/model/driver-role.h \
	%D%/model/finding-text.c %D%/model/group.c %D%/model/group.h \
	%D%/model/lease.c %D%/model/lease.h %D%/model/model.c %D%/model/model.h \
	%D%/model/outcome.c %D%/model/outcome.h %D%/model/target.c \
	%D%/model/verdict.c %D%/model/verdict.h
