#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Interface cdev, in both modes, and how its leases drain.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
fakectl kernel 6.12-cdev
fakectl unbind 0000:00:06.0
fakectl bind 0000:00:06.0 vfio-pci
start
watch_signals
ended() { signalled "^LeaseEnded $root $1 .* $2\$"; }
# cdev DEVICE: its node.
cdev() { echo "/dev/vfio/devices/$(basename "$(ls -d "$(sysfs "$1")"/vfio-dev/vfio*)")"; }
acl() { getfacl --omit-header --absolute-names --numeric "$1" 2> /dev/null | paste -sd' ' | tr -s ' '; }
held_acl="user::rw- user:1001:rw- group::--- mask::rw- other::--- "
closed_acl="user::rw- group::--- other::--- "
# opens USER NODE
opens() { as "$1" "$FAKEKERNEL/fakectl" hold "$2" < /dev/null; }
cdev_claim() {
    local user=$1
    shift
    as "$user" busctl --json=short call $bus_name $root org.dmaownd1.Manager Claim 'asa{sv}' $# "$@" 2 lifetime s persistent \
        interface s cdev | jq -r '.data[0]'
}
vfio_files() {
    find "/proc/$(daemon_pid)/fd" \( -lname '/dev/vfio/*' -o -lname '/dev/iommu*' -o -lname '/run/fakekernel/files/*' \) | wc -l
}

# ---- Path
is "where there are both the default is the group" "$(lease "$(claim alice 9)" Interface)" group
manager Release o "$(group 9 Lease)" > /dev/null
within owner_is 9 none
nine=$(cdev_claim alice 9)
is "its terms" "$(for p in Mode Interface Lifetime State; do lease "$nine" $p; done | paste -sd' ')" "path cdev persistent active"
d=$(cdev 0000:00:08.0)
is "access to the cdev" "$(acl "$d")" "$held_acl"
works "which opens" opens alice "$d"
fails "for nobody else" opens bob "$d"
works "the iommufd opens too" opens alice /dev/iommu
fails "for nobody else" opens bob /dev/iommu
fails "the group does not" can_open alice 9
is "VfioDevice" "$(property $root/device/pci_2f0000_3a00_3a08_2e0 Device VfioDevice)" "$(basename "$d")"
hold alice "$FAKEKERNEL/fakectl" hold "$d" bind
is "the claim of the kernel" "$held" held
becomes "it is no stranger" 0 times "DMAOWND_EVENT=(foreign|conflict)" "$log"
release_hold
refused "nobody else gets it" AlreadyOwned cdev_claim bob 9
refused "nor the group" AlreadyOwned claim bob 9
ten=$(cdev_claim alice 0000:00:06.1)
is "every member of a group" "$(acl "$(cdev 0000:00:06.0)")$(acl "$(cdev 0000:00:06.1)")" "$held_acl$held_acl"
works "Release" manager Release o "$ten"
fails "access has gone" opens alice "$(cdev 0000:00:06.0)"
works "the iommufd is alice's while she has another lease" opens alice /dev/iommu
eventually "it ends" ended "$ten" released
works "Release" manager Release o "$nine"
fails "and not longer" opens alice /dev/iommu
eventually "it ends" ended "$nine" released
is "nothing is left" "$(acl "$(cdev 0000:00:08.0)")$(acl "$(cdev 0000:00:06.0)")" "$closed_acl$closed_acl"
like "nor on the iommufd" "$(acl /dev/iommu)" "^user::rw- group::(rw|--)- other::--- \$"

# ---- Two holders
nine=$(cdev_claim alice 9)
eleven=$(cdev_claim bob 11)
works "each has the iommufd" opens alice /dev/iommu
works "each has the iommufd" opens bob /dev/iommu
fails "and its own device" opens bob "$(cdev 0000:00:08.0)"
works "and its own device" opens bob "$(cdev 0000:00:07.1)"
manager Release o "$nine" > /dev/null
fails "one end" opens alice /dev/iommu
works "is not the other's" opens bob /dev/iommu
manager Release o "$eleven" > /dev/null
eventually "both end" ended "$eleven" released
eventually "both end" ended "$nine" released

# ---- The node is touched
nine=$(cdev_claim alice 9)
d=$(cdev 0000:00:08.0)
chmod 0600 "$d"
eventually "a mask that was reset comes back" opens alice "$d"
chmod 0666 "$d"
becomes "too much of it goes" 660 stat -c %a "$d"
service kill > /dev/null
setfacl -b "$d" /dev/iommu
works "a restart" service start
is "the lease is back" "$(lease "$nine" State) $(lease "$nine" Interface)" "active cdev"
eventually "with its access" opens alice "$d"
works "and the iommufd" opens alice /dev/iommu

# ---- Draining: an open cdev that is bound to nothing would let its holder in again
hold alice "$FAKEKERNEL/fakectl" hold "$d"
inode=$(stat -c %i "$d")
manager Release o "$nine" > /dev/null
becomes "drains" draining lease "$nine" State
is "without access" "$(acl "$d")" "$closed_acl"
refused "meanwhile" Busy claim bob 9
becomes "the opener is named" 1 eval "lease '$nine' Openers | jq -r '.[]' | grep -cE '^process [0-9]+ .*fakectl'"
works "its driver stays" test -e "$(sysfs 0000:00:08.0)/driver"
is "not ended" "$(times "LeaseEnded .*$nine " "$signals")" 0
release_hold
eventually "until it is closed" ended "$nine" released
unlike "then the driver was bound anew" "$(stat -c %i "$(cdev 0000:00:08.0)")" "^$inode\$"
works "and can be granted" claim bob 9
manager Release o "$(group 9 Lease)" > /dev/null
within owner_is 9 none
nine=$(cdev_claim alice 9)
d=$(cdev 0000:00:08.0)
hold alice "$FAKEKERNEL/fakectl" hold "$d"
manager Release o "$nine" > /dev/null
service kill > /dev/null
works "a restart while it drains" service start
is "it drains on" "$(lease "$nine" State)" draining
release_hold
eventually "and ends" gone "$nine"
works "with its driver" test -e "$(sysfs 0000:00:08.0)/driver"

