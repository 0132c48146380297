#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Disks: what the host uses of them through which layers, NVMe multipath and other namespaces among
# them; and virtual functions.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-switch.sh
. /opt/test/guest-switch.sh

fresh_switch < <(switch_policy)
modprobe -a ext4 dm-mod
name=$(block_of "$multipath_disk")
node=/dev/$name
like "the disk's node is multipath's" "$(readlink -f "/sys/block/$name")" \
    "/sys/devices/virtual/nvme-subsystem/*"

mkswap -q "$node" > /dev/null
swapon "$node"
stays "a disk that is swapped to" "$multipath_disk" swap "$name"
swapoff "$node"

mkfs.ext4 -qF "$node"
mount "$node" /mnt
stays "a disk with a mounted file system" "$multipath_disk" mounted "$name is mounted on /mnt"
detach alice "$multipath_disk"
like "alice is not told where" "$error_text" "*$name is mounted*"
[[ $error_text != */mnt* ]] || not_ok "alice was told the mount point: $error_text"
umount /mnt

unshare --mount --propagation private bash -c \
    "mount $node /mnt && echo mounted && exec sleep 300" > /tmp/elsewhere &
elsewhere=$!
wait_for 10 test -s /tmp/elsewhere
check_not "a mount in another namespace is not in ours" findmnt "$node"
stays "a disk that is mounted only there" "$multipath_disk" mounted "$name"
like "naming who sees it" "$(finding_text "$multipath_disk" mounted)" "*$elsewhere*"
kill "$elsewhere"
wait "$elsewhere" 2> /dev/null

(exec 3< "$node"; exec sleep 300) &
reader=$!
stays "a disk that a process has open" "$multipath_disk" open-node "$node"
like "naming the process" "$(finding_text "$multipath_disk" open-node)" "*$reader*"
kill "$reader"
wait "$reader" 2> /dev/null

dmsetup create over --table "0 $(blockdev --getsz "$node") linear $node 0"
stays "a disk under device mapper" "$multipath_disk" held "$name"
mount /dev/mapper/over /mnt
stays "a disk mounted through it" "$multipath_disk" mounted "$name is mounted on /mnt, through dm-0"
umount /mnt
dmsetup remove over

# udev looks at a disk whenever somebody has written there.
(exec 3< "$node"; exec sleep 300) &
reader=$!
echo "$reader" > "$(find /sys/fs/cgroup/system.slice/systemd-udevd.service -name cgroup.procs | tail -n 1)"
judge root "$multipath_disk"
check_not "what udev has open is no use" has_finding "$multipath_disk" open-node
is "unused it could be claimed" "$grantable" true
check "that it holds data is information" has_finding "$multipath_disk" data-on-disk
like "which says what" "$(finding_text "$multipath_disk" data-on-disk)" "*$name*ext4*"
moves "an unused disk" "$multipath_disk" nvme
kill "$reader"
check "its data is there again" wait_for 20 blkid "/dev/$(block_of "$multipath_disk")"

# A partition, without multipath, in a group with its port.
plain=$(block_of "$disk")
printf '\0\0\0\0\203\0\0\0\0\10\0\0\0\360\1\0' | dd of="/dev/$plain" bs=1 seek=446 status=none
printf '\125\252' | dd of="/dev/$plain" bs=1 seek=510 status=none
blockdev --rereadpt "/dev/$plain"
check "a partition" wait_for 10 test -b "/dev/${plain}p1"
mkfs.ext4 -qF "/dev/${plain}p1"
mount "/dev/${plain}p1" /mnt
stays "a disk of which a partition is mounted" "$disk" mounted "${plain}p1 is mounted on /mnt"
umount /mnt
detach alice "$disk"
worked "unused it moves"
is "its port keeps its driver" "$(drivers_of "$disk" 0000:00:06.0)" "vfio-pci pcieport"
reattach alice "$disk"
worked "and goes back"
is "to its driver" "$(driver_of "$disk")" nvme

# Virtual functions: no driver finds them while autoprobe is off.
pf=$multipath_disk
vfs() { echo 0 > "$(device_path "$pf")/sriov_numvfs"; echo "$1" > "$(device_path "$pf")/sriov_numvfs"; }
wait_for 20 test -e "$(device_path "$pf")/nvme"
echo 0 > "$(device_path "$pf")/sriov_drivers_autoprobe"
vfs 2
vf=$(basename "$(readlink "$(device_path "$pf")/virtfn0")")
wait_for 10 call FindGroup s "$vf"
detach bob "$vf"
refused "bob's rule does not let him move a virtual function" PolicyDenied
detach alice "$vf"
worked "a free virtual function moves for alice"
is "to vfio-pci" "$(driver_of "$vf")" vfio-pci
claim alice "$vf"
worked "and is claimed"
stays "a physical function with a function in use" "$pf" vfs-in-use "$vf"
release alice "$lease"
wait_for 10 is_listed "$(group_of "$vf")" owner none
reattach alice "$vf"
worked "it goes back"
is "to no driver" "$(driver_of "$vf") $(override_of "$vf")" "none (null)"

plan PlanDetach alice "$pf"
note "the plan of a PF: $steps"
like "functions that nobody uses are taken away first" "$steps" "*$pf numvfs 2 0*"
detach alice "$pf"
worked "then the PF moves"
is "without functions" "$(cat "$(device_path "$pf")/sriov_numvfs")" 0
claim alice "$pf"
worked "alice has it"
pf_lease=$lease
# vfio-pci makes functions only where an administrator lets it.
echo Y > /sys/module/vfio_pci/parameters/enable_sriov
check "the user's PF gets a function" vfs 1
wait_for 10 call FindGroup s "$vf"
explain bob "$vf"
check "bob is told whose its PF is" has_finding "$vf" pf-owned
claim bob "$vf"
refused "and does not get the function" NotViable
claim alice "$vf"
worked "alice does"
release alice "$lease"
wait_for 10 is_listed "$(group_of "$vf")" owner none
echo 0 > "$(device_path "$pf")/sriov_numvfs"
echo N > /sys/module/vfio_pci/parameters/enable_sriov
release alice "$pf_lease"
wait_for 10 is_listed "$(group_of "$pf")" owner none
reattach alice "$pf"
worked "the PF goes back"
is "with its functions and its autoprobe" \
    "$(driver_of "$pf") $(cat "$(device_path "$pf")/sriov_numvfs" \
        "$(device_path "$pf")/sriov_drivers_autoprobe" | tr '\n' ' ')" "nvme 2 0 "
echo 0 > "$(device_path "$pf")/sriov_numvfs"
finish
