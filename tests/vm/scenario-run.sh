#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# dmaownctl run with the examples of its manual page, as they stand there: QEMU with a path, a program
# with file descriptors, and DPDK as a user, with packets counted at both ends of the wire.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-callers.sh
. /opt/test/guest-callers.sh

edu=0000:00:05.0
group=$(group_of "$lent0")
# as NAME: what goes before a command line, with a limit for locked memory as an administrator sets it.
as() { echo "${with_memory[*]} setpriv --reuid $1 --regid $1 --init-groups --"; }
# on DEVICE COMMAND LINE: an example, which is about another device
on() { echo "${2//0000:00:05.0/$1}"; }
lease_of() { property "/org/dmaownd1/group/$1" Group Lease | tr -d '"'; }
# lease_says GROUP: who has it
lease_says() {
    local object name values=()
    object=$(lease_of "$1")
    for name in Pid Uid ClaimantUid Mode Lifetime State; do
        values+=("$(property "$object" Lease "$name" | tr -d '"')")
    done
    echo "${values[*]}"
}
# murder NAME: SIGKILL, and no word of it from the shell
murder() {
    kill -KILL "${held_pid[$1]}"
    wait "${held_pid[$1]}" 2> /dev/null
}
# ends WHAT: the next lease of the group has ended, and the host has the NIC again.
count=0
ends() {
    count=$((count + 1))
    check "$1: the lease ends with it" wait_for 30 has_ended "$group" "$count" fd-closed
    check "$1: the host has the NIC again" wait_for 30 has_driver "$lent0" e1000e
}

# ---- QEMU, with the node ----

fresh_start <<'END'
{ "version": 1,
  "rules": [
    { "name": "by-hand", "effect": "allow", "match": { "bus": "pci" }, "detach": true,
      "reattach_unreset": true, "subjects": { "users": ["alice", "bob"] } },
    { "name": "for-qemu", "effect": "allow", "match": { "bus": "pci" }, "detach": true,
      "subjects": { "users": ["root"] }, "delegate": ["libvirt-qemu"] } ] }
END
qemu=$(on "$lent0" "$(example qemu-system-x86_64)")
note "$qemu"
by_alice=${qemu/--user libvirt-qemu /}

# qemu_runs WHO CLAIMANT HOLDER: the QEMU that was started under this name is the lease's.
qemu_runs() {
    local pid=${held_pid[$1]} status=0
    tell "$1" "info pci"
    tell "$1" "info status"
    check "$1: the monitor shows the NIC" wait_for 60 said "$1" "Ethernet controller: PCI device 8086:10d3"
    check "$1: which does not run yet" wait_for 60 said "$1" "VM status: paused (prelaunch)"
    is "$1: it is QEMU itself, of that user" "$(cat "/proc/$pid/comm") $(stat -c %u "/proc/$pid")" \
        "qemu-system-x86 $3"
    is "$1: the lease is its" "$(lease_says "$group")" "$pid $3 $2 path fd active"
    as_user bob dmaownctl run --detach "$lent0" -- true > /tmp/second 2>&1 || status=$?
    is "$1: a second caller is refused" "$status" 5
    like "$1: and told who has it" "$(cat /tmp/second)" \
        "*Group $group is owned by uid $3 (lease $(basename "$(lease_of "$group")")*"
}

status=0
as_user alice dmaownctl run "$lent0" -- touch /tmp/ran 2> /tmp/refusal || status=$?
like "without --detach the host's driver is named" "$status $(cat /tmp/refusal)" "4 *$lent0*e1000e*"
check_not "and the command is not run" test -e /tmp/ran
start alice "$(as alice) $by_alice"
qemu_runs alice 1001 1001
murder alice
ends "QEMU that is killed"

start root "${with_memory[*]} $qemu"
qemu_runs root 0 64055
tell root quit
ends "QEMU that quits"

# ---- a program, with file descriptors ----

with_fds=$(example "--mode fd" my-vfio-program)
note "$with_fds"
hold program as_user alice bash -c "exec ${with_fds/.\/my-vfio-program/edu-dma -s}"
like "beside the host's driver nothing is passed" "${held[program]}" "*e1000*"
let_go program
unbind_driver 0000:00:05.2
bind_driver "$edu" vfio-pci
slot=$(group_of "$edu")
check "with it gone" wait_for 10 is_listed "$slot" verdict grantable alice
hold program as_user alice bash -c "exec ${with_fds/.\/my-vfio-program/edu-dma -s}"
check "a program does DMA with what it was given" dma_done program
like "group and container" "$(grep given /tmp/hold.program)" "*container*group-$slot*"
is "its user has no access to the node" "$(access_of alice "$slot") $(opens_as alice "$slot")" " open: EACCES"
is "the lease is its" "$(lease_says "$slot")" "${held_pid[program]} 1001 1001 fd fd active"
murder program
check "killed, it frees the group" wait_for 30 has_ended "$slot" 1 fd-closed

# ---- DPDK, with the node ----

examples=$(find /usr/share/dmaownd /usr/local/share/dmaownd -name examples 2> /dev/null)
add_user dpdk 1004
# But for one requirement: the emulated NIC has no reset of its own.
jq '(.rules[] | select(.require)).require -= ["reset"]' "$examples/dpdk-nic.json" > /tmp/dpdk-nic.json
fresh_start < /tmp/dpdk-nic.json
count=0
mark_journal
dpdk=$(on "$lent0" "$(example dpdk-testpmd)")
note "$dpdk"
wire_up "$kept0"
wire=$(interface_of "$kept0")
ip address add 192.0.2.1/24 dev "$wire"

says() { journalctl --sync; journalctl -q -o cat -u dpdk-echo --since "$journal_mark" | grep -e "$1"; }
# counted WORD: "RX-packets" or "TX-packets", at its end
counted() { says "$1: .*-dropped" | sed -n "\$ s/.*$1: \([0-9]*\).*/\1/p"; }
sent=$(packets_of "$kept0" tx_packets) got=$(packets_of "$kept0" rx_packets)
# As if another user had DPDK running.
install -d -o alice -m 700 /tmp/dpdk
check "DPDK starts as a service" bash -c "$dpdk"
check "and has the NIC" wait_for 60 says "Port 0: 52:54:00:00:10:00"
[ "$failures" = 0 ] || note "$(says .)"
pid=$(systemctl show -p MainPID --value dpdk-echo)
is "it is testpmd itself, of its user" "$(cat "/proc/$pid/comm") $(stat -c %U "/proc/$pid")" \
    "dpdk-testpmd dpdk"
is "the lease is its" "$(lease_says "$group")" "$pid 1004 1004 path fd active"
like "in its unit" "$(property "$(lease_of "$group")" Lease Unit)" '"dpdk-echo.service"'
check "it answers" wait_for 60 busybox ping -c 1 -W 1 192.0.2.2
check "each time" busybox ping -c 20 -A 192.0.2.2
systemctl stop dpdk-echo
ends "DPDK that is told to end"
sent=$(($(packets_of "$kept0" tx_packets) - sent)) got=$(($(packets_of "$kept0" rx_packets) - got))
note "the kernel sent $sent and got $got; DPDK got $(counted RX-packets) and sent $(counted TX-packets)"
is "DPDK got what the kernel sent" "$(counted RX-packets)" "$sent"
is "the kernel got what DPDK sent" "$got" "$(counted TX-packets)"
check "that is each echo and its answer" test "$got" -gt 20

address=$(cat "/sys/class/net/$wire/address")
check "DPDK starts again" bash -c "${dpdk/icmpecho/txonly --eth-peer=0,$address}"
before=$(packets_of "$kept0" rx_packets)
floods() { [ "$(packets_of "$kept0" rx_packets)" -gt $((before + 1000)) ]; }
check "and sends without a pause" wait_for 60 floods
systemctl kill --signal=KILL dpdk-echo
ends "DPDK that is killed"
is "what happened is in the journal, in order" "$(journal_story "$group")" \
    "detached granted ended reattached detached granted ended reattached"
finish
