#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every shell script passes shellcheck.
# shellcheck source-path=SCRIPTDIR
. "${0%/*}/common.sh"

for file in $(grep -rlI --include='*' '^#!/bin/\(ba\)\?sh' tests .ci bootstrap build-aux/version build-aux/substitute | LC_ALL=C sort); do
    check "$file" "$(shellcheck --severity=warning --external-sources --format=gcc "$file" || :)"
done
finish
