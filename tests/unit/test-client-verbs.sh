#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every verb of dmaownctl against a stand-in for the daemon on a private bus: what is sent, what is
# printed, and how it ends.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/client-lib.sh"

# ---- Without a bus, without a daemon
DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/none ends 7 list
start
ends 7 list
ends 7 monitor
ends 7 release 3
ends 7 --bus-address unix:path=/nowhere status
run list --bus-address "$address"
like "names what cannot be reached" "$err" "*dmaownd cannot be reached*"
start_daemon

# ---- Usage
ends 2
ends 2 lsit
like "suggests" "$err" "*did you mean 'list'?*"
ends 2 --no-such-option
ends 2 list --no-such-option
ends 2 list superfluous
ends 2 claim
ends 2 show
ends 2 show 7 12
ends 2 claim --ttl 5x 7
ends 2 claim --ttl 0 7
ends 2 claim --uid no-such-user 7
ends 2 claim --uid 4294967295 7
ends 2 claim --option novalue 7
ends 2 claim --option detach=perhaps 7
ends 2 claim $'\e[31m'
ends 2 claim ""
ends 2 claim --comment $'two\nlines' 7
ends 2 policy
ends 0 policy --help
like "the family" "$out" "Usage: dmaownctl policy VERB*policy check*policy test*"
ends 2 claims --help
ends 2 --json release 3
ends 2 policy test 7
ends 2 policy test --uid no-such-user 7
ends 0 --version
like "version" "$out" "dmaownctl [0-9]*"
ends 0 --help
help=$out
mapfile -t verbs < <(sed -n '/^Verbs:/,/^$/s/^  \([a-z-]*\( [a-z]\{1,\}\)\{0,1\}\) .*/\1/p' <<< "$help")
is "verbs were found" "$([ ${#verbs[@]} -ge 12 ] && echo yes)" yes
for verb in "${verbs[@]}"; do
    # shellcheck disable=SC2086 # a verb may be two words
    ends 0 $verb --help
    like "help of $verb" "$out" "Usage: dmaownctl $verb *Options:*--help*"
    # The folder of the policy is as long as whoever configured the build made it.
    is "at most 80 columns" "$(grep -v 'folder, not /' <<< "$out" | awk 'length($0) > 80')" ""
done

# ---- list
ends 0 list
is "list" "$out" "GROUP OWNER  VERDICT       DEVICES NODE
    7 kernel kernel-driver       2 -
   12 user   leased              1 -"
ends 0 list -v
like "with devices" "$out" "*0000:00:05.1*kernel*e1000e*"
like "what is not printable is escaped" "$out" '*evil\\x1b\[31m*'
ends 0 --json list
is "--json before the verb" "$(json length)" 2
ends 0 list --devices --json
is "sorted, with stable keys" "$(json '[.[] | .id]')" "[7,12]"
is "keys of a group" "$(json '.[0] | keys | join(" ")')" "device_count devices id node object owner verdict"
is "devices in JSON" "$(json '[.[0].devices[] | .driver]')" '["vfio-pci","e1000e"]'
is "JSON keeps the text" "$(json '.[1].devices[0].driver')" $'evil\e[31m'
is "no control character in JSON" "$(LC_ALL=C tr -d '\n' < "$work/out" | LC_ALL=C grep -c '[[:cntrl:]]')" 0
is "no colour off a terminal" "$("$ctl" list | grep -c $'\e')" 0
colored() { script -qec "TERM=xterm $1 '$ctl' list" /dev/null | grep -c $'\e\\['; }
is "colour on a terminal" "$([ "$(colored "")" -gt 0 ] && echo yes)" yes
is "but not with NO_COLOR" "$(colored "NO_COLOR=1")" 0

# ---- show and explain
ends 0 show 0000:00:05.0
like "show" "$out" "Group 7*Owner: kernel*0000:00:05.1 (e1000e)*vfio-pci*A claim by you: grantable*"
ends 0 show 12
like "with its lease" "$out" "*Lease 3*Holder: root*Groups: 12*Lifetime: unit*2021-11-22 13:00:00*"
ends 0 show 12 --json
is "show in JSON" "$(json '[.id, .lease.id, .verdict.grantable, .devices[0].name]')" \
    '[12,3,true,"0000:00:05.2"]'
