#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Devices that come and go show in the model, and end or trouble the leases on their groups.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh

port=0000:00:0c.0
fresh_start <<'END'
{ "version": 1,
  "rules": [ { "name": "all", "effect": "allow", "match": { "bus": "pci" },
               "subjects": { "users": ["alice"] } } ] }
END
watch_signals
groups_before=$(property /org/dmaownd1 Manager GroupCount)

plugged() {
    local path
    path=$(echo /sys/bus/pci/devices/$port/*:00.0)
    [ -e "$path" ] && basename "$path"
}
finds() { call FindGroup s "$1"; }
count_is() { [ "$(property /org/dmaownd1 Manager GroupCount)" = "$1" ]; }

check "a NIC is plugged" plug free0 hot0 e1000e
check "the kernel shows it" wait_for 30 plugged
hot=$(plugged)
check "dmaownd finds its group" wait_for 10 finds "$hot"
check "one group more" wait_for 10 count_is $((groups_before + 1))
group=$(group_of "$hot")
check "it got its driver" wait_for 20 is_listed "$group" verdict kernel-driver alice
check "vfio-pci takes it" bind_driver "$hot" vfio-pci
check "that is seen" wait_for 10 is_listed "$group" verdict grantable alice
claim alice "$hot"
worked "it is granted"
is "and opens" "$(opens_as alice "$group")" "flags=0x1"
check "it is pulled" unplug hot0
check "its group goes" wait_for 30 count_is "$groups_before"
check_not "it is not found any more" finds "$hot"
check "its lease ended" wait_for 10 has_journal_count ended "$group" 1
is "as device-gone" "$(journal_field ended "$group" DMAOWND_REASON)" device-gone
check "and said so" wait_for 10 has_signals LeaseEnded 1

# A device that joins an owned group.
slot=0000:00:05.0
joiner=0000:00:05.2
bind_driver "$slot" vfio-pci
unbind_driver "$joiner"
owned=$(group_of "$slot")
echo 1 > "$(device_path "$joiner")/remove"
check "a removed member leaves the model" wait_for 10 is_listed "$owned" count 2
wait_for 10 is_listed "$owned" verdict grantable alice
claim alice "$slot"
worked "the rest of the group is granted"
# In use, so that the kernel keeps the newcomer's driver out.
hold opener vfio-open -u 1001 -c -h "/dev/vfio/$owned"
echo 1 > /sys/bus/pci/rescan
check "it comes back" wait_for 10 test -e "$(device_path "$joiner")"
is "into the same group" "$(group_of "$joiner")" "$owned"
check "which is a Conflict" wait_for 10 has_signals Conflict 1
like "that names it" "$(signals Conflict | head -n 1)" "[$owned,\"$joiner\",*"
is "the kernel let no driver in" "$(driver_of "$joiner")" none
check "the model has it" wait_for 10 is_listed "$owned" count 3
let_go opener
release alice "$lease"
worked "the lease is released"
stop_signals
finish
