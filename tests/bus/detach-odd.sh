#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Detach and Reattach where somebody else has a hand in it: other overrides, other drivers, other groups,
# another policy meanwhile; and devices that have no group yet.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/switch.scenario
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
. "$(dirname "$0")/switch.sh"
modules mlx5_vfio_pci "vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i*"
policy "$switch_policy"
start
before=$(snapshot)
restored() {
    eventually "$1: everything is as before" is_output "$before" snapshot
    within not_switching 7 8 9
}
override() { echo "$2" > "$(sysfs "$1")/driver_override"; }

# ---- An override for another driver than it has: for the next boot, or the next time
override 0000:00:08.0 vfio-pci
override 0000:02:00.0 no-such-driver
before=$(snapshot)
works "overrides that are for later do not matter" call alice Detach "8 9"
is "they are away" "$(now 0000:00:08.0) $(now 0000:02:00.0)" "vfio-pci vfio-pci vfio-pci vfio-pci"
works "nor on the way back" call alice Reattach "8 9"
restored "overrides for later"
fakectl driver pci vfio-pci refuse=EINVAL only=0000:00:08.0
refused "when it fails" SwitchFailed call alice Detach "8 9"
fakectl driver pci vfio-pci refuse=none
restored "overrides for later, undone"
override 0000:00:08.0 ""
override 0000:02:00.0 ""
before=$(snapshot)

# ---- A number of virtual functions that can not be set
echo 0 > "$(sysfs 0000:00:08.0)/sriov_drivers_autoprobe"
echo 2 > "$(sysfs 0000:00:08.0)/sriov_numvfs"
eventually "virtual functions" manager FindGroup s 0000:00:18.2
held=$(snapshot)
for n in 1 2 3 4; do
    fakectl writes clear
    fakectl write-fault $n EIO
    # A probe that fails is repeated by name.
    if call alice Detach 9 > /run/answer 2>&1; then call alice Reattach 9 > /dev/null; fi
    fakectl release
    eventually "write $n away: everything is as before" is_output "$held" snapshot
    within not_switching 9
done
works "away" call alice Detach 9
for n in 1 2 3 4; do
    fakectl write-fault $n EIO '*sriov*'
    call alice Reattach 9 wait t 10 > /run/answer 2>&1 || call alice Reattach 9 wait t 10 > /run/answer 2>&1 || :
    fakectl release
    call alice Reattach 9 wait t 10 > /run/answer 2>&1 || :
    eventually "write $n back: everything is as before" is_output "$held" snapshot
    within not_switching 9
    call alice Detach 9 > /dev/null
done
works "back" call alice Reattach 9
is "everything is as before" "$(snapshot)" "$held"
echo 0 > "$(sysfs 0000:00:08.0)/sriov_numvfs"
echo 1 > "$(sysfs 0000:00:08.0)/sriov_drivers_autoprobe"
restored "virtual functions"

# ---- Somebody moved it back already
works "detached" call alice Detach 7
override 0000:00:05.0 ""
fakectl unbind 0000:00:05.0
echo 0000:00:05.0 > /sys/bus/pci/drivers_probe
# The guard may pin it: a host driver in a group that userspace has.
like "somebody moved it back" "$(now 0000:00:05.0)" "^(e1000e -|- dmaownd-held)$"
works "the rest goes back" call alice Reattach 7 wait t 10
restored "moved back"
works "detached" call alice Detach 7
fakectl unbind 0000:00:05.0
works "somebody unbound it: it goes back" call alice Reattach 7 wait t 10
restored "unbound"
works "detached" call alice Detach 7
fakectl unbind 0000:00:05.0
override 0000:00:05.0 pci-stub
fakectl bind 0000:00:05.0 pci-stub
call alice Reattach 7 wait t 10 > /run/answer 2>&1 || :
is "the others go back, whatever becomes of one that somebody else has" "$(now 0000:00:05.1) $(now 0000:00:05.2)" "e1000e - - -"
call root Reattach 7 > /dev/null 2>&1 || :
if [ "$(driver 0000:00:05.0)" != e1000e ]; then
    fakectl unbind 0000:00:05.0
    override 0000:00:05.0 ""
    echo 0000:00:05.0 > /sys/bus/pci/drivers_probe
