#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# How leases end, what they outlive, and what happens to their node meanwhile.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh

nic=0000:00:02.0
other=0000:01:00.0

fresh_start <<'END'
{ "version": 1,
  "rules": [ { "name": "nics", "effect": "allow", "match": { "vendor": "0x8086" },
               "subjects": { "users": ["alice", "bob"] }, "max_ttl": 3600 } ] }
END
check "vfio-pci takes a NIC" bind_driver "$nic" vfio-pci
check "and another" bind_driver "$other" vfio-pci
group=$(group_of "$nic")
second=$(group_of "$other")
wait_for 10 is_listed "$second" verdict grantable alice
watch_signals

# Persistent leases outlive the daemon; connection leases go with their connection.
claim alice "$nic" key s one
worked "a persistent lease"
persistent=$lease
claim alice "$nic" key s one
is "the same key gets the same lease" "$error_name $lease" " $persistent"
hold client as_user bob bus-client hold "$other"
connected=${held[client]}
like "a lease for a connection" "$connected" "/org/dmaownd1/lease/*"
is "and access" "$(opens_as bob "$second")" "flags=0x1"

check "the daemon comes back after SIGKILL" kill_daemon
is "with the persistent lease" "$(property "$persistent" Lease State)" '"active"'
is "and the other, whose connection lives" "$(property "$connected" Lease State)" '"active"'
is "both are counted" "$(property /org/dmaownd1 Manager LeaseCount)" 2
is "access stays" "$(opens_as alice "$group") $(opens_as bob "$second")" "flags=0x1 flags=0x1"
claim bob "$nic"
refused "and is still exclusive" AlreadyOwned
claim alice "$nic" key s one
is "the key is remembered" "$lease" "$persistent"
check "it comes back after a restart" service restart
is "with both leases" "$(property /org/dmaownd1 Manager LeaseCount)" 2

let_go client
check "the connection's end ends its lease" wait_for 10 has_journal_count ended "$second" 1
is "for that reason" "$(journal_field ended "$second" DMAOWND_REASON)" disconnected
is "access is gone" "$(opens_as bob "$second")" "open: EACCES"

hold client as_user bob bus-client hold "$other"
service stop
let_go client
is "a stopped daemon leaves path leases in place" "$(opens_as alice "$group")" "flags=0x1"
service start
check "a connection that went meanwhile ends its lease" \
    wait_for 10 has_journal_count ended "$second" 2
is "and the access" "$(opens_as bob "$second")" "open: EACCES"
is "not the persistent one" "$(property "$persistent" Lease State)" '"active"'

# Time to live.
claim bob "$other" ttl t 2
worked "a lease of two seconds"
check "ends by itself" wait_for 20 has_journal_count ended "$second" 3
is "as expired" "$(journal_field ended "$second" DMAOWND_REASON)" expired
claim bob "$other" ttl t 7200
refused "more than the rule's max_ttl is denied" PolicyDenied

# The node under a lease.
chmod 0600 "/dev/vfio/$group"
check "a chmod of the node is repaired" wait_for 10 can_open alice "$group"
udevadm trigger --settle "/sys/class/vfio/$group"
check "a change event leaves access" wait_for 10 can_open alice "$group"
setfacl -b "/dev/vfio/$group"
check "an ACL that somebody removed is back" wait_for 10 can_open alice "$group"
is "nobody else has access" "$(opens_as bob "$group")" "open: EACCES"

# Draining.
hold opener vfio-open -u 1001 -h "/dev/vfio/$group"
like "the holder has the group open" "${held[opener]}" "flags=0x1*"
release alice "$persistent"
worked "release answers at once"
is "the lease drains" "$(property "$persistent" Lease State)" '"draining"'
is "the group is still the user's" "$(listed "$group" owner)" user
claim bob "$nic"
refused "meanwhile it is busy" Busy
is "no LeaseEnded yet" "$(journal_count ended "$group")" 0
let_go opener
check "when it is closed, the lease has ended" wait_for 10 has_journal_count ended "$group" 1
check "the group is free" wait_for 10 is_listed "$group" owner none
claim bob "$nic"
worked "and goes to the next"
bobs=$lease

# The last VFIO device of the group goes: the kernel drops the claim, so does the lease.
unbind_driver "$nic"
check "losing the last VFIO driver ends the lease" wait_for 10 has_journal_count ended "$group" 2
is "as device-gone" "$(journal_field ended "$group" DMAOWND_REASON)" device-gone
release bob "$bobs"
refused "it is no more" NoSuchLease

# Open to somebody without a lease.
hold opener vfio-open -h "/dev/vfio/$second"
claim bob "$other"
refused "a group that somebody else has open is not granted" ForeignOwner
let_go opener
claim bob "$other"
worked "afterwards it is"
release bob "$lease"
chmod 0666 "/dev/vfio/$second"
claim bob "$other"
refused "a node that is open to others is not granted" NotViable
chmod 0600 "/dev/vfio/$second"
claim bob "$other"
worked "made right, it is"
release bob "$lease"
is "the whole story of the group" "$(journal_story "$second")" \
    "granted recovered recovered ended granted recovered ended granted ended denied foreign \
denied granted ended denied granted ended"
stop_signals
finish
