#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Groups leave the kernel and come back: one call moves all, or nothing; what was comes back.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/switch.scenario
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
. "$(dirname "$0")/switch.sh"
modules mlx5_vfio_pci "vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i*"
policy "$switch_policy"
start
watch_signals
before=$(snapshot)

# moves TARGETS: there and back, with what is planned for each.
moves() {
    local text planned
    planned=$(plan alice PlanDetach "$1")
    fakectl writes clear
    text=$(call alice Detach "$1" 2>&1) || fail "$1: it is detached" "$text"
    is "$1: the writes are those of the plan" "$(writes_made)" "$(writes_of_plan <<< "$planned")"
}
returns() {
    local text planned
    planned=$(plan alice PlanReattach "$1")
    fakectl writes clear
    text=$(call alice Reattach "$1" 2>&1) || fail "$1: it is reattached" "$text"
    is "$1: the writes back are those of the plan" "$(writes_made)" "$(writes_of_plan <<< "$planned")"
    is "$1: everything is as before" "$(snapshot)" "$before"
}

# ---- A group of three
is "a group with kernel drivers" "$(reason_of alice 7)" "false kernel-driver"
is "could be had with detach" "$(reason_of alice 7 detach b true)" "true "
fakectl writes clear
is "its plan" "$(plan alice PlanDetach 7 | cut -f 1,2 | sort | paste -sd' ' | tr '\t' ' ')" \
    "0000:00:05.0 bind 0000:00:05.0 override 0000:00:05.0 unbind 0000:00:05.1 bind 0000:00:05.1 override 0000:00:05.1 unbind 0000:00:05.2 pin"
is "a plan writes nothing" "$(fakectl writes count) $(snapshot)" "0 $before"
moves 7
is "its devices are on VFIO" "$(now 0000:00:05.0) $(now 0000:00:05.1)" "vfio-pci vfio-pci vfio-pci vfio-pci"
is "the one that was free is pinned" "$(now 0000:00:05.2)" "- dmaownd-held"
is "all others are where they were" "$(snapshot | grep -v 0000:00:05)" "$(grep -v 0000:00:05 <<< "$before")"
becomes "it can be had" "true " reason_of alice 7
is "on record, once" "$(events detached 7)" 1
like "with who and why" "$(grep DMAOWND_EVENT=detached "$log")" "DMAOWND_UID=1001 .*DMAOWND_RULE=movable"
works "again: nothing is left to do" call alice Detach 7
is "for the plan neither" "$(plan alice PlanDetach 7 | grep -vP '\tstay\t' || :)" ""
is "and nothing is on record again" "$(events detached 7)" 1
lease=$(claim alice 7)
works "it is claimed" test -n "$lease"
refused "while it is leased it does not go back" AlreadyOwned call alice Reattach 7
manager Release o "$lease" > /dev/null
eventually "the lease ends" gone "$lease"
returns 7
is "on record, once" "$(events reattached 7)" 1
works "again: nothing is on VFIO" call alice Reattach 7
is "without a record" "$(events reattached 7)" 1

# ---- By what name it may be
for target in 0000:00:05.1 pci/0000:00:05.0 "$(readlink -f "$(sysfs 0000:00:05.0)")"; do
    works "$target" call alice Detach "$target"
    is "$target: the whole group" "$(now 0000:00:05.0) $(now 0000:00:05.1)" "vfio-pci vfio-pci vfio-pci vfio-pci"
    call alice Reattach "$target" > /dev/null
    is "$target: everything is as before" "$(snapshot)" "$before"
done
moves "0000:00:05.2"
is "a free device that is named is moved too" "$(now 0000:00:05.2)" "vfio-pci vfio-pci"
returns "0000:00:05.2"

# ---- Bridges
moves 8
is "a bridge stays" "$(now 0000:00:1c.0) $(now 0000:02:00.0)" "pcieport - vfio-pci vfio-pci"
returns 8
moves 14
is "one with a driver that counts is unbound and pinned" "$(now 0000:00:1e.0) $(now 0000:03:00.0)" "- dmaownd-held vfio-pci vfio-pci"
becomes "so that the group can be had" "true " reason_of alice 14
returns 14

# ---- What was on VFIO before
moves 10
is "only the other one is moved" "$(now 0000:00:06.0) $(now 0000:00:06.1)" "vfio-pci vfio-pci vfio-pci -"
returns 10
is "it stays there" "$(now 0000:00:06.1)" "vfio-pci -"

