#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Domains of Debian's libvirt get their devices through dmaownd: what they have while they run, and what is
# left when domain, libvirt or both end, each in its own way.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-callers.sh
. /opt/test/guest-callers.sh

disk=$(basename "$(dirname "$(grep -l 0x010802 /sys/bus/pci/devices/*/class | head -n 1)")")
fixed=0000:01:00.0
unruled=0000:00:05.0
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

# ---- Without dmaownd
fresh_start < <(libvirt_policy)
mkdir -p /etc/libvirt
watch_hooks
check "libvirtd runs" start_libvirt
domain plain
domain tiny "$(hostdev "$lent0")"
systemctl stop dmaownd
systemctl mask --runtime --quiet dmaownd
started "a domain without host devices needs no dmaownd" plain
denied "one that has some does" tiny "*dmaownd: dmaownd cannot be reached: *"
is "and its device stays with the host" "$(driver_of "$lent0")" e1000e
systemctl unmask --runtime --quiet dmaownd
check "dmaownd is back" service start
check "a domain ends that never knew of it" virsh destroy plain

# ---- A life
calls tiny > /dev/null
started "a domain with a NIC that the host has" tiny
is "libvirt finds it on VFIO when it needs it" "$(calls tiny)" "prepare e1000e start vfio-pci started vfio-pci "
pid=$(domain_pid tiny)
lease_of "$first"
is "it has a lease for the user of QEMU, claimed by root" "$(of_lease ClaimantUid) $(of_lease Uid)" \
    "0 $(id -u libvirt-qemu)"
is "that lives with QEMU" "$(of_lease Lifetime) $(of_lease Pid)" "\"process\" $pid"
is "and says for whom" "$(of_lease Comment)" "\"libvirt domain tiny ${uuid[tiny]}\""
is "by the rule for libvirt's unit" "$(of_lease Rule)" '"guests"'
is "the NIC is on VFIO" "$(driver_of "$lent0")" vfio-pci
is "the node is open to that user" "$(access_of libvirt-qemu "$first")" rw-
like "QEMU has it open" "$(vfio_fds "$pid")" "*/dev/vfio/$first*"
domain other "$(hostdev "$lent0")"
denied "another domain that wants it is told who has it" other "*dmaownd: *libvirt domain tiny ${uuid[tiny]}*"
is "and the first one runs on" "$(of_lease State)" '"active"'

# libvirt asks nobody when a device is plugged into a domain that runs.
hostdev "$lent1" > /tmp/plugged.xml
mark_journal
check "a device is plugged in without dmaownd" virsh attach-device tiny /tmp/plugged.xml
check "which is seen" wait_for 60 has_journal_count foreign "$second" 1
is "the owner is a stranger" "$(listed "$second" owner)" foreign
domain late "$(hostdev "$lent1")"
denied "a domain that wants that one is told" late "*dmaownd: *$second*"

check "the domain ends" virsh destroy tiny
is "libvirt, which resets the NIC then, had it on VFIO" "$(calls tiny)" "stopped vfio-pci release vfio-pci "
check "its NIC is the host's again" wait_for 30 host_has "$lent0" "$first"
check "so is the one that was plugged in" wait_for 60 host_has "$lent1" "$second"
check "the owner of it is the kernel" wait_for 60 is_listed "$second" owner kernel

# ---- Sudden ends
domain tiny "$(hostdev "$lent0" no)" "$(hostdev "$lent1" no)"
started "a domain with two, which libvirt need not manage" tiny
pid=$(domain_pid tiny)
lease_of "$first"
before=$lease
lease_of "$second"
is "one lease has both" "$lease" "$before"
stop_libvirt KILL
is "libvirt is killed: the lease lives on" "$(of_lease State)" '"active"'
check "QEMU too" kill -0 "$pid"
check "libvirt comes back" start_libvirt
check "and to its domain" wait_for 30 virsh domstate tiny
lease_of "$first"
is "which has the same lease" "$lease $(of_lease Pid)" "$before $pid"
stop_libvirt
kill -KILL "$pid"
check "QEMU is killed while libvirt is not there: the NICs are the host's" wait_for 120 host_has "$lent0" "$first"
check "both" wait_for 30 host_has "$lent1" "$second"
check "libvirt comes back" start_libvirt
domain tiny "$(hostdev "$lent0")"
started "the domain starts again" tiny
kill -KILL "$(domain_pid tiny)"
calls tiny > /dev/null
check "QEMU is killed: the NIC is the host's" wait_for 120 host_has "$lent0" "$first"
is "after libvirt has reset it" "$(calls tiny)" "stopped vfio-pci release vfio-pci "
check "libvirt knows" wait_for 30 sh -c '! virsh -q -c qemu:///system domstate tiny'
started "started once more" tiny
check "ended" virsh destroy tiny
started "and at once started again" tiny
is "with the NIC" "$(driver_of "$lent0")" vfio-pci
virsh destroy tiny
check "the NIC is the host's" wait_for 30 host_has "$lent0" "$first"

# ---- Denials
mark_journal
domain fixed "$(hostdev "$fixed")"
denied "a rule without detach: the kernel's driver, and why it stays" fixed \
    "*dmaownd: *$fixed*e1000e*not allowed by rule \"fixed\"*"
domain unruled "$(hostdev "$unruled")"
denied "no rule" unruled "*dmaownd: *$unruled*"
domain both "$(hostdev "$lent0")" "$(hostdev "$fixed")"
denied "two devices, one of which is refused" both "*dmaownd: *$fixed*"
is "leave both with the host" "$(driver_of "$lent0") $(driver_of "$fixed")" "e1000e e1000e"
check "and nothing leased" has_no_lease "$first"
is "which is on record" "$(journal_count denied "$first")" 1

# ---- What is not ours to give away: the node
stop_libvirt
check "libvirt leaves nodes alone" start_libvirt 'dynamic_ownership = 0'
started "then dmaownd's access is enough" tiny
lease_of "$first"
is "which the lease is" "$(stat -c %U "/proc/$(domain_pid tiny)") $(of_lease State)" 'libvirt-qemu "active"'
virsh destroy tiny
check "the NIC is the host's" wait_for 30 host_has "$lent0" "$first"
stop_libvirt
check "libvirt is as before" start_libvirt

# ---- Another user, and a disk that QEMU drives
domain tiny "<disk type='nvme' device='disk'><driver name='qemu' type='raw'/>
    <source type='pci' managed='yes' namespace='1'><address domain='0x${disk%%:*}' bus='0x${disk:5:2}'
    slot='0x${disk:8:2}' function='0x${disk:11}'/></source><target dev='vda' bus='virtio'/></disk>"
started "a domain with an NVMe disk" tiny
lease_of "$(group_of "$disk")"
is "has a lease for it" "$(of_lease Comment)" "\"libvirt domain tiny ${uuid[tiny]}\""
virsh destroy tiny
check "the disk is the host's again" wait_for 60 has_driver "$disk" nvme
stop_libvirt
finish
