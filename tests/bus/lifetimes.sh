#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Leases that live with a descriptor, a process or a unit: who may name which, when they end, and what a
# crash, a restart and a stop of the daemon make of them.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
start
watch_signals
stored() { service status | grep -c '^fd' || :; }
ended() { signalled "^LeaseEnded $root $1 .* $2\$"; }
# claims USER WORD...: a claim by the caller that ends at once; sets $lease.
claims() {
    begin once "$@"
    lease=$(lease_of "$said")
}
# invalid NAME WORD...: such a claim of group 9 is an InvalidOption.
invalid() {
    local name=$1 user=$2
    shift 2
    begin once "$user" claim 9 "$@"
    like "$name" "$said" "^org.dmaownd1.Error.InvalidOption: "
    end once
}
still_active() { is "$1" "$(lease "$lease" State 2>&1)" active; }

# ---- A unit, before there is a service manager
invalid "a unit without a service manager" alice lifetime=unit unit=machine-a.scope

# ---- fd
begin one alice claim 9 lifetime=fd
lease=$(lease_of "$said")
is "lifetime fd has a descriptor, in mode path too" "$said" "$lease lease"
is "its lifetime" "$(lease "$lease" Lifetime) $(lease "$lease" State)" "fd active"
is "it is in the fd store" "$(service status | grep '^fd')" "fd lease-${lease##*/}"
works "access" can_open alice 9
# The pipes that it has and this script, whose own may have come from whoever runs it, has not.
for file in /proc/"${process[one]}"/fd/*; do
    pipe=$(readlink "$file")
    [[ $pipe != pipe:* ]] || readlink /proc/$$/fd/* | grep -xF "$pipe" > /dev/null ||
        (trap '' PIPE; echo rubbish > "$file") 2> /dev/null || : # one that nobody reads any more is none of the lease's
done
say one leave
say one fork
child=$said
say one close all
works "the process answers" ls "/proc/$child"
still_active "neither writing into it nor the end of the connection ends it, while there is a copy"
works "access" can_open alice 9
kill "$child"
eventually "the last copy does" ended "$lease" fd-closed
fails "access" can_open alice 9
becomes "nothing is stored" 0 stored
end one

begin one alice claim 9 mode=fd container=b:true lifetime=fd
lease=$(lease_of "$said")
is "with a container" "$said" "$lease container group:9 lease"
say one close lease
becomes "without its lease fd it drains" draining lease "$lease" State
say one close all
eventually "and ends" ended "$lease" fd-closed
end one

begin one alice claim 9 lifetime=fd
lease=$(lease_of "$said")
echo "exec sleep 1000" >&"${input[one]}"
within grep -q sleep "/proc/${process[one]}/cmdline"
still_active "the exec of another program keeps it"
works "kill" service kill
works "the daemon starts again" service start
still_active "so does a crash of the daemon"
works "access" can_open alice 9
is "on record" "$(times "DMAOWND_EVENT=recovered .*DMAOWND_LEASE=${lease##*/}( |\$)" "$log")" 1
end one
eventually "its end is seen by the next daemon" ended "$lease" fd-closed

