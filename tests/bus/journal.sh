#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The audit trail: one entry a step, the same fields in the journal and on standard error.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
policy
# In the journal: without --foreground.
fakectl service start dmaownd "$DMAOWND" --config "$config" > /dev/null

# entries EVENT [FIELD=VALUE...]: those of an event, as "FIELD=value" lines with an empty line behind each.
entries() {
    local event=$1
    shift
    awk -v event="DMAOWND_EVENT=$event" -v wanted="$(printf '%s\n' "$@")" 'BEGIN { RS = ""; FS = "\n"; n = split(wanted, want, "\n") }
        { found = 0; hits = 0
          for (i = 1; i <= NF; i++) { if ($i == event) found = 1; for (j = 1; j <= n; j++) if ($i == want[j]) hits++ }
          if (found && (wanted == "" || hits >= n)) print $0 "\n" }' "$journal"
}
how_many() { entries "$@" | grep -c '^DMAOWND_EVENT=' || :; }
field() { sed -n "s/^$1=//p"; }

eventually "started" test -s "$journal"
is "once" "$(how_many started)" 1
is "the policy" "$(how_many policy-loaded)" 1

# ---- The story of group 7
claim alice 7 > /dev/null 2>&1 || :
becomes "a denial" 1 how_many denied DMAOWND_GROUP=7
denied=$(entries denied DMAOWND_GROUP=7)
is "reason" "$(field DMAOWND_REASON <<< "$denied")" kernel-driver
is "for whom" "$(field DMAOWND_UID <<< "$denied")" 1001
like "devices" "$(field DMAOWND_DEVICES <<< "$denied")" "0000:00:05.1"
like "message" "$(field MESSAGE <<< "$denied")" "e1000e"
fakectl unbind 0000:00:05.1
within owner_is 7 none
seven=$(claim alice 7)
becomes "a grant" 1 how_many granted DMAOWND_GROUP=7
granted=$(entries granted DMAOWND_GROUP=7)
is "lease" "$(field DMAOWND_LEASE <<< "$granted")" "${seven##*/}"
is "holder and claimant" "$(field DMAOWND_UID <<< "$granted") $(field DMAOWND_CLAIMANT_UID <<< "$granted")" "1001 1001"
is "rule" "$(field DMAOWND_RULE <<< "$granted")" nics
like "who sent it" "$(field DMAOWND_SENDER <<< "$granted")" "^:1\.[0-9]+\$"
is "its process, for the journal" "$(field OBJECT_PID <<< "$granted")" "$(field DMAOWND_PID <<< "$granted")"
is "devices" "$(field DMAOWND_DEVICES <<< "$granted")" "0000:00:05.0 0000:00:05.1"
like "message id" "$(field MESSAGE_ID <<< "$granted")" "^[0-9a-f]{32}\$"
like "priority" "$(field PRIORITY <<< "$granted")" "^[0-7]\$"
[ "$(field PRIORITY <<< "$denied")" != "$(field PRIORITY <<< "$granted")" ] && pass "denials are of another priority" ||
    fail "denials are of another priority"
grep -rq "$(field MESSAGE_ID <<< "$granted")" "$top_srcdir/systemd" && pass "it is in the catalog" || fail "it is in the catalog"
fakectl bind 0000:00:05.1 e1000e
becomes "a conflict" 1 how_many conflict DMAOWND_GROUP=7
fakectl unbind 0000:00:05.1
service kill > /dev/null
works "restart" service start
becomes "recovered" 1 how_many recovered DMAOWND_GROUP=7
manager Release o "$seven" > /dev/null
becomes "the end" 1 how_many ended DMAOWND_GROUP=7
is "why" "$(entries ended DMAOWND_GROUP=7 | field DMAOWND_REASON)" released

# ---- A lease of two groups names both
two=$(as alice busctl --json=short call $bus_name $root org.dmaownd1.Manager Claim 'asa{sv}' 2 9 11 1 lifetime s persistent | jq -r '.data[0]')
becomes "one entry" 1 how_many granted "DMAOWND_LEASE=${two##*/}"
is "with both groups" "$(entries granted "DMAOWND_LEASE=${two##*/}" | field DMAOWND_GROUP | sort -n | paste -sd' ')" "9 11"
manager Release o "$two" > /dev/null

# ---- Policy
echo '{' > "$config/policy.json"
manager Reload > /dev/null 2>&1 || :
becomes "a rejected policy" 1 how_many policy-rejected
policy
manager Reload > /dev/null
becomes "and a good one" 3 how_many policy-loaded

# ---- A flood of denials has a budget; a grant in its midst is there
as bob "$CALLER" burst 500 Claim 10 > /run/flood
flooded=$(how_many denied DMAOWND_GROUP=10)
[ "$flooded" -ge 1 ] && [ "$flooded" -le 40 ] && pass "denials up to a budget" || fail "denials up to a budget" "$flooded"
nine=$(claim bob 9)
becomes "a grant after it is there" 1 how_many granted "DMAOWND_LEASE=${nine##*/}"
service stop > /dev/null
like "a summary of the rest" "$(cat "$journal")" "denied"

# ---- The same fields with --foreground
echo '# from here' >> "$log"
works "start" fakectl service start dmaownd "$DMAOWND" --config "$config" --foreground
lease=$(claim alice 11 comment s 'a "quoted" one')
line=$(sed '0,/^# from here/d' "$log" | grep "DMAOWND_EVENT=granted")
for key in MESSAGE_ID PRIORITY DMAOWND_EVENT DMAOWND_GROUP DMAOWND_DEVICES DMAOWND_LEASE DMAOWND_UID \
    DMAOWND_CLAIMANT_UID DMAOWND_PID DMAOWND_SENDER DMAOWND_RULE; do
    like "$key" "$line" " $key="
done
like "a value with spaces is quoted" "$line" 'DMAOWND_DEVICES="0000:00:07.0 0000:00:07.1"'
is "one line an event" "$(sed '0,/^# from here/d' "$log" | grep -c "DMAOWND_LEASE=${lease##*/}\b")" 1
finish
