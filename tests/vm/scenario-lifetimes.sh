#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a lease lives with: processes, units, the last copy of an fd, time; what of it outlives the
# daemon; and how a lease is taken back.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh

nic=0000:00:02.0
other=0000:01:00.0
edu=0000:00:05.0
mkdir -p /run/systemd/system
printf '[Service]\nExecStart=sleep 1000\n' > /run/systemd/system/dormant.service
systemctl daemon-reload
fresh_start <<'END'
{ "version": 1,
  "rules": [ { "name": "all", "effect": "allow", "match": { "bus": "pci" },
               "reattach_unreset": true,
               "subjects": { "users": ["alice", "root"] }, "delegate": ["alice"] } ] }
END
bind_driver "$nic" vfio-pci
bind_driver "$other" vfio-pci
bind_driver "$edu" vfio-pci
unbind_driver 0000:00:05.2
group=$(group_of "$nic")
second=$(group_of "$other")
slot=$(group_of "$edu")
sleeper() { hold "$1" as_user "$2" sh -c 'echo ready; exec sleep 1000'; } # sleeper NAME USER
state() { property "$1" Lease State; }
# ends WHAT REASON: the group's next lease has ended, for this reason, and it can be granted again.
count=0
ends() {
    count=$((count + 1))
    check "$1 ($2)" wait_for 30 has_ended "$group" "$count" "$2"
}
wait_for 10 is_listed "$slot" verdict grantable alice
watch_signals

# A process, by its number and by a pidfd.
sleeper mine alice
sleeper bobs bob
pid=${held_pid[mine]}
claim alice "$nic" lifetime s process pid u "$pid"
worked "a lease that lives with a process"
is "which is shown" "$(property "$lease" Lease Lifetime) $(property "$lease" Lease Pid)" \
    "\"process\" $pid"
is "the claimant's end does not end it" "$(state "$lease")" '"active"'
let_go mine
ends "the process's end does" process-exited
claim alice "$nic" lifetime s process pid u "$pid"
refused "a process that is gone" InvalidOption
claim alice "$nic" lifetime s process pid u "${held_pid[bobs]}"
refused "another user's process" InvalidOption
claim root "$nic" lifetime s process pid u "${held_pid[bobs]}"
worked "root may name it"
let_go bobs
ends "and its end ends the lease" process-exited
sleeper mine alice
pid=${held_pid[mine]}
by_pidfd() { as_user alice bus-client claim "$nic" lifetime=process "$@"; }
like "an fd that is no pidfd" "$(by_pidfd pidfd@=0)" "*.InvalidOption: *"
like "pid and pidfd" "$(by_pidfd "pidfd@=$pid" "pid#=$pid")" "*.InvalidOption: *"
like "a pidfd" "$(by_pidfd "pidfd@=$pid")" "/org/dmaownd1/lease/*"
let_go mine
ends "is as good" process-exited
hold client as_user alice bus-client hold "$nic" lifetime=process
like "without a name it is the caller" "${held[client]}" "/org/dmaownd1/lease/*"
let_go client
ends "and not his connection" process-exited

# A unit.
claim alice "$nic" lifetime s unit
refused "no unit" InvalidOption
claim alice "$nic" lifetime s unit unit s no-such.service
refused "a unit that does not exist" InvalidOption
claim alice "$nic" lifetime s unit unit s dormant.service
refused "one that is not active" InvalidOption
systemd-run -q --unit=guest-a sleep 1000
claim alice "$nic" lifetime s unit unit s guest-a.service
worked "an active one"
is "which is shown" "$(property "$lease" Lease Unit)" '"guest-a.service"'
systemctl restart guest-a
is "a restart of it does not end the lease" \
    "$(state "$lease") $(journal_count ended "$group")" "\"active\" $count"
systemctl stop guest-a
ends "its stop does" unit-stopped
systemd-run -q --unit=guest-a sleep 1000
claim alice "$nic" lifetime s unit unit s guest-a.service
worked "again"
service stop
systemctl stop guest-a
service start
ends "a stop while there was no daemon" unit-stopped

# Time.
claim alice "$nic" ttl t 1
worked "for a second"
ends "which passes" expired

# What the service manager keeps for the daemon.
sleeper mine alice
claim alice "$nic" lifetime s process pid u "${held_pid[mine]}"
process_lease=$lease
# shellcheck disable=SC2016
hold run as_user alice dmaownctl run "$other" -- \
    sh -c 'echo "$DMAOWND_LEASE $DMAOWND_GROUPS $LISTEN_FDNAMES"; exec sleep 1000'