begin one alice claim 9 lifetime=fd
lease=$(lease_of "$said")
service kill > /dev/null
end one
works "an end in the absence of the daemon: start" service start
eventually "is seen" gone "$lease"
like "and on record" "$(grep "DMAOWND_EVENT=ended .*DMAOWND_LEASE=${lease##*/} " "$log")" "DMAOWND_REASON=fd-closed"
fails "access" can_open alice 9
becomes "nothing is stored" 0 stored

begin one alice claim 9 lifetime=fd key=job
lease=$(lease_of "$said")
say one again
is "a retried call gets another copy" "$said" "$lease lease"
is "of one lease" "$(property $root Manager LeaseCount)" 1
works "restart" service restart
say one again
like "after a restart" "$said" "lease\$|org.freedesktop.DBus.Error" # its connection's call may have met no daemon
still_active "it is there"
say one close all
eventually "the last one ends it" ended "$lease" fd-closed
end one

begin one alice claim 9 lifetime=fd
lease=$(lease_of "$said")
service stop > /dev/null
works "a stop leaves access" can_open alice 9
works "the store was emptied: start" service start
eventually "what can not be placed is ended" gone "$lease"
like "with its reason on record" "$(grep "DMAOWND_EVENT=ended .*DMAOWND_LEASE=${lease##*/} " "$log")" "DMAOWND_REASON=not-recovered"
fails "access" can_open alice 9
end one

begin one alice claim 9 lifetime=fd ttl=1
lease=$(lease_of "$said")
eventually "a time ends it too" ended "$lease" expired
becomes "nothing is stored" 0 stored
end one

# ---- process
begin one alice claim 9 lifetime=process
lease=$(lease_of "$said")
is "without a name, it is the caller's process" "$(lease "$lease" Pid)" "${process[one]}"
say one leave
still_active "which may leave the bus"
works "access" can_open alice 9
end one
eventually "its exit ends it" ended "$lease" process-exited
fails "access" can_open alice 9

# sleeper USER: sets $sleeper to a process of the user.
sleeper() {
    (exec setpriv --reuid "$1" --regid "$1" --init-groups -- sleep 1000) &
    sleeper=$!
    within grep -q sleep "/proc/$sleeper/cmdline"
}
stop_sleeper() { kill "$sleeper"; wait "$sleeper" 2> /dev/null || :; }
for how in pid=u: pidfd=h:; do
    sleeper alice
    claims alice claim 9 lifetime=process "$how$sleeper"
    is "a process by $how" "$(lease "$lease" Pid) $(lease "$lease" Lifetime)" "$sleeper process"
    is "is stored" "$(service status | grep '^fd')" "fd lease-${lease##*/}"
    end once
    still_active "the claimant may go"
    works "kill" service kill
    works "the daemon starts again" service start
    still_active "it is back"
    is "with its process" "$(lease "$lease" Pid)" "$sleeper"
    stop_sleeper
    eventually "the exit of the process ends it" ended "$lease" process-exited

    sleeper alice
    claims alice claim 9 lifetime=process "$how$sleeper"
    end once
    service kill > /dev/null
    stop_sleeper
    works "an exit in the absence of the daemon: start" service start
    eventually "is seen" gone "$lease"
    like "and on record" "$(grep "DMAOWND_EVENT=ended .*DMAOWND_LEASE=${lease##*/} " "$log")" "DMAOWND_REASON=process-exited"

    sleeper alice
    claims alice claim 9 lifetime=process "$how$sleeper"
    end once
    works "a stop and a start" bash -c "$FAKEKERNEL/fakectl service stop dmaownd && $FAKEKERNEL/fakectl service start dmaownd"
    still_active "the process is found again without its pidfd"
    is "which is stored anew" "$(service status | grep '^fd')" "fd lease-${lease##*/}"
    stop_sleeper
    eventually "and its exit ends it" ended "$lease" process-exited
done

sleeper alice
claims alice claim 9 lifetime=process pid=u:"$sleeper"
end once
service stop > /dev/null
state=$(find /run/dmaownd -name '*.json' -size +0)
cp "$state" /run/saved
python3 - "$state" "$sleeper" <<'P'
import re, sys
text = open(sys.argv[1]).read()
# Whatever it is called: the number beside the pid that says when it was started.
open(sys.argv[1], "w").write(re.sub(r'("[a-z_]*start[a-z_]*": *)(\d+)', r'\g<1>1', text))
P
cmp -s "$state" /run/saved && fail "the state says when the process was started" "$(cat "$state")" ||
    pass "the state says when the process was started"
works "a pid that is another process by now: start" service start
eventually "is not taken for the one that it was" gone "$lease"
fails "access" can_open alice 9
stop_sleeper

invalid "pid and pidfd" alice lifetime=process pid=u:$$ pidfd=h:$$
sleeper bob
invalid "another user's process" alice lifetime=process pid=u:"$sleeper"
invalid "by pidfd" alice lifetime=process pidfd=h:"$sleeper"
invalid "root's process" alice lifetime=process pid=u:1
invalid "root's daemon" alice lifetime=process pid=u:"$(daemon_pid)"
policy '{ "version": 1, "rules": [ { "name": "all", "effect": "allow", "match": {},
    "subjects": { "users": ["alice", "bob", "root"] } } ] }'
