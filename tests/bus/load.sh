#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Floods from one uid while another is served.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
start
memory() { awk '/^VmRSS/ { print $2 }' "/proc/$(daemon_pid)/status"; }
before=$(memory)

# ---- 10,000 calls at once
flood() {
    as alice "$CALLER" burst 10000 "$@" > /run/flood 2>&1 &
    flood=$!
    works "bob is served meanwhile: $1" as bob busctl --timeout=10 call $bus_name $root org.dmaownd1.Manager ListGroups
    works "and granted" claim bob 9
    manager Release o "$(group 9 Lease)" > /dev/null
    wait "$flood" || fail "the flood ends" "$(cat /run/flood)"
    is "every call had its answer: $1" "$(awk '{ n += $2 } END { print n }' /run/flood)" 10000
}
flood ListGroups
unlike "reading is not refused" "$(cat /run/flood)" "NoReply|Timeout"
flood Explain 11
flood Claim 11
is "one Claim of many was granted" "$(awk '$1 == "ok" { print $2 }' /run/flood)" 1
becomes "and ended with its connection" none group 11 Owner
flood Claim 99

# ---- Denials leave one entry each up to a budget, then a summary
denials=$(times "DMAOWND_EVENT=denied .*DMAOWND_UID=1001" "$log")
[ "$denials" -lt 200 ] && pass "denials in the log have a budget" || fail "denials in the log have a budget" "$denials"

# ---- One that never reads
mkfifo /run/deaf
as alice "$CALLER" deaf 20000 < /run/deaf > /run/said 2>&1 &
deaf=$!
exec 9> /run/deaf
for i in 1 2 3; do
    works "bob is served beside one that never reads ($i)" \
        as bob busctl --timeout=10 call $bus_name $root org.dmaownd1.Manager ListGroups
done
works "and granted" claim bob 9
works "the daemon lives" is_running
# Growth that could be a leak by the call would be many times that.
after=$(memory)
limit=65536
grep -q __asan_init "$DMAOWND" && limit=524288 # it keeps what was freed
[ $((after - before)) -lt $limit ] && pass "and keeps no answers for it" ||
    fail "and keeps no answers for it" "$before kB before, $after kB after"
kill "$deaf" 2> /dev/null || :
exec 9>&-

# ---- Many leases: the quota holds whatever the order
for i in $(seq 20); do
    fakectl device pci "0000:10:$(printf %02x "$i").0" vendor=0x8086 product=0x10d3 class=0x020000 driver=vfio-pci group=$((100 + i))
done
becomes "twenty groups more" 27 property $root Manager GroupCount
granted=0
for i in $(seq 20); do claim alice $((100 + i)) > /dev/null 2>&1 && granted=$((granted + 1)); done
is "sixteen leases to one uid" "$granted" 16
refused "the next" QuotaExceeded claim alice 120
works "another uid has its own" claim bob 120
finish
