#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What switching drivers needs of the fake kernel: errnos, resets, virtual functions, modules, and writes
# that fail or hang when a test says so.
# shellcheck source-path=SCRIPTDIR
needs_daemon=no
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/switch.scenario
. "$(dirname "$0")/../bus/lib.sh" || exit 99

pci=/sys/bus/pci
# Not ">": that truncates, for which FUSE waits for whoever writes to the file.
write() {
    { printf "%s" "$2" 1<> "$1"; } 2>&1 | sed 's/.*: //' || :
}
driver() { basename "$(readlink "$(sysfs "$1")/driver")"; }
override() { cat "$(sysfs "$1")/driver_override"; }

# ---- Overrides, binds
nic=0000:00:05.0
is "a newline ends an override" "$(printf 'vfio-pci\nx' | dd of="$(sysfs $nic)/driver_override" status=none; override $nic)" vfio-pci
is "nothing but a newline clears it" "$(write "$(sysfs $nic)/driver_override" $'\n'; override $nic)" "(null)"
write "$(sysfs $nic)/driver_override" dmaownd-held
write $pci/drivers/e1000e/unbind $nic
is "a pin keeps its own driver away" "$(write $pci/drivers/e1000e/bind $nic)" "No such device"
is "nor does a probe bind it" "$(write $pci/drivers_probe $nic; driver $nic)" ""
write "$(sysfs $nic)/driver_override" vfio-pci
is "an override lets a driver in that has no id for it" "$(write $pci/drivers/vfio-pci/bind $nic; driver $nic)" vfio-pci
write $pci/drivers/vfio-pci/unbind $nic
fakectl driver pci vfio-pci refuse=EACCES
is "a driver refuses" "$(write $pci/drivers/vfio-pci/bind $nic)" "Permission denied"
is "and a probe is told nothing of it" "$(write $pci/drivers_probe $nic; driver $nic)" ""
fakectl driver pci vfio-pci refuse=EIO only=0000:00:05.1
is "it refuses one device only" "$(write $pci/drivers/vfio-pci/bind $nic; driver $nic)" vfio-pci
fakectl driver pci vfio-pci refuse=none
write $pci/drivers/vfio-pci/unbind $nic
write "$(sysfs $nic)/driver_override" $'\n'
is "without an override its own driver takes it" "$(write $pci/drivers_probe $nic; driver $nic)" e1000e

# ---- Bus mastering, reset
is "a driver that works has bus mastering on" "$(fakectl bus-master $nic show)" on
fakectl unbind $nic
is "one that goes turns it off" "$(fakectl bus-master $nic show)" off
fakectl bus-master $nic on
is "configuration space says so" "$(xxd -s 4 -l 1 -p "$(sysfs $nic)/config")" 07
works "a reset" eval "echo 1 > $(sysfs $nic)/reset"
is "does not turn it off" "$(fakectl bus-master $nic show)" on
works "a write does" eval "printf '\\003\\000' | dd of=$(sysfs $nic)/config bs=1 seek=4 conv=notrunc status=none"
is "at its place" "$(fakectl bus-master $nic show) $(xxd -l 6 -p "$(sysfs $nic)/config") $(stat -c %s "$(sysfs $nic)/config")" "off 8680d3100300 4096"
fakectl reset-fails $nic EIO
is "a reset that fails" "$(write "$(sysfs $nic)/reset" 1)" "Input/output error"
fakectl reset-fails $nic none
is "no longer" "$(write "$(sysfs $nic)/reset" 1)" ""
fails "a device that can not be reset" test -e "$(sysfs 0000:00:0a.0)/reset"
fails "has no methods" test -e "$(sysfs 0000:00:0a.0)/reset_method"
is "the boot display" "$(cat "$(sysfs 0000:00:0b.0)/boot_vga")" 1

