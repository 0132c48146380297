#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The units' sandboxes: an exposure by systemd's own count of at most 2.0 for the daemon and 0.5 for what needs
# no capability, and no unknown directive.
folder=$(realpath "${top_builddir:-.}")/systemd
# shellcheck source-path=SCRIPTDIR
. "${0%/*}/common.sh"

check_unit() { # check_unit UNIT EXPOSURE, in tenths
    local unit=$folder/$1 output problems warnings
    if output=$(systemd-analyze security --offline=true --no-pager --threshold="$2" "$unit" 2>&1); then
        problems=""
    else
        problems=$(grep -v '^✓' <<< "$output" || :)
    fi
    check "$(tail -n 1 <<< "$output" | tr -cd '[:print:]')" "$problems"

    # Unknown or misspelt directives are only warned about. Programs and pages need not be installed.
    warnings=$(systemd-analyze verify --man=no "$unit" 2>&1 | grep -F "$unit:" || :)
    check "systemd knows every directive of $1" "$warnings"
    check "everything in $1 was substituted" "$(grep -n '@[a-zA-Z]*@' "$unit" || :)"
}

check_unit dmaownd.service 20
check_unit dmaownd-cdi.service 5
finish
