#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# In a test VM: the round trips of tests/bench, and a NIC that goes to VFIO and back, with a real
# kernel, system bus and journal. The machine is emulated and slow; ratios are what it is for.
# shellcheck source=tests/vm/guest-lib.sh
. /opt/test/guest-lib.sh

cat > /etc/dbus-1/system.d/org.test.conf <<'END'
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "https://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <policy user="root">
    <allow own="org.test.Noop"/>
    <allow send_destination="org.test.Noop"/>
  </policy>
</busconfig>
END
busctl call org.freedesktop.DBus / org.freedesktop.DBus ReloadConfig
fresh_start < /opt/test/policy.json
modprobe vfio-pci
udevadm settle
/opt/test/switch unix:path=/run/dbus/system_bus_socket 12 e1000e 0000:00:02.0
bind_driver 0000:00:02.0 vfio-pci || bail "no vfio-pci"
udevadm settle
wait_for 10 is_listed "$(group_of 0000:00:02.0)" verdict grantable ||
    bail "group $(group_of 0000:00:02.0) is not grantable"
/opt/test/latency unix:path=/run/dbus/system_bus_socket "$(cat /opt/test/rounds)"
