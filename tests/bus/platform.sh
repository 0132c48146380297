#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Devices that are not PCI: what is known of their reset, what VFIO will refuse, groups that drivers share.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/switch.scenario
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
. "$(dirname "$0")/switch.sh"
modules
platform=/sys/module/vfio_platform/parameters/reset_required
type1=/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts
# 20: an Ethernet that no handler can reset; 21: an AMBA clock; 22: a display complex under one context.
fakectl device platform fff60000.ethernet compatible=acme,gmac driver=acmegmac native=acmegmac group=20
fakectl device amba 9010000.pl031 compatible=arm,pl031 driver=rtc-pl031 native=rtc-pl031 group=21
fakectl driver amba vfio-amba vfio managed
fakectl device platform 54200000.dc compatible=nvidia,tegra124-dc driver=tegra-dc native=tegra-dc group=22
fakectl device platform 54240000.dc compatible=nvidia,tegra124-dc driver=tegra-dc native=tegra-dc group=22
fakectl device platform 54340000.vic compatible=nvidia,tegra124-vic driver=tegra-vic native=tegra-vic group=22
policy '{ "version": 1, "rules": [
    { "name": "display", "effect": "allow", "match": { "compatible": "nvidia,tegra*" },
      "subjects": { "users": ["alice"] } },
    { "name": "bob", "effect": "allow", "match": { "bus": ["platform", "amba"] },
      "subjects": { "users": ["bob", "root"] }, "detach": true },
    { "name": "careful", "effect": "allow", "match": { "bus": ["platform", "amba"] },
      "subjects": { "users": ["alice"] }, "detach": true, "require": ["isolated", "reset"] } ] }'
start

# What depends on the kernel that runs the daemon: see kernel/features.h.
read -r major minor < <(uname -r | tr . ' ' | cut -d ' ' -f 1,2)
release=$((major * 1000 + ${minor%%[!0-9]*}))
# since MAJOR MINOR: a test for newer kernels alone.
since() { [ "$release" -ge $(($1 * 1000 + $2)) ]; }

# list_reason USER GROUP: of ListGroups.
list_reason() { as "$1" busctl --json=short call $bus_name $root org.dmaownd1.Manager ListGroups | jq -r ".data[0][] | select(.[0] == $2) | .[2]"; }
# finding USER TARGET REASON [KEY TYPE VALUE]...: whether it blocks, and the text.
finding() {
    call "$1" Explain "$2" "${@:4}" |
        jq -r --arg r "$3" '.data[2][] | select(.reason.data == $r) | "\(.blocks.data) \(.device.data): \(.text.data)"'
}

# ---- Reset
is "a handler is known beforehand" "$(reason_of alice 12 detach b true)" "true "
is "and that there is none" "$(reason_of alice 20 detach b true)" "false no-reset"
like "what to do" "$(message_of call alice Detach 20)" "^Device fff60000\\.ethernet in group 20 can not go to a VFIO driver: vfio-platform has no reset handler for acme,gmac.*vfio-reset:acme,gmac"
refused "the claim says the same" NotViable claim alice 20 detach b true
is "nothing was tried" "$(now fff60000.ethernet)" "acmegmac -"
refused "AMBA is not granted without, where a rule asks for it" NotViable claim alice 21 detach b true
if since 6 3; then
    works "AMBA, without that rule" call bob Detach 21
    is "with its driver" "$(now 9010000.pl031)" "vfio-amba vfio-amba"
    like "it has no reset there either" "$(list_reason alice 21) $(reason_of alice 21)" "^no-reset false no-reset$"
    works "and back" call bob Reattach 21

    # reset_required=0: a device can be on vfio-platform that nothing resets.
    fakectl set $platform N
    is "then it can go there" "$(reason_of bob 20 detach b true)" "true "
    is "which is no reset" "$(reason_of alice 20 detach b true)" "false no-reset"
    to_vfio() {
        fakectl unbind "$1"
        fakectl bind "$1" vfio-platform
    }
    to_vfio fff60000.ethernet
    to_vfio fff50000.ethernet
    works "the daemon forgets" service kill
    works "and starts" service start
    eventually "the list says so" is_output no-reset list_reason alice 20
    refused "nor may it be claimed" NotViable claim alice 20
    is "Explain agrees" "$(reason_of alice 20)" "false no-reset"
    is "of what nobody has looked at, too" "$(list_reason alice 12)" no-reset
    lease=$(claim alice 12)
    like "a claim looks, and finds a handler" "$lease" /lease/
    manager Release o "$lease" > /dev/null
    within gone "$lease"
    is "now the list knows it" "$(list_reason alice 12)" grantable

    # What a user had open goes on as it was, if nothing resets it.
    uses() {
        lease=$(claim bob "$1")
        hold bob "$FAKEKERNEL/fakectl" hold "/dev/vfio/$1" "$2"
        is "bob has $2 open" "$held" held
        release_hold
        manager Release o "$lease" > /dev/null
        within gone "$lease"
    }
    uses 20 fff60000.ethernet
    uses 12 fff50000.ethernet
    is "nobody else gets it" "$(reason_of root 20)" "false not-reset"
    is "but who had it" "$(reason_of bob 20)" "true "
    is "unlike what its handler resets" "$(reason_of root 12)" "true "
    fakectl set $platform Y
fi

# ---- Interrupts
if since 6 3; then
    like "VFIO's refusal is foretold" "$(finding bob 12 no-interrupt-remapping)" "^false fff50000\\.ethernet: .*VFIO_SET_IOMMU will fail with EPERM.*allow_unsafe_interrupts of module vfio_iommu_type1"
    is "it blocks nothing" "$(reason_of bob 12)" "true "
    fakectl set $type1 Y
    is "unless it is allowed" "$(finding bob 12 no-interrupt-remapping)" ""
    fakectl set $type1 N
fi

# ---- A group that drivers share by design
is "all are named" "$(finding alice 22 kernel-driver | cut -d ' ' -f 1-2 | paste -sd' ')" "true 54200000.dc: true 54240000.dc: true 54340000.vic:"
like "by the refusal, too" "$(message_of claim alice 22)" "^Device 54200000\\.dc in group 22 is held by the kernel driver tegra-dc; .* Also held: 54240000\\.dc \\(tegra-dc\\), 54340000\\.vic \\(tegra-vic\\)\\.$"
is "and by the group" "$(group 22 Blockers)" '[["54200000.dc","tegra-dc"],["54240000.dc","tegra-dc"],["54340000.vic","tegra-vic"]]'
refused "a rule without detach does not move them" PolicyDenied call alice Detach 22
fakectl unbind 54340000.vic
fakectl bind 54340000.vic vfio-platform
refused "mixed use" KernelHeld claim alice 22
like "names those that are left" "$(message_of claim alice 22)" "54200000\\.dc .* Also held: 54240000\\.dc \\(tegra-dc\\)\\.$"
is "the owner" "$(group 22 Owner)" kernel
fakectl unbind 54200000.dc
fakectl unbind 54240000.dc
lease=$(claim alice 22)
like "when the drivers are gone it is granted" "$lease" /lease/
finish
