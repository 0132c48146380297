#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every write of a switch fails, one after the other, and every write hangs: all is as before then, and
# the daemon answers meanwhile.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/switch.scenario
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
. "$(dirname "$0")/switch.sh"
policy "$switch_policy"
start
targets="10 14"
before=$(snapshot)
fakectl writes clear
call alice Detach "$targets" > /dev/null
away=$(fakectl writes count)
moved=$(snapshot)
fakectl writes clear
call alice Reattach "$targets" > /dev/null
back=$(fakectl writes count)
is "there and back" "$(snapshot)" "$before"
[ "$away" -ge 9 ] && pass "$away writes away, $back back" || fail "writes" "$away"
records() { find /run/dmaownd -name 'switch-*' | wc -l; }
free_again() { is_output "true " reason_of alice 10 detach b true && is_output "true " reason_of alice 14 detach b true; }

# settled WHERE: nothing is left of what failed.
settled() {
    becomes "$1: everything is as before" "$before" snapshot
    eventually "$1: the groups are free again" free_again
    becomes "$1: no record is left" 0 records
}

# ---- Each write fails
for ((n = 1; n <= away; n++)); do
    failures=$(events switch-failed 10)
    fakectl writes clear
    fakectl write-fault $n EROFS
    if call alice Detach "$targets" > /run/answer 2>&1; then
        # A probe that fails is repeated by name.
        is "away, write $n: it is done" "$(snapshot)" "$moved"
        call alice Reattach "$targets" > /dev/null
        is "away, write $n: and undone" "$(snapshot)" "$before"
        continue
    fi
    fakectl release
    what=$(fakectl writes | grep EROFS)
    like "away, write $n ($what): the error" "$(cat /run/answer)" \
        "Step [a-z]+ of device 0000:"
    like "away, write $n: its errno" "$(cat /run/answer)" "EROFS|Read-only file system"
    settled "away, write $n"
    is "away, write $n: on record once" "$(events switch-failed 10)" $((failures + 1))
done
for ((n = 1; n <= back; n++)); do
    call alice Detach "$targets" > /dev/null
    fakectl writes clear
    fakectl write-fault $n EROFS
    if ! call alice Reattach "$targets" > /run/answer 2>&1; then
        fakectl release
        like "back, write $n ($(fakectl writes | grep EROFS)): the error" "$(cat /run/answer)" "Step [a-z]+ of device 0000:"
        works "back, write $n: again" call alice Reattach "$targets" wait t 10
    fi
    fakectl release
    settled "back, write $n"
done

# ---- A driver that refuses, and then one that does not come back
fakectl driver pci vfio-pci refuse=EINVAL only=0000:03:00.0
is "a driver that refuses" "$(error_of call alice Detach "$targets")" SwitchFailed
like "says which and why" "$(message_of call alice Detach "$targets")" "bind of device 0000:03:00\\.0.*(EINVAL|Invalid argument)"
fakectl driver pci vfio-pci refuse=none
settled "a driver that refuses"
fakectl driver pci vfio-pci refuse=EINVAL only=0000:03:00.0
fakectl driver pci e1000e refuse=EIO only=0000:00:06.0
is "the old driver refuses too" "$(error_of call alice Detach "$targets")" SwitchFailed
is "the others are back" "$(snapshot | grep -v 0000:00:06.0)" "$(grep -v 0000:00:06.0 <<< "$before")"
fakectl driver pci vfio-pci refuse=none
fakectl driver pci e1000e refuse=none
works "somebody binds it" eval "echo 0000:00:06.0 > /sys/bus/pci/drivers_probe"
eventually "everything is as before" is_output "$before" snapshot

