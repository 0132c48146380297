# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shares variables with guest-lib.sh, guest-callers.sh and the scenarios
#
# What the scenarios of libvirt share. Source it after guest-callers.sh.

fixed=0000:01:00.0 # what its rule leaves with the host
first=$(group_of "$lent0")
second=$(group_of "$lent1")

libvirt_policy() {
    cat <<END
{ "version": 1,
  "rules": [
    { "name": "fixed", "effect": "allow", "match": { "bus": "pci", "name": "$fixed" },
      "lifetimes": ["process"], "delegate": ["libvirt-qemu"] },
    { "name": "guests", "effect": "allow", "match": { "bus": "pci", "class": ["0x02****", "0x010802"] },
      "subjects": { "users": ["root"], "units": ["libvirtd.service"] },
      "modes": ["path"], "lifetimes": ["process"], "delegate": ["libvirt-qemu", "bob"],
      "detach": true, "reattach_unreset": true, "vfio_driver": "vfio-pci" } ] }
END
}

number=0
declare -A uuid=()
# domain NAME [XML OF A DEVICE]...: writes /tmp/NAME.xml
domain() {
    local name=$1
    shift
    number=$((number + 1))
    uuid[$name]=${uuid[$name]:-5ea7ed00-0000-4000-8000-00000000000$number}
    write_domain "$name" "${uuid[$name]}" "$@" > "/tmp/$name.xml"
}
# starts NAME: a domain that is paused; what virsh says is in said.
starts() { said=$(virsh create "/tmp/$1.xml" --paused 2>&1); }
# started WHAT NAME; denied WHAT NAME PATTERN, of what virsh shows
started() { if starts "$2"; then ok "$1"; else not_ok "$1"; note "$said"; fi; }
denied() {
    if starts "$2"; then
        not_ok "$1"
        virsh destroy "$2"
    else
        note "$said"
        like "$1" "${said//$'\n'/ }" "$3"
    fi
}

# Sets lease to that of a group, "" for none.
lease_of() {
    lease=$(property "/org/dmaownd1/group/$1" Group Lease)
    lease=${lease//\"/}
    [ "$lease" != / ] || lease=""
}
has_no_lease() { lease_of "$1"; [ -z "$lease" ]; }
of_lease() { property "$lease" Lease "$1"; }
# host_has DEVICE GROUP: its lease has ended, and its driver is back.
host_has() { has_no_lease "$2" && has_driver "$1" e1000e && has_override "$1" "(null)"; }
has_override() { [ "$(override_of "$1")" = "$2" ]; }
is_gone() { ! kill -0 "$1" 2> /dev/null; }

# A hook before dmaownd's notes what libvirt finds: the driver of the NIC at each call.
watch_hooks() {
    link_hook
    mkdir -p /etc/libvirt/hooks/qemu.d
    cat > /etc/libvirt/hooks/qemu.d/10-watch <<END
#!/bin/sh
echo "\$2 \$(basename "\$(readlink -f /sys/bus/pci/devices/$lent0/driver)")" >> "/tmp/calls.\$1"
END
    chmod 755 /etc/libvirt/hooks/qemu.d/10-watch
}
# calls NAME: since the last time, on one line
calls() {
    tr '\n' ' ' < "/tmp/calls.$1"
    : > "/tmp/calls.$1"
}