# ---- fds
begin one alice claim 10 mode=fd interface=cdev
lease=$(lease_of "$said")
is "one fd a device, and the iommufd" "$said" "$lease device:0000:00:06.0 device:0000:00:06.1 iommufd"
is "its terms" "$(for p in Mode Interface Lifetime State; do lease "$lease" $p; done | paste -sd' ')" "fd cdev connection active"
is "no access to a node" "$(acl "$(cdev 0000:00:06.0)")" "$closed_acl"
fails "nor to the iommufd" opens alice /dev/iommu
becomes "the daemon keeps nothing" 0 vfio_files
works "they are unbound: the group opens" fakectl status /dev/vfio/10
say one bind device:0000:00:06.0
is "the holder binds one" "$said" ok
say one bind device:0000:00:06.1
is "and the other, to the same" "$said" ok
like "then the group does not open" "$(fakectl status /dev/vfio/10 2>&1)" "busy"
is "nor does a kernel driver bind" "$(fakectl bind 0000:00:06.0 e1000e 2>&1 | grep -c busy)" 1
say one leave
becomes "it drains" draining lease "$lease" State
becomes "and says for whom" 1 eval "lease '$lease' Openers | jq -r '.[]' | grep -cE '^process ${process[one]} '"
say one close device:0000:00:06.0
is "nothing is pulled" "$(lease "$lease" State)" draining
say one close all
eventually "until all are closed" ended "$lease" disconnected
end one
works "all have their drivers" test -e "$(sysfs 0000:00:06.0)/driver" -a -e "$(sysfs 0000:00:06.1)/driver"
begin one alice claim 9 mode=fd interface=cdev lifetime=fd key=job
lease=$(lease_of "$said")
is "with a lease fd" "$said" "$lease device:0000:00:08.0 iommufd lease"
say one close device:0000:00:08.0
say one again
is "a retried call" "$said" "$lease device:0000:00:08.0 iommufd lease"
say one bind device:0000:00:08.0
is "which bind" "$said" ok
end one
eventually "ends" ended "$lease" fd-closed
begin one alice claim 9 mode=fd interface=cdev container=b:true
like "no container" "$said" "^org.dmaownd1.Error.InvalidOption: "
end one

# ---- Others
hold root "$FAKEKERNEL/fakectl" hold "$(cdev 0000:00:08.0)" bind
refused "a cdev that somebody else has bound: the group" ForeignOwner claim alice 9
refused "a cdev that somebody else has bound" ForeignOwner cdev_claim alice 9
release_hold
eventually "until it is closed" cdev_claim alice 9
manager Release o "$(group 9 Lease)" > /dev/null
within owner_is 9 none
hold root "$FAKEKERNEL/fakectl" hold /dev/vfio/9
refused "a group that somebody else has open" ForeignOwner cdev_claim alice 9
release_hold
eventually "until it is closed" cdev_claim alice 9
nine=$(group 9 Lease)
fakectl unbind 0000:00:08.0
eventually "a device that goes ends the lease" ended "$nine" device-gone
fails "and the iommufd goes with it" opens alice /dev/iommu
fakectl bind 0000:00:08.0 vfio-pci
is "what comes in its place is nobody's" "$(acl "$(cdev 0000:00:08.0)")" "$closed_acl"
chmod 0666 "$(cdev 0000:00:08.0)"
refused "a cdev that is open to all" NotViable cdev_claim alice 9
chmod 0600 "$(cdev 0000:00:08.0)"
refused "beside a kernel driver" NotViable cdev_claim alice 0000:00:09.0

# ---- Revoke
within is_output "true " verdict alice 9 || :
nine=$(cdev_claim alice 9)
d=$(cdev 0000:00:08.0)
hold alice "$FAKEKERNEL/fakectl" hold "$d"
is "an unbound cdev is held" "$held" held
refused "is Busy" Busy busctl call $bus_name $root org.dmaownd1.Manager Revoke 'oa{sv}' "$nine" 0
{ busctl --timeout=60 call $bus_name $root org.dmaownd1.Manager Revoke 'oa{sv}' "$nine" 1 unbind b true > /run/revoked 2>&1; } 8>&- &
eventually "the kernel asks for it" test ! -e "$d"
release_hold
eventually "it ends" ended "$nine" revoked
wait $! && pass "and the call answers"
becomes "it has no driver" "" eval "readlink '$(sysfs 0000:00:08.0)/driver' || :"
fakectl bind 0000:00:08.0 vfio-pci

# ---- State that was lost
within is_output "true " verdict alice 9 || :
nine=$(cdev_claim alice 9)
service kill > /dev/null
echo garbage > "$(find /run/dmaownd -name '*.json' -size +0)"
works "state that was lost: start" service start
fails "access to the cdev is taken back" opens alice "$(cdev 0000:00:08.0)"
fails "and to the iommufd" opens alice /dev/iommu
works "its end is on record" grep -qE "DMAOWND_EVENT=ended DMAOWND_GROUP=9 .*DMAOWND_REASON=not-recovered" "$log"
works "the daemon lives" is_running
finish
