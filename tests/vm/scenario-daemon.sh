#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The daemon's own bad days, and its client.
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

# The client.
status_of() { "$@" > /tmp/client.out 2>&1; echo $?; }
is "dmaownctl list works" "$(status_of dmaownctl list)" 0
like "and shows the group" "$(cat /tmp/client.out)" "*$group*grantable*"
is "dmaownctl claim works" \
    "$(status_of as_user alice dmaownctl claim --lifetime persistent "$nic")" 0
is "status 5: owned" "$(status_of as_user alice dmaownctl claim --lifetime persistent "$nic")" 5
claims=$(dmaownctl leases --json)
like "dmaownctl leases shows it" "$claims" "*lease*"
is "dmaownctl release works" "$(status_of as_user alice dmaownctl release "$(
    property /org/dmaownd1/group/"$group" Group Lease | tr -d '"')")" 0
is "status 3: denied" "$(status_of as_user bob dmaownctl claim "$nic")" 3
is "status 4: held by the kernel" "$(status_of as_user alice dmaownctl claim 0000:01:00.0)" 4
is "status 6: no such target" "$(status_of as_user alice dmaownctl claim 0000:77:00.0)" 6
is "status 2: usage" "$(status_of dmaownctl no-such-verb)" 2

# A flood from one, and one who does not read, while another is served.
hold deaf as_user bob bus-client deaf 5000
claim alice "$nic"
worked "served while another never reads its answers"
release alice "$lease"
let_go deaf
like "every call of a burst is answered" \
    "$(as_user bob timeout 120 bus-client burst 10000)" "* answered, * refused"
as_user alice bus-client vanish "$nic"
check "a caller that vanished before its answer leaves nothing" \
    wait_for 20 is_listed "$group" verdict grantable alice

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
check "the unbind ends" wait "$unbind"

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

# State that is no good.
service stop
head -c 4096 /dev/urandom > /run/dmaownd/lease-999.json
check "it starts with garbage among its state" service start
check "and answers" call ListGroups

is "nothing was killed or failed on the way" "$(systemctl is-failed dmaownd)" active
finish
