#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Who uses a group without a lease, through a copy of its node: no event tells, an enabled device does.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
# A short watchdog is a short tick.
DMAOWND_WRAPPER="env WATCHDOG_USEC=1000000 ${DMAOWND_WRAPPER:-}"
start
watch_signals
copy=/run/copy/9
mkdir -p "${copy%/*}"
fakectl node 9 copy "$copy"
enabled() { echo "$1" > "$(sysfs 0000:00:08.0)/enable"; }
owner() { busctl --json=short get-property $bus_name $root/group/9 org.dmaownd1.Group Owner | jq -r .data; }
reports() { times "DMAOWND_EVENT=foreign DMAOWND_GROUP=9 .*" "$log"; }
tick() { works "two ticks pass" ticks_pass 2; }

is "nobody has it" "$(owner)" none
hold root "$FAKEKERNEL/fakectl" hold "$copy"
tick
is "an open of a copy alone is not seen" "$(owner) $(reports)" "none 0"
enabled 1
becomes "an enabled device gives its opener away" foreign owner
is "once on record" "$(reports)" 1
is "the next claimant hears of it" "$(error_of claim alice 9)" ForeignOwner
tick
is "and it stays one entry" "$(owner) $(reports)" "foreign 1"
release_hold
enabled 0
becomes "when the device is let go of, it can be had" none owner

# A host driver may leave a device enabled.
enabled 1
tick
is "enabled, but open to nobody: no user" "$(owner) $(reports)" "none 1"
lease=$(claim alice 9)
like "and it is granted" "$lease" "^$root/lease/"
manager Release o "$lease" > /dev/null
enabled 0
tick
hold root "$FAKEKERNEL/fakectl" hold "$copy"
enabled 1
becomes "a real user after that is seen" foreign owner
is "and recorded" "$(reports)" 2
release_hold
enabled 0
tick

# Enabled once by a host driver, and once more by a user.
enabled 1
tick
hold root "$FAKEKERNEL/fakectl" hold "$copy"
enabled 2
becomes "a user beside what was left enabled is seen" foreign owner
release_hold
enabled 1
becomes "and goes" none owner

# Met by a claim first: it goes, too, when nothing is enabled any more.
enabled 0
tick
hold root "$FAKEKERNEL/fakectl" hold "$copy" container
is "a claim finds a user that the tick has not seen" "$(error_of claim alice 9)" ForeignOwner
enabled 1
tick
is "it stays" "$(owner)" foreign
release_hold
enabled 0
becomes "until the device is let go of" none owner
finish
