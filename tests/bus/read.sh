#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Everybody may read: groups, devices, targets, and the interface as its XML says.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
start

# ---- ListGroups
row() { as "$1" busctl --json=short call $bus_name $root org.dmaownd1.Manager ListGroups |
    jq -c ".data[0][] | select(.[0] == $2)"; }
is "a mixture" "$(row alice 7)" '[7,"kernel","kernel-driver",2,"/dev/vfio/7","/org/dmaownd1/group/7"]'
is "behind pcieport" "$(row alice 8)" '[8,"none","grantable",2,"/dev/vfio/8","/org/dmaownd1/group/8"]'
is "a singleton" "$(row alice 9)" '[9,"none","grantable",1,"/dev/vfio/9","/org/dmaownd1/group/9"]'
is "beside uio" "$(row alice 10)" '[10,"kernel","unsafe-uio",2,"/dev/vfio/10","/org/dmaownd1/group/10"]'
is "beside pci-stub" "$(row alice 11)" '[11,"none","grantable",2,"/dev/vfio/11","/org/dmaownd1/group/11"]'
is "a platform device" "$(row alice 12)" '[12,"none","grantable",1,"/dev/vfio/12","/org/dmaownd1/group/12"]'
is "a mediated device" "$(row alice 13)" '[13,"none","grantable",1,"/dev/vfio/13","/org/dmaownd1/group/13"]'
is "the verdict is the caller's: no rule for bob" "$(row bob 12 | jq -r '.[2]')" no-rule
is "the verdict is the caller's: no rule for root" "$(row root 9 | jq -r '.[2]')" no-rule
is "seven groups" "$(property $root Manager GroupCount)" 7
is "no lease" "$(property $root Manager LeaseCount)" 0
is "the kernel enforces" "$(property $root Manager KernelModel)" claim
is "the first policy" "$(property $root Manager PolicyGeneration)" 1
is "its files" "$(property $root Manager PolicyFiles)" "[\"$config/policy.json\"]"

# ---- Targets
finds() { manager FindGroup s "$1" | jq -r '.data[0]'; }
is "by number" "$(finds 7)" $root/group/7
is "by device" "$(finds 0000:00:05.1)" $root/group/7
is "by bus and name" "$(finds pci/0000:00:05.1)" $root/group/7
is "by node" "$(finds /dev/vfio/7)" $root/group/7
is "by path" "$(finds /sys/devices/pci0000:00/0000:00:1c.0/0000:02:00.0)" $root/group/8
is "by link" "$(finds /sys/bus/pci/devices/0000:00:05.0)" $root/group/7
is "platform" "$(finds platform/fff50000.ethernet)" $root/group/12
for target in 99 0000:00:05.7 usb/0000:00:05.0 /dev/vfio/99 /dev/null /sys /etc/passwd "" / // ../7 07x -1 \
    4294967296 4294967303 " 7" $'7\n' $'\x01' 'ü' '/sys/../sys/kernel/iommu_groups/7' '$(id)' '%s%n'; do
    refused "no such target: $(printf %q "$target")" NoSuchTarget manager FindGroup s "$target"
done
read -r name length <<< "$("$CALLER" long 1000000)"
is "a target of 1 MB" "$name" org.dmaownd1.Error.NoSuchTarget
[ "$length" -lt 1000 ] && pass "and a short answer" || fail "and a short answer" "$length"
like "the error names the thing" "$(manager FindGroup s 0000:ff:1f.7 2>&1)" "0000:ff:1f.7"
works "the daemon is there" service status

# ---- Objects
is "owner" "$(group 7 Owner)" kernel
is "viable" "$(group 7 Viable) $(group 9 Viable)" "false true"
is "blockers" "$(group 7 Blockers)" '[["0000:00:05.1","e1000e"]]'
is "no blockers" "$(group 8 Blockers)" '[]'
is "node" "$(group 7 Node)" /dev/vfio/7
is "domain type" "$(group 7 DomainType)" DMA-FQ
is "no lease" "$(group 7 Lease)" /
is "isolated" "$(group 7 Isolated)" true
is "id" "$(group 7 Id)" 7
is "devices" "$(group 7 Devices | jq -r length)" 2
device() { property "$1" Device "$2"; }
nic=$(group 7 Devices | jq -r '.[]' | while read -r path; do
    [ "$(device "$path" Name)" = 0000:00:05.1 ] && echo "$path"; done)
