# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shares variables with guest-lib.sh and the scenarios
#
# What scenarios use that run libvirt, QEMU, podman and DPDK (run -C). Source it after guest-lib.sh.

# A call may take as long as its option wait says; the bus's own limit is 25 s.
export SYSTEMD_BUS_TIMEOUT=120

# ---- the machine of topology/callers.args (beside groups) ----

lent0=0000:00:10.0          # e1000e, a group of one; the other end of its wire is
kept0=0000:00:12.0          # a virtio NIC that stays with the kernel
lent1=0000:00:11.0          # the same again
kept1=0000:00:13.0

interface_of() { # interface_of DEVICE: its network interface
    local path
    for path in "$(device_path "$1")"/{net,virtio*/net}/*; do
        [ ! -e "$path" ] || basename "$path"
    done
}
# packets_of DEVICE COUNTER: what the kernel counted, rx_packets or tx_packets
packets_of() { cat "/sys/class/net/$(interface_of "$1")/statistics/$2"; }

# wire_up DEVICE: its interface is up, and says nothing by itself
wire_up() {
    local name
    name=$(interface_of "$1")
    echo 1 > "/proc/sys/net/ipv6/conf/$name/disable_ipv6"
    ip link set "$name" up
}

# add_user NAME UID, as adduser would
add_user() {
    grep -q "^$1:" /etc/passwd || echo "$1:x:$2:$2::/tmp:/bin/bash" >> /etc/passwd
    grep -q "^$1:" /etc/group || echo "$1:x:$2:" >> /etc/group
}

# example WORD...: the command with these words among the examples of dmaownctl(1)
example() {
    local page word found
    page=$(find /usr/share/man /usr/local/share/man -name dmaownctl.1 2> /dev/null)
    found=$(sed -n '/^\.SH EXAMPLES/,/^\.SH SEE/ s/^\.RB "[^"]*" "\(.*\)"$/\1/p' "$page" |
        sed -e ':join' -e '/\\e$/ { N; s/\\e\n//; b join' -e '}' -e 's/\\-/-/g' -e "s/\\\\(aq/'/g")
    for word; do
        found=$(grep -F -e "$word" <<< "$found")
    done
    echo "$found"
}

# start NAME COMMAND LINE: in the background; what `tell NAME` says is its standard input.
declare -A input_of=()
start() {
    local pipe
    rm -f "/tmp/in.$1"
    mkfifo "/tmp/in.$1"
    : > "/tmp/hold.$1"
    bash -c "exec $2" < "/tmp/in.$1" > "/tmp/hold.$1" 2>&1 &
    held_pid[$1]=$!
    exec {pipe}> "/tmp/in.$1"
    input_of[$1]=$pipe
}
tell() { echo "$2" >&"${input_of[$1]}"; } # tell NAME LINE
said() { grep -q -e "$2" "/tmp/hold.$1"; } # said NAME PATTERN, for wait_for

# ---- libvirt ----

# The hook goes where this build's configure put it; libvirtd looks in /etc only.
link_hook() {
    local installed
    installed=$(cat /opt/test/sysconfdir 2> /dev/null || echo /etc)/libvirt/hooks
    [ ! -d "$installed" ] || [ "$installed" = /etc/libvirt/hooks ] || {
        mkdir -p /etc/libvirt
        ln -sfnT "$installed" /etc/libvirt/hooks
    }
}

# A unit of its own, as libvirtd is on a real host: its domains outlive a restart.
start_libvirt() { # start_libvirt [LINE OF QEMU.CONF]...
    mkdir -p /etc/libvirt /run/libvirt /var/lib/libvirt
    link_hook
    printf 'auth_unix_%s = "none"\n' rw ro > /etc/libvirt/libvirtd.conf
    # virtlogd is one process more that no test is about.
    printf '%s\n' 'stdio_handler = "file"' "$@" > /etc/libvirt/qemu.conf
    systemctl reset-failed libvirtd 2> /dev/null
    systemd-run --quiet --unit=libvirtd --property=KillMode=process /usr/sbin/libvirtd &&
        wait_for 60 virsh -q -c qemu:///system list
}
# stop_libvirt [SIGNAL]: libvirtd alone, not the domains
stop_libvirt() {
    systemctl kill --signal="${1:-TERM}" libvirtd
    wait_for 30 sh -c '! systemctl is-active libvirtd'
}
virsh() { command virsh -q -c qemu:///system "$@"; }

# hostdev DEVICE [yes|no]: a device of a domain in XML; managed, if left out
hostdev() {
    local domain bus slot function
    IFS=:. read -r domain bus slot function <<< "$1"
    cat <<END
<hostdev mode='subsystem' type='pci' managed='${2:-yes}'>
  <source><address domain='0x$domain' bus='0x$bus' slot='0x$slot' function='0x$function'/></source>
</hostdev>
END
}

# write_domain NAME UUID [XML OF A DEVICE]... > FILE: a domain as small as QEMU can be, without a disk.
write_domain() {
    local name=$1 uuid=$2
    shift 2
    cat <<END
<domain type='qemu'>
  <name>$name</name>
  <uuid>$uuid</uuid>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    $*
  </devices>
</domain>
END
}
# The pid of a domain's QEMU.
domain_pid() { cat "/run/libvirt/qemu/$1.pid" 2> /dev/null; }

# ---- containers ----

# make_rootfs FOLDER: busybox and nothing else
make_rootfs() {
    mkdir -p "$1"/{bin,dev,etc,proc,sys,tmp,run}
    cp /usr/bin/busybox "$1/bin/"
    chroot "$1" /bin/busybox --install -s /bin
    echo 'root:x:0:0:root:/:/bin/sh' > "$1/etc/passwd"
    echo 'root:x:0:' > "$1/etc/group"
}

podman() { command podman --storage-driver vfs "$@"; }
# container NAME FOLDER [OPTION]... -- COMMAND...: podman's and crun's, without a network
container() {
    local name=$1 folder=$2 options=()
    shift 2
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    podman run --name "$name" --network none "${options[@]}" --rootfs "$folder" "$@"
}
# The pid of a container's first process.
container_pid() { podman inspect --format '{{.State.Pid}}' "$1"; }

# ---- DPDK ----

# One processor is enough, and neither huge pages nor files that outlive it.
testpmd=(dpdk-testpmd --no-huge --no-shconf -m 64 --no-telemetry --lcores '(0,1)@0')
# The same behind the EAL's options, which end with --.
testpmd_small=(--total-num-mbufs=2048 --port-topology=chained --stats-period=1)
# What is shared with a device is locked in memory, and a user may lock 8 MiB. (No function: behind `hold`
# it would be a shell that let_go ends, not the program.)
with_memory=(prlimit --memlock=$((512 << 20)) --)