ends 0 show 7 --json
is "no lease" "$(json .lease)" null
ends 6 show 99
ends 0 show --why 7
like "show --why" "$out" "Group 7*A claim by you: grantable*Why these devices are together:*Reason: unknown*\
Devices: 0000:00:05.0,0000:00:05.1*Why: Not all of them are PCI devices*"
ends 0 show --why 12
like "show --why of one device" "$out" "*Why these devices are together:*there is only one"
ends 0 show --why 7 --json
is "show --why in JSON" "$(json '[.id, (.why | length), .why[0].reason, .why[0].devices[1]]')" \
    '[7,1,"unknown","0000:00:05.1"]'
ends 0 explain 7
like "explain" "$out" "grantable*0000:00:05.1*Device 0000:00:05.1 speaks.*"
for pair in no-rule:3 leased:5 kernel-driver:4 quota:5 no-node:4 never-heard-of:1; do
    run explain "reason:${pair%:*}"
    is "explain ends as the claim would: ${pair%:*}" "$status" "${pair#*:}"
    like "and says so" "$out" "not grantable: ${pair%:*}*yes*"
done
run explain reason:leased --json
is "explain in JSON" "$(json '[.grantable, .reason, .findings[0].group, .findings[0].blocks]')" \
    '[false,"leased",7,true]'

# ---- claim and release
ends 0 claim 7
is "claim prints the lease" "$out" /org/dmaownd1/lease/4
ends 0 claim 7 --json
is "and in JSON" "$(json .)" '{"id":4,"object":"/org/dmaownd1/lease/4"}'
for verb in claim explain; do
    run "$verb" echo
    is "$verb asks for a persistent lease" "$err" "dmaownctl: $verb: lifetime=s:persistent "
    is "a refused option is usage" "$status" 2
    run "$verb" echo -l process --ttl 5m --key k --comment "ä b" --uid root -m path -i cdev \
        -o detach=yes -o pid=12 -o new:u=7 -o other=text
    is "$verb sends every option with its type" "$err" "dmaownctl: $verb: lifetime=s:process ttl=t:300 \
key=s:k comment=s:ä b uid=u:0 mode=s:path interface=s:cdev detach=b:1 pid=u:12 new=u:7 other=s:text "
    run "$verb" --ttl 5 --ttl 2h -o lifetime=unit echo
    is "the last one holds" "$err" "dmaownctl: $verb: lifetime=s:unit ttl=t:7200 "
    run "$verb" echo --pid 812
    is "$verb --pid means a process" "$err" "dmaownctl: $verb: lifetime=s:process pid=u:812 "
    run "$verb" echo --unit a.service
    is "$verb --unit means a unit" "$err" "dmaownctl: $verb: lifetime=s:unit unit=s:a.service "
    run "$verb" --unit a.service -l persistent echo
    is "$verb says what was said" "$err" "dmaownctl: $verb: lifetime=s:persistent unit=s:a.service "
    ends 2 "$verb" --pid 1x 7
    ends 2 "$verb" --pid 4294967296 7
done
run explain echo --mode fd --container
is "explain may ask for fds" "$err" "dmaownctl: explain: lifetime=s:persistent mode=s:fd container=b:1 "
for words in "--mode fd" "-o mode=fd" --container; do
    # shellcheck disable=SC2086 # words
    ends 2 claim 7 $words
    like "claim $words says what to use" "$err" "*dmaownctl run*dmaownctl hold*"
done
for pair in InvalidOption:2 NoSuchTarget:6 PolicyDenied:3 Busy:5 AlreadyOwned:5 ForeignOwner:5 \
    DeviceInUse:4 KernelHeld:4 NotViable:4 QuotaExceeded:5 SwitchFailed:4 \
    org.freedesktop.DBus.Error.NotSupported:1 org.freedesktop.DBus.Error.AccessDenied:3; do
    ends "${pair#*:}" claim "error:${pair%:*}"
    is "the daemon's sentence, escaped" "$err" \
        "dmaownctl: claim: This is ${pair%:*}.\\x0aAnd \\x1b[1mmore."
