#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# SMMUv3's driver has no group for a device whose stream another one has already, and lets its host driver
# run all the same: on the stream of a group that a user may have. First that the kernel lets it happen,
# then that dmaownd does not; with two platform devices, and with a PCI function and a platform device.
# Then what else this machine has: devices that VFIO cannot reset, and one without an IOMMU.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-tree.sh
. /opt/test/guest-tree.sh

first=700a1000.first second=700a2000.second shadow=700a3000.shadow
load_vfio
load_host_driver

# The kernel alone.
stop_daemon
check "the first goes to VFIO" drive vfio-platform "$first"
check "the second gets its host driver" drive plain_master "$second"
is "which runs without a group" "$(driver_of "$second") $(group_of "$second")" "plain_master "
is "and the first's group opens, its device, too" "$(uses "$first")" "flags=0x3"
check "a PCI function goes to VFIO" drive vfio-pci "$shadowed"
check "a platform device on its stream gets its host driver" drive plain_master "$shadow"
is "which runs without a group, too" "$(driver_of "$shadow") $(group_of "$shadow")" "plain_master "
is "and the function's group opens" "$(vfio-open -c "$(node_of "$shadowed")")" "flags=0x3"

# With dmaownd.
fresh_start < <(tree_policy)
check "they are bound as before" drive vfio-platform "$first"
check "both pairs" drive vfio-pci "$shadowed"
drive plain_master "$second" "$shadow"
check "dmaownd sees the second" wait_for 20 knows half "$second"
like "AuditDeviceTree says how bad it is" "$(found half "$second")" "half critical *$first*[$(group_of "$first")]*"
claim alice "$first"
refused "the first's group is refused" NotViable
like "naming the other" "$error_text" "*$second*plain_master*"
is "for that reason" "$(stands_against "$first")" "$first half"
is "the group is not isolated" "$(isolated "$first")" false
check "the function's pair is found, too" found half "$shadow"
claim alice "$shadowed"
refused "and the function's group refused" NotViable
like "naming the platform device" "$error_text" "*$shadow*plain_master*"
claim alice "$second"
refused "the one without a group cannot be claimed" NotViable
as_user alice dmaownctl audit-dt > /tmp/audit-dt
is "dmaownctl audit-dt ends as on findings" "$?" 1
check "and shows them" grep -q half /tmp/audit-dt

# Without its driver, the second is only what is to come.
unbind_driver "$second"
check "without the other's driver it is grantable" \
    wait_for 20 is_listed "$(group_of "$first")" verdict grantable alice
claim alice "$first"
worked "and granted"
is "and opens" "$(opens_as alice "$(group_of "$first")")" "flags=0x1"
watch_signals
check "the driver comes back" drive plain_master "$second"
check "that is a Conflict" wait_for 20 has_signals Conflict 1
like "naming it" "$(signals Conflict)" "*$second*plain_master*"
stop_signals
unbind_driver "$second"
release alice "$lease"

# A reset that the kernel knows, and none.
alone=700a0000.alone unreset=700a4000.unreset misnamed=700a5000.misnamed open=700a6000.open
move Detach alice "$alone"
worked "a device with a reset driver is detached"
claim alice "$alone"
worked "and claimed"
is "and used" "$(vfio-open -u 1001 -d "$alone" "$(node_of "$alone")")" "flags=0x3"
release alice "$lease"
move Reattach alice "$alone"
worked "and goes back"
is "to its driver" "$(driver_of "$alone")" plain_master
for device in "$unreset" "$misnamed"; do
    before=$(driver_of "$device")
    move Detach alice "$device"
    refused "$device: VFIO does not take it" NotViable
    like "$device: which the error says" "$error_text" "*reset*"
    is "$device: it is where it was" "$(driver_of "$device") $(override_of "$device")" "$before (null)"
done
# 6.1 ignores that no reset is required, 6.12 does not. (The devices that are bound lose VFIO.)
rmmod vfio_platform
modprobe vfio-platform reset_required=0
check "VFIO is told to take devices without a reset" grep -q N /sys/module/vfio_platform/parameters/reset_required
move Detach alice "$unreset"
if is_old_kernel; then
    check "6.1 does not take it all the same" test -n "$error_name"
    like "which the error says" "$error_text" "*$unreset*"
else
    worked "then it takes one"
    is "it is on VFIO" "$(driver_of "$unreset")" vfio-platform
    move Reattach alice "$unreset"
    worked "it goes back"
fi
is "it has its driver" "$(driver_of "$unreset") $(override_of "$unreset")" "plain_master (null)"

# No IOMMU, no group: what was bound to find out is undone.
move Detach alice "$open"
refused "the kernel does not let a device without an IOMMU go to VFIO" SwitchFailed
is "and left alone" "$(driver_of "$open") $(override_of "$open")" "none (null)"
audit
check "the audit tells of it" found no-iommus "$open"
finish
