#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The live model: what the kernel does shows without any call having asked for it, and what works
# against a lease is a Conflict, a repair or its end.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
start
watch_signals
recorded() { grep -qE "DMAOWND_EVENT=$1 (.* )?DMAOWND_GROUP=$2( |\$)" "$log"; }
free() { manager Release o "$1" > /dev/null; within gone "$1"; }

# ---- Events
fakectl unbind 0000:00:05.1
eventually "an unbind by hand changes the owner" signalled "^PropertiesChanged $root/group/7 .*Owner none"
is "and the model" "$(group 7 Owner) $(group 7 Viable)" "none true"
fakectl bind 0000:00:05.1 e1000e
eventually "so does a bind" signalled "^PropertiesChanged $root/group/7 .*Owner kernel"
eventually "the device too" signalled "^PropertiesChanged $root/device/pci_2f0000_3a00_3a05_2e1 .*Driver e1000e"
fakectl device pci 0000:03:00.0 vendor=0x8086 product=0x10d3 class=0x020000 driver=vfio-pci group=new
eventually "a new group is announced" signalled "^InterfacesAdded $root .*$root/group/0 "
is "with its device" "$(group 0 Devices)" "[\"$root/device/pci_2f0000_3a03_3a00_2e0\"]"
becomes "its node is known" /dev/vfio/0 group 0 Node
fakectl device pci 0000:03:00.1 vendor=0x8086 product=0x10d3 class=0x020000 driver=none group=0
becomes "a group grows" 2 bash -c "busctl --json=short get-property $bus_name $root/group/0 org.dmaownd1.Group Devices | jq '.data | length'"
fakectl remove 0000:03:00.1
becomes "and shrinks" 1 bash -c "busctl --json=short get-property $bus_name $root/group/0 org.dmaownd1.Group Devices | jq '.data | length'"
fakectl remove 0000:03:00.0
eventually "and vanishes" signalled "^InterfacesRemoved $root .*$root/group/0 "
is "seven groups" "$(property $root Manager GroupCount)" 7
fakectl bind 0000:00:09.0 igb
becomes "a device without a group" kernel property $root/device/pci_2f0000_3a00_3a09_2e0 Device Role
fakectl unbind 0000:00:08.0
becomes "a group without a VFIO driver" "false no-vfio-driver" verdict alice 9
is "has no node" "$(group 9 Node)" ""
refused "and is not granted" NotViable claim alice 9
fakectl bind 0000:00:08.0 vfio-pci
becomes "until it has one again" "true " verdict alice 9

# ---- Without any event
fakectl regroup 0000:00:09.0 9
refused "a member that joined silently is found before a grant" KernelHeld claim alice 9
like "by name" "$(claim alice 9 2>&1 || :)" "0000:00:09.0"
is "and stays in the model" "$(group 9 Devices | jq length)" 2
fakectl regroup 0000:00:09.0 none
works "Rescan" manager Rescan
is "sees that it left" "$(group 9 Devices | jq length)" 1

fakectl device pci 0000:07:00.0 vendor=0x8086 product=0x10d3 class=0x020000 driver=none group=late
is "a device of virtio-iommu has no group" "$(verdict alice 0000:07:00.0)" "false no-group"
fakectl bind 0000:07:00.0 vfio-pci
becomes "until a driver probed it" "true " verdict alice 0000:07:00.0
fakectl remove 0000:07:00.0
fakectl drop-group 13
refused "a group that was dropped silently" NoSuchTarget claim alice 13
fakectl regroup 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 13
works "Rescan" manager Rescan
is "finds it again" "$(verdict alice 13)" "true "

# ---- A host driver beside an owner
fakectl unbind 0000:00:05.1
within owner_is 7 none
seven=$(claim alice 7)
fakectl bind 0000:00:05.1 e1000e
eventually "a host driver that binds beside an owner is a Conflict" signalled "^Conflict $root 7 0000:00:05.1 e1000e "
eventually "on record" recorded conflict 7
is "the lease stays" "$(lease "$seven" State)" active
works "and its access" can_open alice 7
is "once" "$(times "^Conflict .* 0000:00:05.1 " "$signals") $(times "DMAOWND_EVENT=conflict .*0000:00:05.1" "$log")" "1 1"
fakectl unbind 0000:00:05.1

# ---- A device that joins
fakectl device pci 0000:00:05.2 vendor=0x8086 product=0x10d3 class=0x020000 driver=none group=7
eventually "a device that joins an owned group is a Conflict" signalled "^Conflict $root 7 0000:00:05.2 "
fakectl remove 0000:00:05.2
is "the lease stays" "$(lease "$seven" State)" active