done
for lifetime in fd process; do
    run claim -l $lifetime error:Busy
    like "warns of a lease that ends at once: $lifetime" "$err" "*ends as soon as dmaownctl does*"
done
run claim --pid 1 error:Busy
like "but not of one that does not" "$err" "dmaownctl: claim: This is Busy*"
ends 0 release 3
ends 0 release /org/dmaownd1/lease/3
ends 6 release 9
ends 6 release 9 3
ends 6 release no-lease

# ---- revoke
ends 0 revoke 3
ends 0 revoke --timeout 0 3 /org/dmaownd1/lease/3
ends 5 revoke 5
is "revoke waits for nobody" "$err" "dmaownctl: revoke: timeout=t:0 "
ends 5 revoke 5 --timeout 2m --unbind
is "unless it is told to" "$err" "dmaownctl: revoke: timeout=t:120 unbind=b:1 "
ends 6 revoke 9 5
ends 6 revoke no-lease
ends 2 revoke
ends 2 revoke --timeout soon 3
ends 2 revoke --timeout -1 3
ends 2 --json revoke 3

# ---- leases, status, reload, rescan
ends 0 leases
like "leases" "$out" "*LEASE*3*12*root*active*unit machine-a.scope*2021-11-22 13:00:00*two\\\\x0alines*"
ends 0 leases --json
is "leases in JSON" "$(json '[.[] | [.id, .groups, .uid, .since, .comment]]')" \
    '[[3,["/org/dmaownd1/group/12"],0,1637586000000000,"two\nlines"]]'
is "who has it open" "$(json '.[0].openers[0]')" "process 812 (/usr/bin/qemu, unit a.scope)"
is "nothing more than the daemon says" "$(json '.[0] | has("lasts")')" false
ends 0 show /org/dmaownd1/lease/3
like "show of a lease" "$out" "Lease 3*Still open in: process 812 (/usr/bin/qemu, unit a.scope); \
process 9 (/bin/\\\\x1b\[31m)*Unit: machine-a.scope*"
ends 0 show /org/dmaownd1/lease/3 --json
is "in JSON" "$(json '[.id, .unit, .openers[1]]')" $'[3,"machine-a.scope","process 9 (/bin/\\u001b[31m)"]'
ends 6 show /org/dmaownd1/lease/9
ends 2 show --why /org/dmaownd1/lease/3
ends 0 status
like "status" "$out" "*Version: 0.1*Kernel model: claim*Owners: 1 kernel, 1 user*"
ends 0 status --json
is "status in JSON" "$(json '[.version, .group_count, .owners.user, .leases.active, .policy_files]')" \
    '["0.1",2,1,1,["/etc/p.json"]]'
ends 3 rescan

# ---- policy
cat > "$work/good.json" <<'END'
{ "version": 1, "rules": [
  { "name": "nics", "effect": "allow", "subjects": { "users": ["root"] }, "max_ttl": 60,
    "match": { "bus": "pci", "vendor": "0x8086", "subsystem_vendor": "0x1af4", "class": "0x02****",
               "path": "/sys/devices/pci*" } } ] }
