# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shares variables with guest-lib.sh and the scenarios
#
# What scenarios of containers use. Source it after guest-callers.sh.

spec=/run/cdi/dmaownd.org-group.json
denied=0000:01:00.0
edu=0000:00:05.0
rootfs=/tmp/rootfs

policy_for() { # policy_for USER: what he may have
    cat <<END
{ "version": 1,
  "rules": [ { "name": "not-this", "effect": "deny", "match": { "name": "$denied" } },
             { "name": "containers", "effect": "allow", "match": { "bus": "pci" },
               "modes": ["path", "fd"], "lifetimes": ["process", "fd"], "reattach_unreset": true,
               "subjects": { "users": ["$1"] } } ] }
END
}
allow() { # allow USER, from now on
    policy_for "$1" > "$policy_file"
    call Reload > /dev/null
}
names() { [ ! -e $spec ] || jq -r '[.devices[].name] | join(" ")' $spec; }
lists() { echo "it lists: $(names)"; [ "$(names)" = "$1" ]; }
node_of() { jq -r --arg name "$1" '.devices[] | select(.name == $name) | .containerEdits.deviceNodes[0].path' $spec; }
lease_of() { property "/org/dmaownd1/group/$1" Group Lease | tr -d '"'; }
# What the lease of a group is for: pid, comment.
held_by() { echo "$(property "$(lease_of "$1")" Lease Pid) $(property "$(lease_of "$1")" Lease Comment)"; }
id_of() { podman inspect --format '{{.Id}}' "$1"; }
is_free() { [ "$(property "/org/dmaownd1/group/$1" Group Owner)" = '"none"' ]; }
says() { podman logs "$1" 2>&1; }
has_said() { [[ $(says "$1") == *"$2"* ]]; }
# start NAME DEVICE [OPTION]...: a container that has the device's group open, and attached, until it is stopped.
start() {
    local name=$1 device=$2
    shift 2
    container "$name" $rootfs --detach --device "dmaownd.org/group=$device" "$@" -- \
        /bin/vfio-open -h -c "/dev/vfio/$(group_of "$device")"
}
# does_not_start NAME DEVICE [OPTION]...: sets $said to what podman says.
does_not_start() {
    if said=$(start "$@" 2>&1); then not_ok "$1 does not start"; else ok "$1 does not start"; fi
    note "$said"
    podman rm --force --time 0 "$1" > /dev/null 2>&1
}
# The newest reason of the hook in the journal, if it is about the device.
reason() {
    journalctl --sync
    journalctl --quiet --no-pager -o cat -t dmaownd-oci-hook --since "$journal_mark" "DMAOWND_DEVICES=$1" | tail -n 1
}

# dmaownd and its list, with devices on VFIO drivers and a root file system.
start_for_containers() {
    local device
    rm -rf $rootfs
    make_rootfs $rootfs
    mkdir -p $rootfs/usr
    cp /usr/lib/vmtest/vfio-open $rootfs/bin/
    check "enabling dmaownd enables its list for containers" systemctl enable dmaownd
    fresh_start < <(policy_for root)
    for device in $lent0 $lent1 $denied $edu; do bind_driver "$device" vfio-pci; done
    unbind_driver 0000:00:05.2
    first=$(group_of $lent0)
    second=$(group_of $lent1)
    check "the service has started with dmaownd" wait_for 20 systemctl is-active dmaownd-cdi
    check "what VFIO drivers have, and root may claim" wait_for 10 lists "$edu $lent0 $lent1"
}