# ---- Virtual functions
pf=0000:00:08.0
vf=0000:00:18.0
at=$(sysfs $pf)
is "how many" "$(cat "$at/sriov_totalvfs") $(cat "$at/sriov_numvfs") $(cat "$at/sriov_drivers_autoprobe") $(cat "$at/sriov_vf_device")" "4 0 1 1520"
is "too many" "$(write "$at/sriov_numvfs" 5)" "Numerical result out of range"
is "two" "$(write "$at/sriov_numvfs" 2; cat "$at/sriov_numvfs")" 2
is "their driver took them" "$(driver $vf) $(driver 0000:00:18.2)" "igbvf igbvf"
is "links" "$(basename "$(readlink -f "$(sysfs $vf)/physfn")") $(basename "$(readlink -f "$at/virtfn0")") $(basename "$(readlink -f "$at/virtfn1")")" "$pf $vf 0000:00:18.2"
unlike "a group each" "$(readlink "$(sysfs $vf)/iommu_group")" "^$(readlink "$(sysfs 0000:00:18.2)/iommu_group")\$"
is "not more while there are some" "$(write "$at/sriov_numvfs" 3)" "Device or resource busy"
is "without a driver there are none" "$(write $pci/drivers/igb/unbind $pf; write "$at/sriov_numvfs" 1)" "No such file or directory"
is "its driver took them with it" "$(ls -d $pci/devices/0000:00:18.* 2> /dev/null)" ""
fakectl bind $pf igb
write "$at/sriov_drivers_autoprobe" 0
write "$at/sriov_numvfs" 2
is "without autoprobe nothing takes them" "$(driver $vf)" ""
is "nor by name" "$(write $pci/drivers/igbvf/bind $vf)" "No such device"
write "$(sysfs $vf)/driver_override" vfio-pci
is "but by override" "$(write $pci/drivers_probe $vf; driver $vf)" vfio-pci
write "$at/sriov_numvfs" 0
is "none" "$(ls -d $pci/devices/0000:00:18.* 2> /dev/null)$(ls -d "$at"/virtfn* 2> /dev/null)" ""
nvme=0000:00:0d.0
write "$(sysfs $nvme)/sriov_numvfs" 1
write $pci/drivers/nvme/unbind $nvme
write "$(sysfs $nvme)/driver_override" vfio-pci
is "VFIO does not want a function whose driver left some" "$(write $pci/drivers/vfio-pci/bind $nvme)" "Device or resource busy"
write "$(sysfs $nvme)/driver_override" $'\n'
write $pci/drivers_probe $nvme
write "$(sysfs $nvme)/sriov_numvfs" 0

# ---- What a driver makes
is "an interface" "$(ls "$(sysfs 0000:02:00.0)/net") $(cat "$(sysfs 0000:02:00.0)/net/eth1/ifindex")" "eth1 42"
works "in its class" test -e /sys/class/net/eth1/device/vendor
fakectl netdev 0000:02:00.0 none
is "one that is elsewhere" "$(ls "$(sysfs 0000:02:00.0)/net")" ""
fakectl netdev 0000:02:00.0 eth1 42
fakectl unbind 0000:02:00.0
fails "goes with the driver" test -e /sys/class/net/eth1
fakectl bind 0000:02:00.0 e1000e
works "and comes" test -e /sys/class/net/eth1/ifindex
disk="$(sysfs $nvme)/nvme/nvme0/nvme0n1"
is "a disk" "$(cat "$disk/size") $(readlink -f "/sys/dev/block/$(cat "$disk/dev")")" "2048 $(readlink -f "$disk")"
if [ -e /dev/nvme0n1 ]; then
    works "which can be opened" python3 -c 'import os; os.open("/dev/nvme0n1", os.O_RDONLY | os.O_EXCL)'
fi
fakectl partition nvme0n1 nvme0n1p1 259:1 1024
fakectl holder nvme0n1p1 dm-0 254:0 1024
is "who holds it" "$(ls "$disk/nvme0n1p1/holders") $(ls /sys/class/block/dm-0/slaves)" "dm-0 nvme0n1p1"
fakectl rm /sys/devices/virtual/block/dm-0
fakectl unbind $nvme
fails "goes with the driver" test -e /sys/class/block/nvme0n1 -o -e /sys/class/block/nvme0n1p1
fakectl bind $nvme nvme
works "and comes" test -e /sys/class/block/nvme0n1/dev
fakectl disk $nvme nvme1n1 259:2 2048 multipath
is "through a subsystem" "$(ls "$(sysfs $nvme)/nvme/nvme1") $(readlink -f /sys/class/block/nvme1n1)" "device
nvme1c1n1
state
subsystem /sys/devices/virtual/nvme-subsystem/nvme-subsys1/nvme1n1"

