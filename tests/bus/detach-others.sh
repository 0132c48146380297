#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is switched for one caller is nobody else's before that caller has been answered, also when udev
# is late with a node, when its device goes, when its caller goes, and when the daemon goes.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/switch.scenario
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
. "$(dirname "$0")/switch.sh"
policy "$switch_policy"
start
before=$(snapshot)
restored() {
    eventually "$1: everything is as before" is_output "$before" snapshot
    within not_switching 7 9 || :
    becomes "$1: no record is left" 0 records
}
# From here on udev has finished with a node when it is told so.
nodes=(/run/udev/data/*)
udev_is_late() { rm -f /run/udev/data/*; }
udev_has() { touch "/run/udev/data/c$(cat "/sys/class/vfio/$1/dev")"; }
udev_is_quick() { touch "${nodes[@]}"; }
# Both groups are on VFIO, and udev is waited for.
waits_for_udev() { grep -qs '"state":"detached".*"pending":true\|"pending":true.*"state":"detached"' /run/dmaownd/switch-*; }
leases() { property $root Manager LeaseCount; }
on_vfio="vfio-pci vfio-pci"

# ---- Two groups, and udev is late with one of them
udev_is_late
in_background first call alice Claim "7 9" lifetime s persistent detach b true
eventually "udev is waited for" waits_for_udev
udev_has 7
is "the other group is nobody else's" "$(reason_of bob 7)" "false switching"
refused "not for a claim" Busy claim bob 7
refused "not of the same user" Busy claim alice 7
refused "nor can it go back" Busy call root Reattach 7
is "it stays where it is" "$(now 0000:00:05.0) $(now 0000:00:08.0)" "$on_vfio $on_vfio"
eventually "the claim is refused at last" ended first
is "with an error" "$(cat /run/first.status)" 1
restored "what was moved for it goes back"
is "and there is no lease" "$(leases)" 0

# ---- udev is slower than the switch, and not too slow
udev_is_late
in_background first call alice Claim 7 lifetime s persistent detach b true reattach b true
eventually "udev is waited for" waits_for_udev
udev_has 7
eventually "it is granted then" ended first
is "well" "$(cat /run/first.status) $(leases)" "0 1"
fails "nothing is pending any more" waits_for_udev
manager Release o "$(jq -r '.data[0]' /run/first.said)" > /dev/null
restored "released"

# ---- The daemon is killed while the claim is not answered
udev_is_late
in_background first call alice Claim 9 lifetime s persistent detach b true reattach b true
eventually "udev is waited for" waits_for_udev
works "the daemon is killed" service kill
udev_is_quick
eventually "the caller has heard" ended first
works "and starts" service start
restored "a claim that was not answered is undone"
is "and there is no lease" "$(leases)" 0

# ---- The daemon is killed while a lease that goes back with its end drains
lease=$(claim alice 9 detach b true reattach b true)
hold alice "$FAKEKERNEL/fakectl" hold /dev/vfio/9
manager Release o "$lease" > /dev/null
is "it drains" "$(lease "$lease" State)" draining
works "the daemon is killed" service kill
release_hold
fakectl writes clear
works "and starts" service start
restored "a lease that ended meanwhile"
is "each step was done once" "$(writes_made | sort | uniq -d)" ""
is "it was reset, and its driver was asked" "$(writes_made | awk '{ print $2 }' | paste -sd" ")" \
    "reset sriov_drivers_autoprobe unbind:vfio-pci driver_override drivers_probe"

# ---- What another user detached
works "detached" call alice Detach 7
lease=$(claim bob 7 reattach b true)
manager Release o "$lease" > /dev/null
eventually "the lease ends" gone "$lease"
within not_switching 7
is "what was not his to reattach stays" "$(now 0000:00:05.0)" "$on_vfio"
refused "that he may not do himself" NotHolder call bob Reattach 7
works "who detached it may" call alice Reattach 7
restored "another user's"

# ---- A member is unplugged while its sibling hangs
fakectl write-hang 2 '*/e1000e/unbind'
in_background first call alice Detach 7 wait t 30
within something_hangs
moved_already() { fakectl drivers | awk '$1 ~ /00:05\.[01]$/ && $2 == "vfio-pci" { print $1 }' | grep .; }
eventually "one of them is done" moved_already
unplugged=$(moved_already)
fakectl remove "$unplugged"
unseen() { ! manager FindGroup s "$unplugged"; }
eventually "it is unplugged" unseen
fakectl device pci "$unplugged" vendor=0x10ec product=0x8168 class=0x020000 native=e1000e group=7 driver=none
fakectl release
eventually "the other one goes on" ended first
is "well" "$(cat /run/first.status)" 0
on_record() { jq -es --arg name "$1" 'any(.[].members[]; (.path | endswith($name)) and .move == "target")' /run/dmaownd/switch-*; }
fails "what is gone is on no record" on_record "$unplugged"
eventually "what comes to its place is pinned as what it is" is_output "- dmaownd-held" now "$unplugged"
fakectl remove "$unplugged"
call alice Reattach 7 > /dev/null
fakectl device pci "$unplugged" vendor=0x8086 product=0x10d3 class=0x020000 subsystem_vendor=0x8086 native=e1000e group=7
within manager FindGroup s "$unplugged"
restored "a member that was unplugged"

# ---- Who asked for a reset that hangs is gone before it ends
lease=$(claim alice 9 detach b true)
hold alice "$FAKEKERNEL/fakectl" hold /dev/vfio/9 0000:00:08.0
release_hold
manager Release o "$lease" > /dev/null
within gone "$lease"
fakectl write-hang 1 '*/reset'
(exec setpriv --reuid bob --regid bob --init-groups -- busctl --timeout=60 call $bus_name $root \
    org.dmaownd1.Manager Claim 'asa{sv}' 1 9 1 lifetime s persistent) > /dev/null 2>&1 &
caller=$!
eventually "a reset hangs" something_hangs
kill $caller
wait $caller 2> /dev/null || :
is "it can not be had meanwhile" "$(reason_of alice 9)" "false switching"
refused "also not by who needs none" Busy claim alice 9
fakectl release
becomes "when it has ended it can" "true " reason_of bob 9
fakectl writes clear
lease=$(claim bob 9)
like "also by the other one" "$lease" /lease/
is "without another reset" "$(fakectl writes | grep -c reset)" 0
manager Release o "$lease" > /dev/null
within gone "$lease"
call alice Reattach 9 > /dev/null
restored "a reset that hung"
works "the daemon lives" is_running
finish
