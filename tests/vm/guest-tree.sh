# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shares variables with guest-lib.sh and the scenarios
#
# What scenarios of the arm64 machines use: their devices are those of arm64/IOMMU.dts, beside
# topology/tree.args. Source it after guest-lib.sh.

is_old_kernel() { [[ $(uname -r) == 6.1.* ]]; }

shadowed=0000:00:01.0 # the PCI function whose stream a platform device has, too

# The platform devices' host driver stays where an earlier scenario loaded it.
load_host_driver() { [ -e /sys/module/plain_master ] || test_module plain_master; }

# Without this, 6.12 refuses the type 1 IOMMU to devices whose interrupts are not remapped, and that is
# each platform device.
load_vfio() {
    modprobe vfio_iommu_type1 allow_unsafe_interrupts=1
    modprobe -a vfio-pci vfio-platform vfio-amba
}

# drive DRIVER DEVICE...: binds each by hand
drive() {
    local driver=$1 device
    shift
    for device; do
        bind_driver "$device" "$driver" || return
    done
}
node_of() { echo "/dev/vfio/$(group_of "$1")"; } # node_of DEVICE
# uses DEVICE: opens its group, gives it the type 1 IOMMU and opens the device; vfio-open's line.
uses() { vfio-open -d "$1" "$(node_of "$1")"; }

stop_daemon() { systemctl stop dmaownd; }

# alice may have everything, and move it; bob may have what does not need moving.
tree_policy() {
    cat <<'END'
{ "version": 1,
  "rules": [
    { "name": "movers", "effect": "allow", "match": {}, "detach": true, "reattach_unreset": true,
      "subjects": { "users": ["alice", "root"] } },
    { "name": "others", "effect": "allow", "match": {}, "subjects": { "users": ["bob"] } } ] }
END
}

# ---- the tree as dmaownd sees it ----

# audit: AuditDeviceTree, a finding a line: "KIND LEVEL DEVICE... [GROUP,...]: TEXT", with a blank on both
# sides of each device. found KIND DEVICE: the last one has such a line. knows KIND DEVICE: asks first,
# for wait_for.
audit() {
    attempt alice AuditDeviceTree
    jq -r '.[0][] | map_values(.data) |
        "\(.kind) \(.level) \(.devices | join(" ")) \(.groups): \(.text)"' <<< "$answer" > /tmp/audit
}
found() { grep "^$1 .*/$2 .*: " /tmp/audit; }
knows() { audit && found "$@"; }
show_audit() { note "$(< /tmp/audit)"; }

# stands_against TARGET [USER]: explains; "DEVICE REASON" of each finding that blocks, one a line.
stands_against() {
    explain "${2:-alice}" "$1"
    jq -r '.[2][] | map_values(.data) | select(.blocks) | .device + " " + .reason' <<< "$answer"
}
isolated() { property "/org/dmaownd1/group/$(group_of "$1")" Group Isolated; } # isolated DEVICE
# is_grouped DEVICE: dmaownd knows its group; for wait_for.
is_grouped() { call FindGroup s "$1"; }

# move METHOD USER TARGET [OPTION TYPE VALUE]...: Detach or Reattach.
move() {
    local method=$1 user=$2 target=$3
    shift 3
    attempt "$user" "$method" 'asa{sv}' 1 "$target" $(($# / 3)) "$@"
}
