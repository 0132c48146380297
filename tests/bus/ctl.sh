#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# dmaownctl on the daemon: what it prints and how it ends.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
[ -x "$DMAOWNCTL" ] || { echo "Bail out! $DMAOWNCTL was not built"; exit 99; }

# ends NAME STATUS COMMAND...: sets $output.
ends() {
    local name=$1 expected=$2 got=0
    shift 2
    output=$("$@" 2>&1) || got=$?
    if [ "$got" = "$expected" ]; then pass "$name"; else fail "$name" "$* ended with $got, not $expected" "$output"; fi
}
ctl() { as alice "$DMAOWNCTL" "$@"; }

# ---- 7: no daemon
policy
ends "no daemon" 7 ctl list
ends "no daemon" 7 ctl claim 9
ends "no bus" 7 ctl --bus-address unix:path=/nonexistent list
start

# ---- 0
ends "list" 0 ctl list
like "a table" "$output" "kernel-driver"
like "with the nodes" "$output" "/dev/vfio/9"
unlike "without colour where there is no terminal" "$output" $'\x1b'
ends "list --json" 0 ctl --json list
works "is JSON" jq -e . <<< "$output"
ends "show" 0 ctl show 7
like "names the driver" "$output" "e1000e"
ends "explain, grantable" 0 ctl explain 9
ends "explain --json" 0 ctl --json explain 9
works "is JSON" jq -e . <<< "$output"
ends "status" 0 ctl status
ends "leases" 0 ctl leases
ends "claim" 0 ctl claim --lifetime=persistent 9
lease=$(busctl tree --list $bus_name | grep lease/)
works "was granted" can_open alice 9
ends "leases --json" 0 ctl --json leases
works "is JSON" jq -e . <<< "$output"
like "has the lease" "$(ctl leases)" "${lease##*/}"

# ---- 2: usage
ends "no verb" 2 ctl
ends "an unknown verb" 2 ctl frobnicate
ends "an unknown option" 2 ctl list --frobnicate
ends "claim without target" 2 ctl claim
for verb in list show explain claim run hold release revoke leases monitor policy reload status; do
    ends "$verb --help" 0 ctl $verb --help
done
ends "--help" 0 ctl --help
ends "--version" 0 ctl --version

# ---- 3 to 6
ends "denied by policy" 3 as bob "$DMAOWNCTL" claim fff50000.ethernet
ends "held by the kernel" 4 ctl claim 7
like "names device and driver" "$output" "0000:00:05.1.*e1000e|e1000e.*0000:00:05.1"
ends "explain says so" 4 ctl explain 7
ends "not viable" 4 ctl claim 0000:00:09.0
ends "owned" 5 as bob "$DMAOWNCTL" claim 9
ends "no such target" 6 ctl claim 99
ends "no such target to show" 6 ctl show 99
ends "no such lease" 6 ctl release 4711
ends "somebody else's lease" 3 as bob "$DMAOWNCTL" release "${lease##*/}"
ends "Reload is for root" 3 ctl reload
ends "release" 0 ctl release "${lease##*/}"
fails "has ended it" can_open alice 9
ends "reload" 0 "$DMAOWNCTL" reload
echo '{' > "$config/policy.json"
ends "reload of a bad policy" 1 "$DMAOWNCTL" reload
like "says where" "$output" "policy.json"
policy

# ---- monitor
"$DMAOWNCTL" monitor > /run/monitor 2>&1 &
monitor=$!
# Until it listens nothing can be seen: do it again until it is.
rebind() { fakectl unbind 0000:00:05.1; fakectl bind 0000:00:05.1 e1000e; grep -qE "e1000e|0000:00:05.1|group.*7|7.*kernel" /run/monitor; }
eventually "monitor shows a bind by hand" rebind
nine=$(claim alice 9)
eventually "and a grant" grep -qE "${nine##*/}" /run/monitor
kill $monitor

# ---- policy check and test, without the daemon
service stop > /dev/null
ends "policy check" 0 ctl policy check "$config/policy.json"
echo '{ "version": 1, "rules": [ { "name": 1 } ] }' > /run/bad.json
ends "policy check of a bad one" 1 ctl policy check /run/bad.json
like "file, line and column" "$output" "/run/bad.json:1:[0-9]+"
ends "policy check of none" 1 ctl policy check /run/none.json
finish
