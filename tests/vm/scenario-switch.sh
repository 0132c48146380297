#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# NICs and a whole group behind a bridge, moved to VFIO and back: what stays with the host, what
# moves, by whom, with which driver.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-switch.sh
. /opt/test/guest-switch.sh

fresh_switch < <(switch_policy)
group=$(group_of "$nic")
eth=$(interface_of "$nic")
far=$(interface_of "$other")

# What the host needs of a NIC.
ip link set "$eth" up
ip address add 192.0.2.1/24 dev "$eth"
stays "a NIC with an address" "$nic" address "$eth *192.0.2.1/24"
like "UsedBy says it" "$(property "$(device_object "$nic")" Device UsedBy)" "*192.0.2.1*"
detach alice "$nic"
refused "nor does it move for alice" DeviceInUse
ip address flush dev "$eth"
ip route add default dev "$eth"
stays "a NIC with the default route" "$nic" route "$eth"
ip route del default dev "$eth"
ip link add link "$eth" name tagged type vlan id 7
stays "a NIC under a VLAN" "$nic" enslaved "$eth"
ip link del tagged
ip link add bridge0 type bridge
ip link set "$eth" master bridge0
stays "a NIC in a bridge" "$nic" enslaved "$eth"
ip link del bridge0
ip netns add far
ip link set "$far" netns far
stays "a NIC in another network namespace" "$other" netdev-elsewhere "$other"
ip netns del far
check "it comes back to the host" wait_for 10 test -d "$(device_path "$other")/net/$far"

# A NIC that nobody needs, up and with a link-local address.
ip address add fe80::1/64 dev "$eth" nodad
rmmod vfio_pci 2> /dev/null
explain alice "$nic"
is "without detach the driver is the obstacle" "$grantable $reason" "false kernel-driver"
judge alice "$nic"
is "with it there is none" "$grantable" true
judge bob "$nic"
is "bob's rule has no detach" "$grantable $reason" "false detach-denied"
detach bob "$nic"
refused "so he may not" PolicyDenied
plan PlanDetach alice "$nic"
worked "the plan is shown"
note "the plan: $steps"
like "it loads, unbinds and binds" "$steps" "*load*$nic unbind e1000e*$nic bind*vfio-pci*"
printed=$(as_user alice dmaownctl detach --dry-run "$nic" 2>&1)
like "dmaownctl prints the same steps" "$printed" "*unbind*bind*"
is "and nothing has changed" "$(driver_of "$nic") $(override_of "$nic")" "e1000e (null)"
[ ! -d /sys/module/vfio_pci ] || not_ok "vfio_pci was loaded by a plan"
check "dmaownctl detaches it" as_user alice dmaownctl detach "$nic"
is "vfio-pci has it, loaded by the way" "$(driver_of "$nic")" vfio-pci
explain bob "$nic"
is "now bob could claim it" "$grantable" true
claim alice "$nic"
worked "alice does"
is "and opens it" "$(opens_as alice "$group")" "flags=0x1"
reattach alice "$nic"
refused "what is leased does not go back" AlreadyOwned
release alice "$lease"
wait_for 10 is_listed "$group" owner none
reattach bob "$nic"
refused "nor for bob" NotHolder
check "dmaownctl gives it back" as_user alice dmaownctl reattach "$nic"
is "its driver and override are as before" "$(driver_of "$nic") $(override_of "$nic")" \
    "e1000e (null)"
is "and its name" "$(interface_of "$nic")" "$eth"
is "one detached, one reattached is in the journal" \
    "$(journal_count detached "$group") $(journal_count reattached "$group")" "1 1"
like "with the device" "$(journal_field detached "$group" DMAOWND_DEVICES)" "*$nic*"
is "and the uid" "$(journal_field detached "$group" DMAOWND_UID)" 1001
detach alice "$nic"
reattach root "$nic"
worked "root may give back what alice took"

# A whole group behind a bridge.
whole=$(group_of "$pair0")
plan PlanDetach alice "$pair0"
note "the plan of the group: $steps"
detach alice "$pair0"
worked "one call moves a group behind a bridge"
is "both NICs moved, the device without a driver and the bridge did not" \
    "$(drivers_of "$pair0" "$pair1" "$pair2" "$bridge")" "vfio-pci vfio-pci none none"
is "what was free is pinned, the bridge is not" \
    "$(override_of "$pair2") $(override_of "$bridge")" "dmaownd-held (null)"
test_module stubborn
is "a driver that comes does not get it" "$(driver_of "$pair2")" none
plan PlanReattach alice "$pair1"
note "the way back: $steps"
reattach alice "$pair1"
worked "one call moves it back"
is "both NICs have their driver" "$(drivers_of "$pair0" "$pair1")" "e1000 e1000"
is "no override is left" "$(override_of "$pair0") $(override_of "$pair1") $(override_of "$pair2")" \
    "(null) (null) (null)"
rmmod stubborn
claim alice "$pair1" detach b true
worked "the group is claimed and moved by one call"
is "and viable, as the kernel sees it" "$(opens_as alice "$whole")" "flags=0x1"
release alice "$lease"
wait_for 10 is_listed "$whole" owner none
# Behind the bridge no device can be reset alone.
reattach alice "$pair0"
refused "what a user had open does not go back without a reset" NotViable
reattach root "$pair0" reattach_unreset b true
worked "but by an administrator's word"
is "to its drivers" "$(drivers_of "$pair0" "$pair1")" "e1000 e1000"

# What was on VFIO before stays there.
bind_driver "$pair1" vfio-pci
wait_for 10 is_listed "$whole" count 4
detach alice "$pair0"
worked "a group of which one is on VFIO already moves"
reattach alice "$pair0"
worked "and goes back"
is "but for that one" "$(drivers_of "$pair0" "$pair1")" "e1000 vfio-pci"
release_driver "$pair1"

# Claim does both by itself.
wait_for 10 is_listed "$group" verdict kernel-driver alice
claim alice "$nic" detach b true reattach b true
worked "a claim that detaches"
is "is a lease on VFIO" "$(driver_of "$nic") $(opens_as alice "$group")" "vfio-pci flags=0x1"
release alice "$lease"
check "and at its end the driver is back" wait_for 30 has_driver "$nic" e1000e
claim bob "$nic" detach b true
refused "bob's claim may not" PolicyDenied

# The module.
rmmod vfio_pci
echo 'blacklist vfio_pci' > /etc/modprobe.d/test.conf
detach alice "$nic"
refused "a blacklisted vfio_pci is not loaded" NotViable
like "and named so" "$error_text" "*vfio_pci*blacklisted*"
is "nothing was changed" "$(driver_of "$nic")" e1000e
rm /etc/modprobe.d/test.conf
module=$(modinfo -n vfio_pci)
mv "$module" "$module.away"
detach alice "$nic"
like "a missing one is said to be missing" "$error_name: $error_text" "NotViable: *vfio*"
mv "$module.away" "$module"
moves "the NIC, with the module back," "$nic" e1000e
finish
