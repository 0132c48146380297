#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A lease that is given another lifetime (SetLifetime): what it lived with before does not end it any more,
# what it lives with does, also after a crash; and where that is refused the lease is as it was.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
mkdir -p /run/state
mount -t tmpfs -o size=256k,mode=700 tmpfs /run/state
start --state /run/state
watch_signals
for unit in machine-a.scope machine-b.scope; do systemd unit $unit active; done
systemd unit dead.service inactive

# ---- Words
stored() { service status | sed -n 's/^fd //p' | paste -sd' '; }
ended() { signalled "^LeaseEnded $root $1 .* $2\$"; }
still_active() { is "$1" "$(lease "$lease" State 2>&1)" active; }
# sleeper USER: sets $sleeper to a process of the user.
sleeper() {
    (exec setpriv --reuid "$1" --regid "$1" --init-groups -- sleep 1000) &
    sleeper=$!
    within grep -q sleep "/proc/$sleeper/cmdline"
}
stop_process() { kill "$1"; wait "$1" 2> /dev/null || :; }
# set_lifetime USER [KEY TYPE VALUE]...: of $lease.
set_lifetime() {
    as "$1" busctl call $bus_name "$lease" org.dmaownd1.Lease SetLifetime 'a{sv}' $((($# - 1) / 3)) "${@:2}"
}
# What a lease lives with: lifetime, process, unit, and what is stored for it.
terms() { echo "$(lease "$lease" Lifetime) $(lease "$lease" Pid) $(lease "$lease" Unit) $(stored)"; }
# lives_with LIFETIME [PID|UNIT]
lives_with() {
    case $1 in
        process) is "it lives with process $2" "$(terms)" "process $2  lease-${lease##*/}" ;;
        unit) like "it lives with unit $2" "$(terms)" "^unit [0-9]+ $2 \$" ;;
        persistent) like "it is persistent" "$(terms)" "^persistent [0-9]+  \$" ;;
    esac
}
changes() { times "DMAOWND_EVENT=lifetime .*DMAOWND_LEASE=${lease##*/}( |\$)" "$log"; }
# daemon_sees LINE: a change of a unit, and the daemon has asked what it is now.
daemon_sees() {
    asked=$(times "^asked .*$1" /run/systemd.out)
    systemd "${@:2}"
    within was_asked "$1"
}
was_asked() { [ "$(times "^asked .*$1" /run/systemd.out)" -gt "$asked" ]; }
# The daemon has done what was there to do when this returns, and something of each kind that could end a lease.
settled() {
    local other
    other=$(as bob busctl --json=short call $bus_name $root org.dmaownd1.Manager Claim 'asa{sv}' 1 11 1 lifetime s process |
        jq -r '.data[0]')
    within ended "$other" process-exited
}

# ---- From one to the other
begin one alice claim 9
lease=$(lease_of "$said")
like "a lease of a connection" "$(terms)" "^connection "
busctl --json=short monitor $bus_name > /run/monitor 2> /run/monitoring &
monitor=$!
within grep -q Monitoring /run/monitoring
sleeper alice
first=$sleeper
works "to a process" set_lifetime alice lifetime s process pid u "$first"
lives_with process "$first"
eventually "a signal says so" grep -q '"PropertiesChanged".*"Lifetime":{"type":"s","data":"process"}' /run/monitor
kill $monitor
wait $monitor 2> /dev/null || :
end one
settled
still_active "the end of the connection is nothing any more"
works "access" can_open alice 9
works "the same again" set_lifetime alice lifetime s process pid u "$first"
is "is no change" "$(changes)" 1

