#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The fake kernel against what was measured on 6.1 and 6.12: orders of events, errnos, nodes.
# shellcheck source-path=SCRIPTDIR
needs_daemon=no
. "$(dirname "$0")/../bus/lib.sh" || exit 99

pci=/sys/bus/pci
events=/run/events

# write PATH TEXT: prints the errno's sentence, "" when it was taken.
write() {
    { echo "$2" > "$1"; } 2>&1 | sed 's/.*: //' || :
}
# kernel_events: those since the last call, "action subsystem" each, on one line. The last one is a
# mark of our own; its number is kept in a file, since this runs in subshells.
echo 0 > /run/mark
kernel_events() {
    local mark=$(($(cat /run/mark) + 1))
    echo $mark > /run/mark
    fakectl event change 0000:00:09.0 "MARK=m$mark"
    within grep -q "^MARK=m$mark\$" "$events"
    sed -n "/^MARK=m$((mark - 1))\$/,/^MARK=m$mark\$/p" "$events" |
        awk '/^ACTION=/ { a = substr($0, 8) } /^SUBSYSTEM=/ { s = substr($0, 11) }
             /^DRIVER=/ { s = s ":" substr($0, 8) }
             /^SEQNUM=/ { if (a) print a, s; a = "" }' | paste -sd,
}
udevadm monitor --kernel --property > "$events" &
within grep -q KERNEL "$events"
echo "MARK=m0" >> "$events"

# ---- Writes, as drivers/base/bus.c answers them
is "unbind by the wrong driver" "$(write $pci/drivers/igb/unbind 0000:00:05.1)" "No such device"
is "bind of an unknown device" "$(write $pci/drivers/igb/bind 0000:ff:00.0)" "No such device"
is "bind of a driver that does not match" "$(write $pci/drivers/vfio-pci/bind 0000:00:09.0)" "No such device"
is "bind of a bound device" "$(write $pci/drivers/e1000e/bind 0000:00:05.1)" "Device or resource busy"
is "an override is not set" "$(cat "$(sysfs 0000:00:05.1)/driver_override")" "(null)"
kernel_events > /dev/null
is "unbind" "$(write $pci/drivers/e1000e/unbind 0000:00:05.1)" ""
is "events of an unbind" "$(kernel_events)" "remove net,unbind pci"
is "no driver link" "$(readlink "$(sysfs 0000:00:05.1)/driver")" ""
is "override" "$(write "$(sysfs 0000:00:05.1)/driver_override" no-such-driver)" ""
is "drivers_probe succeeds although nothing bound" "$(write $pci/drivers_probe 0000:00:05.1)" ""
is "override" "$(write "$(sysfs 0000:00:05.1)/driver_override" vfio-pci)" ""
is "override reads back" "$(cat "$(sysfs 0000:00:05.1)/driver_override")" "vfio-pci"
is "drivers_probe" "$(write $pci/drivers_probe 0000:00:05.1)" ""
is "an override has no event, a second VFIO device no group" "$(kernel_events)" "add vfio-dev,bind pci:vfio-pci"
is "an override is cleared by a newline" "$(write "$(sysfs 0000:00:05.1)/driver_override" "")" ""
is "and reads as never set" "$(cat "$(sysfs 0000:00:05.1)/driver_override")" "(null)"
is "vfio-pci refuses a bridge" "$(write $pci/drivers/pcieport/unbind 0000:00:1c.0;
    write "$(sysfs 0000:00:1c.0)/driver_override" vfio-pci;
    write $pci/drivers/vfio-pci/bind 0000:00:1c.0)" "Invalid argument"
kernel_events > /dev/null

# ---- The group's node
[ -c /dev/vfio/7 ] && pass "a node"
is "its number is that of sysfs" "$(stat -c '%t:%T' /dev/vfio/7)" "$(cat /sys/class/vfio/7/dev)"
unlike "and not that of /dev/null" "$(cat /sys/class/vfio/7/dev)" '^1:3$'
is "its mode" "$(stat -c '%a %U' /dev/vfio/7)" "600 root"
write $pci/drivers/vfio-pci/unbind 0000:00:05.0
is "not the last VFIO device" "$(kernel_events)" "remove vfio-dev,unbind pci"
write $pci/drivers/vfio-pci/unbind 0000:00:05.1
is "the last one takes the node" "$(kernel_events)" "remove vfio-dev,remove vfio,unbind pci"
[ ! -e /dev/vfio/7 ] && pass "no node"
fakectl bind 0000:00:05.0 vfio-pci
is "the first one brings it" "$(kernel_events)" "add vfio,add vfio-dev,bind pci:vfio-pci"

# ---- VFIO
is "viable" "$(fakectl status /dev/vfio/9)" 0x1
is "a driver beside it" "$(fakectl status /dev/vfio/10)" 0x0
is "pci-stub beside it" "$(fakectl status /dev/vfio/11)" 0x1
fails "a group that is not viable has no container" fakectl hold /dev/vfio/10 container
mkfifo /run/hold
fakectl hold /dev/vfio/11 container < /run/hold > /run/held &
exec 9> /run/hold
within grep -q held /run/held
fails "a second open" fakectl status /dev/vfio/11
like "says EBUSY" "$(fakectl status /dev/vfio/11 2>&1)" "Device or resource busy"
works "O_PATH is no open" python3 -c 'import os; os.open("/dev/vfio/11", os.O_PATH)'
like "nor does permission turn into EBUSY" \
    "$(as alice "$FAKEKERNEL/fakectl" status /dev/vfio/11 2>&1)" "Permission denied"
