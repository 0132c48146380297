#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a user leaves behind, who holds a device that shall go back, and devices that join a group
# that has moved.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-switch.sh
. /opt/test/guest-switch.sh

fresh_switch < <(switch_policy)
group=$(group_of "$nic")
alone=$(group_of "$lone")
command_of() { setpci -s "$1" COMMAND; }
masters_bus() { (( 16#$(command_of "$1") & 4 )); }

# Somebody has it open, without a lease.
detach alice "$nic"
worked "a NIC is detached"
hold opener vfio-open -h -d "$nic" "/dev/vfio/$group"
reattach alice "$nic"
like "what somebody has open does not go back" "$error_name" "@(Busy|ForeignOwner)"
reattach root "$nic"
like "and root is told who it is" "$error_text" "*${held_pid[opener]}*"
note "it says: $error_text"
is "it stays where it is" "$(driver_of "$nic")" vfio-pci
later patient alice Reattach "$nic" wait t 60
sleep 1
let_go opener
outcome_of patient
worked "with wait it goes back when it is closed"
is "to its driver" "$(driver_of "$nic")" e1000e

# Left with bus mastering on. An untrusted user had it open.
detach alice "$nic"
claim alice "$nic"
hold user vfio-open -u 1001 -h -d "$nic" "/dev/vfio/$group"
like "a user opens the NIC" "${held[user]}" "flags=0x3*"
let_go user
release alice "$lease"
wait_for 10 is_listed "$group" owner none
setpci -s "$nic" COMMAND=4:4
check "it is left mastering the bus" masters_bus "$nic"
plan PlanReattach alice "$nic"
like "it is reset on its way back" "$steps" "*$nic reset*bind*"
explain bob "$nic"
note "bob is told: $grantable $reason"
claim bob "$nic"
worked "the next user gets it"
check_not "with bus mastering off" masters_bus "$nic"
release bob "$lease"
wait_for 10 is_listed "$group" owner none
reattach alice "$nic"
worked "it goes back"
is "to its driver" "$(driver_of "$nic")" e1000e

# The same with a device that has no reset.
detach alice "$lone"
worked "a device without reset moves"
claim alice "$lone"
hold user vfio-open -u 1001 -h -d "$lone" "/dev/vfio/$alone"
let_go user
release alice "$lease"
wait_for 10 is_listed "$alone" owner none
setpci -s "$lone" COMMAND=4:4
explain bob "$lone"
is "the next user does not get it" "$grantable $reason" "false not-reset"
reattach alice "$lone"
refused "it does not go back either" NotViable
like "because it was not reset" "$error_text" "*$lone*reset*"
note "it says: $error_text"
reattach alice "$lone" reattach_unreset b true
like "alice may not order it" "$error_name" "*AccessDenied"
reattach root "$lone" reattach_unreset b true
worked "root may"
is "it is as before" "$(driver_of "$lone") $(override_of "$lone")" "none (null)"

# Hot-plug: what joins a group that has moved gets no driver of the host.
member=${slot%0}1
joiner=${slot%0}2
shared=$(group_of "$slot")
test_module stubborn
udevadm settle
detach alice "$slot"
worked "a slot is detached"
watch_signals
echo 1 > "$(device_path "$joiner")/remove"
check "a function is removed" wait_for 10 is_listed "$shared" count 2
first_driver=0
rejoin() { # the joiner comes back; counts how often e1000 got there first
    mark_kernel_log
    echo 1 > /sys/bus/pci/rescan
    check "and comes back" wait_for 20 test -e "$(device_path "$joiner")"
    check "it is pinned" wait_for 20 has_override "$joiner" dmaownd-held
    check "and without driver" wait_for 20 has_driver "$joiner" none
    ! kernel_says "e1000 $joiner" > /dev/null || first_driver=$((first_driver + 1))
}
rejoin
echo 1 > "$(device_path "$joiner")/remove"
check "it is removed again" wait_for 10 is_listed "$shared" count 2
claim alice "$slot"
worked "the rest is leased"
rejoin
check "that is a Conflict" wait_for 10 has_signals Conflict 1
release alice "$lease"
wait_for 10 is_listed "$shared" owner none
note "who was first: the pin $((2 - first_driver)) times, the kernel's driver $first_driver times"
echo 1 > "$(device_path "$member")/remove"
check "one without a driver" wait_for 10 is_listed "$shared" count 2
echo 1 > /sys/bus/pci/rescan
check "is pinned when it comes back" wait_for 20 has_override "$member" "dmaownd-held"
stop_signals
mark_journal
reattach alice "$slot"
worked "the slot goes back"
is "which is one entry in the journal" "$(journal_count reattached "$shared")" 1
is "the newcomers are unpinned" "$(override_of "$joiner") $(override_of "$member")" "(null) (null)"
is "with the drivers that they had" "$(drivers_of "$slot" "$member" "$joiner")" "stubborn none e1000"
finish
