#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The fake kernel with a device tree, against what was measured on arm64's 6.1 and 6.12: groups form when a
# driver first probes, by the rule of the IOMMU's driver, and vfio-platform wants a reset.
# shellcheck source-path=SCRIPTDIR
needs_daemon=no
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/devicetree.scenario
. "$(dirname "$0")/../bus/lib.sh" || exit 99

platform=/sys/bus/platform
# Not ">": that truncates, for which FUSE waits for whoever writes to the file.
write() {
    { printf "%s" "$2" 1<> "$1"; } 2>&1 | sed 's/.*: //' || :
}
at() { echo "/sys/bus/${2:-platform}/devices/$1"; }
driver() { basename "$(readlink "$(at "$@")/driver")"; }
# "" for none.
group_of() { basename "$(readlink "$(at "$@")/iommu_group")"; }
# The members of a device's group, on one line.
members() { (cd "$(readlink -f "$(at "$@")/iommu_group/devices")" && echo *); }
vfio() {
    write "$(at "$1")/driver_override" vfio-platform
    write $platform/drivers/vfio-platform/bind "$1"
}
unbind() { write "$(at "$1")/driver/unbind" "$1"; }

# ---- The tree, and what is made of it
base=/sys/firmware/devicetree/base
is "the blob" "$(dtc -q -I dtb -O dts /sys/firmware/fdt | grep -c 'samec@700a2000 {')" 1
is "its mode and size" "$(stat -c %a /sys/firmware/fdt) $(($(stat -c %s /sys/firmware/fdt) == $(wc -c < /sys/firmware/fdt)))" "400 1"
fails "who is not root does not read it" as alice cat /sys/firmware/fdt
works "but the folders" as alice wc -c "$base/soc/samec@700a2000/iommus"
is "which are the same tree" "$(dtc -q -s -I fs -O dts $base | grep -v '^[[:space:]]*name = ')" "$(dtc -q -s -I dtb -O dts /sys/firmware/fdt)"
is "with the name that the kernel adds" "$(tr '\0' ! < "$base/soc/samec@700a2000/name") $(tr '\0' ! < $base/name)" "samec! !"
is "a device's node" "$(readlink "$(at 700a2000.samec)/of_node")" ../../../../firmware/devicetree/base/soc/samec@700a2000
is "its compatible" "$(tr '\0' ' ' < "$(at 700aa000.unusable)/of_node/compatible")" "lab,unknown amd,xgbe-seattle-v1a "
is "its modalias" "$(cat "$(at 700aa000.unusable)/modalias")" "of:NunusableT(null)Clab,unknownCamd,xgbe-seattle-v1a"
is "its event" "$(grep -E 'FULLNAME|_N=|_1=' "$(at 700aa000.unusable)/uevent" | paste -sd' ')" \
    "OF_FULLNAME=/soc/unusable@700aa000 OF_COMPATIBLE_1=amd,xgbe-seattle-v1a OF_COMPATIBLE_N=2"
is "named without an address" "$(readlink -f "$(at soc:noreg)/of_node")" $base/soc/noreg
is "named by an address that its node does not show" "$(basename "$(readlink -f "$(at 4010000000.pcie)/of_node")")" pcie@10000000
fails "a disabled node has no device" test -e "$(at 700ad000.disabled)"
is "what is on a bus" "$(readlink -f "$(at 700e0100.childx)")" /sys/devices/platform/soc/700e0000.parentbus/700e0100.childx
is "a PCI function is below its host bridge" "$(readlink -f "$(sysfs 0000:01:00.0)")" \
    /sys/devices/platform/4010000000.pcie/pci0000:00/0000:00:02.0/0000:01:00.0
fails "and has no node" test -e "$(sysfs 0000:01:00.0)/of_node"
is "AMBA" "$(driver 9010000.pl031 amba) $(cat "$(at 9010000.pl031 amba)/modalias") $(grep AMBA "$(at 9010000.pl031 amba)/uevent")" \
    "rtc-pl031 amba:d00041031 AMBA_ID=00041031"

# ---- Groups form when a driver probes
is "at boot, with a driver" "$(members 700a0000.dmaa)" 700a0000.dmaa
is "none without a driver" "$(group_of 700a6000.multie)$(group_of 0000:00:05.0 pci)" ""
is "its IOMMU" "$(basename "$(readlink "$(at 700a0000.dmaa)/iommu")")" smmu3.0x0000000009050000
works "which lists it" test -e /sys/class/iommu/smmu3.0x0000000009050000/devices/700a0000.dmaa/modalias
events=/run/events
udevadm monitor --kernel --property > $events &
within grep -q KERNEL $events
is "two streams: a group at the first probe" "$(vfio 700a6000.multie; members 700a6000.multie)" 700a6000.multie
within grep -q '^DRIVER=vfio-platform' $events
is "of which no event tells" "$(awk '/^ACTION=/ { a = substr($0, 8) } /^SUBSYSTEM=/ { print a, substr($0, 11) }' $events | paste -sd,)" \
    "add vfio,add vfio-dev,bind platform"
