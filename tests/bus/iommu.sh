#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# /dev/iommu is shared by all who hold cdevs: what somebody changes about it under a live lease is mended, and
# what is not the lease's stays.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
# A short watchdog is a short tick: nothing tells of a change of this node, so it is looked at then.
DMAOWND_WRAPPER="env WATCHDOG_USEC=1000000 ${DMAOWND_WRAPPER:-}"
fakectl kernel 6.12-cdev
start
cdev() { echo "/dev/vfio/devices/$(basename "$(ls -d "$(sysfs "$1")"/vfio-dev/vfio*)")"; }
cdev_claim() { claim "$@" interface s cdev; }
opens() { as "$1" "$FAKEKERNEL/fakectl" hold /dev/iommu < /dev/null; }
entries() { getfacl --omit-header --absolute-names --numeric /dev/iommu 2> /dev/null | grep -E '^user:[0-9]+:' || :; }
conflicts() { times "DMAOWND_EVENT=conflict .*DMAOWND_GROUP=9 .*DMAOWND_LEASE=${lease##*/} .*" "$log"; }

# ---- Under a live lease
lease=$(cdev_claim alice 9)
works "the holder has access" opens alice
chmod 0600 /dev/iommu
eventually "a mask that was reset comes back" opens alice
becomes "and is a conflict on record" 1 conflicts
like "which says what was changed" "$(grep -E "/dev/iommu was changed" "$log")" "uid 1001 .*restored"
setfacl -b /dev/iommu
eventually "an entry that was taken comes back" opens alice
becomes "and is on record" 2 conflicts
fails "others have no access" opens bob
setfacl -m u:1002:rw,m:rw /dev/iommu
works "an administrator may give it to somebody else" opens bob
works "beside the holder" opens alice
setfacl -x u:1001 /dev/iommu
eventually "who gets it back" opens alice
is "together with the other one" "$(entries | paste -sd' ')" "user:1001:rw- user:1002:rw-"
service kill > /dev/null
setfacl -b /dev/iommu
works "a restart" service start
works "gives it again" opens alice

# ---- While the lease drains
hold alice "$FAKEKERNEL/fakectl" hold "$(cdev 0000:00:08.0)"
manager Release o "$lease" > /dev/null
is "the lease drains" "$(lease "$lease" State)" draining
is "its access is gone" "$(entries)" ""
setfacl -m u:1001:rw,m:rw /dev/iommu
before=$(stat -c %.9Z /dev/iommu)
looks() { lease "$lease" Openers | jq -e 'length > 0'; }
refused "asked again for its end, it drains on" Busy busctl call $bus_name $root org.dmaownd1.Manager Revoke 'oa{sv}' "$lease" 0
eventually "it has looked who has it open" looks
is "what an administrator gives meanwhile stays" "$(entries)" "user:1001:rw-"
release_hold
eventually "the lease ends" gone "$lease"
is "nor does the end take it" "$(entries)" "user:1001:rw-"
is "or touch it" "$(stat -c %.9Z /dev/iommu)" "$before"
works "the daemon lives" is_running
finish
