#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# virtio-iommu's driver gives each platform device a group of its own, also two that are one endpoint to the
# IOMMU. First that the kernel lets two users have them, then that dmaownd does not.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-tree.sh
. /opt/test/guest-tree.sh

first=700a0000.first second=700a1000.second
load_vfio

# The kernel alone.
stop_daemon
check "both go to VFIO" drive vfio-platform "$first" "$second"
is "each has a group of its own" "$(members_of "$(group_of "$first")")$(members_of "$(group_of "$second")")" \
    "$first $second "
chmod 0666 "$(node_of "$first")" "$(node_of "$second")"
hold one vfio-open -u 1001 -h -d "$first" "$(node_of "$first")"
is "one user has the first" "${held[one]}" "flags=0x3 held"
is "and another, at the same time, the second" \
    "$(vfio-open -u 1002 -d "$second" "$(node_of "$second")")" "flags=0x3"
let_go one
chmod 0600 "$(node_of "$first")" "$(node_of "$second")"

# With dmaownd.
fresh_start < <(tree_policy)
check "both go to VFIO again" drive vfio-platform "$first" "$second"
check "the audit finds the split" wait_for 20 knows split "$first"
for device in "$first" "$second"; do
    claim alice "$device"
    refused "$device is refused" NotViable
    is "$device: for that reason" "$(stands_against "$device")" "$device split"
    is "$device: its group is not isolated" "$(isolated "$device")" false
done
show_audit
finish
