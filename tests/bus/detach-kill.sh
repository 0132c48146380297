#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The daemon is killed at one system call after another of a Detach, a Reattach, and a Claim that
# detaches, of two groups, is
# started again, and must then finish or undo it: see killer-switch.c. KILL_STRIDE and KILL_START as in
# kill.sh.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${top_builddir:=$top_srcdir}"
export SCENARIO=$top_srcdir/tests/fakekernel/two-kernel.scenario TEST_TIMEOUT=${TEST_TIMEOUT:-900}
. "$(dirname "$0")/lib.sh" || exit 99
: "${KILLER:=$top_builddir/tests/bus/killer}"
: "${KILL_STRIDE:=31}"
: "${KILL_START:=$((RANDOM % KILL_STRIDE + 1))}"
echo "# KILL_START=$KILL_START KILL_STRIDE=$KILL_STRIDE"
policy '{ "version": 1, "rules": [
    { "name": "movable", "effect": "allow", "match": { "bus": "pci" },
      "subjects": { "users": ["alice"] }, "detach": true } ] }'
start
for kernel in 6.1 6.12; do
    fakectl kernel $kernel
    for action in detach reattach claim; do
        output=$("$KILLER" switch $action "$KILL_START" "$KILL_STRIDE" 2>&1) || :
        last=$(tail -n 1 <<< "$output")
        if [[ $last =~ ^points\ ([0-9]+)\ tried\ ([1-9][0-9]*)\ complaints\ 0$ ]]; then
            pass "$kernel, $action: ${BASH_REMATCH[1]} points, killed at ${BASH_REMATCH[2]}"
        else
            fail "$kernel, $action" "$output"
            is_running || service start > /dev/null || :
        fi
    done
done
finish
