#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# dmaownctl run, hold and revoke on the daemon: what lives with a command, with a terminal, with a
# process or a unit, and what takes it back.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
[ -x "$DMAOWNCTL" ] || { echo "Bail out! $DMAOWNCTL was not built"; exit 99; }
policy '{ "version": 1, "rules": [
    { "name": "nics", "effect": "allow", "match": { "bus": "pci" },
      "subjects": { "users": ["alice", "bob", "root"] }, "delegate": ["alice"] },
    { "name": "soc", "effect": "allow", "match": { "compatible": "calxeda,hb-xgmac" },
      "subjects": { "users": ["alice"] } } ] }'
start
watch_signals

# ends NAME STATUS COMMAND...: sets $output.
ends() {
    local name=$1 expected=$2 got=0
    shift 2
    output=$("$@" 2>&1) || got=$?
    if [ "$got" = "$expected" ]; then pass "$name"; else fail "$name" "$* ended with $got, not $expected" "$output"; fi
}
ctl() { as alice "$DMAOWNCTL" "$@"; }
recorded() { grep -cE "DMAOWND_EVENT=ended .*DMAOWND_LEASE=${1##*/} .*DMAOWND_REASON=$2( |\$)" "$log" || :; }
# ended NAME LEASE REASON: it has, once, for that.
ended() {
    within signalled "LeaseEnded .*/lease/${2##*/} " || :
    is "$1" "$(grep -E "LeaseEnded .*/lease/${2##*/} " "$signals" | sed 's/.* //')" "$3"
}
# background NAME COMMAND...: its words are in /run/NAME, its pid in $job.
background() {
    local name=$1
    shift
    rm -f "/run/$name"
    # Not `as`: the job is the program itself, and hears SIGINT.
    setpriv --reuid alice --regid alice --init-groups -- env --default-signal=INT "$@" \
        > "/run/$name" 2>&1 < /dev/null &
    job=$!
    within test -s "/run/$name" || fail "$name said something" "$*"
}
# over NAME STATUS: the background job ends so.
over() {
    local got=0
    wait "$job" || got=$?
    is "$1" "$got" "$2"
}

# ---- A command in mode path
cat > /run/command <<'END'
for fd in /proc/$$/fd/*; do # no pipeline: the shell would have an fd of it for a moment
    fd=${fd##*/}
    [[ $fd -gt 2 && $fd -ne 255 && -e /proc/$$/fd/$fd ]] || continue
    file=$(readlink "/proc/$$/fd/$fd")
    echo "fd $fd ${file%%:*}"
done
echo "names $LISTEN_FDNAMES"
echo "lease $DMAOWND_LEASE groups $DMAOWND_GROUPS"
busctl get-property org.dmaownd1 "/org/dmaownd1/lease/$DMAOWND_LEASE" org.dmaownd1.Lease Lifetime
busctl get-property org.dmaownd1 "/org/dmaownd1/lease/$DMAOWND_LEASE" org.dmaownd1.Lease Uid
"$FAKEKERNEL/fakectl" status /dev/vfio/9
exit 42
END
ends "a command's status is its own" 42 ctl run 9 11 -- bash /run/command
first=$(sed -n 's/^lease \([0-9]*\) .*/\1/p' <<< "$output")
like "it gets the lease" "$output" "^fd 3 pipe
names lease
lease [0-9]+ groups 9 11
s \"fd\"
u $(id -u alice)
"
ended "the lease ends with it" "$first" fd-closed
fails "and access" can_open alice 9
becomes "the group is free" none group 9 Owner

background run "$DMAOWNCTL" run 9 --comment "a job" -- bash -c 'echo $DMAOWND_LEASE; exec sleep 300'
lease=$root/lease/$(< /run/run)
is "lives on" "$(lease "$lease" State) $(lease "$lease" Comment)" "active a job"
is "its process is the command" "$(lease "$lease" Pid)" "$job"
works "has access" can_open alice 9
service kill > /dev/null
works "the daemon is killed and comes back" service start
is "lives on" "$(lease "$lease" State)" active
kill "$job"
over "ends by a signal" 143
ended "the lease ends with it" "$lease" fd-closed
fails "and access" can_open alice 9

