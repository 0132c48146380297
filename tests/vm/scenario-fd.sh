#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Mode fd: a user without access to any node does DMA with what Claim gave, and the daemon keeps
# nothing of it.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh

edu=0000:00:05.0
sibling=0000:00:05.2
nic=0000:00:02.0
fresh_start <<'END'
{ "version": 1,
  "rules": [ { "name": "all", "effect": "allow", "match": { "bus": "pci" },
               "reattach_unreset": true,
               "subjects": { "users": ["alice", "bob"] } } ] }
END
bind_driver "$edu" vfio-pci
bind_driver "$nic" vfio-pci
group=$(group_of "$edu")
node=/dev/vfio/$group
# ends WHAT REASON: the group's next lease has ended, for this reason, and it can be granted again.
count=0
ends() {
    count=$((count + 1))
    check "$1 ($2)" wait_for 30 has_ended "$group" "$count" "$2"
}
wait_for 10 is_listed "$group" verdict kernel-driver alice
watch_signals

# What is refused.
claim alice "$edu" mode s fd
refused "beside a kernel driver nothing is granted" KernelHeld
like "the driver is named" "$error_text" "*$sibling*e1000*"
unbind_driver "$sibling"
wait_for 10 is_listed "$group" verdict grantable alice
claim alice "$edu" mode s fd uid u 1002
refused "fds go to the caller, not to another uid" InvalidOption
claim alice "$edu" container b true
refused "a container is for mode fd" InvalidOption
claim alice "$edu" interface s group mode s fds
refused "there is no such mode" InvalidOption
hold opener vfio-open -h "$node"
claim alice "$edu" mode s fd
refused "a group that somebody else has open" ForeignOwner
let_go opener

# End to end.
hold dma as_user alice edu-dma -c "$edu" -s
check "alice does DMA with what she got" dma_done dma
like "a group and no more" "$(grep given /tmp/hold.dma)" "given: group:$group"
check "the IOMMU's fault is on record" \
    wait_for 10 sh -c "dmesg | grep -q 'DMA Write.*00:05.0.*fault addr 0x5000000'"
is "she has no access to the node" "$(access_of alice "$group") $(opens_as alice "$group")" \
    " open: EACCES"
check "the daemon keeps nothing of VFIO" keeps_nothing_of_vfio
first=$(sed -n 's/^lease: //p' /tmp/hold.dma)
is "mode, interface, lifetime" "$(property "$first" Lease Mode) $(property "$first" Lease Interface) \
$(property "$first" Lease Lifetime)" '"fd" "group" "connection"'
is "the kernel keeps a host driver out" "$(bind_error "$sibling" e1000)" "Device or resource busy"
claim bob "$edu" mode s fd
refused "bob is told that it is taken" AlreadyOwned
claim alice "$edu"
refused "and so is alice" AlreadyOwned

# Draining: the fds outlive the lease.
release alice "$first"
worked "release answers at once"
is "the lease drains" "$(property "$first" Lease State)" '"draining"'
claim bob "$edu" mode s fd
refused "meanwhile it is busy" Busy
is "whose it is is not bob's to know" "${error_text//edu-dma/} $(as_user bob busctl get-property \
    org.dmaownd1 "$first" org.dmaownd1.Lease Openers)" "$error_text as 0"
opener="*process ${held_pid[dma]} (*/edu-dma, unit vmtest.service)*"
wait_for 20 has_like "$first" Lease Openers "$opener"
like "who still has it open is named" "$(property "$first" Lease Openers)" "$opener"
is "no LeaseEnded yet" "$(journal_count ended "$group")" 0
is "the kernel still keeps others out" "$(bind_error "$sibling" e1000)" "Device or resource busy"
let_go dma
ends "when it is closed, the lease has ended" released
check "and the group is free" wait_for 10 is_listed "$group" owner none

# With a container: the daemon has claimed it from the kernel already.
hold dma as_user bob edu-dma -c "$edu" -o container?=1 -w
is "bob got group and container" "$(grep given /tmp/hold.dma | sort | tr '\n' ' ')" \
    "given: container given: group:$group "
check "the daemon keeps neither" keeps_nothing_of_vfio
is "the container alone keeps a host driver out" "$(bind_error "$sibling" e1000)" \
    "Device or resource busy"
