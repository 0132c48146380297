#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# One arbiter: a libvirt domain, a podman container, DPDK and a busctl caller want the same two groups. Those
# who were granted run, every other one is told who has it, and the journal tells the story in order.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-callers.sh
. /opt/test/guest-callers.sh

first=$(group_of "$lent0")
second=$(group_of "$lent1")
uuid=a6b17e60-0000-4000-8000-00000000000

# Alice runs DPDK, Carol's agent calls the bus; libvirt and podman call as root.
fresh_start << 'END'
{ "version": 1, "rules": [
  { "name": "nics", "effect": "allow", "match": { "bus": "pci", "name": "0000:00:1[01].0" },
    "subjects": { "users": ["root", "alice", "carol"] }, "delegate": ["libvirt-qemu"], "detach": true,
    "vfio_driver": "vfio-pci" } ] }
END

# ---- the four ----

define() { # define NAME DIGIT DEVICE...: a domain with these, in /tmp/NAME.xml
    local name=$1 number=$2 device devices=()
    shift 2
    for device; do
        devices+=("$(hostdev "$device")")
    done
    write_domain "$name" "$uuid$number" "${devices[@]}" > "/tmp/$name.xml"
}
domain_starts() { virsh create "/tmp/$1.xml" --paused; }

# box NAME DEVICE: a container that stays
box() {
    container "$1" /tmp/rootfs -d --device "dmaownd.org/group=$2" -- /bin/sleep 1000
}

# The reason that the runtime does not show.
box_was_told() { journalctl -q --no-pager -o cat -t dmaownd-oci-hook --since "$journal_mark" | tail -n 1; }

# What alice types for the second NIC; her own limit of memory is too small for DPDK.
as_alice=("${with_memory[@]}" setpriv --reuid alice --regid alice --init-groups --)
# shellcheck disable=SC2054 # the commas are DPDK's
dpdk=("${testpmd[@]}" -a "$lent1" -- "${testpmd_small[@]}" --forward-mode=txonly
    --eth-peer=0,"$(cat "/sys/class/net/$(interface_of "$kept1")/address")")
sends() { [ "$(packets_of "$1" rx_packets)" -gt "$2" ]; }

agent() { claim carol "$@" comment s agent; }

