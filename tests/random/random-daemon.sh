#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The random sequences of tests/random against the whole daemon: see drive-daemon.c. SEED makes another
# run, STEPS a longer one; with SEQUENCE one of the seed is played alone.
# shellcheck source-path=SCRIPTDIR/../..
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/random/host.scenario
# shellcheck source=tests/bus/lib.sh
. "$top_srcdir/tests/bus/lib.sh" || exit 99
drive=${top_builddir:?}/tests/random/drive-daemon
# An instrumented daemon is slow.
: "${STEPS:=$(if grep -q __asan_init "$DMAOWND"; then echo 300; else echo 2000; fi)}"
# A short watchdog is a short tick: what is only mended then is mended soon.
DMAOWND_WRAPPER="env WATCHDOG_USEC=1000000 ${DMAOWND_WRAPPER:-}"
start "$@"
export FAKEKERNEL
if "$drive" "${SEED:-1}" "$STEPS" ${SEQUENCE:+"$SEQUENCE"}; then
    # shellcheck disable=SC2034 # finish reads it
    count=2
else
    # shellcheck disable=SC2034 # finish reads them
    count=2 failed=1
fi
finish
