#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A sysfs that lies, a /dev/vfio that is not there, and a kernel that hangs.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99

# ---- Before the start
fakectl link "$(sysfs 0000:00:09.0)/iommu_group" ../../../kernel/iommu_groups/99
fakectl driver pci $'evil\x1b[31mdriver' # shown as it is nowhere
fakectl unbind 0000:00:05.1
fakectl bind 0000:00:05.1 $'evil\x1b[31mdriver'
long=$(printf 'd%.0s' {1..200})
fakectl driver pci "$long"
fakectl device pci 0000:06:00.0 vendor=0x8086 product=0x10d3 class=0x020000 driver="$long" group=20
fakectl driver pci 'sp%n"quote'
fakectl device pci 0000:06:00.1 vendor=0x8086 product=0x10d3 class=0x020000 driver='sp%n"quote' group=20
fakectl device pci 'not a name' class=0x020000 driver=none group=21
fakectl device pci $'u\xff\xfe' class=0x020000 driver=none group=21
fakectl device pci 0000:06:00.2 class=0x020000 vendor=0x8086 driver=vfio-pci group=22
for attribute in modalias removable numa_node reset_method vendor class; do
    fakectl fault "$(sysfs 0000:06:00.2)/$attribute" EIO
done
fakectl device pci 0000:06:00.3 class=0x020000 vendor=0x8086 driver=vfio-pci group=23
fakectl fault "$(sysfs 0000:06:00.3)/modalias" vanish
fakectl device pci 0000:06:00.4 class=0x020000 vendor=0x8086 driver=vfio-pci group=24
fakectl set "$(sysfs 0000:06:00.4)/modalias" "$(printf 'pci:vZZZZZZZZd%04000d' 0)"
fakectl set "$(sysfs 0000:06:00.4)/vendor" 0xnonsense
fakectl set "$(sysfs 0000:06:00.4)/class" 99999999999999999999
fakectl set "$(sysfs 0000:06:00.4)/numa_node" many
fakectl link "/sys/kernel/iommu_groups/24/devices/ghost" ../../../../devices/pci0000:00/0000:66:00.0
fakectl set /sys/kernel/iommu_groups/not-a-number/type DMA
fakectl set /sys/kernel/iommu_groups/4294967296/type DMA
fakectl set /sys/kernel/iommu_groups/007/type DMA
fakectl fault "/sys/kernel/iommu_groups/12/type" EIO
# An unbind that hangs in the kernel: on 6.1 some attributes then hang whoever reads them.
fakectl hang 0000:02:00.0
echo 0000:02:00.0 > /sys/bus/pci/drivers/vfio-pci/unbind &
within test ! -e "$(sysfs 0000:02:00.0)/driver"
policy '{ "version": 1, "rules": [
    { "name": "nics", "effect": "allow", "match": { "class": "0x02****" }, "subjects": { "users": ["alice"] } },
    { "name": "soc", "effect": "allow", "match": { "bus": "platform" }, "subjects": { "users": ["alice"] } } ] }'
start
works "the daemon starts while an unbind hangs, with a sysfs that lies" manager ListGroups

# ---- What it made of it
is "an honest group" "$(verdict alice 9)" "true "
is "a dangling link is no group" "$(property $root/device/pci_2f0000_3a00_3a09_2e0 Device Group)" /
refused "and is not granted" NotViable claim alice 0000:00:09.0
is "groups have numbers" "$(busctl tree --list $bus_name | grep -cE 'group/(not|4294967296|007|0007)')" 0
refused "a driver with odd characters is a kernel driver" KernelHeld claim alice 7
unlike "and its name is escaped in the answer" "$(claim alice 7 2>&1 || :)" $'\x1b'
unlike "and in the log" "$(cat "$log")" $'\x1b'
is "a long one" "$(property $root/device/pci_2f0000_3a06_3a00_2e0 Device Driver)" "$long"
is "one with quotes" "$(property $root/device/pci_2f0000_3a06_3a00_2e1 Device Driver)" 'sp%n"quote'
refused "a device that can not be read is not judged" NotViable claim alice 22
refused "nor do attributes that make no sense" PolicyDenied claim alice 24
works "a device that went away between two reads" bash -c "! busctl get-property $bus_name $root/group/23 org.dmaownd1.Group Id"
refused "the group of the unbind that hangs" NotViable claim alice 8
works "others are served" as alice busctl call $bus_name $root org.dmaownd1.Manager ListGroups
nine=$(claim alice 9)
works "and granted" can_open alice 9
fakectl release 0000:02:00.0
becomes "at its end all is as it is" "false no-vfio-driver" verdict alice 8
fakectl bind 0000:02:00.0 vfio-pci
becomes "and can be granted" "true " verdict alice 8