# ---- Modules
works "a module" grep -q live /sys/module/mlx5_vfio_pci/initstate
is "its drivers" "$(ls /sys/module/mlx5_vfio_pci/drivers)" pci:mlx5_vfio_pci
works "is unloaded" fakectl module mlx5_vfio_pci loadable
fails "with its driver" test -e $pci/drivers/mlx5_vfio_pci
variant=0000:00:0c.0
fakectl unbind $variant
write "$(sysfs $variant)/driver_override" mlx5_vfio_pci
is "nothing binds" "$(write $pci/drivers_probe $variant; driver $variant)" ""
works "it is loaded" fakectl load mlx5_vfio_pci
is "and takes what waits for it" "$(driver $variant)" mlx5_vfio_pci
fails "a module in use stays" fakectl module mlx5_vfio_pci missing
fakectl unbind $variant
fakectl module mlx5_vfio_pci fails
like "one that fails" "$(fakectl load mlx5_vfio_pci 2>&1)" "No such device"
fakectl module mlx5_vfio_pci missing
like "one that is missing" "$(fakectl load mlx5_vfio_pci 2>&1)" "No such file"
works "it comes back" fakectl module mlx5_vfio_pci loaded

# ---- Writes
fakectl writes clear
at=$(readlink -f "$(sysfs $nic)")
write "$at/driver_override" vfio-pci
write $pci/drivers_probe 0000:ff:00.0 > /dev/null
is "they are counted" "$(fakectl writes count)" 2
is "and told" "$(fakectl writes)" "1 0 ${at#/sys}/driver_override vfio-pci
2 ENODEV /bus/pci/drivers_probe 0000:ff:00.0"
fakectl write-fault 2 EROFS
is "the first" "$(write "$at/driver_override" one)" ""
is "the second fails" "$(write "$at/driver_override" two)" "Read-only file system"
is "without effect" "$(override $nic)" one
is "the third" "$(write "$at/driver_override" $'\n')" ""
fakectl write-fault 1 EIO '*/drivers_probe'
is "those of one file" "$(write "$at/driver_override" $'\n')$(write $pci/drivers_probe $nic)$(write $pci/drivers_probe $nic)" "Input/output error"
is "bound" "$(driver $nic)" e1000e

# hangs FILE TEXT: in the background.
hangs() { printf "%s" "$2" 1<> "$1" 2> /run/hung & writer=$!; within eval "fakectl writes | grep -q ' hangs '"; }
fakectl write-hang 1
hangs $pci/drivers/e1000e/unbind $nic
like "one hangs" "$(fakectl writes | tail -n 1)" " hangs /bus/pci/drivers/e1000e/unbind $nic"
is "others of that file do not" "$(write $pci/drivers/e1000e/unbind 0000:00:05.1; driver 0000:00:05.1)" ""
kill -KILL $writer
works "it can not be killed" kill -0 $writer
cat "$at/driver_override" > /run/override &
reader=$!
cat "$at/uevent" > /run/uevent &
reader2=$!
printf one > "$at/driver_override" &
setter=$!
sleep 0.1
works "on 6.1 reading the override hangs" kill -0 $reader
works "and reading uevent" kill -0 $reader2
works "and writing the override" kill -0 $setter
works "it is let go" fakectl release
wait $writer || :
wait $reader $reader2 $setter
is "and done" "$(driver $nic) $(override $nic)" " one"
fakectl kernel 6.12
fakectl write-fail-late 1 ETIMEDOUT
hangs $pci/drivers_probe 0000:00:05.1
is "on 6.12 none of that" "$(override 0000:00:05.1) $(grep -c MODALIAS "$(sysfs 0000:00:05.1)/uevent")" "(null) 1"
fakectl release
wait $writer || :
is "it fails late" "$(sed 's/.*: //' /run/hung) $(driver 0000:00:05.1)" "Connection timed out "
finish
