#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The daemon's own bad days.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh

nic=0000:00:02.0
fresh_start <<'END'
{ "version": 1,
  "rules": [ { "name": "nics", "effect": "allow", "match": { "vendor": "0x8086" },
               "subjects": { "users": ["alice"] } } ] }
END
bind_driver "$nic" vfio-pci
group=$(group_of "$nic")
wait_for 10 is_listed "$group" verdict grantable alice

# Installed as a service.
check "systemctl enable takes it" systemctl enable -q dmaownd
is "it runs in its sandbox" "$(systemctl show -p NoNewPrivileges --value dmaownd)" yes
pid=$(main_pid)
check_not "a second instance is refused" timeout 30 dmaownd --foreground
is "the first goes on" "$(main_pid)" "$pid"
check "and answers" call ListGroups
service stop
check "a call starts it again" call ListGroups
check "by systemd" is_active

# A start while an unbind hangs in the kernel.
other=0000:01:00.0
bind_driver "$other" vfio-pci
hold device vfio-open -h -d "$other" "/dev/vfio/$(group_of "$other")"
like "a device is open" "${held[device]}" "flags=0x3*"
(echo "$other" > "/sys/bus/pci/drivers/vfio-pci/unbind") &
unbind=$!
check "its unbind hangs" wait_for 10 test ! -e "$(device_path "$other")/driver"
check "the daemon restarts meanwhile" service restart
check "and answers" timeout 20 busctl call "${manager[@]}" ListGroups
claim alice "$nic"
worked "and grants what is free"
release alice "$lease"
claim alice "$other"
like "not what is in the air" "$error_name" "?*"
let_go device
wait "$unbind"
is "the unbind ends" "$?" 0

# Without vfio: the modules are out and the unit can not load them.
service stop
release_driver "$nic"
release_driver "$other"
mkdir -p /run/systemd/system
for module in vfio vfio_pci; do
    ln -s /dev/null "/run/systemd/system/modprobe@$module.service"
done
systemctl daemon-reload
modprobe -r vfio-pci vfio_iommu_type1
modprobe -r vfio
rm -rf /dev/vfio
check_not "there is no /dev/vfio" test -e /dev/vfio
check "it starts all the same" service start
claim alice "$nic"
refused "a claim is refused" KernelHeld
rm /run/systemd/system/modprobe@vfio*.service
systemctl daemon-reload

# The folder appears after the daemon.
service stop
modprobe vfio-pci
rm -rf /dev/vfio
check "it starts without the folder" service start
check "the folder comes with the first node" bind_driver "$nic" vfio-pci
check "and is seen" wait_for 10 is_listed "$group" verdict grantable alice
claim alice "$nic"
worked "then it is granted"
is "and opens" "$(opens_as alice "$group")" "flags=0x1"
release alice "$lease"

# The container's node, which only loading vfio makes, for those that come after.
[ -e /dev/vfio/vfio ] || mknod -m 0666 /dev/vfio/vfio c 10 196

# State that is no good.
service stop
head -c 4096 /dev/urandom > /run/dmaownd/lease-999.json
check "it starts with garbage among its state" service start
check "and answers" call ListGroups

is "nothing was killed or failed on the way" "$(systemctl is-failed dmaownd)" active
finish
