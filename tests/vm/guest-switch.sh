# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shares variables with guest-lib.sh and the scenarios
#
# What scenarios use that move groups between the kernel and userspace. Source it after guest-lib.sh.

# A call may take as long as its option wait says; the bus's own limit is 25 s.
export SYSTEMD_BUS_TIMEOUT=120

# ---- the machine of topology/switch.args (beside groups and nvme) ----

nic=0000:00:02.0            # e1000e, a group of one
other=0000:01:00.0          # e1000e behind a root port with ACS, a group of one
lone=0000:00:03.0           # edu, a group of one
slot=0000:00:05.0           # edu, pci-testdev and e1000: 05.0 05.1 05.2, one group
child_of() { # child_of PORT FUNCTION: the device below a bridge or port
    local path
    path=$(echo "/sys/bus/pci/devices/$1/"*:"$2")
    [ ! -e "$path" ] || basename "$path"
}
bridge=$(child_of 0000:00:0d.0 00.0)
pair0=$(child_of "0000:00:0d.0/$bridge" 01.0) # two e1000 and an edu behind a PCIe-to-PCI bridge
pair1=${pair0%01.0}02.0
pair2=${pair0%01.0}03.0
disk=$(child_of 0000:00:06.0 00.0)            # an NVMe disk; its port has no ACS
multipath_disk=$(child_of 0000:00:0e.0 00.0)  # one in a subsystem, with virtual functions

interface_of() { # interface_of DEVICE: its network interface, in this network namespace
    local path
    path=$(echo "$(device_path "$1")/net/"*)
    [ ! -e "$path" ] || basename "$path"
}
# block_of DEVICE: the disk that has a node; with multipath it is not below the device.
block_of() {
    local name
    name=$(basename "$(echo "$(device_path "$1")"/nvme/nvme*/nvme*n*)")
    [[ ! $name =~ ^(nvme[0-9]+)c[0-9]+(n[0-9]+)$ ]] || name=${BASH_REMATCH[1]}${BASH_REMATCH[2]}
    echo "$name"
}
has_override() { [ "$(override_of "$1")" = "$2" ]; } # has_override DEVICE TEXT

# fresh_switch: fresh_start without the tests' drivers.
fresh_switch() {
    rmmod stubborn refusing_vfio 2> /dev/null
    fresh_start
}

# set_stubborn NAME VALUE: a parameter of modules/stubborn.c
set_stubborn() { echo "$2" > "/sys/module/stubborn/parameters/$1"; }

# The kernel's log since the mark, of a device.
mark_kernel_log() { kernel_mark=$(dmesg | wc -l); }
kernel_says() { dmesg | tail -n "+$((kernel_mark + 1))" | grep -F "$1"; }

# ---- Detach, Reattach and their plans ----

# switch_call METHOD USER TARGET[,TARGET...] [OPTION TYPE VALUE]...: attempts it.
switch_call() {
    local method=$1 user=$2 targets
    IFS=, read -ra targets <<< "$3"
    shift 3
    attempt "$user" "$method" 'asa{sv}' "${#targets[@]}" "${targets[@]}" $(($# / 3)) "$@"
}
detach() { switch_call Detach "$@"; }
reattach() { switch_call Reattach "$@"; }

# later NAME USER METHOD TARGET [OPTION TYPE VALUE]...: the same in the background; outcome_of NAME
# waits for its end and sets error_name and error_text.
declare -A later_pid=()
later() {
    local name=$1
    shift
    (
        exec 8>&- # not another writer of a scenario's fifo
        switch_call "$2" "$1" "${@:3}"
        printf '%s\n%s\n' "$error_name" "$error_text" > "/tmp/later.$name"
    ) > /dev/null 2>&1 &
    later_pid[$name]=$!
}
is_over() { ! kill -0 "${later_pid[$1]}" 2> /dev/null; }
outcome_of() {
    wait "${later_pid[$1]}"
    { read -r error_name; read -r error_text; } < "/tmp/later.$1"
}

# plan METHOD USER TARGET [OPTION TYPE VALUE]...: sets steps, "DEVICE STEP FROM TO;..." in order.
plan() {
    local IFS=$'\n'
    switch_call "$@"
    steps=$(jq -r '[.[0][] | map_values(.data) | .device + " " + .step + " " + .from + " " + .to] |
        join(";")' <<< "${answer:-[[]]}")
}

# judge USER TARGET: Explain, with detach. Sets grantable and reason; answer has the findings.
judge() {
    attempt "$1" Explain 'asa{sv}' 1 "$2" 1 detach b true
    grantable="" reason=""
    [[ ! $answer =~ ^\[(true|false),'"'([^\"]*) ]] ||
        grantable=${BASH_REMATCH[1]} reason=${BASH_REMATCH[2]}
}
# has_finding DEVICE REASON: the last judge or explain has it.
has_finding() {
    jq -e --arg device "$1" --arg reason "$2" 'any(.[2][] | map_values(.data);
        .device == $device and .reason == $reason)' <<< "$answer"
}
# finding_text DEVICE REASON
finding_text() {
    jq -r --arg device "$1" --arg reason "$2" '.[2][] | map_values(.data) |
        select(.device == $device and .reason == $reason) | .text' <<< "$answer"
}

# stays WHAT DEVICE REASON PATTERN: the host needs the device, Detach says so and nothing moves; root
# is told the PATTERN.
stays() {
    local before
    before=$(driver_of "$2")
    detach root "$2"
    refused "$1 stays" DeviceInUse
    like "$1: root is told the use" "$error_text" "*$4*"
    judge root "$2"
    is "$1: Explain says $3" "$grantable $reason" "false $3"
    is "$1: nothing was changed" "$(driver_of "$2") $(override_of "$2")" "$before (null)"
}

# moves WHAT DEVICE DRIVER: alice may have it, and gives it back to DRIVER.
moves() {
    detach alice "$2"
    worked "$1 moves"
    is "$1 is on vfio-pci" "$(driver_of "$2")" vfio-pci
    reattach alice "$2"
    worked "$1 goes back"
    is "$1 has its driver" "$(driver_of "$2") $(override_of "$2")" "$3 (null)"
}

device_object() { # device_object DEVICE
    local group
    group=$(group_of "$1")
    property "/org/dmaownd1/group/$group" Group Devices | tr ',' '\n' | grep -o '/org/[^"]*' |
        while read -r object; do
            [ "$(property "$object" Device Name)" != "\"$1\"" ] || echo "$object"
        done
}

# The rules that most of these scenarios use: alice may move all, bob may not, root may.
switch_policy() {
    cat <<'END'
{ "version": 1,
  "rules": [
    { "name": "movers", "effect": "allow", "match": { "bus": "pci" }, "detach": true,
      "subjects": { "users": ["alice", "root"] } },
    { "name": "others", "effect": "allow", "match": { "bus": "pci" },
      "subjects": { "users": ["bob"] } } ] }
END
}
