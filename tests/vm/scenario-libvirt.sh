#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Domains of Debian's libvirt get their devices through dmaownd: what they have while they run, what they are
# told when they do not get them, and what libvirt does past dmaownd.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-callers.sh
. /opt/test/guest-callers.sh
# shellcheck source=tests/vm/guest-libvirt.sh
. /opt/test/guest-libvirt.sh

disk=$(basename "$(dirname "$(grep -l 0x010802 /sys/bus/pci/devices/*/class | head -n 1)")")
unruled=0000:00:05.0

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
check "now it is the host's again" host_has "$lent0" "$first"
check "so is the one that was plugged in" wait_for 60 host_has "$lent1" "$second"
check "the owner of it is the kernel" wait_for 60 is_listed "$second" owner kernel

# ---- Denials
mark_journal
domain fixed "$(hostdev "$fixed")"
denied "a rule without detach: the kernel's driver, and why it stays" fixed \
    "*dmaownd: *$fixed*e1000e*not allowed by rule \"fixed\"*"
domain unruled "$(hostdev "$unruled")"
denied "no rule" unruled "*dmaownd: *$unruled*"
domain both "$(hostdev "$lent0")" "$(hostdev "$fixed")"
denied "two devices, one of which is refused" both \
    "*dmaownd: *Group $(group_of "$fixed"): driver switching is not allowed by rule \"fixed\"*"
is "leave both with the host" "$(driver_of "$lent0") $(driver_of "$fixed")" "e1000e e1000e"
check "and nothing leased" has_no_lease "$first"
is "which is on record" "$(journal_count denied "$first")" 1

# ---- A disk that QEMU drives
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
