#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Several groups in one lease, other people's rules for the node, and devices that are taken from
# under a holder who does not let go.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh

nic=0000:00:02.0
other=0000:01:00.0
fresh_start <<'END'
{ "version": 1,
  "limits": { "leases_per_uid": 2 },
  "rules": [
    { "name": "delegated", "effect": "allow", "match": { "name": "0000:01:00.0" },
      "subjects": { "users": ["alice"] }, "delegate": ["bob"] },
    { "name": "all", "effect": "allow", "match": { "bus": "pci" },
      "subjects": { "users": ["alice", "root"] } } ] }
END
bind_driver "$nic" vfio-pci
bind_driver "$other" vfio-pci
bind_driver 0000:00:05.0 vfio-pci
group=$(group_of "$nic")
second=$(group_of "$other")
slot=$(group_of 0000:00:05.0)
wait_for 10 is_listed "$second" verdict grantable alice

# All or none.
claim alice "$nic,0000:00:05.0"
refused "of two groups one is held: neither is granted" KernelHeld
is "no access to the good one" "$(access_of alice "$group")" ""
unbind_driver 0000:00:05.2
claim alice "$nic,0000:00:05.0,0000:00:05.1"
worked "two groups, three targets: one lease"
is "for two groups" "$(property "$lease" Lease Groups)" \
    "[\"/org/dmaownd1/group/$group\",\"/org/dmaownd1/group/$slot\"]"
is "access to both" "$(opens_as alice "$group") $(opens_as alice "$slot")" "flags=0x1 flags=0x1"
is "one entry in the journal" "$(journal DMAOWND_EVENT DMAOWND_EVENT=granted | wc -l)" 1
is "that both groups find" \
    "$(journal_count granted "$group") $(journal_count granted "$slot")" "1 1"
release alice "$lease"
check "both are free" wait_for 10 is_listed "$slot" owner none

# For another, and quotas.
claim alice "$other" uid u 1002
worked "alice claims for bob, whom the rule names"
is "bob has access, alice has not" "$(opens_as bob "$second") $(opens_as alice "$second")" \
    "flags=0x1 open: EACCES"
bobs=$lease
claim alice "$nic" uid u 1002
refused "where it does not name him she may not" PolicyDenied
claim alice "$nic"
worked "a second lease of alice"
alices=$lease
claim alice 0000:00:05.0
refused "a third is over her quota" QuotaExceeded
release bob "$bobs"
release alice "$bobs"
release alice "$alices"
wait_for 10 is_listed "$group" owner none
claim root "$nic"
worked "root needs a rule and has one"
release root "$lease"

# An administrator's udev rule opens the nodes to a group.
mkdir -p /run/udev/rules.d
echo 'SUBSYSTEM=="vfio", GROUP="kvm", MODE="0660"' > /run/udev/rules.d/99-vfio.rules
udevadm control --reload
udevadm trigger --settle "/sys/class/vfio/$group"
claim alice "$nic"
refused "a node that a udev rule opens to a group is not granted" NotViable
like "the reason is said" "$error_text" "*/dev/vfio/$group*"
rm /run/udev/rules.d/99-vfio.rules
udevadm control --reload
chgrp root "/dev/vfio/$group"
chmod 0600 "/dev/vfio/$group"

# The administrator takes the device while its holder has it open: the unbind hangs.
claim alice "$nic"
worked "a lease"
hold device vfio-open -u 1001 -h -d "$nic" "/dev/vfio/$group"
like "whose holder has the device open" "${held[device]}" "flags=0x3*"
(echo "$nic" > /sys/bus/pci/drivers/vfio-pci/unbind) &
unbind=$!
check "an unbind hangs" wait_for 10 test ! -e "$(device_path "$nic")/driver"
check "the daemon answers" timeout 20 busctl call "${manager[@]}" ListGroups
claim alice "$nic"
like "nobody gets the group meanwhile" "$error_name" "@(Busy|AlreadyOwned)"
let_go device
wait "$unbind"
is "the unbind ends with the holder" "$?" 0
check "the lease has ended" wait_for 20 has_journal_count ended "$group" 4
is "as device-gone" "$(journal_field ended "$group" DMAOWND_REASON)" device-gone
check "the group is nobody's" wait_for 10 is_listed "$group" owner none
check "bound again it is grantable" bind_driver "$nic" vfio-pci
wait_for 10 is_listed "$group" verdict grantable alice
claim alice "$nic"
worked "and granted"
is "with a new node" "$(opens_as alice "$group")" "flags=0x1"

# Unbound and bound again in one go: a new node, an old lease.
echo "$nic" > /sys/bus/pci/drivers/vfio-pci/unbind
echo "$nic" > /sys/bus/pci/drivers/vfio-pci/bind
check "a node that was made anew ends the lease" wait_for 10 has_journal_count ended "$group" 5
is "access is not inherited" "$(opens_as alice "$group")" "open: EACCES"
finish
