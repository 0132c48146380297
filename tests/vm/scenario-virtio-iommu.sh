#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# virtio-iommu gives a device its group only when a driver first probes it.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh

target=0000:00:05.0
nic=0000:00:02.0
fresh_start <<'END'
{ "version": 1,
  "rules": [ { "name": "all", "effect": "allow", "match": { "bus": "pci" },
               "subjects": { "users": ["alice"] } } ] }
END
device=$(busctl tree --list org.dmaownd1 | grep /device/ | head -n 1)
like "devices are objects" "$device" "/org/dmaownd1/device/*"

is "a device that no driver probed has no group" "$(group_of "$target")" ""
check_not "nor does dmaownd find one" call FindGroup s "$target"
claim alice "$target"
refused "it can not be claimed" NotViable
like "the error names it" "$error_text" "*$target*"
explain alice "$target"
is "the reason is that" "$reason" no-group

check "vfio-pci takes it" bind_driver "$target" vfio-pci
group=$(group_of "$target")
check "its group forms, and is seen" wait_for 10 call FindGroup s "$target"
check "vfio-pci takes a NIC that had a driver" bind_driver "$nic" vfio-pci
alone=$(group_of "$nic")
check "it is grantable" wait_for 10 is_listed "$alone" verdict grantable alice
claim alice "$nic"
worked "and granted"
is "and opens" "$(opens_as alice "$alone")" "flags=0x1"
release alice "$lease"
claim alice "$target"
refused "the slot is refused for its sibling" KernelHeld
unbind_driver 0000:00:05.2
claim alice "$target"
worked "and granted without it"
is "and opens" "$(opens_as alice "$group")" "flags=0x1"
release alice "$lease"
finish
