#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# VFIO and IOMMUFD of the fake kernel against what was measured on 6.1 and 6.12: containers, devices,
# descriptors that travel, cdevs.
# shellcheck source-path=SCRIPTDIR
needs_daemon=no
. "$(dirname "$0")/../bus/lib.sh" || exit 99

cat > /run/vfio.py <<'P'
import array, errno, fcntl, os, socket, struct, sys
STATUS, SET, UNSET, DEVICE, IOMMU, BIND = 0x3b67, 0x3b68, 0x3b69, 0x3b6a, 0x3b66, 0x3b76
def attempt(call):
    try: return call()
    except OSError as e: return errno.errorcode[e.errno]
def node(path): return attempt(lambda: os.open(path, os.O_RDWR | os.O_CLOEXEC))
def ioctl(fd, command, argument=0): return attempt(lambda: fcntl.ioctl(fd, command, argument))
def integer(n): return struct.pack("i", n)
def attach(group, container):
    r = ioctl(group, SET, integer(container))
    return r if isinstance(r, str) else "ok"
def status(group):
    r = ioctl(group, STATUS, struct.pack("II", 8, 0))
    return r if isinstance(r, str) else struct.unpack("II", r)[1]
def device(group, name): return ioctl(group, DEVICE, bytearray(name.encode() + b"\0"))
def bind(fd, iommufd, size=16, flags=0):
    r = ioctl(fd, BIND, struct.pack("IIiI", size, flags, iommufd, 0))
    return r if isinstance(r, str) else "ok"
