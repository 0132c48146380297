#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a user had open is reset before the kernel, or another user, has it again.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/switch.scenario
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
. "$(dirname "$0")/switch.sh"
careless='{ "version": 1, "rules": [
    { "name": "careless", "effect": "allow", "match": { "bus": "pci", "name": "0000:00:08.0" },
      "subjects": { "users": ["alice", "bob"] }, "detach": true, "reattach_unreset": true },
    { "name": "careful", "effect": "allow", "match": { "bus": "pci" },
      "subjects": { "users": ["alice", "bob", "root"] }, "detach": true } ] }'
policy "$careless"
start
before=$(snapshot)
restored() {
    eventually "$1: everything is as before" is_output "$before" snapshot
    within not_switching 7 || :
}
# What was written to the device, one word each.
to_device() { writes_made | awk -v d="$1" '$1 == d { print $2 }' | sed 's/:.*//' | paste -sd' '; }

# used USER GROUP DEVICE: claims it, opens the device, and leaves with bus mastering on.
used() {
    lease=$(claim "$1" "$2" detach b true)
    hold "$1" "$FAKEKERNEL/fakectl" hold "/dev/vfio/$2" "$3"
    is "$1 has $3 open" "$held" held
    fakectl bus-master "$3" on
    release_hold
    manager Release o "$lease" > /dev/null
    within gone "$lease"
}

# ---- Back to the kernel
call alice Detach 7 > /dev/null
fakectl writes clear
like "what nobody had open" "$(plan alice PlanReattach 7 | cut -f 2 | sort -u | paste -sd' ')" "^bind override probe unbind$"
works "goes back" call alice Reattach 7
is "without a reset" "$(fakectl writes | grep -c -e reset -e config)" 0
restored "unopened"
used alice 7 0000:00:05.0
like "what a user had open is to be reset" "$(plan alice PlanReattach 7 | awk '$1 == "0000:00:05.0" { print $2 }' | paste -sd' ')" "^reset unbind override bind"
fakectl writes clear
works "it goes back" call alice Reattach 7
is "bus mastering off, and reset, first" "$(to_device 0000:00:05.0)" "config reset unbind driver_override drivers_probe"
restored "opened"
used alice 7 0000:00:05.0
works "the daemon is killed" service kill
works "and starts" service start
fakectl writes clear
works "it goes back" call alice Reattach 7
is "it is reset after a restart too" "$(to_device 0000:00:05.0)" "config reset unbind driver_override drivers_probe"
restored "opened before a restart"
used root 9 0000:00:08.0
fakectl writes clear
call root Reattach 9 > /dev/null
is "root may do what it will" "$(fakectl writes | grep -c reset)" 0
restored "root's"

# ---- A reset that fails
used alice 7 0000:00:05.0
fakectl reset-fails 0000:00:05.0 EIO
answer=$(message_of call alice Reattach 7)
like "what can not be reset is said" "$answer" "0000:00:05\\.0.*reset"
is "it has no driver then" "$(driver 0000:00:05.0)" -
is "the others are back" "$(driver 0000:00:05.1) $(now 0000:00:05.2)" "e1000e - -"
is "bus mastering is off" "$(fakectl bus-master 0000:00:05.0 show)" off
refused "to go on without is root's" org.freedesktop.DBus.Error.AccessDenied call alice Reattach 7 reattach_unreset b true
works "who may" call root Reattach 7 reattach_unreset b true
restored "without a reset, on demand"
fakectl reset-fails 0000:00:05.0 none
used alice 7 0000:00:05.0
fakectl reset-fails 0000:00:05.0 EIO
call alice Reattach 7 > /dev/null 2>&1 || :
fakectl reset-fails 0000:00:05.0 none
works "later it can be reset" call alice Reattach 7
restored "a reset that works again"
used alice 16 0000:00:0a.0
call alice Reattach 16 > /dev/null 2>&1 || :
is "what has no reset" "$(driver 0000:00:0a.0)" -
works "goes back on demand" call root Reattach 16 reattach_unreset b true
restored "no reset"
used alice 9 0000:00:08.0
fakectl reset-fails 0000:00:08.0 EIO
works "a rule may not care" call alice Reattach 9
restored "reattach_unreset"
fakectl reset-fails 0000:00:08.0 none

# ---- To the next user
used alice 7 0000:00:05.0
is "the same user again" "$(reason_of alice 7)" "true "
fakectl writes clear
lease=$(claim alice 7)
is "needs no reset" "$(fakectl writes | grep -c reset)" 0
manager Release o "$lease" > /dev/null
within gone "$lease"
fakectl writes clear
lease=$(claim bob 7)
like "another one gets it" "$lease" /lease/
is "reset" "$(to_device 0000:00:05.0)" "config reset"
manager Release o "$lease" > /dev/null
within gone "$lease"
fakectl writes clear
works "and back" call alice Reattach 7
is "clean already" "$(fakectl writes | grep -c reset)" 0
restored "the next user"
used alice 7 0000:00:05.0
fakectl reset-fails 0000:00:05.0 EIO
refused "one that can not be reset is no other user's" NotViable claim bob 7
is "says Explain" "$(reason_of bob 7)" "false not-reset"
is "not to the same" "$(reason_of alice 7)" "true "
fakectl reset-fails 0000:00:05.0 none
works "it goes back when it can" call alice Reattach 7
restored "a reset that another user waited for"
like "and is everybody's" "$(claim bob 7 detach b true)" /lease/
works "the daemon lives" is_running
finish