# ---- Each write hangs
answers() {
    local asked=$EPOCHREALTIME
    works "$1: ListGroups answers" manager ListGroups
    works "$1: Explain answers" verdict alice 8
    works "$1: Rescan answers" manager Rescan
    local took=$(((${EPOCHREALTIME/./} - ${asked/./}) / 1000))
    [ "$took" -lt 5000 ] && pass "$1: at once" || fail "$1: at once" "$took ms"
}
hangs_at() {
    fakectl writes clear
    fakectl write-hang "$1"
    in_background call call alice Detach "$targets" wait t 1
    within something_hangs
}
for ((n = 1; n <= away; n++)); do
    hangs_at $n
    what=$(fakectl writes | grep hangs)
    answers "hanging write $n ($what)"
    eventually "hanging write $n: it gives up" ended call
    is "hanging write $n: and says so" "$(cat /run/call.status)" 1
    refused "hanging write $n: it is Busy" Busy call alice Detach 10
    is "hanging write $n: it hangs still" "$(hung)" 1
    fakectl release
    settled "hanging write $n"
done

# ---- And of the way back
for ((n = 1; n <= back; n += 2)); do
    call alice Detach "$targets" > /dev/null
    fakectl writes clear
    fakectl write-hang $n
    in_background call call alice Reattach "$targets" wait t 1
    within something_hangs
    what=$(fakectl writes | grep hangs)
    answers "hanging write $n back ($what)"
    eventually "hanging write $n back: it gives up" ended call
    is "hanging write $n back: and says so" "$(cat /run/call.status)" 1
    fakectl release
    settled "hanging write $n back"
done

# ---- Without being told to, it waits for less than 20 s
asked=$SECONDS
hangs_in_probe() {
    fakectl writes clear
    fakectl write-hang 1 '*/drivers_probe'
    in_background call call alice Detach "$targets"
    within something_hangs
}
hangs_in_probe
for ((i = 0; i < 25; i++)); do
    ended call && break
    sleep 1
done
works "without wait it gives up" ended call
[ $((SECONDS - asked)) -le 20 ] && pass "within 20 s" || fail "within 20 s" "$((SECONDS - asked)) s"
like "and says for what it waits" "$(cat /run/call.said)" "bind of device 0000:"
fakectl release
settled "without wait"

# ---- It waits as long as it is told to
fakectl writes clear
fakectl write-hang 1 '*/unbind'
in_background call call alice Detach "$targets" wait t 60
within something_hangs
sleep 2
fails "it waits" ended call
fakectl release
eventually "and goes on" ended call
is "to its end" "$(cat /run/call.status) $(snapshot)" "0 $moved"
call alice Reattach "$targets" > /dev/null
settled "after the wait"

# ---- The daemon ends, and begins, in that state
hangs_in_unbind() {
    fakectl hang 0000:00:06.0
    in_background call call alice Detach "$targets" wait t 10
    within eval "test ! -e '$(sysfs 0000:00:06.0)/driver'"
}
for kernel in 6.1 6.12; do
    fakectl kernel $kernel
    for how in stop kill; do
        hangs_in_unbind
        begun=$SECONDS
        works "$kernel: $how" service $how
        works "$kernel: start" service start
        [ $((SECONDS - begun)) -le 5 ] && pass "$kernel: within 5 s" || fail "$kernel: within 5 s" "$((SECONDS - begun)) s"
        answers "$kernel, $how"
        refused "$kernel, $how: it is Busy" Busy call alice Detach 10
        fakectl release 0000:00:06.0
        settled "$kernel, $how"
        eventually "$kernel, $how: the caller has heard" ended call
    done
done
fakectl kernel 6.1
# On 6.1 other writes can hang too, behind somebody who has the device's lock.
for ((n = 1; n <= away; n += 3)); do
    hangs_at $n
    works "$n: kill" service kill
    works "$n: start" service start
    answers "$n, kill"
    fakectl release
    settled "$n, kill"
    eventually "$n: the caller has heard" ended call
done

# ---- An unbind that hangs with its user: the driver link has gone
fakectl hang 0000:00:06.0
in_background call call alice Detach 10 wait t 1
within eval "test ! -e '$(sysfs 0000:00:06.0)/driver'"
answers "an unbind that hangs"
eventually "it gives up" ended call
like "and says for what it waits" "$(cat /run/call.said)" "unbind of device 0000:00:06\\.0"
fakectl release 0000:00:06.0
settled "an unbind that hung"
works "the daemon lives" is_running
finish