like "device path" "$nic" "^$root/device/pci_2f0000_3a00_3a05_2e1\$"
is "driver" "$(device "$nic" Driver)" e1000e
is "role" "$(device "$nic" Role)" kernel
is "bus" "$(device "$nic" Bus)" pci
is "ids" "$(device "$nic" Vendor) $(device "$nic" Product) $(device "$nic" Class)" "32902 4307 131072"
is "group" "$(device "$nic" Group)" $root/group/7
is "NUMA node" "$(device "$nic" NumaNode)" -1
is "reset methods" "$(device "$nic" ResetMethods)" '["flr","pm","bus"]'
is "modalias" "$(device "$nic" Modalias)" "$(cat "$(sysfs 0000:00:05.1)/modalias")"
is "path in sysfs" "$(device "$nic" SysfsPath)" /sys/devices/pci0000:00/0000:00:05.1
role() { device "$root/device/$1" Role; }
is "pcieport" "$(role pci_2f0000_3a00_3a1c_2e0)" passive
is "pci-stub" "$(role pci_2f0000_3a00_3a07_2e0)" passive
is "uio_pci_generic" "$(role pci_2f0000_3a00_3a06_2e0)" kernel
is "vfio-pci" "$(role pci_2f0000_3a00_3a05_2e0)" user
is "its VFIO device" "$(device $root/device/pci_2f0000_3a00_3a05_2e0 VfioDevice)" vfio0
is "no driver" "$(role pci_2f0000_3a00_3a09_2e0)" free
is "no group" "$(device $root/device/pci_2f0000_3a00_3a09_2e0 Group)" /
is "a VFIO driver of another bus" "$(role mdev_2f83b8f4f2_2d509f_2d382f_2d3c1e_2de6bfe0fa1001)" user
soc=$(group 12 Devices | jq -r '.[0]')
is "compatible" "$(device "$soc" Compatible)" '["calxeda,hb-xgmac"]'
objects=$(busctl --json=short call $bus_name $root org.freedesktop.DBus.ObjectManager GetManagedObjects)
is "managed groups" "$(jq '[.data[0] | keys[] | select(contains("/group/"))] | length' <<< "$objects")" 7
is "managed devices" "$(jq '[.data[0] | keys[] | select(contains("/device/"))] | length' <<< "$objects")" 12
refused "no such object" org.freedesktop.DBus.Error.UnknownObject \
    busctl get-property $bus_name $root/group/99 org.dmaownd1.Group Id

# ---- The interface is what its XML says
# shape: interfaces of ours, one member a line, sorted, without comments and layout.
shape() {
    python3 -c '
import sys, xml.etree.ElementTree as tree
for interface in tree.parse(sys.stdin).getroot().iter("interface"):
    if not interface.get("name").startswith("org.dmaownd1."):
        continue
    for member in interface:
        arguments = [(a.get("name") or "", a.get("type"), a.get("direction") or "")
                     for a in member if a.tag == "arg"]
        notes = sorted((a.get("name"), a.get("value")) for a in member if a.tag == "annotation"
                       and (a.get("name"), a.get("value")) !=
                       ("org.freedesktop.DBus.Property.EmitsChangedSignal", "true"))
        print(interface.get("name"), member.tag, member.get("name"), member.get("type") or "",
              member.get("access") or "", [(n, t, d if member.tag == "method" else "") for n, t, d in arguments], notes)
' | grep -v 'org.freedesktop.systemd1.Privileged' | LC_ALL=C sort
}
declare -A at=([Manager]=$root [Group]=$root/group/7 [Device]=$nic)
for interface in Manager Group Device; do
    is "interface $interface" "$(busctl introspect --xml-interface $bus_name "${at[$interface]}" | shape)" \
        "$(shape < "$top_srcdir/dbus/org.dmaownd1.$interface.xml")"
done
lease=$(claim alice 9)
is "interface Lease" "$(busctl introspect --xml-interface $bus_name "$lease" | shape)" \
    "$(shape < "$top_srcdir/dbus/org.dmaownd1.Lease.xml")"
works "introspection of the root" busctl introspect $bus_name $root
like "the tree" "$(busctl tree --list $bus_name)" "$root/group/13"
finish
