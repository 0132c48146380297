#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Bad days: an unbind that hangs, a daemon that is stopped or killed meanwhile, drivers that refuse,
# devices that were left dirty or that join a group that has moved.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-switch.sh
. /opt/test/guest-switch.sh

fresh_switch < <(switch_policy)
test_module stubborn
udevadm settle
alone=$(group_of "$lone")
is "the tests' driver has its devices" "$(drivers_of "$lone" "$slot")" "stubborn stubborn"
is_hanging() { ! has_driver "$1" stubborn; }
is_switching() {
    judge root "$1"
    [ "$reason" = switching ]
}
is_settled() { ! is_switching "$1"; }
detaches() {
    detach alice "$1"
    [ -z "$error_name" ]
}
paced_again() { [ "$(wc -l < /tmp/pace.out)" = 2 ]; }

# An unbind that hangs: who waits and who does not, and what the daemon does meanwhile.
mkfifo /tmp/pace
bus-client pace "$nic" < /tmp/pace > /tmp/pace.out 2>&1 &
pace=$!
exec 8> /tmp/pace
check "calls are timed" wait_for 60 test -s /tmp/pace.out
set_stubborn hold Y
later impatient alice Detach "$lone"
later patient alice Detach "$slot" wait t 100
# busctl itself, to be killed.
setpriv --reuid alice --regid alice --init-groups busctl call "${manager[@]}" Detach 'asa{sv}' \
    1 "$pair0" 1 wait t 100 > /dev/null 2>&1 &
vanishing=$!
begin=$SECONDS
check "the unbinds hang" wait_for 20 is_hanging "$lone"
check "another" wait_for 20 is_hanging "$slot"
check "and in a group of several" wait_for 20 is_hanging "$pair2"
kill "$vanishing"
sleep 2 # what was begun has settled
echo >&8
check "the daemon answers Explain, ListGroups and Rescan" \
    wait_for 60 paced_again
exec 8>&-
wait "$pace"
mapfile -t paces < <(sed 's/ us.*//' /tmp/pace.out)
note "a round of ListGroups, Explain and Rescan, without and with the hang: $(cat /tmp/pace.out)"
note "ratio: $((paces[1] * 100 / paces[0]))/100"
check "as fast as without the hang, but for a busy host's noise" test "${paces[1]}" -lt $((paces[0] * 5))
claim alice "$lone" detach b true
refused "what is being switched is busy" Busy
detach alice "$lone"
refused "for a second call too" Busy
outcome_of impatient
took=$((SECONDS - begin))
is "without wait it fails" "$error_name" SwitchFailed
like "in time ($took s), with the step" "$error_text" "*unbind*$lone*stubborn*"
note "it says: $error_text"
check "within what was promised" test "$took" -le 28
check_not "the patient one still waits" is_over patient
set_stubborn hold N
outcome_of patient
worked "the patient one has done it in the end"
is "and its group has moved" "$(driver_of "$slot") $(driver_of "${slot%0}2")" "vfio-pci vfio-pci"
check "the other device is put back by itself" wait_for 20 has_driver "$lone" stubborn
check "all of it" wait_for 20 has_override "$lone" "(null)"
check "its group is free again" wait_for 10 is_listed "$alone" owner kernel
check "what a caller began that has gone is undone" wait_for 20 has_driver "$pair2" stubborn
check "in all devices of the group" wait_for 20 has_driver "$pair0" e1000
is "with their overrides" "$(override_of "$pair0") $(override_of "$pair1") $(override_of "$pair2")" \
    "(null) (null) (null)"
reattach alice "$slot"
worked "the patient's group goes back"

# Stopped and started in that state, and without it.
begin=${EPOCHREALTIME/./}
service restart
plainly=$(((${EPOCHREALTIME/./} - begin) / 1000))
set_stubborn hold Y
later stopped alice Detach "$lone" wait t 100
check "an unbind hangs again" wait_for 20 is_hanging "$lone"
begin=${EPOCHREALTIME/./}
check "the daemon is restarted" service restart
took=$(((${EPOCHREALTIME/./} - begin) / 1000))
note "a restart took $plainly ms, with an unbind that hangs $took ms"
check "within five seconds, or as fast as without" test "$took" -le $((plainly > 2500 ? plainly * 2 : 5000))
check "and answers" timeout 10 busctl call "${manager[@]}" ListGroups
check "it knows that the group is switching" wait_for 10 is_switching "$lone"
set_stubborn hold N
check "when the unbind ends, the device is put back" wait_for 30 has_driver "$lone" stubborn
check "and free to be moved again" wait_for 20 is_settled "$lone"
outcome_of stopped
check "the caller was told something" test -n "$error_name"
like "the journal says what became of it" "$(journal MESSAGE DMAOWND_EVENT=switch-failed \
    "DMAOWND_GROUP=$alone" + DMAOWND_EVENT=recovered "DMAOWND_GROUP=$alone")" "*put back*"

# Killed in that state.
mark_journal
set_stubborn hold Y
later killed alice Detach "$lone" wait t 100
check "a third time" wait_for 20 is_hanging "$lone"
check "the daemon comes back after SIGKILL" kill_daemon
set_stubborn hold N
check "and puts the device back" wait_for 30 has_driver "$lone" stubborn
check "with its override" wait_for 20 has_override "$lone" "(null)"
note "the journal: $(journal MESSAGE "DMAOWND_GROUP=$alone")"
outcome_of killed
check "it can be moved again" wait_for 20 detaches "$lone"

# A driver that does not take its device back.
set_stubborn refuse 5
reattach root "$lone"
refused "a driver that refuses fails the reattach" SwitchFailed
like "with its errno and the kernel's line" "$error_text" "*$lone*stubborn*EIO*does not want this device*"
is "the device is nobody's" "$(driver_of "$lone")" none
like "which is on record" "$(journal_field switch-failed "$alone" DMAOWND_DEVICES)" "*$lone*"
set_stubborn refuse 0
reattach root "$lone"
worked "and it goes back when the driver wants it"
is "to that driver" "$(driver_of "$lone") $(override_of "$lone")" "stubborn (null)"

# A VFIO driver that refuses: what the rule names is not replaced, what modprobe finds is.
test_module refusing_vfio
write_policy <<'END'
{ "version": 1,
  "rules": [ { "name": "refusing", "effect": "allow", "match": { "bus": "pci" }, "detach": true,
               "vfio_driver": "refusing-vfio-pci", "subjects": { "users": ["alice"] } } ] }
END
systemctl reload dmaownd
detach alice "$slot"
refused "a VFIO driver that refuses fails the detach" SwitchFailed
like "with the kernel's line" "$error_text" "*refusing-vfio-pci finds no firmware*"
note "it says: $error_text"
is "the whole group is put back" "$(drivers_of "$slot" "${slot%0}1" "${slot%0}2")" \
    "stubborn none e1000"
is "with its overrides" "$(override_of "$slot") $(override_of "${slot%0}1")" "(null) (null)"
rmmod refusing_vfio
switch_policy | write_policy
systemctl reload dmaownd
install -D "/usr/lib/vmtest/modules/$(uname -r)/refusing_vfio.ko" -t "/lib/modules/$(uname -r)/updates"
depmod
mark_kernel_log
detach alice "$lone"
worked "a variant that refuses is replaced by vfio-pci"
is "which has the device" "$(driver_of "$lone")" vfio-pci
check "the variant was tried first" kernel_says "refusing-vfio-pci finds no firmware"
reattach alice "$lone"
worked "nobody had it, so nothing needs a reset"
rm -r "/lib/modules/$(uname -r)/updates"
depmod
rmmod refusing_vfio
finish
