#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Who may have a group: every member must be allowed; what does not count as a member; a policy that
# is no good.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh

modprobe vfio-pci
slot=0000:00:05.0
all_rules() { # all_rules RULE...: one policy
    local IFS=,
    echo "{ \"version\": 1, \"rules\": [ $* ] }"
}
rule() { # rule NAME EFFECT MATCH
    echo "{ \"name\": \"$1\", \"effect\": \"$2\", \"match\": $3,"
    echo '"subjects": { "users": ["alice"] } }'
}
install_policy() { # install_policy RULE...
    all_rules "$@" | write_policy
    systemctl reload dmaownd
}

fresh_start < <(all_rules "$(rule all allow '{ "bus": "pci" }')")
bind_driver 0000:00:05.0 vfio-pci
bind_driver 0000:00:05.2 vfio-pci
group=$(group_of "$slot")
check "without obstacles it is grantable" wait_for 10 is_listed "$group" verdict grantable alice
claim bob "$slot"
refused "who is in no rule gets nothing" PolicyDenied

check "a policy is taken by reload" install_policy "$(rule nics deny '{ "class": "0x02****" }')" \
    "$(rule all allow '{ "bus": "pci" }')"
claim alice "$slot"
refused "one denied device denies the group" PolicyDenied
like "naming it and the rule" "$error_text" "*0000:00:05.2*nics*"

check "another" install_policy "$(rule edu allow '{ "vendor": "0x1234", "class": "0x00****" }')" \
    "$(rule test allow '{ "vendor": "0x1b36" }')" "$(rule nic allow '{ "vendor": "0x8086" }')"
claim alice "$slot"
worked "each member allowed by a rule of its own"
release alice "$lease"

check "another" install_policy "$(rule edu allow '{ "vendor": "0x1234" }')" \
    "$(rule test allow '{ "vendor": "0x1b36" }')" \
    "$(rule nic allow '{ "vendor": "0x8086", "class": "0x01****" }')"
claim alice "$slot"
refused "a class that does not match denies it" PolicyDenied
like "naming the device" "$error_text" "*0000:00:05.2*"

check "another" install_policy "$(rule edu allow '{ "vendor": "0x1234" }')" \
    "$(rule nic allow '{ "vendor": "0x8086" }')"
claim alice "$slot"
refused "one unmatched member denies it" PolicyDenied
like "naming it" "$error_text" "*0000:00:05.1*"
explain alice "$slot"
is "for want of a rule" "$reason" no-rule

# A bad policy never replaces a good one.
before=$(property /org/dmaownd1 Manager PolicyGeneration)
all_rules "$(rule all allow '{ "buss": "pci" }')" | write_policy
check_not "a policy with an unknown key is refused" systemctl reload dmaownd
is "the old one stays" "$(property /org/dmaownd1 Manager PolicyGeneration)" "$before"
check "and it is on record" test -n "$(journal MESSAGE DMAOWND_EVENT=policy-rejected)"
like "by file, line and column" "$(journal MESSAGE DMAOWND_EVENT=policy-rejected)" \
    "*policy.json:1:*buss*"

# pcieport and bridges are no members that need a rule; a bridge without driver is no obstacle.
check "another" install_policy "$(rule bridged allow '{ "name": "0000:*:0[13].0" }')"
nic=$(basename "$(readlink -f /sys/bus/pci/devices/0000:00:08.0/*/*:01.0)")
edu=${nic%01.0}03.0
check "vfio-pci takes a device behind a PCIe-to-PCI bridge" bind_driver "$edu" vfio-pci
claim alice "$edu"
refused "its sibling's driver is in the way" KernelHeld
like "the NIC's, not the bridge" "$error_text" "*$nic*e1000*"
bind_driver "$nic" vfio-pci
claim alice "$edu"
worked "the bridge is not"
release alice "$lease"

disk=$(readlink -f /sys/bus/pci/devices/0000:00:06.0/*:00.0 2> /dev/null)
if [ -e "$disk" ]; then
    disk=${disk##*/}
    check "another" install_policy "$(rule disk allow '{ "class": "0x0108**" }')"
    is "the port of a disk shares its group" "$(group_of "$disk")" "$(group_of 0000:00:06.0)"
    claim alice "$disk"
    refused "the disk's own driver holds it" KernelHeld
    like "by name" "$error_text" "*$disk*nvme*"
    check "vfio-pci takes the disk" bind_driver "$disk" vfio-pci
    is "pcieport stays at the port" "$(driver_of 0000:00:06.0)" pcieport
    claim alice "$disk"
    worked "pcieport is no obstacle"
    is "and the kernel agrees" "$(opens_as alice "$(group_of "$disk")")" "flags=0x1"
    release alice "$lease"
fi
finish
