#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Groups that go back to their host drivers some time after their lease: what happens meanwhile.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/switch.scenario
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
. "$(dirname "$0")/switch.sh"
policy "$switch_policy"
start
before=$(snapshot)
as_before() { is_output "$before" snapshot; }
restored() {
    eventually "$1: everything is as before" as_before
    within not_switching 7 9 14
    is "$1: no record is left" "$(records)" 0
}
# ends GROUP SECONDS [OPTION...]: a lease of alice that ends at once, after which the group goes back so late.
ends() {
    local lease
    lease=$(claim alice "$1" detach b true reattach b true reattach_after t "$2" "${@:3}")
    manager Release o "$lease" > /dev/null
    within gone "$lease"
}
on_vfio() { [ "$(driver 0000:00:05.0)" = vfio-pci ]; }

ends 7 1
restored "after a second"
ends 7 0
restored "at once"
ends 7 600
works "the lease has ended, and the devices stay" on_vfio
is "the group is free" "$(group 7 Owner) $(verdict bob 7)" "none true "
fails "nobody has access" can_open alice 7
works "Reattach is at once" call alice Reattach 7
restored "reattached"

# ---- Others
lease=$(claim alice 7 detach b true reattach b true reattach_after t 1)
manager Release o "$lease" > /dev/null
bobs=$(claim bob 7)
like "another one gets the group meanwhile" "$bobs" "/lease/"
ends 14 1
eventually "the time passes" is_output "shpchp" driver 0000:00:1e.0
works "the group stays with its lease" on_vfio
is "which lives" "$(lease "$bobs" State)" active
works "and has access" can_open bob 7
manager Release o "$bobs" > /dev/null
restored "when it has ended"

ends 7 600
bobs=$(claim bob 7 reattach b true)
manager Release o "$bobs" > /dev/null
within gone "$bobs"
works "whose lease ends before the time does not bring it forward" on_vfio
again=$(claim alice 7 reattach b true reattach_after t 1)
like "the same one gets it again" "$again" "/lease/"
manager Release o "$again" > /dev/null
restored "by the newer time"
ends 7 600
again=$(claim alice 7 reattach b true)
manager Release o "$again" > /dev/null
restored "or at once"

ends 7 1
hold root "$FAKEKERNEL/fakectl" hold /dev/vfio/7
ends 14 1
eventually "the time passes" is_output "shpchp" driver 0000:00:1e.0
works "a group that is open stays" on_vfio
release_hold
works "looked at again" manager Rescan
works "Reattach gives it back" call alice Reattach 7 wait t 10
restored "closed"

# ---- Restarts
ends 7 600
works "the daemon is killed" service kill
works "and starts" service start
works "the devices stay" on_vfio
works "Reattach is at once" call alice Reattach 7
restored "after a restart"
ends 7 3
works "the daemon is killed" service kill
works "and starts" service start
restored "in time after a restart"
ends 7 1
service kill > /dev/null
works "the devices stay while there is no daemon" on_vfio
sleep 1.1 # the time that passes is what is tested
works "it starts" service start
restored "late"
lease=$(call alice Claim "7 9" lifetime s persistent detach b true reattach b true reattach_after t 600 | jq -r '.data[0]')
works "the daemon is killed" service kill
works "and starts" service start
manager Release o "$lease" > /dev/null
within gone "$lease"
works "the lease knew when it goes back" on_vfio
works "Reattach of one of its groups" call alice Reattach 7
eventually "gives that back" is_output e1000e driver 0000:00:05.0
works "and of the other" call alice Reattach 9
restored "one by one"

# ---- What is no choice
refused "without reattach" InvalidOption claim alice 7 detach b true reattach_after t 1
refused "too long" InvalidOption claim alice 7 detach b true reattach b true reattach_after t 3601
refused "not a number" InvalidOption claim alice 7 detach b true reattach b true reattach_after s 1
ends 7 3600
works "the longest" on_vfio
works "Reattach" call alice Reattach 7
restored "at the end"
leaves alice 7 detach=b:true reattach=b:true reattach_after=t:600
restored "a caller that has left before its answer"
works "the daemon lives" is_running
finish
