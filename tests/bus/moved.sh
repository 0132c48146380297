#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Devices that leave, come back or move under a lease, and go to another one meanwhile: a lease acts on what
# is its own, and on nothing that once was.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
fakectl kernel 6.12-cdev
start
watch_signals
# both_of ALICE'S INTERFACE: a lease of groups 8 and 9, with 8 open; then the device of 9 goes and comes back.
both_of() {
    lease=$(as alice busctl --json=short call $bus_name $root org.dmaownd1.Manager Claim 'asa{sv}' 2 9 8 \
        2 lifetime s persistent interface s "$1" | jq -r '.data[0]')
    local node=/dev/vfio/8
    [ "$1" = group ] || node=$(cdev 0000:02:00.0)
    hold alice "$FAKEKERNEL/fakectl" hold "$node"
    fakectl remove 0000:00:08.0
    becomes "a lease of two groups that lost one drains" draining lease "$lease" State
    come_back
}
come_back() {
    fakectl device pci 0000:00:08.0 vendor=0x8086 product=0x1521 class=0x020000 native=igb driver=vfio-pci group=9
    becomes "what comes back under its number is nobody's" "none true " eval 'echo "$(group 9 Owner) $(verdict bob 9)"'
}
cdev() { echo "/dev/vfio/devices/$(basename "$(ls -d "$(sysfs "$1")"/vfio-dev/vfio*)")"; }
cdev_claim() { claim "$@" interface s cdev; }
# opens USER NODE
opens() { as "$1" "$FAKEKERNEL/fakectl" hold "$2" < /dev/null; }
acl() { getfacl --omit-header --absolute-names --numeric "$1" 2> /dev/null | paste -sd' ' | tr -s ' '; }
closed_acl="user::rw- group::--- other::--- "
driver_of() { basename "$(readlink "$(sysfs "$1")/driver")"; }
# bobs_is_untouched WHEN: his lease of group 9, and its node.
bobs_is_untouched() {
    is "$1, bob's lease is what it was" "$(lease "$bobs" State 2>&1) $(group 9 Owner) $(group 9 Lease)" "active user $bobs"
    works "$1, so is his access" can_open bob 9
}
free() { manager Release o "$1" > /dev/null || :; }
restart() {
    works "the daemon is killed" service kill
    works "and starts again" service start
}
revoke() { busctl --timeout=60 call $bus_name $root org.dmaownd1.Manager Revoke 'oa{sv}' "$@"; }

# ---- A group that a draining lease had lost: bob's by now, and the daemon starts again
both_of group
bobs=$(claim bob 9) || :
refused "it is Busy" Busy revoke "$lease" 0 # which writes its state again: it comes first then
restart
bobs_is_untouched "after a restart"
is "the lease that lost it drains" "$(lease "$lease" State)" draining
release_hold
eventually "and ends" gone "$lease"
bobs_is_untouched "at its end"
free "$bobs"
becomes "then the group is nobody's" none group 9 Owner
is "and its node nobody's either" "$(acl /dev/vfio/9)" "$closed_acl"

# ---- The same with the group granted between two restarts
both_of group
restart
is "a group that was lost is not found again" "$(group 9 Owner) $(group 9 Lease)" "none /"
bobs=$(claim bob 9) || :
restart
bobs_is_untouched "after another restart"
release_hold
eventually "the other lease ends" gone "$lease"
bobs_is_untouched "at its end"
works "the daemon can be asked about it" manager ListGroups
free "$bobs"
becomes "then the group is nobody's" none group 9 Owner
is "and its node nobody's either" "$(acl /dev/vfio/9)" "$closed_acl"

# ---- A group that goes while the lease drains already
lease=$(as alice busctl --json=short call $bus_name $root org.dmaownd1.Manager Claim 'asa{sv}' 2 9 8 \
    1 lifetime s persistent | jq -r '.data[0]')