END
echo '{ "version": 1, "rules": [ { "effect": "perhaps" } ] }' > "$work/bad.json"
ends 0 policy check "$work/good.json"
is "says how many rules" "$out" "1 rule, no errors"
run policy check "$work/bad.json"
is "a faulty policy ends with 1" "$status" 1
like "where and what" "$out" "$work/bad.json:1:*: error: *"
run policy check "$work/bad.json" --json
is "in JSON" "$(json '.[0] | [.file, .line, .severity]')" "[\"$work/bad.json\",1,\"error\"]"
ends 0 policy check "$work/good.json" --json
is "no fault in JSON" "$(json .)" "[]"
mkdir "$work/folder"
cp "$work/bad.json" "$work/folder/policy.json"
run policy check --config "$work/folder"
is "a folder" "$status" 1
ends 2 policy check --config "$work/folder" "$work/good.json"
ends 0 policy test --uid root --file "$work/good.json" 0000:00:05.0
like "policy test" "$out" "Group 7: allowed*0000:00:05.0*allow*nics ($work/good.json:2)*60*"
run policy test --uid 1000 --gid 1000 --file "$work/good.json" 7
is "policy test: another user" "$status" 3
like "is denied" "$out" "Group 7: denied*deny*"
ends 0 policy test --uid 0 --file "$work/good.json" 7 0000:00:05.0 12 --json
is "each group once, in JSON" "$(json '[.[] | [.group, .allowed, .terms.max_ttl]]')" "[[7,true,60],[12,true,60]]"
ends 6 policy test --uid 0 --file "$work/good.json" 99
run policy test --uid 0 --file "$work/bad.json" 7
is "a faulty policy cannot be tested" "$status" 1
like "and is told" "$err" "*bad.json:1:*"

# ---- monitor
# watch ARGUMENT...: starts a monitor and waits until it is ready; sets watched, an fd.
watch() {
    local ready
    rm -f "$work/lines" "$work/ready"
    mkfifo "$work/lines" "$work/ready"
    "$ctl" monitor "$@" > "$work/lines" 2> "$work/ready" &
    watchers+=($!)
    exec {watched}< "$work/lines" {ready}< "$work/ready"
    read -r -t 30 line <&"$ready"
    is "monitor is ready" "$line" monitoring
}
# collect FD PATTERN: lines up to the first that matches.
collect() {
    local line
    while IFS= read -r -t 30 line <&"$1"; do
        printf '%s\n' "$line"
        # shellcheck disable=SC2053 # a pattern is meant
        [[ $line != $2 ]] || return 0
    done
    echo "and nothing more"
}
watchers=()
watch
lines=$watched
watch --json
objects=$watched
ends 0 reload
is "lines of monitor" "$(collect "$lines" 'policy*')" 'device 0000:00:05.1: driver e1000e -> none, role free
group 7: owner kernel -> none, devices 0000:00:05.0,0000:00:05.1
lease 4: granted to root, groups 7,8
lease 4: must end within 30 s
lease 4: ended, released, groups 7
group 7: conflict, device 0000:00:05.1, driver evil\x1b[31m: Bound beside\x0athe owner.
device 0000:00:05.2: removed
device 0000:00:05.2: added, driver evil\x1b[31m, role kernel
policy: refused, generation 2: p.json:1:1: bad'
out=$(collect "$objects" '*policy-reloaded*')
is "objects of monitor" "$(jq -cs '[.[] | .event]' <<< "$out")" '["changed","changed","lease-granted",'\
'"lease-revoking","lease-ended","conflict","removed","added","policy-reloaded"]'
is "what was before" "$(json 'select(.kind == "device" and .event == "changed") | [.before.driver, .changes.driver]')" \
    '["e1000e",""]'
is "a lease's number" "$(json 'select(.event == "lease-granted") | [.lease, .groups, .uid]')" '[4,[7,8],0]'
# Signals of a stranger on our own name are nobody's.
stranger=$(busctl --address="$address" --json=short list |
    jq -r '[.[] | select(.process == "dmaownctl") | .name][0]')
like "the monitor's name" "$stranger" ":*"
busctl --address="$address" emit --destination="$stranger" /org/dmaownd1 org.dmaownd1.Manager \
    LeaseGranted oauu /org/dmaownd1/lease/666 0 0
kill "$daemon_pid"
is "a stranger is not heard, the daemon's end is" "$(collect "$lines" '*')" "dmaownd is gone"
start_daemon
is "and its return" "$(collect "$lines" '*')" "dmaownd is there again"
ends 0 reload
is "goes on over a restart" "$(collect "$lines" '*')" "device 0000:00:05.1: driver e1000e -> none, role free"
kill "${watchers[@]}"

finish