sleeper alice
second=$sleeper
works "to another process" set_lifetime alice lifetime s process pid u "$second"
lives_with process "$second"
stop_process "$first"
settled
still_active "the end of the first one is nothing any more"
works "to a unit" set_lifetime alice lifetime s unit unit s machine-a.scope
lives_with unit machine-a.scope
stop_process "$second"
settled
still_active "nor is that of the second one"
works "to another unit" set_lifetime alice lifetime s unit unit s machine-b.scope
lives_with unit machine-b.scope
systemd unit machine-a.scope inactive
settled
still_active "the end of the first unit is nothing any more"
works "to nothing" set_lifetime alice lifetime s persistent
lives_with persistent
systemd unit machine-b.scope inactive
settled
still_active "nor is that of the second one"
works "and back to a process" set_lifetime root lifetime s process pid u $$
lives_with process $$
systemd unit machine-a.scope active
works "and to a unit" set_lifetime root lifetime s unit unit s machine-a.scope
lives_with unit machine-a.scope
works "access" can_open alice 9
is "each change is on record" "$(changes)" 7
like "as what it was and is" "$(grep 'DMAOWND_EVENT=lifetime' "$log" | tail -n 1)" \
    "lease ${lease##*/} of uid 1001 is unit machine-a.scope \\(before: process $$\\)"
daemon_sees machine_2da unit machine-a.scope inactive
eventually "the end of what it lives with ends it" ended "$lease" unit-stopped
fails "access" can_open alice 9

# ---- A process by pidfd, and the caller's own; a lease that lived with a descriptor
begin one alice claim 9 lifetime=fd
lease=$(lease_of "$said")
is "a lease of a descriptor" "$(stored)" "lease-${lease##*/}"
sleeper alice
say one lifetime lifetime=process pidfd=h:"$sleeper"
is "to a process by pidfd" "$said" set
lives_with process "$sleeper"
say one close all
settled
still_active "the descriptor is nothing any more"
say one lifetime lifetime=process
is "to the caller's process" "$said" set
lives_with process "${process[one]}"
stop_process "$sleeper"
settled
still_active "the other one is nothing any more"
end one
eventually "its end ends it" ended "$lease" process-exited
becomes "nothing is stored" "" stored
sleeper alice
begin one alice claim 9 lifetime=process pidfd=k:"$sleeper"
lease=$(lease_of "$said")
say one lifetime lifetime=process
stop_process "$sleeper"
settled
still_active "nor is one of which the claimant has kept the pidfd"
lives_with process "${process[one]}"
end one
eventually "its own end ends it" ended "$lease" process-exited
begin one alice claim 9 lifetime=fd mode=fd
lease=$(lease_of "$said")
say one lifetime lifetime=persistent
lives_with persistent
say one close all
end one
settled
still_active "a lease in mode fd, too"
sleeper alice
works "whose process" set_lifetime alice lifetime s process pid u "$sleeper"
stop_process "$sleeper"
eventually "ends it" ended "$lease" process-exited
lease=$(claim alice 9 ttl t 1)
works "of one with a time" set_lifetime root lifetime s process pid u $$
eventually "that stays, and ends it" ended "$lease" expired

