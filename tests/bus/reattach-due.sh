#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Groups whose time to go back has come, and somebody has them open, or is about to have them, or their record
# can not be written: they wait, and are not forgotten.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/switch.scenario
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
. "$(dirname "$0")/switch.sh"
# A short watchdog is a short tick.
DMAOWND_WRAPPER="env WATCHDOG_USEC=1000000 ${DMAOWND_WRAPPER:-}"
# A state folder that can be full.
mkdir -p /run/state /run/copy
mount -t tmpfs -o size=128k,mode=700 tmpfs /run/state
policy "$switch_policy"
start --state /run/state
ends() { # ends GROUP SECONDS: a lease of alice that ends at once, after which the group goes back so late
    local lease
    lease=$(claim alice "$1" detach b true reattach b true reattach_after t "$2")
    manager Release o "$lease" > /dev/null
    within gone "$lease"
}
on_vfio() { [ "$(driver 0000:00:05.0)" = vfio-pci ]; }
is_e1000e() { [ "$(driver 0000:00:05.0)" = e1000e ]; }
goes_back() { # goes_back WHEN
    eventually "$1" is_e1000e
    within not_switching 7 9
}
passes() { works "time passes" ticks_pass 3; } # more than a second
full() { head -c 1m /dev/zero > /run/state/filler 2> /dev/null || :; }

# ---- Open
ends 7 1
fakectl node 7 copy /run/copy/7
hold root "$FAKEKERNEL/fakectl" hold /run/copy/7
passes
works "a group of which somebody has a copy of the node open stays" on_vfio
release_hold
goes_back "until that is closed"

ends 7 1
hold root "$FAKEKERNEL/fakectl" hold /dev/vfio/7
service kill > /dev/null
service start > /dev/null
passes
works "so does one that was opened before a restart" on_vfio
release_hold
goes_back "until that is closed"

# ---- Detached by itself meanwhile
ends 7 1
works "Detach before the time" call alice Detach 7
passes
works "is not undone when it has come" on_vfio
works "Reattach of what is to go back leaves it" call alice Reattach 7 returning b true
works "it is where it was" on_vfio
works "Reattach gives it back" call alice Reattach 7
goes_back "it is back"

# ---- Somebody is about to have it
ends 7 2
fakectl write-hang 1 '*/unbind'
in_background both call alice Claim "7 9" lifetime s persistent detach b true reattach b true wait t 20
within something_hangs
passes
passes
works "a claim for it and another that takes long keeps it" on_vfio
fakectl release
within ended both
lease=$(sed -n 's/.*"\(\/org[^"]*\)".*/\1/p' /run/both.said)
is "and gets both" "$(lease "$lease" Groups)" "[\"$root/group/7\",\"$root/group/9\"]"
manager Release o "$lease" > /dev/null
goes_back "which go back after it"

# ---- A record that can not be written
ends 7 2
full
passes
passes
works "without room for its record it stays" on_vfio
rm /run/state/filler
goes_back "and goes back when there is some"

lease=$(claim alice 7 detach b true reattach b true reattach_after t 600)
full
manager Release o "$lease" > /dev/null
eventually "that it is to go back can not be noted" grep -q "When devices go back to the host can not be noted" "$log"
rm /run/state/filler
eventually "and is noted when there is room" grep -q '"return_at":' -r /run/state
works "Reattach" call alice Reattach 7
goes_back "is at once"
finish