is "nobody else opens the group" "$(vfio-open "$node")" "open: EBUSY"
check "the daemon dies and comes back" kill_daemon
is "with the lease of his connection" \
    "$(property "$(sed -n 's/^lease: //p' /tmp/hold.dma)" Lease State)" '"active"'
check "and has nothing of VFIO" keeps_nothing_of_vfio
kill -USR1 "${held_pid[dma]}"
wait "${held_pid[dma]}"
is "his DMA works" "$? $(tail -n 1 /tmp/hold.dma)" "0 ok: DMA outside of the mapping is stopped"
check "in that container" grep -q "attached to the container that was given" /tmp/hold.dma
ends "its connection's end ends the lease" disconnected

# What the kernel drops without a word.
hold dma as_user alice edu-dma -c "$edu" -a -s
check "alice has the group in a container" dma_done dma "set container"
echo "$edu" > /sys/bus/pci/drivers/vfio-pci/unbind
ends "without its last VFIO device it is no more" device-gone
let_go dma
check "bound again it is another" bind_driver "$edu" vfio-pci
wait_for 10 is_listed "$group" verdict grantable alice

# Two groups in one container.
claim alice "$edu,$nic" mode s fd container b true
worked "two groups in one container"
like "one fd each" "$answer" "*group:$group*"
like "and the other" "$answer" "*group:$(group_of "$nic")*"
release alice "$lease"
ends "both are free, for busctl closed its fds" released

# A key: the same lease, and fds again once the first are closed.
hold dma as_user alice edu-dma -c "$edu" -o lifetime=persistent -o key=one -s
first=$(sed -n 's/^lease: //p' /tmp/hold.dma)
claim alice "$edu" mode s fd key s one
refused "the same key while the fds are open" Busy
let_go dma
claim alice "$edu" mode s fd key s one
is "afterwards it gets the same lease" "$error_name $lease" " $first"
like "with fds" "$answer" "*group:$group*"
release alice "$first"
ends "that is over" released

# Lifetime fd: neither the exec of another program nor the claimant's end ends it, the last close
# does. The claimant's last process hands on what it got and goes.
# shellcheck disable=SC2016
hold chain as_user alice edu-dma -x -c "$edu" -o lifetime=fd bash -c '
    unset LISTEN_PID
    sleep 1000 3<&- & echo "keeper $!"
    edu-dma -s & echo "user $!"'
wait "${held_pid[chain]}"
check "DMA by a process that was handed the fds" dma_done chain
like "with the lease among them" "$(grep given /tmp/hold.chain | tail -n 2 | tr '\n' ' ')" \
    "*given: lease*"
keeper=$(sed -n 's/^keeper //p' /tmp/hold.chain)
user=$(sed -n 's/^user //p' /tmp/hold.chain)
chain_lease=$(sed -n 's/^lease: //p' /tmp/hold.chain)
is "the claimant is gone, the lease is not" "$(property "$chain_lease" Lease State)" '"active"'
is "its lifetime" "$(property "$chain_lease" Lease Lifetime)" '"fd"'
check "the daemon dies and comes back" kill_daemon
is "with the lease" "$(property "$chain_lease" Lease State)" '"active"'
is "the service manager keeps its fd" "$(systemctl show -p NFileDescriptorStore --value dmaownd)" 1
claim bob "$edu"
refused "it is still exclusive" AlreadyOwned
kill "$user"
wait_for 10 is_gone "$user"
is "a copy of the lease's fd is enough" "$(property "$chain_lease" Lease State)" '"active"'
kill "$keeper"
ends "the last close ends it" fd-closed
wait_for 10 has_signals LeaseEnded "$count"
is "LeaseEnded was sent once each" "$(signals LeaseEnded | wc -l)" "$count"

# The same while there is no daemon.
hold dma as_user alice edu-dma -c "$edu" -o lifetime=fd -s
systemctl kill --signal=STOP dmaownd
before=$(main_pid)
let_go dma
systemctl reset-failed dmaownd
systemctl kill --signal=KILL dmaownd
wait_for 20 is_ready_again "$before"
ends "a close that no daemon saw ends it too" fd-closed
check "the group is free" wait_for 10 is_listed "$group" owner none
stop_signals
finish