# ---- While it runs
fakectl link "$(sysfs 0000:00:07.1)/iommu_group" ../../../kernel/iommu_groups/99
works "Rescan" manager Rescan
works "a link that dangles now" is_running
fakectl link "$(sysfs 0000:00:07.1)/iommu_group" ../../../kernel/iommu_groups/11
fakectl fault "$(sysfs 0000:00:07.1)/driver" EIO
manager Rescan > /dev/null 2>&1 || :
like "a driver link that cannot be read is never good news" "$(verdict alice 11)" "^false"
fakectl fault "$(sysfs 0000:00:07.1)/driver" none
works "Rescan" manager Rescan
is "until it can" "$(verdict alice 11)" "true "
fakectl fault "$(sysfs 0000:00:07.0)/driver" vanish
like "a device that goes away in a claim" "$(claim alice 11 2>&1 || :)" "lease|org.dmaownd1|group|device"
works "the daemon lives" is_running
fakectl event add 0000:00:05.0
fakectl event remove 0000:00:05.0
fakectl event bind 0000:00:05.0 DRIVER=e1000e
fakectl event move 0000:00:05.0 DEVPATH_OLD=/devices/../../etc
fakectl event nonsense 0000:00:05.0 "SUBSYSTEM="
works "events that lie" is_running
becomes "change nothing for good" vfio-pci bash -c \
    "busctl call $bus_name $root org.dmaownd1.Manager Rescan; busctl --json=short get-property $bus_name $root/device/pci_2f0000_3a00_3a05_2e0 org.dmaownd1.Device Driver | jq -r .data"
is "the lease" "$(lease "$nine" State)" active

# ---- A device that hangs a read in its unbind while the daemon runs
fakectl hang 0000:00:05.0
echo 0000:00:05.0 > /sys/bus/pci/drivers/vfio-pci/unbind &
within test ! -e "$(sysfs 0000:00:05.0)/driver"
works "Rescan in a hanging unbind" manager Rescan
works "the daemon answers" as alice busctl call $bus_name $root org.dmaownd1.Manager ListGroups
fakectl release 0000:00:05.0
becomes "and sees its end" "" property $root/device/pci_2f0000_3a00_3a05_2e0 Device Driver

# ---- /dev/vfio is not there
mv /dev/vfio /dev/vfio.away
becomes "no /dev/vfio" "false no-node" verdict alice 12
refused "nothing to grant" NotViable claim alice 12
works "the daemon lives" is_running
works "and starts without it" service restart
is "no node" "$(verdict alice 12)" "false no-node"
mv /dev/vfio.away /dev/vfio
becomes "until it comes" "true " verdict alice 12
works "and grants" claim alice 12

# ---- One device that cannot be read
fakectl fault "$(sysfs 0000:00:08.0)/driver" EIO
service stop > /dev/null
if fakectl service start dmaownd > /dev/null 2>&1; then
    pass "starts although a driver link cannot be read"
    like "whose device is not granted" "$(verdict alice 9)" "^false"
    is "others are" "$(verdict alice 8)" "true "
else
    fail "starts although a driver link cannot be read" "$(tail -n 1 "$log")"
fi
fakectl fault "$(sysfs 0000:00:08.0)/driver" none

# ---- Old kernels
service stop > /dev/null
rm -rf /run/dmaownd
echo "0000000000000000 T iommu_group_alloc" > /run/fakekernel/kallsyms
works "start on an old kernel" service start
becomes "its model" notifier property $root Manager KernelModel
is "everything is refused there" "$(verdict alice 12)" "false old-kernel"
refused "NotViable" NotViable claim alice 12
finish