# ---- Overrides that somebody set
echo e1000e > "$(sysfs 0000:00:05.1)/driver_override"
echo no-such-driver > "$(sysfs 0000:00:05.2)/driver_override"
before=$(snapshot)
moves 7
returns 7
echo > "$(sysfs 0000:00:05.1)/driver_override"
echo > "$(sysfs 0000:00:05.2)/driver_override"
before=$(snapshot)

# ---- Other drivers
moves 12
is "a platform device" "$(now fff50000.ethernet)" "vfio-platform vfio-platform"
returns 12
moves 17
is "a variant for the device" "$(now 0000:00:0c.0)" "mlx5_vfio_pci mlx5_vfio_pci"
becomes "can be had" "true " reason_of alice 17
returns 17

# ---- Several groups
moves "7 8 9"
is "in one call" "$(driver 0000:00:05.0) $(driver 0000:02:00.0) $(driver 0000:00:08.0)" "vfio-pci vfio-pci vfio-pci"
is "on record each" "$(events detached 7) $(events detached 8) $(events detached 9)" "$(events reattached 7 | awk '{ print $1 + 1 }') $(($(events reattached 8) + 1)) 1"
works "back one by one" call alice Reattach 8
is "the others stay" "$(driver 0000:00:05.0) $(driver 0000:02:00.0) $(driver 0000:00:08.0)" "vfio-pci e1000e vfio-pci"
works "and the others" call alice Reattach "7 9"
is "everything is as before" "$(snapshot)" "$before"

# ---- Virtual functions
echo 2 > "$(sysfs 0000:00:08.0)/sriov_numvfs"
eventually "they are seen" manager FindGroup s 0000:00:18.2
refused "a function with virtual ones in use stays" DeviceInUse call alice Detach 9
is "says Explain" "$(reason_of alice 9 detach b true)" "false vfs-in-use"
echo 0 > "$(sysfs 0000:00:08.0)/sriov_numvfs"
echo 0 > "$(sysfs 0000:00:08.0)/sriov_drivers_autoprobe"
echo 2 > "$(sysfs 0000:00:08.0)/sriov_numvfs"
eventually "others are seen" manager FindGroup s 0000:00:18.2
held=$(snapshot)
works "with some that nobody has it leaves" call alice Detach 9
is "without them" "$(snapshot | grep -e 0000:00:08 -e 0000:00:18)" "0000:00:08.0 vfio-pci vfio-pci 0 0"
works "and comes back" call alice Reattach 9
is "with them" "$(snapshot)" "$held"
echo 0 > "$(sysfs 0000:00:08.0)/sriov_numvfs"
echo 1 > "$(sysfs 0000:00:08.0)/sriov_drivers_autoprobe"
is "everything is as before" "$(snapshot)" "$before"

# ---- Who may
fakectl writes clear
refused "a rule without detach" PolicyDenied call alice Detach 16
is "by its name" "$(reason_of alice 16 detach b true)" "false detach-denied"
refused "nobody's rule" PolicyDenied call bob Detach 12
refused "root's neither" PolicyDenied call root Detach 7
refused "a plan is for who may" PolicyDenied call bob PlanDetach 12
refused "no such target" NoSuchTarget call alice Detach "7 0000:ff:00.0"
refused "no target" InvalidOption call alice Detach ""
refused "an unknown option" InvalidOption call alice Detach 7 force b true
refused "a wrong type" InvalidOption call alice Detach 7 wait s 10
refused "too long" InvalidOption call alice Detach 7 wait t 3601
refused "nothing that was not detached is reattached" NoSuchTarget call alice Reattach 10
is "nothing was written" "$(fakectl writes count)" 0
works "bob may" call bob Detach 7
refused "it is his to reattach" NotHolder call alice Reattach 7
works "it can be claimed by others" test -n "$(claim alice 7)"
manager Release o "$(busctl tree --list $bus_name | grep lease/ | tail -n 1)" > /dev/null
within is_output 0 property $root Manager LeaseCount
works "or root's" call root Reattach 7
is "everything is as before" "$(snapshot)" "$before"

