#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every write of a switch hangs, one after the other: the daemon answers meanwhile, can be ended and
# started, and all is as before in the end.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/switch.scenario
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
. "$(dirname "$0")/switch.sh"
policy "$switch_policy"
start
learn

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
for ((n = first; n <= away; n += SWITCH_STRIDE)); do
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
for ((n = first; n <= back; n += SWITCH_STRIDE + 1)); do
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
if [ "$SWITCH_STRIDE" = 1 ]; then
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
fi

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
for ((n = first; n <= away; n += SWITCH_STRIDE + 2)); do
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
