# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# For the tests of switching drivers; sourced after lib.sh and callers.sh, with switch.scenario.
# shellcheck disable=SC2154,SC2034 # of lib.sh, and for the tests

switch_policy='{ "version": 1, "rules": [
    { "name": "fixed", "effect": "allow", "match": { "bus": "pci", "name": "0000:00:0a.0" },
      "subjects": { "users": ["alice"] } },
    { "name": "movable", "effect": "allow", "match": { "bus": "pci" },
      "subjects": { "users": ["alice", "bob"] }, "detach": true },
    { "name": "soc", "effect": "allow", "match": { "compatible": "calxeda,hb-xgmac" },
      "subjects": { "groups": ["dmaown"] }, "detach": true } ] }'

# call USER METHOD TARGETS [KEY TYPE VALUE]...: TARGETS are words in one argument.
call() {
    local user=$1 method=$2 list
    read -ra list <<< "$3"
    shift 3
    as "$user" busctl --timeout=120 --json=short call $bus_name $root org.dmaownd1.Manager "$method" \
        'asa{sv}' ${#list[@]} "${list[@]}" $(($# / 3)) "$@"
}
# message_of COMMAND...: what its error says.
message_of() { "$@" 2>&1 > /dev/null | sed 's/^Call failed: //' || :; }
# plan USER METHOD TARGETS [KEY TYPE VALUE]...: device step from to, one a line.
plan() { call "$@" | jq -r '.data[0][] | [.device.data, .step.data, .from.data, .to.data] | join("\t")'; }
# reason_of USER TARGET [KEY TYPE VALUE]...: of Explain.
reason_of() { call "$1" Explain "${@:2}" | jq -r '"\(.data[0]) \(.data[1])"'; }

driver() { fakectl drivers | awk -v d="$1" '$1 == d { print $2 }'; }
# "driver override"
now() { fakectl drivers | awk -v d="$1" '$1 == d { print $2, $3 }'; }
# snapshot: everything that a switch can change.
snapshot() { fakectl drivers | LC_ALL=C sort; }

# What a plan (lines of `plan`) writes, in the order of each device: "device file text".
writes_of_plan() {
    awk -F'\t' '
        $2 == "pin"       { print $1, "driver_override", "dmaownd-held" }
        $2 == "override"  { print $1, "driver_override", $4 }
        $2 == "unbind"    { print $1, "unbind:" $3, "" }
        $2 == "bind"      { print $1, "drivers_probe", "" }
        $2 == "probe"     { print $1, "drivers_probe", "" }
        $2 == "reset"     { print $1, "reset", "1" }
        $2 == "numvfs"    { print $1, "sriov_numvfs", $4 }
        $2 == "autoprobe" { print $1, "sriov_drivers_autoprobe", $4 }' | LC_ALL=C sort -s -k1,1
}
# The same of what was written, as fakectl tells it.
writes_made() {
    fakectl writes | awk '
        { n = split($3, part, "/"); file = part[n]; text = $4 }
        file == "drivers_probe" || file == "bind" { print text, file, ""; next }
        file == "unbind" { print text, "unbind:" part[n - 1], ""; next }
        { print part[n - 1], file, text }' | LC_ALL=C sort -s -k1,1
}
# Writes that hang now.
hung() { fakectl writes | grep -c ' hangs ' || :; }
something_hangs() { [ "$(hung)" -gt 0 ]; }

# events EVENT GROUP: how many entries of the journal.
events() { grep -cE "DMAOWND_EVENT=$1 (.* )?DMAOWND_GROUP=$2( |\$)" "$log" || :; }

# in_background NAME COMMAND...: its output goes to /run/NAME.said, its status to /run/NAME.status.
in_background() {
    local name=$1
    shift
    rm -f "/run/$name.status"
    { "$@" > "/run/$name.said" 2>&1 && echo 0 || echo $?; } > "/run/$name.ending" 2>&1 && mv "/run/$name.ending" "/run/$name.status" &
}
ended() { [ -e "/run/$1.status" ]; }
# not_switching GROUP...: what was done to them has ended, also for the daemon.
not_switching() {
    local group
    for group; do [[ $(reason_of alice "$group") != *switching ]] || return 1; done
}

# For the tests of writes that fail or hang, of which SWITCH_STRIDE takes every so many: $targets, what is written there and back ($away, $back writes),
# what is then ($moved), and before ($before).
: "${SWITCH_STRIDE:=1}"
learn() {
    first=$((RANDOM % SWITCH_STRIDE + 1))
    echo "# SWITCH_STRIDE=$SWITCH_STRIDE, from $first"
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
}
records() { find /run/dmaownd -name 'switch-*' | wc -l; }
free_again() { is_output "true " reason_of alice 10 detach b true && is_output "true " reason_of alice 14 detach b true; }
# settled WHERE: nothing is left of what failed.
settled() {
    becomes "$1: everything is as before" "$before" snapshot
    eventually "$1: the groups are free again" free_again
    becomes "$1: no record is left" 0 records
}