manager Reload > /dev/null
claims root claim 9 lifetime=process pid=u:"$sleeper"
is "root may name it" "$(lease "$lease" Pid)" "$sleeper"
stop_sleeper
eventually "and its exit ends it" ended "$lease" process-exited
end once
policy
manager Reload > /dev/null
invalid "a pid that is gone" alice lifetime=process pid=u:"$sleeper"
invalid "pid 0" alice lifetime=process pid=u:0
invalid "a pid that can not be" alice lifetime=process pid=u:4194305
invalid "nor this" alice lifetime=process pid=u:4294967295
invalid "/dev/null as pidfd" alice lifetime=process pidfd=f:/dev/null
invalid "a pipe" alice lifetime=process pidfd=p:
invalid "a node of VFIO" root lifetime=process pidfd=f:/dev/vfio/vfio
invalid "an array of descriptors" alice lifetime=process pidfd=r:16
invalid "a pidfd of another type" alice lifetime=process pidfd=u:$$
invalid "a pid of another type" alice lifetime=process pid=t:$$
invalid "a pid with another lifetime" alice lifetime=persistent pid=u:$$
invalid "a pidfd without a lifetime" alice pidfd=h:$$
claims alice claim 9 lifetime=process ttl=1
eventually "a time ends it too" ended "$lease" expired
end once
becomes "nothing is stored" 0 stored

# ---- unit
systemd unit machine-a.scope active
systemd unit slow.service activating 3
systemd unit dead.service inactive
systemd unit broken.service failed
systemd unit 'a\x2db@c.service' reloading
systemd alias machine-a.scope other.scope
invalid "no unit" alice lifetime=unit
invalid "a unit that there is not" alice lifetime=unit unit=none.service
invalid "an inactive one" alice lifetime=unit unit=dead.service
invalid "a failed one" alice lifetime=unit unit=broken.service
invalid "one of a user manager" alice lifetime=unit unit=app.slice
invalid "no name of a unit" alice lifetime=unit unit=../../etc
invalid "an empty one" alice lifetime=unit unit=
invalid "a long one" alice lifetime=unit unit="$(printf 'u%.0s' {1..300}).service"
invalid "a unit of another type" alice lifetime=unit unit=u:5
invalid "a unit with another lifetime" alice lifetime=fd unit=machine-a.scope
claims bob claim 9 lifetime=unit unit=machine-a.scope
is "a unit, of whoever names it" "$(lease "$lease" Unit) $(lease "$lease" Lifetime)" "machine-a.scope unit"
is "needs no descriptor" "$(stored)" 0
end once
still_active "the claimant may go"
works "access" can_open bob 9
# seen LINE: such a change of the unit machine-a.scope, and the daemon has asked what it is now.
seen() {
    asked=$(times "^asked .*machine_2da" /run/systemd.out)
    systemd "$@"
    within was_asked
}
was_asked() { [ "$(times "^asked .*machine_2da" /run/systemd.out)" -gt "$asked" ]; }
seen unit machine-a.scope deactivating 7
seen unit machine-a.scope inactive 7
still_active "while a job is queued there is no end"
seen unit machine-a.scope activating 8
seen unit machine-a.scope active
still_active "a restart of the unit does not end it"
systemd unit slow.service active
still_active "nor does another unit"
systemd unit machine-a.scope deactivating 9
systemd unit machine-a.scope inactive
eventually "its end does" ended "$lease" unit-stopped
fails "access" can_open bob 9

systemd unit machine-a.scope active
claims alice claim 9 lifetime=unit unit=other.scope
is "an alias is the unit" "$(lease "$lease" Unit)" machine-a.scope
claims alice claim 11 lifetime=unit unit=other.scope
eleven=$lease
claims alice claim 8 lifetime=unit unit='a\x2db@c.service'
is "odd names, and a unit that reloads" "$(lease "$lease" Unit)" 'a\x2db@c.service'
manager Release o "$lease" > /dev/null
claims alice claim 8 lifetime=unit unit=slow.service ttl=1
eventually "a time ends it too" ended "$lease" expired
lease=$(group 9 Lease)
systemd unit machine-a.scope failed
eventually "a failure is an end" ended "$lease" unit-stopped
eventually "of every lease of the unit" ended "$eleven" unit-stopped

