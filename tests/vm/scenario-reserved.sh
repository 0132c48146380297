#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The second boot, with the configuration as scenario-reserve.sh left it.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-switch.sh
. /opt/test/guest-switch.sh

mark_journal
is "a reserved NIC is on VFIO" "$(driver_of "$nic")" vfio-pci
check_not "and no driver of the host ever had it" eval 'dmesg | grep -F "e1000e '"$nic"'"'
is "so are both NICs behind the bridge" "$(drivers_of "$pair0" "$pair1" "$bridge")" \
    "vfio-pci vfio-pci none"
check_not "e1000 never had them" eval 'dmesg | grep -E "e1000 ('"$pair0|$pair1"')"'
is "what was not reserved, or not any more, is the host's" "$(drivers_of "$other" "$disk")" \
    "e1000e nvme"
note "before the daemon was up: $(ls /run/dmaownd 2> /dev/null)"
check "the daemon starts" service start
wait_for 20 is_listed "$(group_of "$nic")" verdict grantable alice
claim alice "$nic"
worked "alice has what was reserved for her"
is "and opens it" "$(opens_as alice "$(group_of "$nic")")" "flags=0x1"
release alice "$lease"
claim bob "$pair0"
refused "bob has not" PolicyDenied
claim alice "$pair0"
worked "alice has the group behind the bridge"
is "viable as a whole" "$(opens_as alice "$(group_of "$pair0")")" "flags=0x1"
release alice "$lease"

# Functions that come into being now.
pf=$multipath_disk
echo 2 > "$(device_path "$pf")/sriov_numvfs"
vf=$(basename "$(readlink "$(device_path "$pf")/virtfn0")")
second=$(basename "$(readlink "$(device_path "$pf")/virtfn1")")
check "a reserved virtual function is on VFIO" wait_for 30 has_driver "$vf" vfio-pci
check "so is its sibling" wait_for 30 has_driver "$second" vfio-pci
check_not "the host's driver never had them" eval 'dmesg | grep -E "nvme.* ('"$vf|$second"')"'
claim alice "$vf"
worked "and alice has one"
release alice "$lease"
echo 0 > "$(device_path "$pf")/sriov_numvfs"

# A device that the host needs by then is left to it.
modprobe ext4
node=/dev/$(block_of "$disk")
mkfs.ext4 -qF "$node"
mount "$node" /mnt
check "the daemon sees its use" wait_for 10 has_like "$(device_object "$disk")" Device UsedBy "*mounted*"
check_not "a disk in use is not reserved by chance" dmaownctl reserve --user alice "$disk"
check "but by will" dmaownctl reserve --even-if-used --user alice "$disk"
udevadm trigger --settle --action=add "$(device_path "$disk")"
is "and stays" "$(driver_of "$disk") $(override_of "$disk")" "nvme (null)"
check "with its file system" test -d /mnt/lost+found
umount /mnt

check "what is reserved can be unreserved" dmaownctl unreserve "$nic"
reattach root "$nic"
worked "and given to the host"
is "by its driver" "$(driver_of "$nic")" e1000e
finish