# owner DEVICE: who has its group, in one word
owner() {
    local lease
    lease=$(property "/org/dmaownd1/group/$(group_of "$1")" Group Lease)
    lease=${lease//\"/}
    if [ "$lease" = / ]; then echo nobody; else property "$lease" Lease Comment; fi
}
is_owner() { [[ $(owner "$1") == *$2* ]]; }

make_rootfs /tmp/rootfs
define web 1 "$lent0"
define both 2 "$lent0" "$lent1"
ip link set "$(interface_of "$kept1")" up
check "libvirtd runs" start_libvirt
check "the second NIC is kept for userspace" dmaownctl detach "$lent1"
is_published() { grep -q "\"$lent1\"" /run/cdi/dmaownd.org-group.json; }
check "the list for containers is kept" systemctl start dmaownd-cdi
check "they are told of it" wait_for 20 is_published

# ---- one after the other ----

check "the domain starts" domain_starts web
like "it has the first group" "$(owner "$lent0")" "*libvirt domain web ${uuid}1*"
check "the container starts" box box1 "$lent1"
like "it has the second" "$(owner "$lent1")" "*container *"

told=$(timeout 60 "${as_alice[@]}" dmaownctl run "$lent1" -- "${dpdk[@]}" 2>&1)
is "DPDK does not run" $? 5
like "and is told by whom the group is owned" "$told" "*Group $second is owned by uid 0 (lease *"
agent "$lent0"
refused "the agent is refused" AlreadyOwned
like "and told whose the group is" "$error_text" "*Group $first is owned by uid $(id -u libvirt-qemu) (lease *"
told=$(domain_starts both 2>&1)
like "a domain for both does not start, and virsh says why" "$told" \
    "*dmaownd: *Group $first is owned by uid * (lease *libvirt domain web *"
check_not "nor does a second container" box box2 "$lent1"
like "whose reason is in the journal" "$(box_was_told)" "*Group $second is owned by uid 0 (lease *container *"
is "nobody else has anything" "$(busctl --json=short get-property "${manager[@]}" LeaseCount | tr -dc 0-9)" 2

# ---- ends that nobody announces ----

kill -KILL "$(container_pid box1)"
before=$(packets_of "$kept1" rx_packets)
hold testpmd "${as_alice[@]}" dmaownctl run --wait 30 --comment testpmd "$lent1" -- "${dpdk[@]}"
check "when the container is killed, DPDK has its turn" wait_for 30 is_owner "$lent1" testpmd
check "and sends" wait_for 60 sends "$kept1" $((before + 100))
check_not "now the container does not start" box box3 "$lent1"
like "since alice has it" "$(box_was_told)" "*Group $second is owned by uid $(id -u alice) (lease *"

kill -KILL "$(domain_pid web)"
check "when QEMU is killed, the first NIC is the host's again" wait_for 60 has_driver "$lent0" e1000e
agent "$lent0" detach b true wait t 30
worked "now the agent gets it"
agents=$lease
told=$(domain_starts web 2>&1)
like "and the domain does not start" "$told" \
    "*dmaownd: *Group $first is owned by uid $(id -u carol) (lease ${agents##*/})*"
like "which left it alone" "$(owner "$lent0") $(driver_of "$lent0")" "*agent* vfio-pci"
release carol "$agents"
kill -KILL "${held_pid[testpmd]}"
check "and at last nobody has anything" wait_for 30 is_owner "$lent1" nobody

# ---- what the journal says ----

is "the first group's story" "$(journal_story "$first")" \
    "detached granted lifetime denied denied ended reattached detached granted denied ended"
is "the second group's" "$(journal_story "$second")" \
    "detached granted denied denied denied ended granted denied ended"
note "$(journal MESSAGE "DMAOWND_GROUP=$first")"
note "$(journal MESSAGE "DMAOWND_GROUP=$second")"

# ---- all at once: two for each group ----

# race NAME COMMAND...: in the background; what it said and how it ended is in /tmp/race.NAME*
race() {
    local name=$1
    shift
    { "$@" > "/tmp/race.$name" 2>&1 < /dev/null; echo $? > "/tmp/race.$name.status"; } &
    racers+=($!)
}
won() { [ "$(cat "/tmp/race.$1.status")" = 0 ]; }
# one_of GROUP ONE OTHER: one has it, and the other was told so.
one_of() {
    local winner=$2 loser=$3
    ! won "$3" || winner=$3 loser=$2
    note "group $1: $winner has it, $loser does not"
    check "of $2 and $3, one has group $1" won "$winner"
    check_not "and one has not" won "$loser"
    like "who is told whose it is" "$(cat "/tmp/race.$loser") $(box_was_told)" "*roup $1 is owned by uid * (lease *"
}
agent_claims() {
    agent "$lent0" detach b true wait t 30
    echo "$error_text"
    [ -z "$error_name" ]
}
# dmaownctl's claim is that of run; it stays behind here, so that its answer can be waited for.
alice_claims() { as_user alice dmaownctl claim --wait 30 --comment testpmd "$lent1"; }

dmaownctl reattach "$lent0" 2> /dev/null
mark_journal
racers=()
race domain domain_starts web
race agent agent_claims
race container box box4 "$lent1"
race dpdk alice_claims
wait "${racers[@]}"
one_of "$first" domain agent
one_of "$second" container dpdk
is "two leases" "$(busctl --json=short get-property "${manager[@]}" LeaseCount | tr -dc 0-9)" 2
is "each granted once" "$(journal_count granted "$first") $(journal_count granted "$second")" "1 1"
finish
