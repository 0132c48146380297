#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Drivers and kernels that do not let go at the end of a lease: it drains until they do, and nobody gets in
# meanwhile.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
fakectl kernel 6.12-cdev
start
watch_signals
cdev() { echo "/dev/vfio/devices/$(basename "$(ls -d "$(sysfs "$1")"/vfio-dev/vfio*)")"; }
drivers=/sys/bus/pci/drivers/vfio-pci
complaints() { times "Device 0000:00:08.0 of lease ${lease##*/} could not be" "$log"; }

# ---- A group that the kernel calls not viable, and no driver says why: a device of it is open still
lease=$(claim alice 9)
fakectl disagree 9 on
manager Release o "$lease" > /dev/null
is "a group that the kernel calls not viable has not drained" "$(lease "$lease" State 2>&1) $(group 9 Owner)" "draining user"
refused "meanwhile it is Busy" Busy claim bob 9
fakectl disagree 9 off
eventually "it has when the kernel says so" gone "$lease"
lease=$(claim alice 11)
fakectl unbind 0000:00:07.0
fakectl bind 0000:00:07.0 e1000e
becomes "where a kernel driver says why" e1000e property $root/device/pci_2f0000_3a00_3a07_2e0 Device Driver
manager Release o "$lease" > /dev/null
eventually "it has drained" gone "$lease"

# ---- Who has it open is told to who may know: the change itself has nothing of it
busctl --json=short monitor $bus_name > /run/monitor 2> /run/monitoring &
monitor=$!
within grep -q Monitoring /run/monitoring
lease=$(claim alice 9)
hold alice "$FAKEKERNEL/fakectl" hold /dev/vfio/9
manager Release o "$lease" > /dev/null
changes() { jq -c 'select(.member == "PropertiesChanged" and .path == "'"$lease"'") | .payload.data' /run/monitor; }
told() { changes | jq -se 'any(.[]; (.[1] | has("Openers")) or (.[2] | index("Openers")))'; }
eventually "a change of Openers is told" told
like "who asks hears of them" "$(lease "$lease" Openers)" "process [0-9]+ \\(.*fakectl"
is "but not how" "$(changes | jq -s 'any(.[]; .[1] | has("Openers"))') $(changes | jq -s 'any(.[]; .[2] | index("Openers"))')" "false true"
kill $monitor
release_hold
eventually "the lease ends" gone "$lease"

# ---- An unbind that fails, and an fd that nobody sees: in a message that was not received yet
lease=$(claim alice 9 interface s cdev)
node=$(cdev 0000:00:08.0)
inode=$(stat -c %i "$node")
cat > /run/hide.py <<P
import fcntl, os, socket, struct, sys
iommu = os.open("/dev/iommu", os.O_RDWR)
fd = os.open("$node", os.O_RDWR)
one, other = socket.socketpair()
socket.send_fds(one, [b"x"], [fd])
os.close(fd)
print("hidden", flush=True)
for line in sys.stdin:
    fd = socket.recv_fds(other, 1, 1)[1][0]
    try:
        fcntl.ioctl(fd, 0x3b76, bytearray(struct.pack("IIiI", 16, 0, iommu, 0)))
        print("bound", flush=True)
    except OSError as error:
        print(error.strerror, flush=True)
P
hold alice env PATH=/usr/bin:/bin python3 /run/hide.py
is "somebody has hidden an fd" "$held" hidden
fakectl fault $drivers/unbind EROFS
manager Release o "$lease" > /dev/null
becomes "an unbind that fails is in the log" 1 complaints
is "the lease drains" "$(lease "$lease" State 2>&1)" draining
is "with the device on its driver" "$(basename "$(readlink "$(sysfs 0000:00:08.0)/driver")") $(stat -c %i "$node")" "vfio-pci $inode"
is "but nobody's name is known" "$(lease "$lease" Openers)" "[]"
refused "meanwhile it is Busy" Busy claim bob 9 interface s cdev
works "the daemon is killed" service kill
works "and starts again" service start
is "it drains on" "$(lease "$lease" State 2>&1)" draining
becomes "and tries" 2 complaints
refused "and is Busy" Busy claim bob 9 interface s cdev
fakectl fault $drivers/unbind none
# The kernel's unbind waits for the fd, and the cdev is gone before.
eventually "when the fault is gone the cdev goes" test ! -e "$node"
echo >&8
within eval "[ \"\$(wc -l < /run/held)\" -ge 2 ]"
unlike "and does not let the hidden fd in" "$(tail -n 1 /run/held)" "bound"
release_hold
eventually "then the lease ends" gone "$lease"
becomes "with its device bound again" vfio-pci eval "basename \"\$(readlink '$(sysfs 0000:00:08.0)/driver')\""
works "others can have it" claim bob 9 interface s cdev
works "the daemon lives" is_running
finish
