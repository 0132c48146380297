#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What containers can not have: what policy denies, another's device by an old number, a node where users are
# mapped; and what they can have without any node, by descriptor.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-callers.sh
. /opt/test/guest-callers.sh
# shellcheck source=tests/vm/guest-podman.sh
. /opt/test/guest-podman.sh
start_for_containers

# ---- Policy
allow alice
check "nothing that root may not have is listed" wait_for 10 lists ""
check_not "and there is no file" test -e $spec
does_not_start three $lent0
like "podman knows no such device" "$said" "*unresolvable CDI devices dmaownd.org/group=$lent0*"
allow root
check "listed again" wait_for 10 lists "$edu $lent0 $lent1"

# ---- A number that becomes another's
cp $spec /tmp/stale.json
check "a container of the first device" container three $rootfs --detach \
    --device dmaownd.org/group=$lent0 -- /bin/sleep 1000
podman kill --signal KILL three > /dev/null
wait_for 20 is_free "$first"
echo 1 > "$(device_path $lent0)/remove"
check "a device that goes is not listed" wait_for 10 lists "$edu $lent1"
plug free0 hot0 e1000e > /dev/null
plugged() {
    local path
    path=$(echo /sys/bus/pci/devices/0000:00:0c.0/*:00.0)
    [ -e "$path" ] && basename "$path"
}
check "another device is plugged in" wait_for 30 plugged
hot=$(plugged)
udevadm settle --timeout=30
bind_driver "$hot" vfio-pci
is "and gets the group's number" "$(group_of "$hot")" "$first"
echo 1 > /sys/bus/pci/rescan
udevadm settle --timeout=30
bind_driver $lent0 vfio-pci
third=$(group_of $lent0)
note "$lent0 is in group $third now, was in $first"
sorted() { printf '%s\n' "$@" | sort | paste -sd' '; }
check "both are listed by name" wait_for 10 lists "$(sorted "$edu" $lent0 $lent1 "$hot")"
is "each with its own node" "$(node_of $lent0) $(node_of "$hot")" "/dev/vfio/$third /dev/vfio/$first"
systemctl stop dmaownd-cdi
cp /tmp/stale.json $spec
does_not_start four $lent0
like "by an old list: it would have had the other device, and is told so" "$(reason $lent0)" \
    "*created with /dev/vfio/$first, *create it anew*"
check "nothing was left to it" is_free "$third"
check "nor of the other device" is_free "$first"
systemctl start dmaownd-cdi
check "the list is right again" wait_for 10 lists "$(sorted "$edu" $lent0 $lent1 "$hot")"
podman start three > /dev/null
is "a container from before gets its device by name, not by number" "$(held_by "$third")" \
    "$(container_pid three) \"container $(id_of three)\""
check "and the other device is free" is_free "$first"
podman rm --force --time 0 three > /dev/null

# ---- Mapped users
does_not_start mapped $lent1 --uidmap 0:100000:65536 --gidmap 0:100000:65536
like "and the journal says so" "$(reason $lent1)" "*user namespace*"
check "nothing was left to it" is_free "$second"

# ---- By descriptor
slot=$(group_of $edu)
# by_descriptor [OPTION]... -- COMMAND...: a container with the group, and the programs of this machine.
by_descriptor() {
    local options=()
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    dmaownctl run --mode fd --container $edu -- podman --storage-driver vfs run --network none \
        --volume /usr:/usr:ro "${options[@]}" --rootfs $rootfs "$@"
}
cp /usr/lib/vmtest/edu-dma $rootfs/bin/
ln -s usr/lib $rootfs/lib
ln -s usr/lib64 $rootfs/lib64
by_descriptor --detach --name fds -- /bin/sh -c 'ls /dev/vfio; exec /bin/edu-dma -s' > /dev/null
check "a container gets the group by descriptor" wait_for 30 has_said fds staying
note "$(says fds)"
like "with no node" "$(says fds)" "*/dev/vfio: No such file or directory*"
like "and does DMA" "$(says fds)" "*ok: DMA outside of the mapping is stopped*"
is "the group is taken" "$(property "/org/dmaownd1/group/$slot" Group Owner)" '"user"'
podman kill --signal KILL fds > /dev/null
check "killed, it is free" wait_for 20 is_free "$slot"
like "also with podman's option for it" "$(by_descriptor --rm --preserve-fds=3 -- /bin/edu-dma 2>&1)" \
    "*ok: DMA outside of the mapping is stopped*"
check "and is free again" wait_for 20 is_free "$slot"
podman rm --force fds > /dev/null

# ---- The end
systemctl stop dmaownd-cdi
check_not "a service that is stopped leaves no list" test -e $spec
check "but the folder, which is not its own" test -d /run/cdi
systemctl start dmaownd-cdi
check "started" wait_for 10 test -e $spec
systemctl stop dmaownd
check "without dmaownd there is no list" wait_for 10 test ! -e $spec
is "and the service waits" "$(systemctl is-active dmaownd-cdi)" active

systemctl disable dmaownd 2> /dev/null
unplug hot0 > /dev/null
finish