# Where the caller may not look a command might be: that is 126.
PATH=/usr/sbin:/usr/bin
ends "a command that is not there" 127 ctl run 9 -- no-such-command
becomes "leaves nothing" none group 9 Owner
ends "one that cannot be executed" 126 ctl run 9 -- /etc/passwd
becomes "leaves nothing" none group 9 Owner
ends "denied" 3 as bob "$DMAOWNCTL" run 12 -- touch /run/ran
ends "held by the kernel" 4 ctl run 7 -- touch /run/ran
ends "no such target" 6 ctl run 99 -- touch /run/ran
ends "a refused option" 2 ctl run 9 --container -- touch /run/ran
fails "a claim that fails runs nothing" test -e /run/ran

# ---- Another user
ends "as another user" 42 "$DMAOWNCTL" run 9 --user alice -- bash /run/command
like "who is the holder" "$output" "u $(id -u alice)
"
ends "only root can" 3 ctl run 9 --user bob -- true
ends "to whom a rule delegates" 3 "$DMAOWNCTL" run 9 --user bob -- true
becomes "leaves nothing" none group 9 Owner

# ---- Mode fd
cat > /run/fds.py <<'P'
import fcntl, os, struct
for number, name in enumerate(os.environ["LISTEN_FDNAMES"].split(":"), 3):
    said = ""
    if name.startswith("group-"):
        said = struct.unpack("II", fcntl.ioctl(number, 0x3b67, struct.pack("II", 8, 0)))[1]
    if name == "container":
        said = fcntl.ioctl(number, 0x3b64)
    print(name, said)
P
ends "groups as fds" 0 ctl run 11 9 --mode fd -- python3 /run/fds.py
is "in order, viable" "$output" "lease 
group-9 1
group-11 1"
becomes "all is closed with the command" none group 9 Owner
becomes "in each group" none group 11 Owner
ends "with a container" 0 ctl run 11 9 --mode fd --container -- python3 /run/fds.py
is "attached" "$output" "lease 
container 0
group-9 3
group-11 3"
becomes "all is closed with the command" none group 9 Owner
ends "for another user" 0 "$DMAOWNCTL" run 9 --user bob --mode fd -- python3 /run/fds.py
is "the fds are enough" "$output" "lease 
group-9 1"
ends "claim would lose them" 2 ctl claim 9 --mode fd
becomes "and does not try" none group 9 Owner

# ---- hold
for signal in INT TERM HUP; do
    background hold "$DMAOWNCTL" hold 9
    lease=$(< /run/hold)
    is "held" "$(lease "$lease" State) $(lease "$lease" Lifetime)" "active connection"
    kill -$signal "$job"
    over "SIG$signal ends it well" 0
    ended "and the lease" "$lease" released
done
background hold "$DMAOWNCTL" hold 9 11 --mode fd --container
lease=$(< /run/hold)
is "keeps fds open" "$(find "/proc/$job/fd" -lname '/dev/vfio/*' -printf '%l\n' | sort | paste -sd' ')" \
    "/dev/vfio/11 /dev/vfio/9"
service kill > /dev/null
works "the daemon is killed and comes back" service start
is "keeps the lease" "$(lease "$lease" State)" active
refused "from others" AlreadyOwned claim bob 9
kill "$job"
over "ends well" 0
ended "with the lease" "$lease" released
becomes "the group is free" none group 9 Owner
claim alice 9 > /dev/null
ends "owned" 5 as bob "$DMAOWNCTL" hold 9
manager Release o "$(group 9 Lease)" > /dev/null
becomes "the group is free" none group 9 Owner

