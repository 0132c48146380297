#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A claim that is sent again with its key: the lease that there is, on the same terms, as long as policy would
# have it; and Explain says the same.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
start
# again OPTION...: what alice hears who claims group 9 again, from another connection.
again() {
    begin again alice claim 9 "$@"
    end again
}
# explained OPTION...: what Explain says of it: grantable and reason, or the name of the error.
explained() {
    local answer
    answer=$(as alice busctl --json=short call $bus_name $root org.dmaownd1.Manager Explain 'asa{sv}' 1 9 $(($# / 3)) "$@" 2>&1 |
        jq -r '"\(.data[0]) \(.data[1])"' 2> /dev/null) && echo "$answer" && return
    error_of as alice busctl --json=short call $bus_name $root org.dmaownd1.Manager Explain 'asa{sv}' 1 9 $(($# / 3)) "$@"
}
only_bob='{ "version": 1, "rules": [ { "name": "nics", "effect": "allow", "match": { "bus": "pci" },
    "subjects": { "users": ["bob"] } } ] }'
the_key=(key s job lifetime s persistent)

# ---- Terms
is "without a lease, Explain with a key says what it says without" "$(explained mode s fd "${the_key[@]}")" "true "
begin one alice claim 9 mode=fd key=job lifetime=persistent
lease=$(lease_of "$said")
is "a lease" "$said" "$lease group:9"
say one close all
again mode=fd key=job lifetime=persistent
is "the same claim is the same lease" "$said" "$lease group:9"
is "Explain says so" "$(explained mode s fd "${the_key[@]}")" "true "
again mode=fd key=job lifetime=persistent interface=group
is "also when it names the interface that the lease has" "$said" "$lease group:9"
# other NAME OPTION... -- OPTION...: other terms, for the caller and as busctl has them.
other() {
    local name=$1 options=()
    shift
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    again key=job "${options[@]}"
    like "another $name is an InvalidOption" "$said" "^org.dmaownd1.Error.InvalidOption: .*lease ${lease##*/},"
    is "and to Explain too" "$(explained key s job "${@:2}")" InvalidOption
}
other container mode=fd lifetime=persistent container=b:true -- mode s fd lifetime s persistent container b true
other lifetime mode=fd lifetime=connection -- mode s fd lifetime s connection
other "lifetime that is not named" mode=fd -- mode s fd
other mode lifetime=persistent -- lifetime s persistent
is "the lease is what it was" "$(lease "$lease" State) $(lease "$lease" Lifetime) $(lease "$lease" Mode)" "active persistent fd"
is "and the only one" "$(property $root Manager LeaseCount)" 1
end one
sleeper() {
    (exec setpriv --reuid alice --regid alice --init-groups -- sleep 1000) &
    within grep -q sleep "/proc/$!/cmdline"
}
manager Release o "$lease" > /dev/null
within owner_is 9 none
sleeper
first=$!
sleeper
second=$!
again key=job lifetime=process pid=u:$first
lease=$(lease_of "$said")
again key=job lifetime=process pid=u:$first
is "a lease that lives with a process" "$said" "$lease"
other process lifetime=process pid=u:$second -- lifetime s process pid u $second
kill $first $second
eventually "ends with it" gone "$lease"

# ---- A policy that would not have it any more
begin one alice claim 9 mode=fd key=job lifetime=persistent
lease=$(lease_of "$said")
say one close all
end one
policy "$only_bob"
manager Reload > /dev/null
is "a policy that denies it makes a lease stale" "$(lease "$lease" PolicyStale)" true
again mode=fd key=job lifetime=persistent
like "a claim that is sent again gets no fds" "$said" "^org.dmaownd1.Error.PolicyDenied: "
is "Explain says so" "$(explained mode s fd "${the_key[@]}")" "false no-rule"
is "nothing was opened" "$(fakectl status /dev/vfio/9)" 0x1
is "the lease stays" "$(lease "$lease" State)" active
is "the denial is on record" "$(within eval "[ \"\$(times DMAOWND_EVENT=denied '$log')\" -gt 0 ]" && echo yes)" yes
policy
manager Reload > /dev/null
again mode=fd key=job lifetime=persistent
is "a policy that allows it gives them again" "$said" "$lease group:9"
manager Release o "$lease" > /dev/null
eventually "it ends" gone "$lease"

lease=$(claim alice 9 key s job)
policy "$only_bob"
manager Reload > /dev/null
again key=job lifetime=persistent
is "where nothing is passed, the answer is the lease that there is" "$said" "$lease"
is "Explain says so" "$(explained "${the_key[@]}")" "true "
works "the daemon lives" is_running
finish
