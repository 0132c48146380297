#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# No room for records, and devices that are pulled out in the middle.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/switch.scenario
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
. "$(dirname "$0")/switch.sh"
mkdir -p /run/state
mount -t tmpfs -o size=128k,mode=700 tmpfs /run/state
policy "$switch_policy"
start --state /run/state
before=$(snapshot)
restored() {
    eventually "$1: everything is as before" is_output "$before" snapshot
    within not_switching 7 || :
}
fill() { head -c 1m /dev/zero > /run/state/filler 2> /dev/null || :; }

# ---- A full disk
fill
fakectl writes clear
answer=$(error_of call alice Detach 7)
like "without room for a record nothing is detached" "$answer" "SwitchFailed"
like "and that is said" "$(message_of call alice Detach 7)" "[Nn]o space left|ENOSPC"
is "nothing was written" "$(fakectl writes count) $(snapshot)" "0 $before"
is "nor is a half record left" "$(find /run/state -name 'switch-*')" ""
refused "nor is it claimed" SwitchFailed claim alice 7 detach b true
works "others answer" manager ListGroups
rm /run/state/filler
works "with room it is" call alice Detach 7
fill
if call alice Reattach 7 > /run/answer 2>&1; then
    restored "without room, back"
else
    like "without room for a record it stays" "$(cat /run/answer)" "[Nn]o space left|ENOSPC"
    is "whole" "$(now 0000:00:05.0) $(now 0000:00:05.1) $(now 0000:00:05.2)" "vfio-pci vfio-pci vfio-pci vfio-pci - dmaownd-held"
    rm /run/state/filler
    works "with room it goes back" call alice Reattach 7
fi
rm -f /run/state/filler
restored "with room"
works "restart" service restart
restored "after a restart"

# ---- Pulled out
again() {
    fakectl device pci 0000:00:05.1 vendor=0x8086 product=0x10d3 class=0x020000 subsystem_vendor=0x8086 native=e1000e group=7
    eventually "$1: it is plugged in again" manager FindGroup s 0000:00:05.1
}
for what in driver_override driver/unbind; do
    fakectl fault "$(readlink -f "$(sysfs 0000:00:05.1)/$what")" vanish
    [ $what = driver_override ] || fakectl fault "$(readlink -f "$(sysfs 0000:00:05.1)/$what")" none
    if [ $what != driver_override ]; then
        fakectl write-hang 1 '*/e1000e/unbind'
        in_background call call alice Detach 0000:00:05.1
        within something_hangs
        fakectl remove 0000:00:05.1 &
        remover=$!
        sleep 0.1
        fakectl release
        wait $remover || :
        eventually "$what: the call ends" ended call
    else
        call alice Detach 7 > /run/call.said 2>&1 || :
    fi
    fakectl release
    works "$what: the daemon lives" is_running
    if [ "$(driver 0000:00:05.0)" = vfio-pci ]; then
        pass "$what: the others have moved"
        call root Reattach 7 > /dev/null
    else
        like "$what: the error names the device" "$(cat /run/call.said)" "0000:00:05\\.[01]"
    fi
    eventually "$what: the others are as before" eval "[ \"\$(snapshot | grep -v 0000:00:05.1)\" = \"\$(grep -v 0000:00:05.1 <<< '$before')\" ]"
    again $what
    restored "$what"
done
works "detached" call alice Detach 7
fakectl remove 0000:00:05.1
works "one that is pulled out then is not missed" call alice Reattach 7
again "gone"
restored "gone"
works "detached" call alice Detach 7
fakectl remove 0000:00:05.0
fakectl remove 0000:00:05.1
fakectl remove 0000:00:05.2
eventually "of a group that is gone" eval "! busctl get-property $bus_name $root/group/7 org.dmaownd1.Group Id"
becomes "no record is left" "" find /run/state -name 'switch-*'
works "the daemon lives" is_running
finish