# ---- A member that goes over into somebody else's group
fakectl unbind 0000:00:07.0
fakectl bind 0000:00:07.0 vfio-pci
eleven=$(claim alice 11)
nine=$(claim bob 9)
fakectl remove 0000:00:07.0
fakectl device pci 0000:00:07.0 vendor=0x8086 product=0x10d3 class=0x020000 native=e1000e driver=vfio-pci group=9
eventually "a member of another's lease that joins is a Conflict" signalled "^Conflict $root 9 0000:00:07.0 "
is "the other's lease stays" "$(lease "$nine" State) $(lease "$nine" Groups)" "active [\"$root/group/9\"]"
works "with its access" can_open bob 9
fails "which the one that moved does not get" can_open alice 9
is "whose lease stays with its group" "$(lease "$eleven" State) $(lease "$eleven" Groups)" "active [\"$root/group/11\"]"
fakectl remove 0000:00:07.0
free "$eleven"
free "$nine"
fakectl device pci 0000:00:07.0 vendor=0x8086 product=0x10d3 class=0x020000 native=e1000e driver=pci-stub group=11
becomes "all is as before" "true " verdict alice 11

# ---- The node under a live lease
chmod 0600 /dev/vfio/7
eventually "a chmod is repaired" can_open alice 7
chmod 0640 /dev/vfio/7
eventually "one that leaves reading only, too" can_open alice 7
chmod 0666 /dev/vfio/7
within can_open alice 7
becomes "a node opened to all is closed again" "660" stat -c %a /dev/vfio/7
fails "to others" can_open bob 7
setfacl -b /dev/vfio/7
eventually "an access list that was removed comes back" can_open alice 7
fakectl node 7 recreate
eventually "a node that was made anew is repaired" can_open alice 7
fails "for the holder alone" can_open bob 7
free "$seven"

# ---- The end of the device
eight=$(claim alice 8)
fakectl unbind 0000:02:00.0
eventually "the last VFIO device takes the lease" signalled "^LeaseEnded $root $eight 8 device-gone\$"
eventually "on record" recorded ended 8
fakectl bind 0000:02:00.0 vfio-pci
becomes "the group can be granted again" "true " verdict alice 8
is "the new node is closed" "$(stat -c %a /dev/vfio/8)" 600
nine=$(claim alice 9)
fakectl remove 0000:00:08.0
eventually "so does a removal" signalled "^LeaseEnded $root $nine 9 device-gone\$"
# The number is free now, and goes to somebody else.
fakectl device pci 0000:04:00.0 vendor=0x8086 product=0x1521 class=0x020000 driver=vfio-pci group=9
becomes "another group of the same number has no owner" none group 9 Owner
fails "nor an open node" can_open alice 9

# ---- A VFIO driver that went and came while nobody looked: the kernel's claim is gone with it
eight=$(claim alice 8)
pid=$(daemon_pid)
kill -STOP "$pid"
fakectl unbind 0000:02:00.0
fakectl bind 0000:02:00.0 vfio-pci
kill -CONT "$pid"
eventually "an unbind and bind in one go ends the lease" signalled "^LeaseEnded $root $eight 8 device-gone\$"
fails "and the new node is closed" can_open alice 8

# ---- A flood of events
fakectl burst 30000 0000:00:07.1
fakectl unbind 0000:00:07.1
fakectl bind 0000:00:07.1 igb
becomes "a burst of events loses nothing" kernel group 11 Owner
eleven=$root/device/pci_2f0000_3a00_3a07_2e1
is "not even at the end" "$(property $eleven Device Driver)" igb
works "and the daemon lives" is_running

# ---- More than the receive buffer holds: the daemon does not read meanwhile
pid=$(daemon_pid)
kill -STOP "$pid"
fakectl burst 60000 0000:00:07.1
fakectl unbind 0000:00:07.1
fakectl device pci 0000:05:00.0 vendor=0x8086 product=0x10d3 class=0x020000 driver=vfio-pci group=new
fakectl remove 0000:04:00.0
kill -CONT "$pid"
becomes "events that were lost are made up for: unbind" "" property $eleven Device Driver
becomes "add" /dev/vfio/0 group 0 Node
fails "remove" busctl get-property $bus_name $root/group/9 org.dmaownd1.Group Id
works "and the daemon lives" is_running
# ---- Both groups of a lease go at once, and no event says so: they were lost
fakectl device pci 0000:06:00.0 vendor=0x8086 product=0x1521 class=0x020000 driver=vfio-pci group=50
fakectl device pci 0000:07:00.0 vendor=0x8086 product=0x1521 class=0x020000 driver=vfio-pci group=51
becomes "two groups" "true " verdict alice 51
both=$(as alice busctl --json=short call $bus_name $root org.dmaownd1.Manager Claim 'asa{sv}' 2 50 51 \
    1 lifetime s persistent | jq -r '.data[0]')
pid=$(daemon_pid)
kill -STOP "$pid"
fakectl burst 60000 0000:00:07.1
fakectl remove 0000:06:00.0
fakectl remove 0000:07:00.0
kill -CONT "$pid"
eventually "end the lease" signalled "^LeaseEnded $root $both 50[ ,]51 device-gone\$"
is "once" "$(times "^LeaseEnded $root $both " "$signals")" 1
works "and the daemon lives" is_running

# ---- A node that somebody gave away: its new owner has no access after the lease either
fakectl device pci 0000:06:00.0 vendor=0x8086 product=0x1521 class=0x020000 driver=vfio-pci group=52
becomes "a group" "true " verdict alice 52
given=$(claim alice 52)
chown 1001 /dev/vfio/52
works "the holder owns the node" can_open alice 52
free "$given"
fails "and can not open it when the lease is over" can_open alice 52
finish