hold alice "$FAKEKERNEL/fakectl" hold /dev/vfio/8
manager Release o "$lease" > /dev/null
fakectl remove 0000:00:08.0
within eval '! group 9 Owner'
come_back
restart
is "one that goes during the draining is not found again either" "$(group 9 Owner) $(group 9 Lease)" "none /"
release_hold
eventually "the lease ends" gone "$lease"

# ---- Unbinding: of what is the lease's own
both_of group
bobs=$(claim bob 9) || :
works "a revocation with unbind ends the lease" revoke "$lease" 1 unbind b true
is "its own device has no driver" "$(driver_of 0000:02:00.0)" ""
is "bob's has" "$(driver_of 0000:00:08.0)" vfio-pci
bobs_is_untouched "after the revocation"
release_hold
free "$bobs"
fakectl bind 0000:02:00.0 vfio-pci
becomes "all can be had again" "true true " eval 'echo "$(verdict alice 8)$(verdict alice 9)"'

# ---- The end of a lease of cdevs
both_of cdev
bobs=$(cdev_claim bob 9) || :
his=$(cdev 0000:00:08.0)
before=$(stat -c %i "$his")
own=$(stat -c %i "$(cdev 0000:02:00.0)")
release_hold
eventually "a lease of cdevs ends" gone "$lease"
unlike "its own device was bound anew" "$(stat -c %i "$(cdev 0000:02:00.0)")" "^$own\$"
is "bob's was not" "$(stat -c %i "$(cdev 0000:00:08.0)")" "$before"
works "and is his" opens bob "$his"
is "as his lease is" "$(lease "$bobs" State)" active
free "$bobs"
becomes "until it ends" none group 9 Owner

# ---- A member that moves to another group, which is bob's then
fakectl unbind 0000:00:05.1
fakectl bind 0000:00:05.1 vfio-pci
within is_output "true " verdict alice 7
begin one alice claim 7 mode=fd interface=cdev key=job lifetime=persistent
lease=$(lease_of "$said")
is "a lease of two devices" "$said" "$lease device:0000:00:05.0 device:0000:00:05.1 iommufd"
say one close all
fakectl regroup 0000:00:05.1 20
fakectl event change 0000:00:05.1
becomes "one of them moves" none group 20 Owner
bobs=$(cdev_claim bob 20) || :
his=$(cdev 0000:00:05.1)
before=$(stat -c %i "$his")
say one again
is "a repeated claim has the other one alone" "$said" "$lease device:0000:00:05.0 iommufd"
end one
manager Release o "$lease" > /dev/null
eventually "the lease ends" gone "$lease"
is "bob's device was not bound anew" "$(stat -c %i "$(cdev 0000:00:05.1)")" "$before"
works "and is his" opens bob "$his"
lease=$(cdev_claim alice 7)
works "a revocation with unbind" revoke "$lease" 1 unbind b true
is "leaves it alone too" "$(driver_of 0000:00:05.0) $(driver_of 0000:00:05.1)" " vfio-pci"
works "with his access" opens bob "$his"
is "and his lease" "$(lease "$bobs" State)" active
free "$bobs"
becomes "until it ends" none group 20 Owner

# ---- The name of a cdev that another device gets, while the daemon has not heard of it
lease=$(cdev_claim alice 9)
his=$(cdev 0000:00:08.0)
pid=$(daemon_pid)
kill -STOP "$pid"
fakectl burst 400 0000:00:1c.0
fakectl unbind 0000:00:08.0
fakectl unbind 0000:00:07.1
fakectl bind 0000:00:07.1 vfio-pci
is "another device has the name" "$(cdev 0000:00:07.1)" "$his"
touched=$(stat -c %.9Z "$his")
kill -CONT "$pid"
eventually "the lease ends" gone "$lease"
becomes "the other device is known by that name" "${his##*/}" property $root/device/pci_2f0000_3a00_3a07_2e1 Device VfioDevice
is "nobody has access to it" "$(acl "$his")" "$closed_acl"
is "and nobody had, not for a moment" "$(stat -c %.9Z "$his")" "$touched"
works "the daemon lives" is_running
finish
