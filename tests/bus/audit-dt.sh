#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# dmaownctl audit-dt on a machine with a device tree: what the daemon says, and what dmaownctl finds by
# itself, from the blob as root and from the folders as others, is the same.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/devicetree.scenario
. "$(dirname "$0")/lib.sh" || exit 99
[ -x "$DMAOWNCTL" ] || { echo "Bail out! $DMAOWNCTL was not built"; exit 99; }

# ends NAME STATUS COMMAND...: sets $output and $errors.
ends() {
    local name=$1 expected=$2 got=0
    shift 2
    output=$("$@" 2> /tmp/errors) || got=$?
    errors=$(< /tmp/errors)
    if [ "$got" = "$expected" ]; then pass "$name"; else fail "$name" "$* ended with $got, not $expected" "$errors"; fi
}
audit() { as "$1" "$DMAOWNCTL" audit-dt "${@:2}"; }
# What is compared: the findings of $output, in an order of their own.
findings() { jq -S '.findings | sort_by(.kind, .text)' <<< "$output"; }

policy
ends "without the daemon" 1 audit alice --json
like "says so" "$errors" "judging without the daemon"
is "who judged" "$(jq -r .judged_by <<< "$output")" dmaownctl
start
ends "through the daemon" 1 audit alice --json
is "who judged" "$(jq -r .judged_by <<< "$output")" dmaownd
daemon=$(findings)
like "there are findings of many kinds" "$(jq -r '.[].kind' <<< "$daemon" | sort -u | paste -sd' ')" \
    "disabled-iommu half map-overlap no-iommus pending split two-iommus"
sets=$(jq -S .sets <<< "$output")
for user in alice root; do
    ends "alone, as $user" 1 audit $user --json --local
    is "finds the same" "$(findings)" "$daemon"
    is "in the same sets" "$(jq -S .sets <<< "$output")" "$sets"
done
is "groups are those of the kernel" "$(jq -r '.sets[].devices[] | select(.device == "platform/701a9000.xg1") | .group' <<< "$output")" \
    "$(basename "$(readlink /sys/bus/platform/devices/701a9000.xg1/iommu_group)")"
ends "a table" 1 audit alice
like "with groups and devices" "$output" "critical split +[0-9]+,[0-9]+ +platform/700d0000.virta,platform/700d1000.virtb"
ends "sets" 1 audit alice --sets
like "a function and a platform device" "$output" "pci/0001:00:01.0"
ends "a graph" 1 audit alice --dot
like "with devices" "$output" 'label="/[^"]*\\npci/0001:00:01\.0"'
ends "the tree of this machine as a file" 1 audit root --fdt /sys/firmware/fdt --json
like "has the kinds that a file can have" "$(jq -r '.findings[].kind' <<< "$output" | sort -u | paste -sd' ')" "half"

finish