# ---- What the host needs
fakectl writes clear
ip link add eth1 index 42 type veth peer name peer1
ip address add 192.0.2.1/24 dev eth1
refused "an interface with an address" DeviceInUse call alice Detach 8
like "names it" "$(message_of call alice Detach 8)" "eth1.*192\\.0\\.2\\.1"
is "in Explain" "$(reason_of alice 8 detach b true)" "false address"
like "and in UsedBy" "$(property $root/device/pci_2f0000_3a02_3a00_2e0 Device UsedBy)" "eth1"
refused "with others" DeviceInUse call alice Detach "7 8 9"
ip link del eth1
becomes "no longer" "true " reason_of alice 8 detach b true
fakectl netdev 0000:02:00.0 none
refused "one that is in another network namespace" DeviceInUse call alice Detach 8
fakectl netdev 0000:02:00.0 eth1 42
refused "the boot display" DeviceInUse call alice Detach 18
if [ -e /dev/nvme0n1 ]; then
    python3 -c 'import os, sys
os.open("/dev/nvme0n1", os.O_RDONLY | os.O_EXCL)
print("open", flush=True); sys.stdin.read()' < <(sleep 60) > /run/opened &
    opener=$!
    within grep -q open /run/opened
    refused "a disk that somebody has" DeviceInUse call alice Detach 15
    kill $opener
    wait $opener || :
    becomes "no longer" "true " reason_of alice 15 detach b true
    moves 15
    returns 15
fi
is "everything is as before" "$(snapshot)" "$before"

# ---- While it takes its time
fakectl write-hang 1 '*/unbind'
in_background first call alice Detach 7
within something_hangs
is "it is told in the list" "$(as alice busctl --json=short call $bus_name $root org.dmaownd1.Manager ListGroups | jq -r '.data[0][] | select(.[0] == 7) | .[2]')" switching
refused "a second call" Busy call bob Detach 7
refused "of the same caller" Busy call alice Detach 0000:00:05.1
refused "back" Busy call alice Reattach 7
refused "a claim" Busy claim alice 7
works "another group" call bob Detach 8
works "and back" call bob Reattach 8
fakectl release
eventually "it ends" ended first
is "well" "$(cat /run/first.status) $(now 0000:00:05.0)" "0 vfio-pci vfio-pci"
returns 7

# ---- Two at once
in_background first call alice Detach 7
in_background second call bob Detach 7
eventually "both end" eval "ended first && ended second"
is "one of them has moved it" "$(now 0000:00:05.0) $(now 0000:00:05.1) $(now 0000:00:05.2)" "vfio-pci vfio-pci vfio-pci vfio-pci - dmaownd-held"
works "or has found it moved or busy" grep -qx 0 /run/first.status /run/second.status
call root Reattach 7 > /dev/null
is "everything is as before" "$(snapshot)" "$before"

# ---- A caller that vanishes
undone=$(events switch-failed 7)
fakectl write-hang 2
(exec setpriv --reuid alice --regid alice --init-groups -- busctl --timeout=60 call $bus_name $root \
    org.dmaownd1.Manager Detach 'asa{sv}' 1 7 0) &
caller=$!
within something_hangs
kill $caller
wait $caller 2> /dev/null || :
fakectl release
becomes "what nobody waits for is put back" "$before" snapshot
becomes "on record" $((undone + 1)) events switch-failed 7
becomes "and free" "true " reason_of alice 7 detach b true

# ---- Over a restart
works "detached" call alice Detach "7 14"
works "the daemon is killed" service kill
works "and starts" service start
is "what it moved is where it was" "$(now 0000:00:05.0) $(now 0000:00:05.2) $(now 0000:00:1e.0)" "vfio-pci vfio-pci - dmaownd-held - dmaownd-held"
refused "and whose" NotHolder call bob Reattach 7
works "back" call alice Reattach "7 14"
is "everything is as before" "$(snapshot)" "$before"

# ---- Without a driver that wants it
fakectl driver pci e1000e refuse=EIO only=0000:00:05.1
works "detached" call alice Detach 7
is "what does not want to come back" "$(error_of call alice Reattach 7)" SwitchFailed
like "is told" "$(grep DMAOWND_EVENT=switch-failed "$log" | tail -n 1)" "0000:00:05\\.1"
fakectl driver pci e1000e refuse=none
works "later it does" call alice Reattach 7
is "everything is as before" "$(snapshot)" "$before"
works "the daemon lives" is_running
is "no record is left behind" "$(find /run/dmaownd -name 'switch-*')" ""
finish
