#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Claim with the option wait: for a group that drains or whose drivers are being switched, and for nothing else.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
. "$(dirname "$0")/switch.sh"
policy '{ "version": 1, "rules": [ { "name": "nics", "effect": "allow", "match": { "bus": "pci" },
    "subjects": { "users": ["alice", "bob"] }, "detach": true } ] }'
start

# waits NAME USER TARGETS [KEY TYPE VALUE]...: a claim in the background, of which the daemon knows when this returns.
waits() {
    local name=$1 user=$2 list
    read -ra list <<< "$3"
    rm -f "/run/$name.sent"
    in_background "$name" as "$user" env SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console busctl --timeout=120 \
        --json=short call $bus_name $root org.dmaownd1.Manager Claim 'asa{sv}' ${#list[@]} "${list[@]}" \
        $((1 + ($# - 3) / 3)) lifetime s persistent "${@:4}"
    within grep -q 'Sent message .*member=Claim' "/run/$name.said"
    manager FindGroup s 9 > /dev/null
}
# said_to NAME: what came of it: the path of the lease, or the name of the error.
said_to() {
    within ended "$1" || echo "no answer"
    sed -n 's/^{.*"\(\/org[^"]*\)".*/\1/p; s/.*Got message type=error.* error-name=org.dmaownd1.Error.\([^ ]*\) .*/\1/p' \
        "/run/$1.said"
}
waiting() { if ended "$1"; then fail "$1 waits" "$(said_to "$1")"; else pass "$1 waits"; fi; }
# drains TARGET: a lease of it that drains until `drained`; sets $lease.
drains() {
    begin user alice claim "$1" mode=fd lifetime=persistent
    lease=$(lease_of "$said")
    manager Release o "$lease" > /dev/null
    is "a lease of $1 drains" "$(lease "$lease" State)" draining
}
drained() {
    say user close all
    end user
}
# claims USER TARGETS [KEY TYPE VALUE]...: at once.
claims() { call "$1" Claim "$2" lifetime s persistent "${@:3}"; }
give_back() {
    manager Release o "$1" > /dev/null
    within gone "$1"
}

# ---- The option
for value in "wait u 5" "wait s 5" "wait t 3601" "wait t 18446744073709551615"; do
    # shellcheck disable=SC2086 # words
    refused "$value" InvalidOption claims bob 9 $value
done
lease=$(claims bob 9 wait t 3600 | jq -r '.data[0]')
is "with nothing to wait for there is no wait" "$(lease "$lease" State)" active
refused "a lease of somebody else is not waited for" AlreadyOwned claims alice 9 wait t 3600
refused "nor is one of one's own" AlreadyOwned claims bob 9 wait t 3600
refused "nor a driver of the host" KernelHeld claims bob 7 wait t 3600
refused "nor a policy" PolicyDenied claims bob 12 wait t 3600
refused "nor a target that there is not" NoSuchTarget claims bob 99 wait t 3600
give_back "$lease"

# ---- Draining
drains 9
refused "without it the answer is Busy" Busy claims bob 9
refused "so it is with no time" Busy claims bob 9 wait t 0
refused "and when the time is over" Busy claims bob 9 wait t 1
is "Explain does not wait" "$(reason_of bob 9 wait t 3600)" "false draining"
waits one bob 9 wait t 60
waiting one
works "others are served" as bob busctl --timeout=5 call $bus_name $root org.dmaownd1.Manager ListGroups
drained
one=$(said_to one)
like "when it has drained it is granted" "$one" "^$root/lease/"
works "access" can_open bob 9
give_back "$one"

drains 9
waits one bob "9 11" wait t 60
waiting one
is "what it waits with is nobody's" "$(group 11 Owner)" none
drained
one=$(said_to one)
is "all or nothing" "$(lease "$one" Groups)" "[\"$root/group/9\",\"$root/group/11\"]"
give_back "$one"

# ---- Several
drains 9
waits one alice 9 wait t 60
waits two bob 9 wait t 60
drained
answers=$(printf '%s\n' "$(said_to one)" "$(said_to two)" | sort)
like "one of two gets it, and the other is not left to wait" "$answers" "^$root/lease/[0-9]+"$'\n'"AlreadyOwned\$"
give_back "$(group 9 Lease)"
drains 9
waits one alice 9 wait t 60 key s job
waits two alice 9 wait t 60 key s job
drained
is "a call that is sent again while the first one waits is the same lease" "$(said_to one)" "$(said_to two)"
give_back "$(group 9 Lease)"
drains 9
for n in {1..8}; do waits w$n bob 9 wait t 60; done
refused "a ninth one that waits is too many" QuotaExceeded claims bob 9 wait t 60
refused "but a call that waits for something else is not" InvalidOption call bob Claim 9 lifetime s unit unit s no.service
drained
answers=$(for n in {1..8}; do said_to w$n; done | sed 's/.*lease.*/lease/' | sort | uniq -c | awk '{ print $1, $2 }' | paste -sd' ')
is "one of eight gets it" "$answers" "7 AlreadyOwned 1 lease"
give_back "$(group 9 Lease)"

# One that has waited for something else before is counted, too.
systemd unit machine-a.scope active
drains 9
for n in {1..9}; do in_background u$n call bob Claim 9 lifetime s unit unit s machine-a.scope wait t 60; done
over() { ls /run/u?.status 2> /dev/null | wc -l; }
becomes "of nine that ask for a unit first, one is too many" 1 over
drained
becomes "and the others are answered" 9 over
give_back "$(group 9 Lease)"

# ---- Who waits goes; the daemon goes
drains 9
leaves bob 9 lifetime=persistent wait=t:60
drained
becomes "who has left gets nothing" none group 9 Owner
is "no lease" "$(property $root Manager LeaseCount)" 0
drains 9
waits one bob 9 wait t 60 key s job
service kill > /dev/null
service start > /dev/null
within ended one
like "a daemon that dies says nothing more" "$(cat /run/one.said)" "NoReply|NameHasNoOwner|ServiceUnknown"
is "it drains on" "$(lease "$lease" State)" draining
waits one bob 9 wait t 60 key s job
drained
one=$(said_to one)
like "and the call that is sent again is granted" "$one" "^$root/lease/"
give_back "$one"

# ---- Drivers on their way
works "detached" call alice Detach 7
fakectl write-hang 1 '*/vfio-pci/unbind'
in_background back call alice Reattach 7 wait t 60
within something_hangs
refused "while drivers are switched the answer is Busy" Busy claims bob 7
waits one bob 7 wait t 60
waiting one
fakectl release
is "what is then is not waited for" "$(said_to one)" KernelHeld
works "detached" call alice Detach 7
fakectl write-hang 1 '*/vfio-pci/unbind'
in_background back call alice Reattach 7 wait t 60
within something_hangs
waits one bob 7 wait t 60 detach b true reattach b true
waiting one
fakectl release
one=$(said_to one)
like "with detach it is granted, whosever the way back was" "$one" "^$root/lease/"
is "the first one was through" "$(within ended back && cat /run/back.status)" 0
# Its own way back: the next one need not know of it.
manager Release o "$one" > /dev/null
one=$(claims alice 7 wait t 60 detach b true | jq -r '.data[0]')
like "so is the next one, right after a lease that is reattached" "$one" "^$root/lease/"
give_back "$one"
works "the daemon lives" is_running
finish
