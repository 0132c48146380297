#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The daemon is killed at one system call after another of a claim, a release, a change of the lifetime and the
# end of an fd lease, is started again, and must then be sound: see killer.c. KILL_STRIDE=1 takes every system call, else every
# so many from KILL_START on (random if not given).
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${top_builddir:=$top_srcdir}"
export SCENARIO=$top_srcdir/tests/fakekernel/two-groups.scenario TEST_TIMEOUT=${TEST_TIMEOUT:-900}
. "$(dirname "$0")/lib.sh" || exit 99
: "${KILLER:=$top_builddir/tests/bus/killer}"
: "${KILL_STRIDE:=11}"
: "${KILL_START:=$((RANDOM % KILL_STRIDE + 1))}"
echo "# KILL_START=$KILL_START KILL_STRIDE=$KILL_STRIDE"
points=0
tried=0

# kills VARIANT ACTION
kills() {
    local output
    output=$("$KILLER" "$1" "$2" "$KILL_START" "$KILL_STRIDE" 2>&1) || :
    local last
    last=$(tail -n 1 <<< "$output")
    if [[ $last =~ ^points\ ([0-9]+)\ tried\ ([0-9]+)\ complaints\ 0$ ]]; then
        points=$((points + BASH_REMATCH[1]))
        tried=$((tried + BASH_REMATCH[2]))
        pass "$2 of $1: ${BASH_REMATCH[1]} points, killed at ${BASH_REMATCH[2]}"
    else
        fail "$2 of $1" "$output"
        is_running || service start > /dev/null
    fi
}

start
for action in claim release; do
    kills path $action
    kills fd $action
    kills process $action
done
kills fd close
for variant in path fd process; do kills $variant hand; done
for variant in fd process; do kills $variant keep; done
service stop > /dev/null
fakectl kernel 6.12-cdev
service start > /dev/null
kills cdev claim
kills cdev release
echo "# kill points: $points, killed at $tried"
[ "$tried" -gt 0 ] && pass "it was killed" || fail "it was killed"
finish
