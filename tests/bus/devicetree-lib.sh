# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# For the tests of machines with a device tree; sourced after lib.sh, callers.sh and switch.sh, with
# devicetree.scenario. alice's rule wants isolated groups, bob's does not.
# shellcheck disable=SC2034,SC2154 # for the tests, of lib.sh

devicetree_policy='{ "version": 1, "rules": [
    { "name": "strict", "effect": "allow", "match": {}, "subjects": { "users": ["alice"] }, "detach": true },
    { "name": "lax", "effect": "allow", "match": {}, "subjects": { "users": ["bob"] }, "detach": true,
      "require": [], "reattach_unreset": true } ] }'

# group_of DEVICE: "" for none.
group_of() { basename "$(readlink /sys/bus/*/devices/"$1"/iommu_group)"; }
# sharing USER TARGET [KEY TYPE VALUE]...: of Explain, what is about shared streams: "device reason other blocks", one a line.
sharing() {
    call "$1" Explain "${@:2}" | jq -r '.data[2][] | select(.reason.data | IN("split", "half", "pending")) |
        [.device.data, .reason.data, .other.data // "-", (.blocks.data | tostring)] | join(" ")' | LC_ALL=C sort
}
isolated() { group "$(group_of "$1")" Isolated; }
# audit KIND [USER]: "level devices groups" of each such finding, sorted.
audit() {
    as "${2:-root}" busctl --json=short call $bus_name $root org.dmaownd1.Manager AuditDeviceTree |
        jq -r --arg kind "$1" '.data[0][] | select(.kind.data == $kind) |
            [.level.data, (.devices.data | map(sub("^[^/]*/"; "")) | sort | join("+")), (.groups.data | sort | map(tostring) | join("+"))] |
            join(" ")' | LC_ALL=C sort
}
# refused_once NAME ERROR COMMAND...: as refused, for what is not the same the second time.
refused_once() {
    local name=$1 expected=$2 text got
    shift 2
    text=$(SYSTEMD_LOG_LEVEL=debug "$@" 2>&1 > /dev/null) && { fail "$name" "no error"; return; }
    got=$(sed -n 's/.*Got message type=error.* error-name=\([^ ]*\) .*/\1/p' <<< "$text" | sed 's/^org.dmaownd1.Error.//' | tail -n 1)
    if [ "$got" = "$expected" ]; then pass "$name"; else fail "$name" "got: $got" "expected: $expected" "$(grep "^Call failed" <<< "$text")"; fi
}
