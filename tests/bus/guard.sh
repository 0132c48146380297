#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A device that joins a group that userspace has is pinned, and never given a VFIO driver.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/switch.scenario
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
. "$(dirname "$0")/switch.sh"
policy "$switch_policy"
start
watch_signals
before=$(snapshot)
plug() { fakectl device pci 0000:00:05.3 vendor=0x8086 product=0x10d3 class=0x020000 native=e1000e group=7 "$@"; }
restored() {
    eventually "$1: everything is as before" is_output "$before" snapshot
    within not_switching 7 9
}

# ---- Into a group that is detached
works "detached" call alice Detach 7
plug driver=none
eventually "what joins is pinned" is_output "- dmaownd-held" now 0000:00:05.3
becomes "it stands in nobody's way" "true " reason_of alice 7
echo 0000:00:05.3 > /sys/bus/pci/drivers_probe
is "no driver takes it" "$(driver 0000:00:05.3)" -
works "reattached" call alice Reattach 7
becomes "it is free again" "e1000e -" now 0000:00:05.3
fakectl remove 0000:00:05.3
restored "when it has gone"

# ---- Into a group that is leased
lease=$(claim alice 7 detach b true)
plug driver=none
eventually "what joins is pinned" is_output "- dmaownd-held" now 0000:00:05.3
is "the lease is not touched" "$(lease "$lease" State)" active
works "the daemon is killed" service kill
works "and starts" service start
is "it stays so" "$(now 0000:00:05.3) $(lease "$lease" State)" "- dmaownd-held active"
manager Release o "$lease" > /dev/null
within gone "$lease"
call alice Reattach 7 > /dev/null
becomes "at the end it is free again" "e1000e -" now 0000:00:05.3
fakectl remove 0000:00:05.3
restored "the lease"

# ---- What was granted, went, and comes back
lease=$(claim alice 7 detach b true)
fakectl remove 0000:00:05.1
eventually "what went is told" signalled "left group 7"
fakectl device pci 0000:00:05.1 vendor=0x8086 product=0x10d3 class=0x020000 subsystem_vendor=0x8086 native=e1000e group=7 driver=none
eventually "what comes back was not granted, and is pinned" is_output "- dmaownd-held" now 0000:00:05.1
is "the lease goes on" "$(lease "$lease" State)" active
manager Release o "$lease" > /dev/null
within gone "$lease"
call alice Reattach 7 > /dev/null
restored "what comes back"

# ---- Whose host driver was faster
lease=$(claim alice 7 detach b true)
plug
eventually "it is a conflict" signalled "Conflict"
eventually "unbound and pinned, since the rule may detach" is_output "- dmaownd-held" now 0000:00:05.3
is "the lease is not touched" "$(lease "$lease" State)" active
manager Release o "$lease" > /dev/null
within gone "$lease"
call alice Reattach 7 > /dev/null
becomes "at the end its driver has it" "e1000e -" now 0000:00:05.3
fakectl remove 0000:00:05.3
restored "the faster one"

# ---- One that the host uses
ip link add eth9 index 49 type veth peer name peer9
ip address add 192.0.2.9/24 dev eth9
lease=$(claim alice 7 detach b true)
plug driver=none
fakectl netdev 0000:00:05.3 eth9 49
fakectl bind 0000:00:05.3 e1000e || :
if [ "$(driver 0000:00:05.3)" = e1000e ]; then
    sleep 1
    is "stays where it is" "$(driver 0000:00:05.3)" e1000e
fi
ip link del eth9
fakectl remove 0000:00:05.3
manager Release o "$lease" > /dev/null
within gone "$lease"
call alice Reattach 7 > /dev/null
restored "one that the host uses"

# ---- Several that come together
plug_more() {
    local device
    for device; do
        fakectl device pci "$device" vendor=0x8086 product=0x1521 class=0x020000 native=igb driver=none group=9
    done
}
lease=$(claim alice 9 detach b true)
plug_more 0000:00:08.1 0000:00:08.2 0000:00:08.3
for device in 0000:00:08.1 0000:00:08.2 0000:00:08.3; do
    eventually "$device is pinned" is_output "- dmaownd-held" now $device
done
manager Release o "$lease" > /dev/null
within gone "$lease"
call alice Reattach 9 > /dev/null
for device in 0000:00:08.1 0000:00:08.2 0000:00:08.3; do
    becomes "$device is free again" "igb -" now $device
    fakectl remove $device
done
restored "those that came together"

# ---- Virtual functions
works "detached" call alice Detach 9
is "a function that is away gets no others' drivers" "$(cat "$(sysfs 0000:00:08.0)/sriov_drivers_autoprobe")" 0
works "reattached" call alice Reattach 9
restored "virtual functions"
works "the daemon lives" is_running
finish
