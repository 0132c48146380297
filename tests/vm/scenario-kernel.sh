#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The kernel without dmaownd: what the other scenarios take for granted of it and of this harness.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh

modprobe vfio-pci
shared=$(group_of 0000:00:05.0)
is "a multifunction slot is one group" "$(members_of "$shared")" \
    "0000:00:05.0 0000:00:05.1 0000:00:05.2 "
is "a sibling has a kernel driver" "$(driver_of 0000:00:05.2)" e1000
check "vfio-pci binds beside it" bind_driver 0000:00:05.0 vfio-pci
check "the group's node appears" wait_for 5 test -c "/dev/vfio/$shared"
is "the kernel calls the group not viable" "$(vfio-open "/dev/vfio/$shared")" "flags=0x0"
check "uio_pci_generic binds to a sibling" bind_driver 0000:00:05.2 uio_pci_generic
is "and the group stays not viable" "$(vfio-open "/dev/vfio/$shared")" "flags=0x0"
check "pci-stub binds to a sibling" bind_driver 0000:00:05.2 pci-stub
is "and the group is viable" "$(vfio-open "/dev/vfio/$shared")" "flags=0x1"
is "another uid may not open the node" "$(vfio-open -u 1001 "/dev/vfio/$shared")" "open: EACCES"
is "a claimed group says so" "$(vfio-open -c "/dev/vfio/$shared")" "flags=0x3"
unbind_driver 0000:00:05.2
is "a sibling without driver is no obstacle" "$(vfio-open "/dev/vfio/$shared")" "flags=0x1"

alone=$(group_of 0000:00:02.0)
is "a NIC on the root bus is a group of one" "$(members_of "$alone")" "0000:00:02.0 "
behind=$(group_of 0000:01:00.0)
is "a NIC behind a port with ACS is a group of one" "$(members_of "$behind")" "0000:01:00.0 "
check "QMP answers the guest" qmp '{"execute":"query-status"}'
check "a device is plugged" plug free0 hot0 e1000e
check "and gets a driver" wait_for 20 eval '[ -e /sys/bus/pci/devices/0000:00:0c.0/*:00.0/driver ]'
check "a device is unplugged" unplug hot0
check "and is gone" wait_for 20 eval '! ls /sys/bus/pci/devices/0000:00:0c.0/*:00.0 ]'
check "another user is another user" test "$(as_user alice id -un)" = alice
show_groups
note "$(systemctl --failed --no-legend --plain) / up $(cut -d' ' -f1 /proc/uptime) / $(uname -r)"
note "$(free -m | sed -n 2p)"
finish
