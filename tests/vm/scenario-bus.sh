#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The system bus goes away and comes back.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh

nic=0000:00:02.0
other=0000:01:00.0

fresh_start <<'END'
{ "version": 1,
  "rules": [ { "name": "nics", "effect": "allow", "match": { "vendor": "0x8086" },
               "subjects": { "users": ["alice", "bob"] } } ] }
END
bind_driver "$nic" vfio-pci
bind_driver "$other" vfio-pci
group=$(group_of "$nic")
second=$(group_of "$other")
wait_for 10 is_listed "$second" verdict grantable alice
claim alice "$nic"
worked "a persistent lease"
hold client as_user bob bus-client hold "$other"
like "and one for a connection" "${held[client]}" "/org/*"
pid=$(main_pid)
systemctl restart dbus
check "the daemon is there on the new bus" \
    wait_for 60 timeout 10 busctl call "${manager[@]}" ListGroups
is "it is the same process" "$(main_pid)" "$pid"
is "the persistent lease lives" "$(property "$lease" Lease State)" '"active"'
check "the other, of the old bus, has ended" wait_for 10 has_journal_count ended "$second" 1
is "as disconnected" "$(journal_field ended "$second" DMAOWND_REASON)" disconnected
is "and so it is with access" "$(opens_as bob "$second") $(opens_as alice "$group")" \
    "open: EACCES flags=0x1"
finish
