#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The benchmark's round trips still run; what they measure is tests/bench's matter.
# shellcheck source-path=SCRIPTDIR
. "${0%/*}/lib.sh"
start
policy "$(cat "$top_srcdir/tests/benchmark/policy.json")"
works "its policy" manager Reload
output=$("$top_builddir/tests/benchmark/latency" "$DBUS_SYSTEM_BUS_ADDRESS" 50 2>&1 || :)
for row in noop explain claim.release node; do
    like "$row" "$output" "$row [0-9.]+ [0-9.]+"
done
finish