# ---- After a crash, a restart, a stop and a start
# goes_down HOW WHAT: how a daemon goes and comes back, with what happens meanwhile.
goes_down() {
    case $1 in
        killed) service kill > /dev/null ;;
        *) service stop > /dev/null ;;
    esac
    "${@:2}"
    service start > /dev/null || fail "the daemon starts"
}
for how in killed stopped; do
    begin one alice claim 9
    lease=$(lease_of "$said")
    sleeper alice
    first=$sleeper
    set_lifetime alice lifetime s process pid u "$first"
    goes_down $how end one
    still_active "$how: a connection that went meanwhile is nothing any more"
    lives_with process "$first"
    sleeper alice
    second=$sleeper
    set_lifetime alice lifetime s process pid u "$second"
    goes_down $how stop_process "$first"
    still_active "$how: nor is a process that went"
    lives_with process "$second"
    systemd unit machine-a.scope active
    set_lifetime alice lifetime s unit unit s machine-a.scope
    goes_down $how stop_process "$second"
    still_active "$how: nor another one"
    lives_with unit machine-a.scope
    set_lifetime alice lifetime s persistent
    goes_down $how systemd unit machine-a.scope inactive
    still_active "$how: nor a unit"
    lives_with persistent
    sleeper alice
    set_lifetime alice lifetime s process pid u "$sleeper"
    goes_down $how stop_process "$sleeper"
    eventually "$how: what it lives with ends it" gone "$lease"
    like "$how: on record" "$(grep "DMAOWND_EVENT=ended .*DMAOWND_LEASE=${lease##*/} " "$log")" process-exited
done

# A crash between the record and the store: the first process has ended, and its pidfd is still stored.
sleeper alice
first=$sleeper
lease=$(as alice busctl --json=short call $bus_name $root org.dmaownd1.Manager Claim 'asa{sv}' 1 9 2 lifetime s process \
    pid u "$first" | jq -r '.data[0]')
sleeper alice
second=$sleeper
service kill > /dev/null
python3 - "$(find /run/state -name 'lease-*' -size +0)" "$second" <<'P'
import json, sys
path, pid = sys.argv[1:]
lease = json.load(open(path))
lease["kept_pid"] = int(pid)
lease["kept_start"] = int(open(f"/proc/{pid}/stat").read().rsplit(") ", 1)[1].split()[19])
json.dump(lease, open(path, "w"))
P
stop_process "$first"
service start > /dev/null
still_active "the record says what it lives with"
lives_with process "$second"
stop_process "$second"
eventually "and that ends it" ended "$lease" process-exited

# ---- Refused: the lease is as it was
sleeper alice
keeper=$sleeper
lease=$(as alice busctl --json=short call $bus_name $root org.dmaownd1.Manager Claim 'asa{sv}' 1 9 3 lifetime s process \
    pid u "$sleeper" key s job | jq -r '.data[0]')
before=$(terms)
# as_before NAME ERROR USER [KEY TYPE VALUE]...
as_before() {
    refused "$1" "$2" set_lifetime "${@:3}"
    is "and changes nothing" "$(lease "$lease" State) $(terms)" "active $before"
}
sleeper bob
bobs=$sleeper
sleeper alice
dead=$sleeper
stop_process "$dead"
as_before "no lifetime" InvalidOption alice
as_before "a pid alone" InvalidOption alice pid u $$
as_before "lifetime connection" InvalidOption alice lifetime s connection
as_before "lifetime fd" InvalidOption alice lifetime s fd
as_before "a lifetime that there is not" InvalidOption alice lifetime s forever
as_before "a lifetime of another type" InvalidOption alice lifetime u 1
as_before "an option of Claim" InvalidOption alice lifetime s persistent ttl t 5
as_before "an option that there is not" InvalidOption alice lifetime s persistent speed s fast
as_before "an option twice" InvalidOption alice lifetime s persistent lifetime s persistent
as_before "a process for a unit" InvalidOption alice lifetime s unit unit s machine-b.scope pid u $$
as_before "a unit for a process" InvalidOption alice lifetime s process unit s machine-b.scope
as_before "a process that has ended" InvalidOption alice lifetime s process pid u "$dead"
as_before "a process of another user" InvalidOption alice lifetime s process pid u "$bobs"
as_before "process 0" InvalidOption alice lifetime s process pid u 0
as_before "no unit" InvalidOption alice lifetime s unit
as_before "a unit that there is not" InvalidOption alice lifetime s unit unit s none.service
as_before "a unit that is not active" InvalidOption alice lifetime s unit unit s dead.service
as_before "another user" NotHolder bob lifetime s persistent
begin one alice claim 11
for option in pidfd=f:/dev/null pidfd=p: pidfd=r:16 "pidfd=h:$bobs" "pidfd=h:$$ pid=u:$$"; do
    say one lifetime lifetime=process "$option"
    like "lifetime process with $option" "$said" "^org.dmaownd1.Error.InvalidOption: "
done
is "changes nothing" "$(lease "$(lease_of "$(head -n 1 /run/one.out)")" Lifetime)" connection
end one
refused "arguments of another type" org.freedesktop.DBus.Error.InvalidArgs busctl call $bus_name "$lease" \
    org.dmaownd1.Lease SetLifetime s persistent

# Rules as they are now
allow() {
    policy '{ "version": 1, "rules": [ { "name": "nics", "effect": "allow", "match": { "bus": "pci" },
        "subjects": { "users": ["'"$1"'"] }, "delegate": ["bob"], "lifetimes": ['"$2"'] } ] }'
    manager Reload > /dev/null
}
systemd unit machine-b.scope active
allow alice '"process", "unit"'
as_before "a lifetime that the rule has not" PolicyDenied alice lifetime s persistent
like "the sentence names it" "$(set_lifetime alice lifetime s persistent 2>&1 || :)" "persistent"
as_before "for root, too: the lease is alice's" PolicyDenied root lifetime s persistent
allow bob '"process", "unit", "persistent"'
as_before "a rule that is gone" PolicyDenied alice lifetime s persistent
is "the lease is marked" "$(lease "$lease" PolicyStale)" true
allow alice '"process", "unit"'
works "one that the rule has" set_lifetime alice lifetime s unit unit s machine-b.scope
lives_with unit machine-b.scope
is "the mark is gone" "$(lease "$lease" PolicyStale)" false
works "back" set_lifetime alice lifetime s process pid u "$keeper"
stop_process "$bobs"
allow alice '"process", "unit", "persistent", "connection", "fd"'
set_lifetime alice lifetime s persistent
before=$(terms)

