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

# ---- Not in this version
unsupported=org.freedesktop.DBus.Error.NotSupported
for method in Detach Reattach PlanDetach PlanReattach; do
    refused "$method" $unsupported call $method 'asa{sv}' 1 9 0
done
refused AuditDeviceTree $unsupported call AuditDeviceTree
refused Revoke $unsupported busctl call $bus_name $root org.dmaownd1.Manager Revoke 'oa{sv}' $root/lease/1 0
refused "detach" $unsupported claims 1 detach b true
refused "reattach" $unsupported claims 1 reattach b true
refused "container" $unsupported claims 1 container b true
refused "mode fd" $unsupported claims 1 mode s fd
refused "interface cdev" $unsupported claims 1 interface s cdev
refused "lifetime fd" $unsupported claims 1 lifetime s fd
refused "lifetime process" $unsupported claims 1 lifetime s process
refused "lifetime unit" $unsupported claims 2 lifetime s unit unit s some.service
refused "InvalidOption comes before it" InvalidOption claims 2 mode s fd speed s fast
is "nothing was granted" "$(property $root Manager LeaseCount)" 0

# ---- Targets
refused "an unknown target" NoSuchTarget call Claim 'asa{sv}' 1 99 0
refused "one unknown target of two" NoSuchTarget call Claim 'asa{sv}' 2 9 99 0
refused "an option is judged before a target" InvalidOption call Claim 'asa{sv}' 1 99 1 speed s fast
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
