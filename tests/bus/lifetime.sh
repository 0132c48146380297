#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# How leases end: connection, ttl, draining; and owners that are not ours.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
start
watch_signals
# ---- connection
hold alice "$CALLER" hold 9
lease=$held
like "a lease for a connection" "$lease" "^$root/lease/"
is "its lifetime" "$(lease "$lease" Lifetime)" connection
works "has access" can_open alice 9
release_hold
eventually "ends with the connection" signalled "^LeaseEnded $root $lease 9 disconnected\$"
fails "and its access" can_open alice 9
lease=$(as alice busctl --json=short call $bus_name $root org.dmaownd1.Manager Claim 'asa{sv}' 1 9 0 | jq -r '.data[0]')
eventually "busctl's ends at once" signalled "^LeaseEnded $root $lease 9 disconnected\$"
for _ in 1 2 3 4 5 6 7 8; do as alice "$CALLER" vanish 9; done
becomes "a caller that leaves in mid-call leaves nothing" none group 9 Owner
becomes "no lease" 0 property $root Manager LeaseCount
is "no access" "$(stat -c %a /dev/vfio/9)" 600

# ---- ttl
lease=$(claim alice 9 ttl t 1)
works "a lease with a time" can_open alice 9
eventually "expires" signalled "^LeaseEnded $root $lease 9 expired\$"
fails "and its access" can_open alice 9
hold alice "$CALLER" hold 9 ttl=1
lease=$held
eventually "with any lifetime" signalled "^LeaseEnded $root $lease 9 expired\$"
release_hold

refused "more time than there is" InvalidOption claim alice 9 ttl t 18446744073709551615
lease=$(claim alice 9 ttl t 316224000)
works "the longest time there is" can_open alice 9
service kill > /dev/null
works "and a restart" service start
works "it has not passed" can_open alice 9
manager Release o "$lease" > /dev/null
within gone "$lease"
lease=$(claim alice 9 ttl t 2)
service kill > /dev/null
works "a short one" service start
eventually "passes over a restart" signalled "^LeaseEnded $root $lease 9 expired\$"

# ---- draining
lease=$(claim alice 9)
hold alice "$FAKEKERNEL/fakectl" hold /dev/vfio/9 container
is "the holder has it open" "$held" held
works "release" manager Release o "$lease"
is "drains" "$(lease "$lease" State)" draining
is "owner" "$(group 9 Owner)" user
refused "meanwhile" Busy claim bob 9
is "reason" "$(verdict bob 9)" "false draining"
refused "even for the one who had it" Busy claim alice 9
is "access has gone already" "$(stat -c %a /dev/vfio/9)" 600
is "not ended yet" "$(times "LeaseEnded .*$lease " "$signals")" 0
release_hold
eventually "LeaseEnded when the last one has closed" signalled "^LeaseEnded $root $lease 9 released\$"
works "and it can be granted" claim bob 9
manager Release o "$(group 9 Lease)" > /dev/null

# ---- An expired lease drains as well
lease=$(claim alice 9 ttl t 1)
hold alice "$FAKEKERNEL/fakectl" hold /dev/vfio/9
becomes "an expired one drains" draining lease "$lease" State
release_hold
eventually "and ends" signalled "^LeaseEnded $root $lease 9 expired\$"

# ---- foreign
hold root "$FAKEKERNEL/fakectl" hold /dev/vfio/9 container
becomes "a stranger has it open" foreign group 9 Owner
refused "which is not granted" ForeignOwner claim alice 9
is "reason" "$(verdict alice 9)" "false open-elsewhere"
eventually "on record" grep -qE "DMAOWND_EVENT=foreign (.* )?DMAOWND_GROUP=9" "$log"
release_hold
becomes "and gone" none group 9 Owner
works "it can be granted" claim alice 9
manager Release o "$(group 9 Lease)" > /dev/null

# ---- A copy of the node: no event tells, the attempt before a grant does
mkdir /run/copy
fakectl node 9 copy /run/copy/9
hold root "$FAKEKERNEL/fakectl" hold /run/copy/9 container
is "a copy is open" "$held" held
refused "and is found before a grant" ForeignOwner claim alice 9
release_hold
eventually "until it is closed" claim alice 9
manager Release o "$(group 9 Lease)" > /dev/null

# ---- Release and claim again, many times
for i in $(seq 20); do
    lease=$(claim alice 9) && manager Release o "$lease" > /dev/null || fail "round $i"
done
pass "twenty rounds"
is "each with one entry" "$(times "DMAOWND_EVENT=granted .*DMAOWND_LEASE=${lease##*/}( |\$)" "$log") $(
    within grep -qE "DMAOWND_EVENT=ended .*DMAOWND_LEASE=${lease##*/}( |\$)" "$log"
    times "DMAOWND_EVENT=ended .*DMAOWND_LEASE=${lease##*/}( |\$)" "$log")" "1 1"
finish