[ -c "/dev/vfio/$(group_of 700a6000.multie)" ] && pass "now there is a node"
group=$(group_of 700a6000.multie)
unbind 700a6000.multie
is "it stays after unbind" "$(driver 700a6000.multie) $(group_of 700a6000.multie)" " $group"
fails "without a node" test -e "/dev/vfio/$group"
is "the same stream twice in one device is no mistake" "$(vfio 700ac000.dupsid; members 700ac000.dupsid)" 700ac000.dupsid
is "a bus has one, what is on it none" "$(members 700e0000.parentbus) $(group_of 700e0100.childx)" "700e0000.parentbus "
is "without streams none" "$(group_of 700af000.noio) $(driver 700af000.noio)" " lab-dummy"
is "behind a disabled IOMMU none" "$(group_of 700b0000.behindoff) $(driver 700b0000.behindoff)" " lab-dummy"

# ---- SMMUv3: a stream has one master
is "the second has no group, and its driver runs" "$(members 700a2000.samec),$(group_of 700a3000.samed),$(driver 700a3000.samed)" \
    "700a2000.samec,,calxedaxgmac"
is "but VFIO does not take it" "$(unbind 700a3000.samed; vfio 700a3000.samed)" "Invalid argument"
is "also when the first is on VFIO" "$(unbind 700a2000.samec; vfio 700a2000.samec; vfio 700a3000.samed; driver 700a2000.samec)" \
    "Invalid argument
vfio-platform"
group=$(group_of 700a2000.samec)
is "which is viable" "$(fakectl status "/dev/vfio/$group")" 0x1
write "$(at 700a3000.samed)/driver_override" $'\n'
is "while the second runs" "$(write $platform/drivers_probe 700a3000.samed; driver 700a3000.samed)" calxedaxgmac
is "of two without a driver the first to come has it" "$(vfio 700a8000.lateg; vfio 700a7000.latef; group_of 700a7000.latef)" "Invalid argument"
unbind 700a8000.lateg
is "also when it has left" "$(vfio 700a7000.latef)" "Invalid argument"
fakectl remove 700a8000.lateg
is "not when it is removed" "$(vfio 700a7000.latef; members 700a7000.latef)" 700a7000.latef
works "and back" fakectl device platform 700a8000.lateg node=/soc/lateg@700a8000
is "it is the second" "$(vfio 700a8000.lateg) $(group_of 700a8000.lateg)" "Invalid argument "
is "a stream beyond what it has" "$(vfio 700ab000.bigsid) $(group_of 700ab000.bigsid)" "Invalid argument "
is "the stream of a PCI function" "$(vfio 700ae000.pcisid) $(group_of 700ae000.pcisid)" "Invalid argument "
is "the parameter can not be written" "$(stat -c %a /sys/module/vfio_platform/parameters/reset_required)" 444
is "no IOMMU at all" "$(fakectl set /sys/module/vfio_platform/parameters/reset_required N; unbind 700af000.noio; vfio 700af000.noio)" "Invalid argument"
fakectl set /sys/module/vfio_platform/parameters/reset_required Y

fakectl regroup 700a1000.dmab none
is "one that has lost its group" "$(group_of 700a1000.dmab)" ""
unbind 700a1000.dmab
is "has one again at the next probe" "$(write $platform/drivers_probe 700a1000.dmab; members 700a1000.dmab)" 700a1000.dmab

# ---- PCI
is "a port and what is behind it" "$(members 0000:01:00.0 pci)" "0000:00:02.0 0000:01:00.0"
is "functions of a slot" "$(members 0000:00:03.1 pci)" "0000:00:03.0 0000:00:03.1"
is "what iommu-map leaves out" "$(group_of 0000:00:1f.7 pci) $(driver 0000:00:1f.7 pci)" " e1000e"
is "with a platform device" "$(members 0001:00:01.0 pci)" "0001:00:01.0 701b0000.pcialias"