fd_lease=/org/dmaownd1/lease/${held[run]%% *}
like "dmaownctl run says what it got" "${held[run]}" "${fd_lease##*/} $second lease"
in_store() { systemctl show -p NFileDescriptorStore --value dmaownd; }
both() { echo "$(state "$process_lease") $(state "$fd_lease") $(in_store)"; }
is "both are kept" "$(both)" '"active" "active" 2'
check "the daemon comes back after SIGKILL" kill_daemon
is "with both" "$(both)" '"active" "active" 2'
check "and after a restart" service restart
is "with both" "$(both)" '"active" "active" 2'
let_go run
check "the last copy of the fd is closed" wait_for 30 has_ended "$second" 1 fd-closed
is "nothing is left of it" "$(in_store)" 1
hold run as_user alice dmaownctl run "$other" -- sh -c 'echo ready; exec sleep 1000'
service stop
service start
check "a stop closes what the service manager kept: its lease is lost, and reported" \
    wait_for 30 has_ended "$second" 2 not-recovered
is "a process can be found again" "$(state "$process_lease")" '"active"'
let_go run
let_go mine
ends "and still ends its lease" process-exited

# dmaownctl run as another user, and in mode fd.
is "dmaownctl run gives access to its --user" \
    "$(dmaownctl run --user alice "$nic" -- vfio-open "/dev/vfio/$group")" "flags=0x1"
ends "and takes it back" fd-closed
hold dma dmaownctl run --user alice --mode fd "$edu" -- edu-dma -s
check "an unprivileged command does DMA" dma_done dma
is "with what it was given" "$(grep given /tmp/hold.dma | sort | tr '\n' ' ')" \
    "given: group-$slot given: lease "
let_go dma
check "until it ends" wait_for 30 has_ended "$slot" 1 fd-closed

# Revoked: told first, with time to go; who goes earlier ends the wait.
hold holder as_user alice dmaownctl hold "$nic"
held_lease() { property "/org/dmaownd1/group/$group" Group Lease | tr -d '"'; }
lease=$(held_lease)
attempt alice Revoke 'oa{sv}' "$lease" 0
like "not by its holder" "$error_name" "?*"
dmaownctl revoke --timeout 600 "${lease##*/}" &
revoke=$!
check "the holder is told" wait_for 20 has_signals LeaseRevoking 1
is "how much time is left" "$(signals LeaseRevoking)" "[\"$lease\",600]"
is "meanwhile it has access" "$(opens_as alice "$group") $(state "$lease")" 'flags=0x1 "active"'
release alice "$lease"
wait "$revoke"
is "revoke ends when the lease has" "$? $(state "$lease")" "0 "
ends "in the journal it ended" released
let_go holder

# Who does not go is made to.
hold holder as_user alice dmaownctl hold "$nic"
check "revoke waits" dmaownctl revoke --timeout 1 "$(held_lease | sed 's|.*/||')"
ends "and then takes it" revoked
is "it was told first" "$(sed -n 's/.*"member":"\(LeaseRevoking\|LeaseEnded\)".*/\1/p' \
    /tmp/signals | tail -n 2 | tr '\n' ' ')" "LeaseRevoking LeaseEnded "
is "access is gone" "$(opens_as alice "$group")" "open: EACCES"
check "hold has ended too" wait_for 20 grep -q revoked /tmp/hold.holder
let_go holder

# Who does not let go is named.
claim alice "$nic"
hold opener vfio-open -u 1001 -h "/dev/vfio/$group"
attempt root Revoke 'oa{sv}' "$lease" 0
refused "a lease whose group stays open" Busy
like "by whom" "$error_text" "*process ${held_pid[opener]} *vfio-open*"
is "it drains" "$(state "$lease")" '"draining"'
let_go opener
ends "when it is closed" revoked

# With unbind: the kernel asks for the device.
hold dma as_user alice edu-dma -c "$edu" -r close
lease=$(sed -n 's/^lease: //p' /tmp/hold.dma)
attempt root Revoke 'oa{sv}' "$lease" 1 unbind b true
worked "a user that gives the device back when asked"
check "was asked" grep -q ^request /tmp/hold.dma
is "the lease has ended, the device has no driver" "$(state "$lease") $(driver_of "$edu")" " none"
check "as revoked" has_ended "$slot" 2 revoked
let_go dma
bind_driver "$edu" vfio-pci
wait_for 20 is_listed "$slot" verdict grantable alice
hold dma as_user alice edu-dma -c "$edu" -r ignore
lease=$(sed -n 's/^lease: //p' /tmp/hold.dma)
attempt root Revoke 'oa{sv}' "$lease" 1 unbind b true
refused "one that does not" Busy
like "is named" "$error_text" "*process ${held_pid[dma]} *edu-dma*"
check "it was asked" grep -q ^request /tmp/hold.dma
check "the daemon serves others" timeout 20 busctl call "${manager[@]}" ListGroups
check "it dies in the middle and comes back" kill_daemon
is "still waiting" "$(state "$lease")" '"draining"'
let_go dma
check "when it is gone" wait_for 60 has_ended "$slot" 3 revoked
is "the device has no driver" "$(driver_of "$edu")" none
stop_signals
finish