systemd unit machine-a.scope active
claims alice claim 9 lifetime=unit unit=machine-a.scope
service kill > /dev/null
systemd unit machine-a.scope inactive 5
works "the daemon is killed, the unit restarts: start" service start
systemd unit machine-a.scope active
still_active "it is back"
service kill > /dev/null
systemd unit machine-a.scope inactive
works "the unit stops: start" service start
eventually "the lease has ended" gone "$lease"
like "on record" "$(grep "DMAOWND_EVENT=ended .*DMAOWND_LEASE=${lease##*/} " "$log")" "DMAOWND_REASON=unit-stopped"

systemd unit machine-a.scope active
claims alice claim 9 lifetime=unit unit=machine-a.scope
works "a stop and a start" bash -c "$FAKEKERNEL/fakectl service stop dmaownd && $FAKEKERNEL/fakectl service start dmaownd"
still_active "a unit's lease is in the state alone"
systemd gone
still_active "the service manager goes for a moment"
systemd unit machine-a.scope inactive
systemd back
eventually "and what it says when it is back counts" ended "$lease" unit-stopped

systemd unit machine-a.scope active
claims alice claim 9 lifetime=unit unit=machine-a.scope
service kill > /dev/null
systemd forget machine-a.scope
works "a unit that there is no more: start" service start
eventually "has ended" gone "$lease"

systemd unit machine-a.scope active
claims alice claim 9 lifetime=unit unit=machine-a.scope
systemd forget machine-a.scope
eventually "one that goes while it runs" ended "$lease" unit-stopped

systemd unit machine-a.scope active
claims alice claim 9 lifetime=unit unit=machine-a.scope
seen unit machine-a.scope inactive 11
still_active "a restart is queued"
systemd cancel machine-a.scope
eventually "and cancelled" ended "$lease" unit-stopped

# A service manager that hangs holds up nobody but who asked for it.
systemd unit machine-a.scope active
systemd hang
asked=$(times "^asked .*machine_2da" /run/systemd.out)
as alice busctl --timeout=60 --json=short call $bus_name $root org.dmaownd1.Manager Claim 'asa{sv}' 1 9 2 lifetime s unit \
    unit s machine-a.scope > /run/hanging 2>&1 &
asker=$!
eventually "it is asked" was_asked
works "others are served" as bob busctl --timeout=5 call $bus_name $root org.dmaownd1.Manager ListGroups
is "and granted" "$(lease "$(claim bob 11)" State)" active
manager Release o "$(group 11 Lease)" > /dev/null
systemd gone
wait $asker || :
like "the answer is an error" "$(cat /run/hanging)" "."
is "no lease" "$(group 9 Owner)" none
systemd answer
systemd back

# ---- A caller that has left before its answer
for options in lifetime=persistent "lifetime=unit unit=machine-a.scope" "lifetime=process" "lifetime=fd" \
    "lifetime=process pid=u:1"; do
    # shellcheck disable=SC2086 # words
    for _ in 1 2 3; do leaves alice 9 $options; done
    becomes "leaves nothing: $options" "0 none" eval "echo \$(property $root Manager LeaseCount) \$(group 9 Owner)"
done
becomes "nothing is stored" 0 stored

# ---- Strangers in the fd store
claims alice claim 9 lifetime=fd
lease=$(lease_of "$said")
python3 - "${lease##*/}" <<'P'
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("/run/fakekernel/dmaownd.notify")
for name in ("lease-999", "lease-", "lease-0", "lease-18446744073709551616", "other", "lease-" + sys.argv[1]):
    for fd in (os.pipe()[0], os.open("/dev/null", os.O_RDONLY)):
        socket.send_fds(s, [b"FDSTORE=1\nFDPOLL=0\nFDNAME=" + name.encode()], [fd])
P
becomes "they are stored" 13 stored
service kill > /dev/null
works "start" service start
like "a stranger is reported" "$(cat "$log")" "lease-999"
becomes "and removed" 0 eval "service status | grep '^fd' | grep -cv 'lease-${lease##*/}\$' || :"
still_active "the one that is not stays"
few() { [ "$(find "/proc/$(daemon_pid)/fd" -lname 'pipe:*' | wc -l)" -le 3 ]; }
works "they are closed" few
end once
eventually "and ends with its descriptor" gone "$lease"

# ---- Policy
policy '{ "version": 1, "rules": [ { "name": "short", "effect": "allow", "match": { "bus": "pci" }, "max_ttl": 60,
    "lifetimes": ["connection", "unit"], "subjects": { "users": ["alice"] } } ] }'
manager Reload > /dev/null
for lifetime in fd process persistent; do
    begin once alice claim 9 lifetime=$lifetime ttl=5
    like "a rule without lifetime $lifetime" "$said" "^org.dmaownd1.Error.PolicyDenied: "
    end once
done
claims alice claim 9 lifetime=unit unit=machine-a.scope ttl=5
works "one that it has" can_open alice 9
end once
works "the daemon lives" is_running
finish
