#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The unit's sandbox: an exposure of at most 2.0 by systemd's own count, and no unknown directive.
unit=$(realpath "${top_builddir:-.}")/systemd/dmaownd.service
# shellcheck source-path=SCRIPTDIR
. "${0%/*}/common.sh"

if output=$(systemd-analyze security --offline=true --no-pager --threshold=20 "$unit" 2>&1); then
    problems=""
else
    problems=$(grep -v '^✓' <<< "$output" || :)
fi
check "$(tail -n 1 <<< "$output" | tr -cd '[:print:]')" "$problems"

# Unknown or misspelt directives are only warned about. Programs and pages need not be installed.
warnings=$(systemd-analyze verify --man=no "$unit" 2>&1 | grep -F "$unit:" || :)
check "systemd knows every directive" "$warnings"
check "everything was substituted" "$(grep -n '@[a-zA-Z]*@' "$unit" || :)"
finish
