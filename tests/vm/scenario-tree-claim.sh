#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Groups of platform devices that share a stream, on SMMUv2: of two and three members, one of AMBA devices
# that is there from the boot, and one with a PCI function. All of a group on VFIO, or nothing.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-tree.sh
. /opt/test/guest-tree.sh

left=700a0000.left middle=700a1000.middle right=700a2000.right
shadow=700a5000.shadow
load_vfio
load_host_driver
fresh_start < <(tree_policy)

# AMBA: the drivers are built into the kernel, and the group is older than any process.
clock=9010000.pl031 gpio=9030000.pl061
is "two AMBA devices are one group" "$(members_of "$(group_of "$clock")")" "$clock $gpio "
claim alice "$clock"
refused "a claim is refused" KernelHeld
like "naming the target's driver" "$error_text" "*$clock*rtc-pl031*"
like "and the other's" "$error_text" "*$gpio*pl061_gpio*"
is "Blockers has both" "$(property "/org/dmaownd1/group/$(group_of "$clock")" Group Blockers)" \
    "[[\"$clock\",\"rtc-pl031\"],[\"$gpio\",\"pl061_gpio\"]]"

# Three platform devices.
check "two of three go to VFIO" drive vfio-platform "$left" "$middle"
group=$(group_of "$left")
is "the kernel has all in one group" "$(members_of "$group")" "$left $middle $right "
is "and calls it not viable" "$(vfio-open "/dev/vfio/$group")" "flags=0x0"
check "dmaownd sees the kernel as owner" wait_for 20 is_listed "$group" owner kernel
claim alice "$left"
refused "a claim beside the third's driver is refused" KernelHeld
like "naming it" "$error_text" "*$right*plain_master*"
is "it alone stands against it" "$(stands_against "$left")" "$right kernel-driver"
check "a second host driver comes" drive plain_master "$middle"
claim alice "$left"
like "both are named" "$error_text" "*$middle*"
like "the other one, too" "$error_text" "*$right*"
check "all go to VFIO" drive vfio-platform "$middle" "$right"
check "the group is grantable" wait_for 20 is_listed "$group" verdict grantable alice
is "it is isolated" "$(isolated "$left")" true
is "of three devices" "$(listed "$group" count)" 3
claim alice "$middle"
worked "the claim is granted"
first=$lease
is "the holder opens the group" "$(opens_as alice "$group")" "flags=0x1"
is "nobody else does" "$(opens_as bob "$group")" "open: EACCES"
hold user vfio-open -u 1001 -h -d "$right" "/dev/vfio/$group"
is "and uses a device of it" "${held[user]}" "flags=0x3 held"
claim bob "$right"
refused "another is refused, whatever member he names" AlreadyOwned
check_not "while it is in use, no host driver can join" drive plain_master "$left"
let_go user
release alice "$first"
worked "it is released"

# A PCI function and a platform device.
check "a platform device goes to VFIO" drive vfio-platform "$shadow"
check "the PCI function on its stream gets a host driver" test_module stubborn
group=$(group_of "$shadow")
is "they are one group" "$(members_of "$group")" "$shadowed $shadow "
check "dmaownd sees it" wait_for 20 is_listed "$group" count 2
claim alice "$shadow"
refused "the platform device is refused for the PCI function" KernelHeld
like "naming it" "$error_text" "*$shadowed*stubborn*"
check "both are on VFIO" drive vfio-pci "$shadowed"
check "and it is grantable" wait_for 20 is_listed "$group" verdict grantable alice
is "FindGroup says the same of both" "$(call FindGroup s "$shadowed")" "$(call FindGroup s "$shadow")"
claim alice "$shadowed"
worked "the claim by the PCI function is granted"
first=$lease
is "its holder opens the platform device" "$(vfio-open -u 1001 -d "$shadow" "/dev/vfio/$group")" "flags=0x3"
is "and the PCI function" "$(vfio-open -u 1001 -d "$shadowed" "/dev/vfio/$group")" "flags=0x3"
claim bob "$shadow"
refused "another cannot have the platform device" AlreadyOwned
release alice "$first"
rmmod stubborn
check "it is nobody's again" wait_for 20 is_listed "$group" owner none

# By the command line, as a user.
check "dmaownctl explain says that a user may" as_user alice dmaownctl explain "$shadow"
is "dmaownctl run gives it to a program" \
    "$(as_user alice dmaownctl run "$shadow" -- vfio-open "/dev/vfio/$group")" "flags=0x1"
check "and takes it back" wait_for 20 is_listed "$group" owner none
finish
