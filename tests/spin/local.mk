# SPDX-License-Identifier: LGPL-2.1-or-later
dist_check_SCRIPTS += %D%/check-spin.sh
TESTS += %D%/check-spin.sh
EXTRA_DIST += %D%/claim.pml
