#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The callers alone, without dmaownd: each does with a device what the other scenarios have it do with a
# lease. If one of these fails, it is the machine.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-callers.sh
. /opt/test/guest-callers.sh

systemctl stop dmaownd 2> /dev/null
# The hook would ask it.
link_hook() { rm -rf /etc/libvirt/hooks; }
check "libvirtd runs" start_libvirt
like "libvirt 9.0 with QEMU 7.2" "$(virsh version)" "*libvirt 9.0.*QEMU 7.2.*"
write_domain tiny 5ea7ed00-0000-4000-8000-000000000001 "$(hostdev "$lent0")" > /tmp/tiny.xml
check "a domain has the NIC, without being run" virsh create /tmp/tiny.xml --paused
is "as libvirt-qemu, on VFIO" "$(stat -c %U "/proc/$(domain_pid tiny)") $(driver_of "$lent0")" \
    "libvirt-qemu vfio-pci"
check "it ends" virsh destroy tiny
is "and the NIC is the host's" "$(driver_of "$lent0")" e1000e
stop_libvirt

make_rootfs /tmp/rootfs
like "podman 4.3" "$(podman --version)" "podman version 4.3.*"
like "crun 1.8" "$(crun --version)" "crun version 1.8.*"
is "a container runs" "$(container small /tmp/rootfs --rm -- /bin/sh -c 'echo inside')" inside

bind_driver "$lent0" vfio-pci
wire_up "$kept0"
chown alice "/dev/vfio/$(group_of "$lent0")"
hold testpmd "${with_memory[@]}" setpriv --reuid alice --regid alice --init-groups -- "${testpmd[@]}" \
    -a "$lent0" -- "${testpmd_small[@]}" --forward-mode=txonly --eth-peer=0,52:54:00:00:12:00
arrives() { [ "$(packets_of "$kept0" rx_packets)" -gt 1000 ]; }
check "what DPDK sends arrives" wait_for 30 arrives
let_go testpmd
check "it ends when it is told to" is_gone "${held_pid[testpmd]}"
like "DPDK 22.11 has counted it" "$(grep -m 1 'TX-packets: [1-9]' /tmp/hold.testpmd)" "*TX-packets: *"
release_driver "$lent0"
finish
