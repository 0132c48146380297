#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the daemon is to others: to the service manager, to polkit, to a journal that hangs.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
policy

# ---- Readiness, watchdog, reload, end
works "starts and says so" fakectl service start dmaownd env WATCHDOG_USEC=400000 "$DMAOWND" --config "$config" --foreground
works "then it has its name" busctl call $bus_name $root org.freedesktop.DBus.Peer Ping
fed() { [[ $(service status) =~ watchdog\ ([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 2 ]; }
eventually "feeds the watchdog" fed
claim alice 9 > /dev/null
for _ in $(seq 40); do chmod 0600 /dev/vfio/9; done
eventually "a storm of chmods is mended in the end" can_open alice 9
for _ in $(seq 40); do chmod 0666 /dev/vfio/9; done
becomes "in both directions" 660 stat -c %a /dev/vfio/9
manager Release o "$(group 9 Lease)" > /dev/null
works "reload says when it is done" service reload
becomes "and has been done" 2 property $root Manager PolicyGeneration
is "an end by SIGTERM is a good end" "$(service stop)" "status 0"
works "start" service start

# ---- Descriptors
descriptors() { find "/proc/$(daemon_pid)/fd" -mindepth 1 | wc -l; }
vfio_descriptors() { find "/proc/$(daemon_pid)/fd" -lname '/dev/vfio/[0-9]*' | wc -l; }
claim alice 9 > /dev/null
manager Release o "$(group 9 Lease)" > /dev/null
within owner_is 9 none
before=$(descriptors)
for _ in 1 2 3 4 5 6 7 8 9 10; do
    manager Release o "$(claim alice 9)" > /dev/null
    claim alice 7 > /dev/null 2>&1 || :
    manager Reload > /dev/null
    manager Rescan > /dev/null
done
few() { [ "$(descriptors)" -le $((before + 2)) ]; }
eventually "descriptors do not grow" few
claim alice 9 > /dev/null
becomes "a lease keeps no node open" 0 vfio_descriptors
manager Release o "$(group 9 Lease)" > /dev/null

# ---- polkit
reload_as() { as "$1" busctl --timeout=10 call $bus_name $root org.dmaownd1.Manager Reload; }
denied=org.freedesktop.DBus.Error.AccessDenied
refused "without polkit: root alone" $denied reload_as alice
hold root "$CALLER" polkit no
refused "polkit says no" $denied reload_as alice
like "and was asked" "$(cat /run/held)" "asked org.dmaownd1.manage"
nine=$(claim alice 9)
refused "for another's lease the answer is NotHolder" NotHolder as bob busctl call $bus_name "$nine" org.dmaownd1.Lease Release
release_hold
hold root "$CALLER" polkit yes
works "polkit says yes" reload_as alice
works "to another's lease too" as bob busctl call $bus_name "$nine" org.dmaownd1.Lease Release
release_hold
hold root "$CALLER" polkit hang
as alice busctl --timeout=60 call $bus_name $root org.dmaownd1.Manager Reload > /run/hanging 2>&1 8>&- &
within grep -q asked /run/held
works "while polkit hangs others are served" as bob busctl --timeout=5 call $bus_name $root org.dmaownd1.Manager ListGroups
works "root needs no polkit" manager Reload
release_hold
wait $! || :
like "when it dies the answer is no" "$(cat /run/hanging)" "."

# ---- The user database is asked by a worker, and may be wrong
works "daemon" is_running

# ---- A journal that hangs
service stop > /dev/null
cat > /run/silent.py <<'P'
import os, socket, sys
os.unlink("/run/systemd/journal/socket")
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
s.bind("/run/systemd/journal/socket")
os.chmod("/run/systemd/journal/socket", 0o666)
print("silent", flush=True)
sys.stdin.read()
P
hold root python3 /run/silent.py
works "starts beside a journal that reads nothing" fakectl service start dmaownd "$DMAOWND" --config "$config"
for _ in $(seq 10); do manager Release o "$(claim alice 9)" > /dev/null; done
pass "grants beside it"
works "and answers" manager ListGroups
like "what the journal does not take goes to standard error" "$(cat "$log")" "DMAOWND_EVENT=granted"
release_hold
rm -f /run/systemd/journal/socket
works "without any journal" claim alice 9
like "the same" "$(tail -n 3 "$log")" "DMAOWND_EVENT=granted"

# ---- The command line
ends() { local got=0; timeout 10 "$DMAOWND" "${@:3}" > /run/end 2>&1 || got=$?; is "$1" "$got" "$2"; }
ends "--version" 0 --version
ends "--help" 0 --help
ends "an unknown option" 2 --frobnicate
ends "an argument" 2 now
ends "a sysfs that is not there" 1 --config "$config" --state /run/other --sysfs /nonexistent
ends "a bus that is not there" 1 --config "$config" --state /run/other --bus-address unix:path=/nonexistent
[ -s /run/end ] && pass "says why" || fail "says why"
finish
