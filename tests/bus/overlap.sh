#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Two callers, overlapping sets of groups in opposite order, at once: each round one is granted, and the
# other is told by whom it is blocked, before anything is given back. ROUNDS makes a longer run.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
: "${ROUNDS:=20}"
policy '{ "version": 1, "limits": { "leases_per_uid": 64, "pending_per_uid": 64 }, "rules": [
    { "name": "nics", "effect": "allow", "match": { "bus": "pci" }, "subjects": { "users": ["alice", "bob"] } } ] }'
start

# rounds NAME TARGETS TARGETS [OPTION...]
rounds() {
    local name=$1
    shift
    as alice "$CALLER" overlap "$ROUNDS" "$@" > /run/rounds 2>&1 || fail "$name: the rounds end" "$(cat /run/rounds)"
    is "$name: rounds" "$(wc -l < /run/rounds)" "$ROUNDS"
    is "$name: one is granted, one is told" \
        "$(grep -cvE '^(granted org\.dmaownd1\.Error\.(AlreadyOwned|Busy)|org\.dmaownd1\.Error\.(AlreadyOwned|Busy) granted)$' /run/rounds || :)" 0
    echo "# $(sort /run/rounds | uniq -c | tr -s ' ' | paste -sd,)"
    becomes "$name: nothing is left" 0 property $root Manager LeaseCount
    is "$name: nothing is open" "$(fakectl status /dev/vfio/8)$(fakectl status /dev/vfio/9)$(fakectl status /dev/vfio/11)" 0x10x10x1
    is "$name: no access is left" "$(stat -c %a /dev/vfio/8 /dev/vfio/9 /dev/vfio/11 | paste -sd' ')" "600 600 600"
}
rounds "path" 8,9,11 11,9,8
rounds "persistent" 8,9 11,9 lifetime=persistent
rounds "fd" 8,9,11 11,9,8 mode=fd lifetime=fd
rounds "container" 8,9 11,9 mode=fd container=b:true
rounds "process" 9,11 8,9 lifetime=process

# ---- Two processes that do not know of each other, for a while
for user in alice bob; do
    targets=8,9,11
    [ $user = alice ] || targets=11,9,8
    as $user "$CALLER" overlap "$ROUNDS" $targets $targets lifetime=persistent > /run/rounds.$user 2>&1 &
done
wait
is "four callers: never two of one process" "$(grep -c '^granted granted$' /run/rounds.alice /run/rounds.bob | cut -d: -f2 | paste -sd' ')" "0 0"
is "four callers: an answer for each" "$(cat /run/rounds.alice /run/rounds.bob | wc -l)" $((2 * ROUNDS))
is "four callers: a plain one" "$(cat /run/rounds.alice /run/rounds.bob | tr ' ' '\n' | grep -cvE '^granted$|\.(AlreadyOwned|Busy)$' || :)" 0
becomes "four callers: nothing is left" 0 property $root Manager LeaseCount
# At no time two owners: grants and ends of a group take turns on record.
for group in 8 9 11; do
    is "group $group: grants and ends take turns" "$(grep -oE "DMAOWND_EVENT=(granted|ended) (DMAOWND_GROUP=[0-9]+ )*" "$log" |
        grep "GROUP=$group " | awk '{ print $1 }' | uniq -d | wc -l)" 0
done
works "the daemon lives" is_running
finish