write $pci/drivers/pci-stub/unbind 0000:00:07.0
is "a kernel driver beside the user, by bind" "$(write $pci/drivers/e1000e/bind 0000:00:07.0)" "Device or resource busy"
is "a kernel driver beside the user, by probe" "$(write $pci/drivers_probe 0000:00:07.0)" "Invalid argument"
is "and no event of either" "$(kernel_events)" "unbind pci"
exec 9>&-
within fakectl status /dev/vfio/11
is "when the user has gone it binds" "$(write $pci/drivers/e1000e/bind 0000:00:07.0)" ""
setfacl -m u:1001:rw /dev/vfio/9
works "an access list lets in" as alice "$FAKEKERNEL/fakectl" status /dev/vfio/9
fails "whom it names" as bob "$FAKEKERNEL/fakectl" status /dev/vfio/9

# ---- Hotplug, groups
kernel_events > /dev/null
fakectl device pci 0000:03:00.0 vendor=0x8086 product=0x10d3 class=0x020000 native=e1000e group=new
is "events of an addition" "$(kernel_events)" "add pci,add net,bind pci:e1000e"
is "the lowest group number" "$(basename "$(readlink "$(sysfs 0000:03:00.0)/iommu_group")")" 0
echo 1 > "$(sysfs 0000:03:00.0)/remove"
is "events of a removal" "$(kernel_events)" "remove net,unbind pci,remove pci"
[ ! -e /sys/kernel/iommu_groups/0 ] && pass "the group went with its last device"
fakectl regroup 0000:00:08.0 7
is "a move between groups has no event" "$(kernel_events)" ""
is "member of the other group" "$(ls /sys/kernel/iommu_groups/7/devices | tail -n 1)" 0000:00:08.0

fakectl device pci 0000:03:00.0 vendor=0x8086 product=0x10d3 class=0x020000 native=e1000e driver=none group=late
[ ! -e "$(sysfs 0000:03:00.0)/iommu_group" ] && pass "a device of virtio-iommu has no group"
fakectl bind 0000:03:00.0 vfio-pci
is "until a driver probes it" "$(basename "$(readlink "$(sysfs 0000:03:00.0)/iommu_group")")" 0

kernel_events > /dev/null

# ---- Things that hang
fakectl hang 0000:02:00.0
echo 0000:02:00.0 > $pci/drivers/vfio-pci/unbind &
writer=$!
within test ! -e "$(sysfs 0000:02:00.0)/driver"
pass "while an unbind hangs the driver link is gone"
[ -e "$(sysfs 0000:02:00.0)/vfio-dev" ] && pass "on 6.1 vfio-dev is not"
cat "$(sysfs 0000:02:00.0)/driver_override" > /run/override &
reader=$!
works "other attributes can be read" cat "$(sysfs 0000:02:00.0)/vendor"
kill -KILL $writer
works "the writer cannot be killed" kill -0 $writer
is "no event" "$(kernel_events)" ""
is "the override cannot be read on 6.1" "$(cat /run/override)" ""
fakectl release 0000:02:00.0
wait $writer || :
wait $reader
is "all events at its end" "$(kernel_events)" "remove vfio-dev,remove vfio,unbind pci"
is "and the override can be read" "$(cat /run/override)" "(null)"

# ---- The same on 6.12
fakectl kernel 6.12
fakectl bind 0000:02:00.0 vfio-pci
kernel_events > /dev/null
fakectl hang 0000:02:00.0
echo 0000:02:00.0 > $pci/drivers/vfio-pci/unbind &
writer=$!
within test ! -e "$(sysfs 0000:02:00.0)/vfio-dev"
is "vfio-dev goes at once" "$(kernel_events)" "remove vfio-dev"
is "the override can be read" "$(cat "$(sysfs 0000:02:00.0)/driver_override")" "(null)"
is "a probe says nothing" "$(write $pci/drivers_probe 0000:02:00.0)" ""
fakectl release 0000:02:00.0
wait $writer
is "the rest at its end" "$(kernel_events)" "remove vfio,unbind pci"

# ---- Lies
fakectl fault "$(sysfs 0000:00:09.0)/vendor" EIO
like "an attribute fails" "$(cat "$(sysfs 0000:00:09.0)/vendor" 2>&1)" "Input/output error"
fakectl fault "$(sysfs 0000:00:09.0)/vendor" none
works "no longer" cat "$(sysfs 0000:00:09.0)/vendor"
fakectl link "$(sysfs 0000:00:09.0)/iommu_group" ../../../kernel/iommu_groups/99
fails "a dangling group" test -e "$(sysfs 0000:00:09.0)/iommu_group"

# ---- The service manager's stand-in
cat > /run/stored.py <<'P'
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
print("names", os.environ.get("LISTEN_FDNAMES"), os.environ.get("LISTEN_PID") == str(os.getpid()), flush=True)
r, w = os.pipe()
if "LISTEN_FDS" not in os.environ:
    socket.send_fds(s, [b"FDSTORE=1\nFDNAME=pipe"], [r])
else:
    print("kept", os.read(3, 5), flush=True)
s.send(b"READY=1")
os.write(w, b"hello")
time.sleep(60)
P
works "a service starts" fakectl service start stored python3 /run/stored.py
like "its descriptor is kept" "$(fakectl service status stored)" "fd pipe"
# Its writer's end died with it, so what is stored hangs up; what is in it can be read until then.
works "it is killed" fakectl service kill stored
eventually "a descriptor that hangs up is forgotten" sh -c \
    "! $FAKEKERNEL/fakectl service status stored | grep -q 'fd pipe'"
finish