# ---- revoke
background hold "$DMAOWNCTL" hold 9
lease=$(< /run/hold)
ends "revoke is for root" 3 ctl revoke "${lease##*/}"
ends "no such lease" 6 "$DMAOWNCTL" revoke 4711
ends "a timeout that is too long" 2 "$DMAOWNCTL" revoke --timeout 1w "${lease##*/}"
"$DMAOWNCTL" revoke --timeout 300 "${lease##*/}" > /run/revoke 2>&1 &
revoker=$!
eventually "the holder is told" grep -qx "dmaownctl: hold: lease ${lease##*/} is being revoked: ends in 300 s" /run/hold
eventually "and all who listen" signalled "LeaseRevoking .*${lease##*/} 300"
kill "$job"
over "goes" 0
job=$revoker
over "which ends the revocation" 0
ended "as what it did" "$lease" released
background hold "$DMAOWNCTL" hold 9
lease=$(< /run/hold)
ends "or takes it" 0 "$DMAOWNCTL" revoke "${lease##*/}"
over "which ends the holder" 5
is "who says why" "$(sed 1d /run/hold)" "dmaownctl: hold: lease ${lease##*/} is being revoked: ends in 0 s
dmaownctl: hold: lease ${lease##*/} has ended: revoked"
ended "as revoked" "$lease" revoked

lease=$(claim alice 9)
setpriv --reuid alice --regid alice --init-groups -- "$FAKEKERNEL/fakectl" hold /dev/vfio/9 \
    < <(exec sleep 300) > /run/opener 2>&1 &
opener=$!
within grep -q held /run/opener
ends "who has it open is not thrown out" 5 "$DMAOWNCTL" revoke "${lease##*/}"
like "but named" "$output" "dmaownctl: revoke: .*process $opener "
is "it drains" "$(lease "$lease" State)" draining
ends "show says so" 0 ctl show "$lease"
like "to the holder" "$output" "Still open in: process $opener "
like "in JSON too" "$(ctl leases --json | jq -r '.[0].openers[0]')" "^process $opener "
unlike "to nobody else" "$(as bob "$DMAOWNCTL" show "$lease")" "process $opener"
kill $opener
ended "it ends when that is gone" "$lease" revoked

# ---- With a process, with a unit
setpriv --reuid alice --regid alice --init-groups -- sleep 300 &
sleeper=$!
within grep -q sleep "/proc/$sleeper/comm"
ends "a lease of a process" 0 ctl claim 9 --pid $sleeper
lease=$output
like "leases shows it" "$(ctl leases)" " process $sleeper "
kill $sleeper
ended "which ends with it" "$lease" process-exited
ends "a process that is gone" 2 ctl claim 9 --pid $sleeper
ends "somebody else's" 2 ctl claim 9 --pid $$
systemd unit machine-a.scope active
ends "a lease of a unit" 0 ctl claim 9 --unit machine-a.scope
lease=$output
like "leases shows it" "$(ctl leases)" " unit machine-a.scope "
systemd unit machine-a.scope inactive
ended "which ends with it" "$lease" unit-stopped
ends "a unit that is not active" 2 ctl claim 9 --unit machine-a.scope
ends "explain says so" 2 ctl explain 9 --unit machine-a.scope
becomes "the group is free" none group 9 Owner

# ---- cdev
service stop > /dev/null
fakectl kernel 6.12-cdev
works "a kernel with cdevs" service start
ends "cdevs as fds" 0 ctl run 9 --mode fd --interface cdev -- python3 /run/fds.py
is "in order" "$output" "lease 
iommufd 
device-0000_00_08.0 "
becomes "all is closed with the command" none group 9 Owner
node=/dev/vfio/devices/$(ls "$(sysfs 0000:00:08.0)/vfio-dev")
ends "cdevs as nodes" 0 ctl run 9 --interface cdev -- bash -c "exec 4<> /dev/iommu 5<> $node"
becomes "all is closed with the command" none group 9 Owner
finish