fi
restored "somebody else's"

# ---- Another group, another policy, another daemon
works "detached" call alice Detach "7 9"
fakectl regroup 0000:00:08.0 33
manager Rescan > /dev/null
within is_output 33 eval "property $root/device/pci_2f0000_3a00_3a08_2e0 Device Group | sed 's|.*/||'"
works "by its name" call alice Reattach 0000:00:08.0
is "it is back" "$(now 0000:00:08.0)" "igb -"
fakectl regroup 0000:00:08.0 9
manager Rescan > /dev/null
policy '{ "version": 1, "rules": [] }'
manager Reload > /dev/null
refused "a policy that says no" PolicyDenied call alice Detach 8
works "keeps nobody from giving back" call alice Reattach 7
restored "another policy"
policy "$switch_policy"
manager Reload > /dev/null
for how in kill stop restart; do
    works "detached" call alice Detach 7
    works "$how" service $how
    [ $how = restart ] || service start > /dev/null
    works "$how: reattached" call alice Reattach 7
    restored "$how"
done
works "detached" call alice Detach 7
service kill > /dev/null
fakectl unbind 0000:00:05.0
fakectl remove 0000:00:05.1
service start > /dev/null
fakectl device pci 0000:00:05.1 vendor=0x8086 product=0x10d3 class=0x020000 subsystem_vendor=0x8086 native=e1000e group=7
within manager FindGroup s 0000:00:05.1
call alice Reattach 7 wait t 10 > /dev/null || :
restored "what happened without a daemon"

# ---- The rule's driver
policy "${switch_policy/\"detach\": true \},/\"detach\": true, \"vfio_driver\": \"vfio-pci\" \},}"
manager Reload > /dev/null
works "detached" call alice Detach 17
is "a rule names its driver" "$(now 0000:00:0c.0)" "vfio-pci vfio-pci"
call alice Reattach 17 > /dev/null
policy "${switch_policy/\"detach\": true \},/\"detach\": true, \"vfio_driver\": \"no_such_vfio\" \},}"
manager Reload > /dev/null
refused "one that there is not" NotViable call alice Detach 17
like "is named" "$(message_of call alice Detach 17)" "no_such_vfio"
policy "$switch_policy"
manager Reload > /dev/null
restored "the rule's driver"

# ---- cdev
fakectl kernel 6.12-cdev
service restart > /dev/null
lease=$(claim alice 7 detach b true reattach b true interface s cdev)
like "a claim of cdevs" "$lease" /lease/
manager Release o "$lease" > /dev/null
restored "cdev"
fakectl kernel 6.1
service restart > /dev/null

# ---- A device without a group
fakectl device pci 0000:00:15.0 vendor=0x8086 product=0x10d3 class=0x020000 native=e1000e driver=none group=late
eventually "one without a group" eval "manager GetManagedObjects 2>/dev/null || busctl tree --list $bus_name | grep -q 15_2e0"
if call alice Detach 0000:00:15.0 > /run/answer 2>&1; then
    is "gets one with its driver" "$(now 0000:00:15.0)" "vfio-pci vfio-pci"
    becomes "and can be had" "true " reason_of alice 0000:00:15.0
    works "and goes back" call alice Reattach 0000:00:15.0
    becomes "as the kernel has it" "e1000e -" now 0000:00:15.0
else
    like "is refused for what it is" "$(cat /run/answer)" "group"
    is "and left alone" "$(now 0000:00:15.0)" "- -"
fi
works "the daemon lives" is_running
becomes "no record is left behind" "" find /run/dmaownd -name 'switch-*'
finish
