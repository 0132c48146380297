#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# dmaownctl hold and revoke against a stand-in for the daemon: what is printed, and what ends it.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/client-lib.sh"

start
ends 7 hold 7
start_daemon

# hold ARGUMENT...: in the background, with its own words on the fd $said and errors on $sighs.
mkfifo "$work/said" "$work/sighs"
hold() {
    # A shell makes its background jobs deaf to SIGINT, and nohup to SIGHUP.
    env --default-signal=INT,HUP "$ctl" hold "$@" > "$work/said" 2> "$work/sighs" &
    holder=$!
    exec {said}< "$work/said" {sighs}< "$work/sighs"
}
# line FD
line() {
    local line=""
    read -r -t 30 line <&"$1" || line="nothing"
    echo "$line"
}
# held STATUS: the holder ends so.
held() {
    local got=0
    wait "$holder" || got=$?
    is "hold ends with $1" "$got" "$1"
    exec {said}<&- {sighs}<&-
}

# ---- Usage
ends 2 hold
ends 2 hold 7 --lifetime connection
ends 2 hold 7 -o lifetime=fd
ends 2 hold echo
is "asks for lifetime connection" "$err" "dmaownctl: hold: lifetime=s:connection "
ends 2 hold echo -m fd --container --uid root --ttl 5
is "sends its options" "$err" \
    "dmaownctl: hold: lifetime=s:connection mode=s:fd container=b:1 uid=u:0 ttl=t:5 "
for pair in PolicyDenied:3 NotViable:4 AlreadyOwned:5 NoSuchTarget:6; do
    ends "${pair#*:}" hold "error:${pair%:*}"
done

# ---- Until a signal
for signal in INT TERM HUP; do
    hold 7
    is "prints the lease" "$(line "$said")" /org/dmaownd1/lease/4
    ends 5 claim 7
    kill -$signal "$holder"
    held 0
    is "$signal releases it" "$(told)" released
done
hold 7 --json
is "prints it in JSON" "$(for _ in 1 2 3 4; do line "$said"; done | jq -c .)" '{"id":4,"object":"/org/dmaownd1/lease/4"}'
kill "$holder"
held 0
is "and releases it" "$(told)" released
(trap '' HUP; exec "$ctl" hold 7) > "$work/said" 2> "$work/sighs" &
holder=$!
exec {said}< "$work/said" {sighs}< "$work/sighs"
is "nohup" "$(line "$said")" /org/dmaownd1/lease/4
kill -HUP "$holder"
ends 5 claim 7
kill -TERM "$holder"
held 0
is "keeps it over a hangup" "$(told)" released
# A signal that comes before the answer is not lost.
hold never
is "the claim was sent" "$(told)" "no answer"
kill "$holder"
like "stops a claim" "$(line "$sighs")" "dmaownctl: hold: stopped before *"
held 1

# ---- Fds
files() { readlink "/proc/$holder/fd/"* | grep -c "^/memfd:"; }
hold 7 12 --mode fd --container
is "prints the lease" "$(line "$said")" /org/dmaownd1/lease/4
is "keeps the fds open" "$(files)" 3
kill "$holder"
held 0
is "and releases it" "$(told)" released

# ---- Until it is taken
hold 7
is "prints the lease" "$(line "$said")" /org/dmaownd1/lease/4
"$ctl" revoke --timeout 30 4 &
revoker=$!
is "says that it is being revoked" "$(line "$sighs")" "dmaownctl: hold: lease 4 is being revoked: ends in 30 s"
kill "$holder"
held 0
is "and goes" "$(told)" released
status=0
wait $revoker || status=$?
is "which ends the revocation" "$status" 0
hold 7
is "prints the lease" "$(line "$said")" /org/dmaownd1/lease/4
ends 0 revoke 4
is "says that it is being revoked" "$(line "$sighs")" "dmaownctl: hold: lease 4 is being revoked: ends in 0 s"
is "and that it was" "$(line "$sighs")" "dmaownctl: hold: lease 4 has ended: revoked"
held 5
is "in that order" "$(told)" revoked
hold 7
is "prints the lease" "$(line "$said")" /org/dmaownd1/lease/4
ends 0 release 4
is "a release by somebody else" "$(line "$sighs")" "dmaownctl: hold: lease 4 has ended: released"
held 5
is "is one" "$(told)" released

# ---- Who is not listened to, and a daemon that goes and comes
# emit SENDER_OPTION... SIGNAL SIGNATURE ARGUMENT...: to the holder alone.
name_of_holder() {
    busctl --address="$address" --json=short list |
        jq -r --argjson pid "$holder" '[.[] | select(.pid == $pid and (.name | startswith(":"))) | .name][0]'
}
hold 7
is "prints the lease" "$(line "$said")" /org/dmaownd1/lease/4
name=$(name_of_holder)
like "the holder's name" "$name" ":*"
busctl --address="$address" emit --destination="$name" /org/dmaownd1 org.dmaownd1.Manager LeaseEnded oaus \
    /org/dmaownd1/lease/4 1 7 stranger
busctl --address="$address" emit --destination="$name" /org/freedesktop/DBus org.freedesktop.DBus \
    NameOwnerChanged sss org.dmaownd1 "" "$name"
ends 0 reload # signals of the real one, also about lease 4: a lease with its number has ended
like "is told of a revocation" "$(line "$sighs")" "*lease 4 is being revoked: ends in 30 s"
is "not by a stranger" "$(line "$sighs")" "dmaownctl: hold: lease 4 has ended: released"
held 5
ends 0 release 4
is "was there still" "$(told)" released

hold 7
is "prints the lease" "$(line "$said")" /org/dmaownd1/lease/4
kill "$daemon_pid"
start_daemon keep
ends 0 revoke 4
is "a daemon that has come back is heard" "$(line "$sighs")" \
    "dmaownctl: hold: lease 4 is being revoked: ends in 0 s"
is "to the end" "$(line "$sighs")" "dmaownctl: hold: lease 4 has ended: revoked"
held 5
is "in that order" "$(told)" revoked
hold 7
is "prints the lease" "$(line "$said")" /org/dmaownd1/lease/4
kill "$daemon_pid"
start_daemon
like "a lease that has not come back" "$(line "$sighs")" "dmaownctl: hold: lease 4 has ended: dmaownd, restarted, *"
held 5
hold 7
is "prints the lease" "$(line "$said")" /org/dmaownd1/lease/4
kill "$daemon_pid"
tail --pid="$daemon_pid" -f /dev/null
kill "$holder"
held 0

# ---- Until the bus is gone
start_daemon
hold 7
is "prints the lease" "$(line "$said")" /org/dmaownd1/lease/4
kill "$bus_pid"
like "no bus, no lease" "$(line "$sighs")" "dmaownctl: hold: the bus is gone, and the lease with it: *"
held 7
finish
