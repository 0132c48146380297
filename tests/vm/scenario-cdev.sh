#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# VFIO's device nodes and iommufd, in both modes. For the kernel that has them.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh

edu=0000:00:05.0
nic=0000:00:02.0
fresh_start <<'END'
{ "version": 1,
  "rules": [ { "name": "all", "effect": "allow", "match": { "bus": "pci" },
               "reattach_unreset": true,
               "subjects": { "users": ["alice", "bob"] } } ] }
END
bind_driver "$edu" vfio-pci
bind_driver "$nic" vfio-pci
unbind_driver 0000:00:05.2
group=$(group_of "$edu")
second=$(group_of "$nic")
cdev_of() { echo "/dev/vfio/devices/$(ls "$(device_path "$1")/vfio-dev")"; }
# acl USER NODE: what the user's entry is worth
acl() {
    getfacl -p --all-effective "$2" 2> /dev/null | sed -n "s/^user:$1:.*#effective:\(.*\)/\1/p"
}
has_acl() { [ "$(acl "$1" "$2")" = "$3" ]; }
# ends WHAT REASON: the group's next lease has ended, for this reason, and it can be granted again.
count=0
ends() {
    count=$((count + 1))
    check "$1 ($2)" wait_for 30 has_ended "$group" "$count" "$2"
}
node=$(cdev_of "$edu")
check "the device has a node of its own" test -c "$node"
wait_for 10 is_listed "$group" verdict grantable alice

# Path: entries on the device's node and on /dev/iommu, which all leases share.
claim alice "$edu" interface s cdev
worked "a lease of the device's node"
first=$lease
is "by path" "$(property "$first" Lease Mode) $(property "$first" Lease Interface)" '"path" "cdev"'
is "access to device and iommu, not to the group" \
    "$(acl alice "$node") $(acl alice /dev/iommu) $(opens_as alice "$group")" \
    "rw- rw- open: EACCES"
claim alice "$nic" interface s cdev
worked "a second"
second_lease=$lease
claim bob "$edu" interface s cdev
refused "not to another" AlreadyOwned
claim bob "$edu" interface s cdev container b true mode s fd
refused "a container is for the group's interface" InvalidOption
hold dma as_user alice edu-dma -D "$node" -s
check "alice does DMA through iommufd" dma_done dma
is "the group can not be opened meanwhile" "$(vfio-open "/dev/vfio/$group")" "open: EBUSY"
is "nor may a host driver come in" "$(bind_error 0000:00:05.2 e1000)" "Device or resource busy"
check "the daemon has nothing of it open" keeps_nothing_of_vfio
check "it dies and comes back" kill_daemon
is "with the lease" "$(property "$first" Lease State)" '"active"'
chmod 0600 "$node"
check "a chmod of the node" wait_for 10 has_journal_count conflict "$group" 1
check "is repaired" wait_for 10 has_acl alice "$node" rw-

# Its end: bound anew, once nobody has the node open.
release alice "$first"
worked "release answers at once"
is "the lease drains" "$(property "$first" Lease State)" '"draining"'
is "access to the device is gone, iommu is still the other lease's" \
    "$(acl alice "$node") $(acl alice /dev/iommu)" " rw-"
opener="*process ${held_pid[dma]} (*/edu-dma, unit vmtest.service)*"
check "who has the node open is named" wait_for 20 has_like "$first" Lease Openers "$opener"
claim bob "$edu" interface s cdev
refused "meanwhile it is busy" Busy
is "no LeaseEnded yet" "$(journal_count ended "$group")" 0
let_go dma
ends "when it is closed, the lease has ended" released
is "and the device is with its driver" "$(driver_of "$edu")" vfio-pci
check "the group is free" wait_for 10 is_listed "$group" verdict grantable bob
release alice "$second_lease"
check "with the last lease the entry on iommu goes" wait_for 10 has_acl alice /dev/iommu ""
wait_for 20 is_listed "$second" verdict grantable alice

# An unbound fd that is kept. One in the queue of a socket is in no table of fds: only the unbind
# finds it, and hangs in the kernel until it is closed.
node=$(cdev_of "$edu")
claim bob "$edu" interface s cdev
worked "bob's lease"
bobs=$lease
hold hidden as_user bob edu-dma -D "$node" -q -w -a
release bob "$bobs"
check "nobody seems to have it open: the driver is unbound" \
    wait_for 20 test ! -e "$(device_path "$edu")/driver"
claim alice "$edu" interface s cdev
refused "until it has come back nobody gets it" Busy
check "the daemon answers" timeout 20 busctl call "${manager[@]}" ListGroups
check "it dies in the middle and comes back" kill_daemon
is "still waiting" "$(property "$bobs" Lease State) $(journal_count ended "$group")" '"draining" 1'
let_go hidden
ends "the hidden fd is closed: it has ended" released
is "with the driver back" "$(driver_of "$edu")" vfio-pci

# Mode fd.
claim alice "$edu" interface s cdev lifetime s persistent mode s fd
worked "alice gets fds"
like "of the device" "$answer" "*device:$edu*"
like "of iommufd" "$answer" "*iommufd*"
release alice "$lease"
ends "that is over" released
hold dma as_user alice edu-dma -c "$edu" -o interface=cdev -s
check "alice does DMA with what she got" dma_done dma
is "which was" "$(grep given /tmp/hold.dma | sort | tr '\n' ' ')" \
    "given: device:$edu given: iommufd "
check "the daemon keeps nothing of it" keeps_nothing_of_vfio
is "there is no access to any node" \
    "$(acl alice "$(cdev_of "$edu")")$(acl alice /dev/iommu) $(opens_as alice "$group")" \
    " open: EACCES"
claim bob "$edu"
refused "bob is told that it is taken" AlreadyOwned
let_go dma
ends "the connection's end ends it" disconnected
is "the driver is back" "$(driver_of "$edu")" vfio-pci

# By name, as a command gets them.
wait_for 20 is_listed "$group" verdict grantable bob
hold dma as_user bob dmaownctl run --mode fd --interface cdev "$edu" -- edu-dma -s
check "a command of dmaownctl run does DMA" dma_done dma
is "with the names of the contract" "$(grep given /tmp/hold.dma | sort | tr '\n' ' ')" \
    "given: device-${edu//:/_} given: iommufd given: lease "
let_go dma
ends "until it ends" fd-closed

# By way of the group, as on any kernel.
wait_for 20 is_listed "$group" verdict grantable bob
hold dma as_user bob edu-dma -c "$edu" -s
check "the group's interface works as before" dma_done dma
like "it is the default" "$(grep given /tmp/hold.dma)" "given: group:$group"
let_go dma
ends "it has ended" disconnected
finish
