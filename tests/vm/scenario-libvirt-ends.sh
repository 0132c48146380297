#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Domains of Debian's libvirt that end without a word: killed, with libvirt there or not, and libvirt killed
# beside them. Their leases end with QEMU, and libvirt does not touch what the host has again.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-callers.sh
. /opt/test/guest-callers.sh
# shellcheck source=tests/vm/guest-libvirt.sh
. /opt/test/guest-libvirt.sh

fresh_start < <(libvirt_policy)
mkdir -p /etc/libvirt
watch_hooks
check "libvirtd runs" start_libvirt

domain tiny "$(hostdev "$lent0")"
started "a domain with a NIC" tiny
check "ends" virsh destroy tiny
domain tiny "$(hostdev "$lent0" no)" "$(hostdev "$lent1" no)"
started "it starts again at once, with two, which libvirt need not manage" tiny
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
check "QEMU is killed while libvirt is not there: the lease has ended" wait_for 30 has_no_lease "$first"
check "the NICs are the host's after a while" wait_for 120 host_has "$lent0" "$first"
check "both" wait_for 30 host_has "$lent1" "$second"

# With the access that dmaownd gives and no other.
check "libvirt comes back, and leaves owners of nodes alone" start_libvirt 'dynamic_ownership = 0'
domain tiny "$(hostdev "$lent0")"
started "dmaownd's access is enough for QEMU" tiny
lease_of "$first"
is "by its lease" "$(stat -c %U "/proc/$(domain_pid tiny)") $(of_lease State)" 'libvirt-qemu "active"'
calls tiny > /dev/null
kill -KILL "$(domain_pid tiny)"
check "QEMU is killed: the NIC is the host's" wait_for 60 host_has "$lent0" "$first"
is "after libvirt has reset it" "$(calls tiny)" "stopped vfio-pci release vfio-pci "
stop_libvirt
finish
