#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Options and arguments of the calls: an unknown one or a wrong type is an error, not ignored.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
start

call() { as alice busctl --json=short call $bus_name $root org.dmaownd1.Manager "$@"; }
claims() { call Claim 'asa{sv}' 1 9 "$@"; }

# ---- InvalidOption
refused "an unknown option" InvalidOption claims 1 speed s fast
refused "an unknown option beside good ones" InvalidOption claims 2 lifetime s persistent Key s k
refused "in Explain too" InvalidOption call Explain 'asa{sv}' 1 9 1 speed s fast
refused "mode" InvalidOption claims 1 mode s both
refused "lifetime" InvalidOption claims 1 lifetime s forever
refused "interface" InvalidOption claims 1 interface s char
refused "mode of another type" InvalidOption claims 1 mode u 1
refused "lifetime of another type" InvalidOption claims 1 lifetime as 1 persistent
refused "ttl of another type" InvalidOption claims 1 ttl u 5
refused "ttl of no time" InvalidOption claims 1 ttl t 0
refused "key of another type" InvalidOption claims 1 key t 5
refused "comment of another type" InvalidOption claims 1 comment t 5
refused "uid of another type" InvalidOption claims 1 uid s alice
refused "uid -1" InvalidOption claims 1 uid u 4294967295
refused "detach of another type" InvalidOption claims 1 detach s yes
refused "an option twice" InvalidOption claims 2 lifetime s persistent lifetime s connection
refused "a comment with a control character" InvalidOption claims 1 comment s $'two\nlines'
refused "a comment of 257 bytes" InvalidOption claims 1 comment s "$(printf '%0257d' 0)"
refused "a key of 100,000 bytes" InvalidOption claims 1 key s "$(printf '%0100000d' 0)"
refused "a mode of 100,000 bytes" InvalidOption claims 1 mode s "$(printf '%0100000d' 0)"
like "and a short answer" "$(claims 1 mode s "$(printf '%0100000d' 0)" 2>&1 | wc -c)" '^[0-9]{1,3}$'
refused "an option with a name of 100,000 bytes" InvalidOption claims 1 "$(printf '%0100000d' 0)" s 1
mapfile -t many < <(printf 'option%s\ns\n1\n' {1..100})
refused "a hundred options" InvalidOption claims 100 "${many[@]}"
refused "no target" InvalidOption call Claim 'asa{sv}' 0 0
mapfile -t many < <(printf '9%.0s\n' {1..65})
refused "65 targets" InvalidOption call Claim 'asa{sv}' 65 "${many[@]}" 0
like "the error names the option" "$(claims 1 speed s fast 2>&1)" "speed"
refused "arguments of another type" org.freedesktop.DBus.Error.InvalidArgs call Claim s 9
refused "no such method" org.freedesktop.DBus.Error.UnknownMethod call Grab

# ---- Bad values, and options that contradict each other
claims_as() { as "$1" "$CALLER" claim 9 "${@:2}" < /dev/null; }
# bad NAME OPTION...: InvalidOption, whoever asks, and nothing of it stays.
bad() {
    local name=$1
    shift
    like "$name" "$(claims_as alice "$@")" "^org.dmaownd1.Error.InvalidOption: .+"
}
bad "path with container" mode=path container=b:true
bad "container without a mode" container=b:true
bad "container with cdev" mode=fd interface=cdev container=b:true
bad "container of another type" mode=fd container=true
bad "a holder of fds" mode=fd uid=u:1002
bad "oneself as holder of fds" mode=fd uid=u:1001
bad "pid and pidfd" lifetime=process pid=u:$$ pidfd=h:$$
bad "a pid for a connection" pid=u:$$
bad "a pid for an fd" lifetime=fd pid=u:$$
bad "a pidfd for a unit" lifetime=unit unit=some.service pidfd=h:$$
bad "a unit for a process" lifetime=process unit=some.service
bad "lifetime unit without a unit" lifetime=unit
bad "a unit that there is not" lifetime=unit unit=none.service
bad "a ttl of no time" lifetime=fd ttl=0
bad "a ttl of all time" lifetime=fd ttl=18446744073709551615
bad "a ttl of one second more than there can be" ttl=3153600001
bad "a pid that is gone" lifetime=process pid=u:4000000
bad "pid 0" lifetime=process pid=u:0
bad "somebody else's process" lifetime=process pid=u:1
bad "a pidfd that is /dev/null" lifetime=process pidfd=f:/dev/null
bad "a pidfd that is a pipe" lifetime=process pidfd=p:
bad "a pidfd that is a container" lifetime=process pidfd=f:/dev/vfio/vfio
bad "a pidfd that is a number" lifetime=process pidfd=u:$$
bad "16 fds for one" lifetime=process pidfd=r:16
bad "16 fds for nothing" rubbish=r:16
bad "16 fds beside good options" lifetime=fd mode=fd rubbish=r:16
descriptors() { find "/proc/$(daemon_pid)/fd" -mindepth 1 | wc -l; }
before=$(descriptors)
for _ in $(seq 20); do
    claims_as alice rubbish=r:16
    claims_as alice lifetime=process pidfd=p:
    claims_as alice pidfd=h:$$ pid=u:$$ lifetime=process