P
# py TEXT: prints what the statements print, on one line.
py() { python3 -c "import sys; sys.path.insert(0, '/run'); from vfio import *
$1" 2>&1 | paste -sd' '; }

# ---- Containers
is "the container's node" "$(stat -c '%a %F' /dev/vfio/vfio)" "666 character special file"
is "what is no container" "$(py '
g, n = node("/dev/vfio/9"), os.open("/dev/null", os.O_RDWR)
print(attach(g, -1), attach(g, 999), attach(g, n), attach(g, g), status(g))')" "EINVAL EBADF EINVAL EINVAL 1"
is "a claim" "$(py '
g, c = node("/dev/vfio/9"), node("/dev/vfio/vfio")
print(status(g), attach(g, c), status(g), attach(g, c), attach(g, node("/dev/vfio/vfio")))')" "1 ok 3 EINVAL EINVAL"
is "beside a counted driver" "$(py '
g, c = node("/dev/vfio/10"), node("/dev/vfio/vfio")
print(status(g), attach(g, c))')" "0 EPERM"
is "it is given back" "$(py '
g, c = node("/dev/vfio/9"), node("/dev/vfio/vfio")
print(ioctl(g, UNSET), attach(g, c), ioctl(g, UNSET), status(g), ioctl(g, UNSET), attach(g, c))')" "EINVAL ok 0 1 EINVAL ok"
fakectl fail-container 9 EBUSY
is "a failure by decree" "$(py 'print(attach(node("/dev/vfio/9"), node("/dev/vfio/vfio")))')" EBUSY
fakectl fail-container 9 none
is "of no other group, and no longer" "$(py 'print(attach(node("/dev/vfio/9"), node("/dev/vfio/vfio")))')" ok
is "the claim keeps a driver out" "$(py '
g, c = node("/dev/vfio/11"), node("/dev/vfio/vfio")
os.system("echo 0000:00:07.0 > /sys/bus/pci/drivers/pci-stub/unbind")
def take(): return attempt(lambda: os.write(os.open("/sys/bus/pci/drivers/e1000e/bind", os.O_WRONLY), b"0000:00:07.0"))
print(attach(g, c), take())
os.close(c)
print(status(g), take())
os.close(g)
print(take())')" "ok EBUSY 3 EBUSY 12"
fakectl unbind 0000:00:07.0
fakectl bind 0000:00:07.0 pci-stub

# ---- Descriptors that travel
is "a copy keeps it open, also on its way and in another process" "$(py '
g, c = node("/dev/vfio/9"), node("/dev/vfio/vfio")
attach(g, c)
a, b = socket.socketpair()
socket.send_fds(a, [b"x"], [g])
os.close(g)
print("on its way", node("/dev/vfio/9"))
if os.fork() == 0:
    a.close()
    g = socket.recv_fds(b, 1, 1)[1][0]
    print("arrived", node("/dev/vfio/9"), status(g), flush=True)
    os._exit(0)
a.close(); b.close()
os.wait()
g = node("/dev/vfio/9")
print("closed", status(g))')" "on its way EBUSY arrived EBUSY 3 closed 1"

is "its number in sysfs" "$(stat -c '%t:%T' /dev/vfio/vfio)" "$(cat /sys/class/misc/vfio/dev)"

# ---- Devices of a group
is "a device needs an IOMMU" "$(py '
g, c = node("/dev/vfio/9"), node("/dev/vfio/vfio")
print(ioctl(c, IOMMU, 3), device(g, "0000:00:08.0"), attach(g, c), device(g, "0000:00:08.0"))
print(ioctl(node("/dev/vfio/vfio"), IOMMU, 3), ioctl(c, IOMMU, 3), device(g, "0000:00:05.0"))
d = device(g, "0000:00:08.0")
os.close(g); os.close(c)
print(d > 2, node("/dev/vfio/9"))
os.close(d)
print(status(node("/dev/vfio/9")))')" "EINVAL EINVAL ok EINVAL EINVAL 0 ENODEV True EBUSY 1"
hold root "$FAKEKERNEL/fakectl" hold /dev/vfio/9 0000:00:08.0
is "with a device open" "$held" held
echo 0000:00:08.0 > /sys/bus/pci/drivers/vfio-pci/unbind 8>&- &
writer=$!
within test ! -e "$(sysfs 0000:00:08.0)/driver"
works "an unbind waits" kill -0 $writer
works "the node stays so long" test -e /dev/vfio/9
release_hold
wait $writer
pass "until the device is closed"
fails "then the node has gone" test -e /dev/vfio/9
fakectl bind 0000:00:08.0 vfio-pci
is "a group's last device takes the claim" "$(py '
g, c = node("/dev/vfio/9"), node("/dev/vfio/vfio")
print(attach(g, c))
os.system("echo 0000:00:08.0 > /sys/bus/pci/drivers/vfio-pci/unbind")
print(status(g))
os.system("'"$FAKEKERNEL"'/fakectl bind 0000:00:08.0 igb")
os.system("'"$FAKEKERNEL"'/fakectl unbind 0000:00:08.0; '"$FAKEKERNEL"'/fakectl bind 0000:00:08.0 vfio-pci")
print(status(g), status(node("/dev/vfio/9")))')" "ok ENODEV ENODEV 1"

# ---- cdev: only where there is one
fails "no cdev" test -e /dev/vfio/devices
fails "no iommufd" test -e /dev/iommu
fakectl kernel 6.12-cdev
cdev=$(basename "$(ls -d "$(sysfs 0000:00:08.0)"/vfio-dev/vfio*)")
is "a cdev" "$(stat -c '%a %U %F' "/dev/vfio/devices/$cdev")" "600 root character special file"
is "its number in sysfs" "$(stat -c '%t:%T' "/dev/vfio/devices/$cdev")" "$(cat "$(sysfs 0000:00:08.0)/vfio-dev/$cdev/dev")"
is "by its class" "$(cat "/sys/class/vfio-dev/$cdev/dev")" "$(cat "$(sysfs 0000:00:08.0)/vfio-dev/$cdev/dev")"
is "iommufd" "$(stat -c '%a %U %t:%T' /dev/iommu)" "660 root $(cat /sys/class/misc/iommu/dev)"
like "its symbol" "$(cat /proc/kallsyms)" "vfio_df_ioctl_bind_iommufd"
d="/dev/vfio/devices/$cdev"
fails "a cdev is nobody else's" as alice "$FAKEKERNEL/fakectl" status "$d"
is "a claim" "$(py "
d, i = node('$d'), node('/dev/iommu')
print(bind(d, i, size=8), bind(d, i, flags=1), bind(d, -1), bind(d, 999), bind(d, d), node('/dev/vfio/9') > 2)
")" "EINVAL EINVAL EINVAL EBADF EBADFD True"
is "an open group stands against it, an open cdev not against the group" "$(py "
d, i = node('$d'), node('/dev/iommu')
g = node('/dev/vfio/9')
print(status(g), bind(d, i))
os.close(g)
print(bind(d, i), node('/dev/vfio/9'), bind(d, i))
other = node('$d')
print(bind(other, i))
os.close(d)
print(bind(other, i))
os.close(other)
print(status(node('/dev/vfio/9')))")" "1 EBUSY ok EBUSY EINVAL EINVAL ok 1"
ten="/dev/vfio/devices/$(basename "$(ls -d "$(sysfs 0000:00:06.1)"/vfio-dev/vfio*)")"
is "beside a counted driver" "$(py "print(bind(node('$ten'), node('/dev/iommu')))")" EPERM
fakectl unbind 0000:00:06.0
fakectl bind 0000:00:06.0 vfio-pci
sibling="/dev/vfio/devices/$(basename "$(ls -d "$(sysfs 0000:00:06.0)"/vfio-dev/vfio*)")"
is "siblings: one iommufd for all" "$(py "
a, b, i = node('$ten'), node('$sibling'), node('/dev/iommu')
print(bind(a, i), bind(b, node('/dev/iommu')), bind(b, i))
os.close(b)
os.system('echo 0000:00:06.0 > /sys/bus/pci/drivers/vfio-pci/unbind')
print(attempt(lambda: os.write(os.open('/sys/bus/pci/drivers/uio_pci_generic/bind', os.O_WRONLY), b'0000:00:06.0')))
os.system('$FAKEKERNEL/fakectl bind 0000:00:06.0 e1000e 2> /dev/null || echo refused')
")" "ok EPERM ok ENODEV refused"
is "the end of the claim lets it in" "$(fakectl bind 0000:00:06.0 e1000e 2>&1)" ""

# ---- Unbind waits for a cdev, bound or not
for how in open bind; do
    words=("$FAKEKERNEL/fakectl" hold "$d")
    [ $how = open ] || words+=(bind)
    hold root "${words[@]}"
    is "$how" "$held" held
    echo 0000:00:08.0 > /sys/bus/pci/drivers/vfio-pci/unbind 8>&- &
    writer=$!
    within test ! -e "$d"
    works "$how: an unbind waits, without a node" kill -0 $writer
    # Its name is free: what opens it later must not be this one.
    if [ $how = open ]; then
        echo -n b >&8
        eventually "$how: the file is dead" grep -q "No such device" /run/held
    fi
    release_hold
    wait $writer
    pass "$how: until it is closed"
    fakectl bind 0000:00:08.0 vfio-pci
    d="/dev/vfio/devices/$(basename "$(ls -d "$(sysfs 0000:00:08.0)"/vfio-dev/vfio*)")"
done
fakectl kernel 6.12
fails "no cdev any more" test -e "$d"
works "the group's node stays" test -c /dev/vfio/9
finish
