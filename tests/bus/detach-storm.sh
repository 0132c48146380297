#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Four callers at once detach, reattach, claim and vanish, while writes fail or hang and the daemon is killed
# and started: when all have gone, everything is as before. SEED makes another run, ROUNDS a longer one.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/switch.scenario
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
. "$(dirname "$0")/switch.sh"
: "${SEED:=$RANDOM}"
: "${ROUNDS:=8}"
echo "# SEED=$SEED ROUNDS=$ROUNDS"
RANDOM=$SEED
policy "$switch_policy"
start
before=$(snapshot)
users=(alice bob root)
sets=(7 14 "7 14" 9 10 "8 10" "7 9" "14 9 8")

# one USER TARGETS ACTION TRUTH
one() {
    case $3 in
        detach) call "$1" Detach "$2" wait t 2 ;;
        reattach) call "$1" Reattach "$2" wait t 2 ;;
        claim) call "$1" Claim "$2" detach b true reattach b "$4" lifetime s persistent ttl t 1 ;;
        vanish) timeout 0.1 setpriv --reuid alice --regid alice --init-groups busctl call $bus_name $root \
            org.dmaownd1.Manager Detach 'asa{sv}' 1 "${2%% *}" 0 ;;
    esac > /dev/null 2>&1 || :
}
actions=(detach detach reattach reattach claim vanish)
truths=(true false)
for ((round = 1; round <= ROUNDS; round++)); do
    callers=()
    for _ in 1 2 3 4; do
        one ${users[RANDOM % 3]} "${sets[RANDOM % 8]}" ${actions[RANDOM % 6]} ${truths[RANDOM % 2]} &
        callers+=($!)
    done
    n=$((RANDOM % 8 + 1))
    case $((RANDOM % 5)) in
        0) fakectl write-fault $n EIO ;;
        1) fakectl write-hang $n ;;
        2) service restart > /dev/null || fail "round $round: restart" ;;
        3) fakectl write-hang $n
           sleep 0.2
           service kill > /dev/null
           service start > /dev/null || fail "round $round: start" ;;
        4) service kill > /dev/null
           service start > /dev/null || fail "round $round: start" ;;
    esac
    sleep 0.$((RANDOM % 5))
    fakectl release
    wait "${callers[@]}" || :
done
works "the daemon lives" is_running
for path in $(busctl tree --list $bus_name | grep lease/ || :); do manager Release o "$path" > /dev/null 2>&1 || :; done
becomes "no lease is left" 0 property $root Manager LeaseCount
back() {
    local group
    for group in 7 8 9 10 14; do call root Reattach $group wait t 5 > /dev/null 2>&1 || :; done
    is_output "$before" snapshot
}
within back || :
becomes "everything is as before" "$before" snapshot
becomes "no record is left" "" find /run/dmaownd -name 'switch-*'
finish