# The holder is not the claimant.
held=$(claim alice 11 uid u "$(id -u bob)")
lease=$held refused "the holder, who is not the claimant" NotHolder set_lifetime bob lifetime s persistent
works "who has access" can_open bob 11
manager Release o "$held" > /dev/null
within gone "$held"

# ---- Found by its key
find_lease() { as "$1" busctl --json=short call $bus_name $root org.dmaownd1.Manager FindLease s "$2" | jq -r '.data[0]'; }
# again OPTION...: what alice hears who claims group 9 again under the key.
again() {
    begin again alice claim 9 key=job "$@"
    end again
}
is "by its key" "$(find_lease alice job)" "$lease"
refused "another key" NoSuchLease find_lease alice jo
refused "no key" NoSuchLease find_lease alice ""
refused "another user's" NoSuchLease find_lease bob job
refused "nor root's" NoSuchLease find_lease root job
refused "a key of 100,000 bytes" NoSuchLease find_lease alice "$(printf '%0100000d' 0)"
again lifetime=process pid=u:"$keeper"
like "claimed again as it was it is another one" "$said" "^org.dmaownd1.Error.InvalidOption: .*lease ${lease##*/},"
again lifetime=persistent
is "as it is now it is the same" "$said" "$lease"
service kill > /dev/null
works "after a crash: start" service start
is "found" "$(find_lease alice job)" "$lease"

# ---- No room for the record
before=$(terms)
head -c 1m /dev/zero > /run/state/filler 2> /dev/null || :
as_before "without room for the record" NotViable alice lifetime s process pid u "$keeper"
like "that is said" "$(set_lifetime alice lifetime s process pid u "$keeper" 2>&1 || :)" "[Nn]o space left"
rm /run/state/filler
works "with room it is done" set_lifetime alice lifetime s process pid u "$keeper"
lives_with process "$keeper"

# ---- A lease that has ended
begin one alice claim 8 key=other lifetime=persistent mode=fd
other=$(lease_of "$said")
manager Release o "$other" > /dev/null
is "a lease that drains" "$(lease "$other" State)" draining
lease=$other refused "has no lifetime any more" NoSuchLease set_lifetime alice lifetime s persistent
refused "nor a key" NoSuchLease find_lease alice other
say one close all
eventually "one that has drained" gone "$other"
lease=$other refused "is no object" org.freedesktop.DBus.Error.UnknownObject set_lifetime alice lifetime s persistent
end one
stop_process "$keeper"
eventually "the other one ends with its process" ended "$lease" process-exited
refused "and gives up its key" NoSuchLease find_lease alice job
becomes "nothing is stored" "" stored
works "the daemon lives" is_running
finish
