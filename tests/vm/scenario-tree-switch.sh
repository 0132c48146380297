#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Platform and AMBA devices on their way to VFIO and back, on SMMUv2: whole groups; with a reset; and
# devices that have no group before a driver probes them.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-tree.sh
. /opt/test/guest-tree.sh

pair=(700a3000.xgmac 700a4000.xgmac)
amba=(9010000.pl031 9030000.pl061)
load_vfio
load_host_driver
fresh_start < <(tree_policy)

# A group of two with host drivers, and a reset driver for each.
is "the kernel has both" "$(drivers_of "${pair[@]}")" "plain_master plain_master"
move Detach bob "${pair[0]}"
refused "who may only claim moves nothing" PolicyDenied
move Detach alice "${pair[0]}"
worked "one is named, the group moves"
is "to VFIO" "$(drivers_of "${pair[@]}")" "vfio-platform vfio-platform"
claim alice "${pair[1]}"
worked "it is claimed"
group=$(group_of "${pair[0]}")
resets=$(dmesg | grep -c 'xgmac: VFIO: reset')
is "and used" "$(vfio-open -u 1001 -d "${pair[0]}" "/dev/vfio/$group")" "flags=0x3"
check "the kernel resets it before and after" test "$(dmesg | grep -c 'xgmac: VFIO: reset')" -ge $((resets + 2))
move Reattach alice "${pair[0]}"
refused "nothing goes back before the lease has ended" AlreadyOwned
release alice "$lease"
move Reattach alice "${pair[0]}"
worked "then it does"
is "to the drivers that they had" "$(drivers_of "${pair[@]}")" "plain_master plain_master"
is "without an override" "$(override_of "${pair[0]}") $(override_of "${pair[1]}")" "(null) (null)"

# In one call.
claim alice "${pair[0]}" detach b true reattach b true
worked "a claim detaches"
is "the holder opens it" "$(opens_as alice "$group")" "flags=0x1"
release alice "$lease"
check "and at its end the host has it again" wait_for 30 has_driver "${pair[1]}" plain_master

# AMBA devices. VFIO resets none of them, and 6.1 takes no device that it cannot reset.
move Detach alice "${amba[0]}"
if is_old_kernel; then
    like "without a reset nothing moves" "$error_name" "[NS][ow]*"
    like "and the error says why" "$error_text" "*reset*"
    is "both are where they were" "$(drivers_of "${amba[@]}")" "rtc-pl031 pl061_gpio"
else
    worked "AMBA devices move"
    is "to their VFIO driver" "$(drivers_of "${amba[@]}")" "vfio-amba vfio-amba"
    claim alice "${amba[1]}"
    worked "and are claimed"
    is "and used" "$(vfio-open -u 1001 -d "${amba[0]}" "$(node_of "${amba[0]}")")" "flags=0x3"
    release alice "$lease"
    move Reattach alice "${amba[0]}"
    worked "they go back"
    is "to the drivers that they had" "$(drivers_of "${amba[@]}")" "rtc-pl031 pl061_gpio"
fi

# No group yet.
lone=700ab000.elsewhere
is "a device that no driver has probed has no group" "$(group_of "$lone") $(driver_of "$lone")" " none"
audit
check "the audit says that one is to come" found pending "$lone"
claim alice "$lone"
refused "it cannot be claimed as it is" NotViable
is "for that reason" "$(stands_against "$lone")" "$lone no-group"
move Detach alice "$lone"
worked "but detached"
group=$(group_of "$lone")
is "it is on VFIO in a group of one" "$(driver_of "$lone") $(members_of "$group")" "vfio-platform $lone "
claim alice "$lone"
worked "the group is claimed"
is "and opens" "$(opens_as alice "$group")" "flags=0x1"
release alice "$lease"
move Reattach alice "$lone"
worked "it goes back"
is "to no driver" "$(driver_of "$lone") $(override_of "$lone")" "none (null)"
audit
check_not "the audit has it no more" found pending "$lone"

# No group yet, but on the stream of one that has: the pair of a mask.
masking=700a9000.masking masked=700aa000.masked
move Detach alice "$masking"
worked "one of two is detached"
is "the other is kept from drivers" "$(override_of "$masked") $(driver_of "$masked")" "dmaownd-held none"
audit
check "it is still to come" found pending "$masked"
claim alice "$masking"
worked "the first is claimed"
watch_signals
check "a host driver comes by hand" drive plain_master "$masked"
is "and joins the group" "$(group_of "$masked")" "$(group_of "$masking")"
check "that is a Conflict" wait_for 20 has_signals Conflict 1
like "naming it" "$(signals Conflict)" "*$masked*plain_master*"
stop_signals
unbind_driver "$masked"
release alice "$lease"
check "it is over" wait_for 20 is_listed "$(group_of "$masking")" owner none
move Reattach alice "$masking"
worked "it goes back"
finish