done > /dev/null
few() { [ "$(descriptors)" -le $((before + 1)) ]; }
eventually "fds that are passed do not pile up" few
# Descriptors that no argument speaks of: a message of our own making.
cat > /run/sixteen.py <<'P'
import os, socket, struct, sys
os.setresgid(1001, 1001, 1001); os.setresuid(1001, 1001, 1001)
s = socket.socket(socket.AF_UNIX)
s.connect("/run/dbus/system_bus_socket")
uid = str(os.getuid()).encode().hex()
s.send(b"\0AUTH EXTERNAL " + uid.encode() + b"\r\n"); s.recv(999)
s.send(b"NEGOTIATE_UNIX_FD\r\n"); s.recv(999)
s.send(b"BEGIN\r\n")
def pad(b, n): return b + b"\0" * (-len(b) % n)
def text(t): return struct.pack("<I", len(t)) + t.encode() + b"\0"
def field(code, sig, value): return struct.pack("<BB", code, 1) + sig.encode() + b"\0" + value
def message(serial, path, dest, interface, member, sig, body, fds):
    fields = [field(1, "o", text(path)), field(6, "s", text(dest)), field(2, "s", text(interface)), field(3, "s", text(member))]
    if sig: fields.append(field(8, "g", bytes([len(sig)]) + sig.encode() + b"\0"))
    if fds: fields.append(field(9, "u", struct.pack("<I", fds)))
    joined = b""
    for f in fields: joined = pad(joined, 8) + f
    head = struct.pack("<cBBBIII", b"l", 1, 0, 1, len(body), serial, len(joined)) + joined
    return pad(head, 8) + body
s.send(message(1, "/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus", "Hello", "", b"", 0))
s.recv(999) # before that, a bus that lags would take fds for a part of the handshake, and drop them
body = struct.pack("<I", 6) + text("9")
body = pad(body, 4) + struct.pack("<I", 0)
body = pad(body, 8)
m = message(2, "/org/dmaownd1", "org.dmaownd1", "org.dmaownd1.Manager", "Claim", "asa{sv}", body, 16)
socket.send_fds(s, [m], [os.open("/dev/null", os.O_RDWR) for _ in range(16)])
data = b""
while b"/org/dmaownd1/lease/" not in data and b"Error" not in data:
    part = s.recv(65536)
    if not part: break
    data += part
print("granted" if b"/org/dmaownd1/lease/" in data else data)
P
is "16 fds that nobody speaks of are nobody's" "$(python3 /run/sixteen.py 2>&1)" granted
eventually "and closed" few
becomes "nothing stays granted" 0 property $root Manager LeaseCount
is "nothing is stored" "$(service status | grep -c '^fd' || :)" 0
refused "an fd that is none" InvalidOption claims 1 pidfd s 3
revoke() { busctl call $bus_name $root org.dmaownd1.Manager Revoke 'oa{sv}' "$@"; }
refused "Revoke: no such lease" NoSuchLease revoke $root/lease/4711 0
refused "Revoke: no lease at all" NoSuchLease revoke / 0
refused "Revoke: an unknown option" InvalidOption revoke $root/lease/4711 1 force b true
refused "Revoke: a timeout of another type" InvalidOption revoke $root/lease/4711 1 timeout u 5
refused "Revoke: too much time" InvalidOption revoke $root/lease/4711 1 timeout t 3601
refused "Revoke: unbind of another type" InvalidOption revoke $root/lease/4711 1 unbind s yes
refused "Revoke is for root" org.freedesktop.DBus.Error.AccessDenied as alice busctl call $bus_name $root \
    org.dmaownd1.Manager Revoke 'oa{sv}' $root/lease/4711 0

# ---- A machine without a device tree
is "it has no findings" "$(call AuditDeviceTree)" '{"type":"aa{sv}","data":[[]]}'

# ---- Switching drivers, where no rule allows it
refused "detach" PolicyDenied claims 1 detach b true
for method in Detach PlanDetach; do
    refused "$method" PolicyDenied call $method 'asa{sv}' 1 9 0
done
for method in Detach Reattach PlanDetach PlanReattach; do
    refused "$method: an unknown option" InvalidOption call $method 'asa{sv}' 1 9 1 speed s fast
    refused "$method: wait, a number of another type" InvalidOption call $method 'asa{sv}' 1 9 1 wait u 1
    refused "$method: wait for ever" InvalidOption call $method 'asa{sv}' 1 9 1 wait t 3601
done
refused "Reattach of what was not detached" NoSuchTarget call Reattach 'asa{sv}' 1 9 0
refused "InvalidOption comes before it" InvalidOption claims 2 detach b true speed s fast
refused "interface cdev, where there is none" NotViable claims 1 interface s cdev
is "nothing was granted" "$(property $root Manager LeaseCount)" 0

# ---- Targets
refused "an unknown target" NoSuchTarget call Claim 'asa{sv}' 1 99 0
refused "one unknown target of two" NoSuchTarget call Claim 'asa{sv}' 2 9 99 0
refused "an option is judged before a target" InvalidOption call Claim 'asa{sv}' 1 99 1 speed s fast
refused "so is a pid that is gone" InvalidOption call Claim 'asa{sv}' 1 99 2 lifetime s process pid u 4000000
refused "so is a unit that there is not" InvalidOption call Claim 'asa{sv}' 1 99 2 lifetime s unit unit s none.service
refused "so is a holder of fds" InvalidOption call Claim 'asa{sv}' 1 99 2 mode s fd uid u 1002
refused "a device without a group" NotViable call Claim 'asa{sv}' 1 0000:00:09.0 0
like "says so" "$(verdict alice 0000:00:09.0)" "false no-group"
is "nothing was granted" "$(property $root Manager LeaseCount)" 0
mapfile -t many < <(printf '9%.0s\n' {1..64})
works "64 times the same group is one" call Claim 'asa{sv}' 64 "${many[@]}" 2 lifetime s persistent \
    comment s "$(printf '%0253dü.' 0)"
is "one lease" "$(property $root Manager LeaseCount)" 1
is "of one group" "$(lease $root/lease/1 Groups 2> /dev/null || lease "$(busctl tree --list $bus_name | grep lease/)" Groups)" \
    "[\"$root/group/9\"]"
finish