# ---- SMMUv2: by stream match registers
is "one stream, one group" "$(members 701a2000.shc)" "701a2000.shc 701a3000.shd"
is "another pair" "$(members 701aa000.xg2)" "701a9000.xg1 701aa000.xg2"
is "a mask that holds the other's" "$(members 701ac000.maski)" "701ab000.maskw 701ac000.maski"
is "a mask that overlaps" "$(group_of 701ad000.masko) $(driver 701ad000.masko)" " lab-dummy"
is "the same number on another" "$(members 701ae000.othersmmu)" 701ae000.othersmmu
is "two groups' streams" "$(group_of 701a8000.bridge3) $(driver 701a8000.bridge3)" " lab-dummy"
is "on two, only the first counts" "$(basename "$(readlink "$(at 701af000.twosmmu)/iommu")")" smmu.0x0000000070000000
is "a new stream last: wrongly a group of its own" "$(vfio 701a4000.she; members 701a4000.she)" 701a4000.she
is "into which the next one on the first stream comes" "$(vfio 701a5000.rev; members 701a5000.rev)" "701a4000.she 701a5000.rev"
fails "not into the older one" test "$(group_of 701a2000.shc)" = "$(group_of 701a5000.rev)"
is "a sibling on its driver" "$(unbind 701a2000.shc; vfio 701a2000.shc; fakectl status "/dev/vfio/$(group_of 701a2000.shc)")" 0x0

# ---- The others
is "Rockchip: one an IOMMU" "$(members 700c0000.vop1)" "700c0000.vop1 700c1000.vop2"
is "on two, the last counts" "$(members 700c2000.vop3)" "700c2000.vop3 700c3000.vop4"
fakectl remove 700c0000.vop1
fakectl remove 700c1000.vop2
fakectl device platform 700c1000.vop2 node=/soc/vop2@700c1000
is "when all have gone it forms anew" "$(members 700c1000.vop2)" 700c1000.vop2
fakectl device platform 700c0000.vop1 node=/soc/vop1@700c0000
is "and the next one comes into it" "$(members 700c0000.vop1)" "700c0000.vop1 700c1000.vop2"
is "Tegra: the display complex" "$(members 54200000.dc)" "54200000.dc 54240000.dc 54340000.vic"
is "virtio: one a device" "$(members 700d0000.virta) $(members 700d1000.virtb)" "700d0000.virta 700d1000.virtb"

# ---- Reset
is "without one vfio-platform refuses" "$(vfio 700aa000.unusable)" "No such file or directory"
is "only the first string of compatible counts, and the group is there" "$(members 700aa000.unusable)" 700aa000.unusable
fails "its node is not" test -e "/dev/vfio/$(group_of 700aa000.unusable)"
fakectl set /sys/module/vfio_platform/parameters/reset_required N
fakectl kernel 6.1
is "on 6.1 it says nothing" "$(vfio 700aa000.unusable)" "No such file or directory"
fakectl kernel 6.12
is "on 6.12 it does" "$(vfio 700aa000.unusable; driver 700aa000.unusable)" vfio-platform
unbind 700c0000.vop1
is "Rockchip's memory is not coherent" "$(vfio 700c0000.vop1)" "Invalid argument"
fakectl set /sys/module/vfio_platform/parameters/reset_required Y
fakectl module vfio_platform_calxedaxgmac missing
is "a reset that can not be loaded" "$(unbind 700a0000.dmaa; vfio 700a0000.dmaa)" "No such file or directory"
fakectl module vfio_platform_calxedaxgmac loadable
is "and one that can" "$(vfio 700a0000.dmaa; driver 700a0000.dmaa)" vfio-platform
works "it was loaded" test -e /sys/module/vfio_platform_calxedaxgmac
unbind_amba() { write /sys/bus/amba/drivers/rtc-pl031/unbind 9010000.pl031; }
unbind_amba
write "$(at 9010000.pl031 amba)/driver_override" vfio-amba
fakectl kernel 6.1
is "vfio-amba wants one on 6.1" "$(write /sys/bus/amba/drivers/vfio-amba/bind 9010000.pl031)" "No such file or directory"
fakectl kernel 6.12
is "but not on 6.12" "$(write /sys/bus/amba/drivers/vfio-amba/bind 9010000.pl031; driver 9010000.pl031 amba)" vfio-amba

# ---- Interrupts
group=$(group_of 700a0000.dmaa)
like "no isolation of interrupts, no IOMMU" "$(fakectl hold "/dev/vfio/$group" 700a0000.dmaa < /dev/null 2>&1)" "Operation not permitted"
fakectl set /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts Y
works "unless it was allowed" fakectl hold "/dev/vfio/$group" 700a0000.dmaa < /dev/null
fakectl set /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts N
fakectl kernel 6.1
works "on 6.1 nobody asks" fakectl hold "/dev/vfio/$group" 700a0000.dmaa < /dev/null
finish
