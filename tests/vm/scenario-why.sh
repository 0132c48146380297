#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# dmaownctl show --why against the groups that the kernel really made; wants the topologies groups and
# shared.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh

fresh_start <<'END'
{ "version": 1, "rules": [] }
END

# Reasons with their causes, one a line.
why() { dmaownctl show --why --json "$1" | jq -r '.why[] | .reason + ": " + (.causes | join(" "))'; }
# The device of PCI below a bridge that is at this address.
below() {
    local device
    device=$(find "/sys/bus/pci/devices/0000:$1/" -mindepth 1 -maxdepth 1 -name "*:*:$2" -printf '%f\n')
    echo "${device:-none}"
}

is "a group of one" "$(why 0000:00:02.0)" ""
is "a multifunction slot" "$(why 0000:00:05.0)" \
    "multifunction-without-acs: 0000:00:05.0 0000:00:05.1 0000:00:05.2"
bridge=$(below 00:08.0 00.0)
is "a bridge from PCIe to PCI" "$(why "$bridge")" "pcie-to-pci-bridge: $bridge"
is "a port with ACS" "$(why 0000:00:04.0)" ""
is "a port without ACS" "$(why 0000:00:06.0)" "port-without-acs: 0000:00:06.0"
is "two ports in a slot" "$(why 0000:00:07.0)" \
    "port-without-acs: 0000:00:07.0
multifunction-without-acs: 0000:00:07.0 0000:00:07.1
port-without-acs: 0000:00:07.1"
like "bridges of conventional PCI" "$(why 0000:00:09.0)" "legacy-bridge: 0000:00:09.0*"
upstream=$(below 00:0a.0 00.0)
is "the upstream port of a switch" "$(why "$upstream")" ""
for slot in 00 01; do
    port=$(find "/sys/bus/pci/devices/$upstream/" -mindepth 1 -maxdepth 1 -name "*:$slot.0" -printf '%f\n')
    is "the downstream port $slot" "$(why "$port")" "port-without-acs: $port"
done
# Every group of the machine; those that are built into it, too.
unknown=$(dmaownctl list --json | jq -r '.[].id' | while read -r group; do
    why "$group" | sed "s/^/group $group: /"
done | tee /dev/stderr | grep unknown)
is "no group is left unexplained" "$unknown" ""
is "others than root are told that they cannot see it" \
    "$(as_user alice dmaownctl show --why 0000:00:06.0 > /dev/null 2>&1; echo $?)" 3
dmaownctl show --why 0000:00:07.0
finish
