#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What driverctl, virsh and dmaownctl do with the same three devices: one of a group, a mounted disk,
# and one that the VFIO driver refuses. Prints a table. Needs a guest with both (run -P).
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-switch.sh
. /opt/test/guest-switch.sh

start_libvirt() {
    mkdir -p /etc/libvirt /run/libvirt
    printf 'auth_unix_%s = "none"\n' rw ro > /etc/libvirt/libvirtd.conf
    libvirtd -d && wait_for 30 virsh -q -c qemu:///system nodedev-list
}

# take TOOL DEVICE: what an administrator types. Its output is in /tmp/said; fails as the tool does.
take() {
    case $1 in
        driverctl) driverctl set-override "$2" vfio-pci ;;
        virsh) virsh -q -c qemu:///system nodedev-detach "pci_${2//[:.]/_}" --driver vfio ;;
        dmaownctl) dmaownctl detach "$2" ;;
    esac > /tmp/said 2>&1
}
give() { # give TOOL DEVICE: and what gives it back
    case $1 in
        driverctl) driverctl unset-override "$2" ;;
        virsh) virsh -q -c qemu:///system nodedev-reattach "pci_${2//[:.]/_}" ;;
        dmaownctl) dmaownctl reattach --reattach-unreset "$2" ;;
    esac > /tmp/said-back 2>&1
}
tools=(driverctl virsh dmaownctl)
declare -A cell=()

# row TOOL CASE DEVICE...: takes the first device and writes down what is there afterwards.
row() {
    local tool=$1 case=$2 status=0
    shift 2
    take "$tool" "$1" || status=$?
    cell[$tool,$case]="exit $status; drivers: $(drivers_of "$@")"
    note "$tool, $case: ${cell[$tool,$case]}"
    note "   it says: $(tr '\n' ' ' < /tmp/said)"
}

fresh_switch < <(switch_policy)
check "libvirtd runs" start_libvirt

# One NIC of two in a group.
whole=$(group_of "$pair0")
for tool in "${tools[@]}"; do
    row "$tool" group "$pair0" "$pair1"
    cell[$tool,viable]=$(vfio-open "/dev/vfio/$whole")
    note "$tool: the kernel says of the group: ${cell[$tool,viable]}"
    give "$tool" "$pair0"
    cell[$tool,back]=$(drivers_of "$pair0" "$pair1")
    note "$tool, back: ${cell[$tool,back]} $(tr '\n' ' ' < /tmp/said-back)"
    [ "${cell[$tool,back]}" = "e1000 e1000" ] || { release_driver "$pair0"; release_driver "$pair1"; }
done
like "driverctl moves the one device" "${cell[driverctl,group]}" "exit 0; drivers: vfio-pci e1000"
is "so that the group cannot be used" "${cell[driverctl,viable]}" "flags=0x0"
like "virsh too" "${cell[virsh,group]}" "exit 0; drivers: vfio-pci e1000"
is "with the same end" "${cell[virsh,viable]}" "flags=0x0"
like "dmaownctl moves the group" "${cell[dmaownctl,group]}" "exit 0; drivers: vfio-pci vfio-pci"
is "which can be used" "${cell[dmaownctl,viable]}" "flags=0x1"

# A disk with a mounted file system, and a file that is being written.
modprobe ext4
for tool in dmaownctl driverctl virsh; do
    wait_for 30 has_driver "$disk" nvme
    wait_for 30 test -b "/dev/$(block_of "$disk")"
    mkfs.ext4 -qF "/dev/$(block_of "$disk")"
    mount "/dev/$(block_of "$disk")" /mnt
    echo before > /mnt/file
    sync
    row "$tool" mounted "$disk"
    if (echo after > /mnt/new && sync -f /mnt) 2> /tmp/write; then
        cell[$tool,alive]="it can be written"
    else
        cell[$tool,alive]="it cannot be written"
    fi
    note "$tool: the file system: ${cell[$tool,alive]} $(tail -n 1 /tmp/write)"
    umount /mnt 2> /dev/null || umount -l /mnt
    [ "$tool" = dmaownctl ] || give "$tool" "$disk"
    has_driver "$disk" nvme || release_driver "$disk"
done
like "driverctl takes a disk from under its file system" "${cell[driverctl,mounted]}" \
    "exit 0; drivers: vfio-pci"
is "which is lost to the host" "${cell[driverctl,alive]}" "it cannot be written"
like "virsh too" "${cell[virsh,mounted]}" "exit 0; drivers: vfio-pci"
is "with the same end" "${cell[virsh,alive]}" "it cannot be written"
like "dmaownctl refuses" "${cell[dmaownctl,mounted]}" "exit 4; drivers: nvme"
is "and the file system lives" "${cell[dmaownctl,alive]}" "it can be written"

# A device that the VFIO driver refuses: a module of the tests stands in for vfio-pci.
rmmod vfio_pci
echo 'install vfio_pci /bin/true' > /etc/modprobe.d/test.conf
test_module stubborn
test_module refusing_vfio driver=vfio-pci
udevadm settle
for tool in "${tools[@]}"; do
    row "$tool" refused "$lone"
    cell[$tool,override]=$(override_of "$lone")
    has_driver "$lone" stubborn || release_driver "$lone"
    has_override "$lone" "(null)" || give "$tool" "$lone"
    has_driver "$lone" stubborn || release_driver "$lone"
done
is "driverctl reports it, and nobody has the device" \
    "${cell[driverctl,refused]}, ${cell[driverctl,override]}" "exit 1; drivers: none, vfio-pci"
is "virsh reports success, and nobody has it" "${cell[virsh,refused]}" "exit 0; drivers: none"
like "dmaownctl puts it back and says so" "${cell[dmaownctl,refused]} ${cell[dmaownctl,override]}" \
    "exit 4; drivers: stubborn (null)"
rmmod refusing_vfio
rmmod stubborn
rm /etc/modprobe.d/test.conf

for case in group viable back mounted alive refused override; do
    for tool in "${tools[@]}"; do
        note "$(printf '%-9s %-10s %s' "$case" "$tool" "${cell[$tool,$case]}")"
    done
done
kill "$(pgrep -x libvirtd)"
finish
