# SPDX-License-Identifier: LGPL-2.1-or-later
style_checks = \
	%D%/check-catalog.sh \
	%D%/check-interfaces.sh \
	%D%/check-layers.sh \
	%D%/check-man.sh \
	%D%/check-security.sh \
	%D%/check-shell.sh \
	%D%/check-sizes.sh \
	%D%/check-spdx.sh \
	%D%/check-symbols.sh
dist_check_SCRIPTS += $(style_checks)
TESTS += $(style_checks)
EXTRA_DIST += %D%/common.sh %D%/functions.awk
