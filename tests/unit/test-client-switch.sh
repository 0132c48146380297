#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The verbs of dmaownctl that give devices to VFIO and back, now and over reboots, against a stand-in
# for the daemon.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/client-lib.sh"
start
start_daemon

# ---- detach and reattach
ends 0 detach 7
is "it was carried out" "$(told)" Detach
is "and says nothing" "$out" ""
ends 0 reattach 7
is "and back" "$(told)" Reattach
ends 0 detach --dry-run 7 12
is "the plan is a table" "$out" "DEVICE       STEP   FROM     TO       TEXT
0000:00:05.0 stay   vfio-pci vfio-pci It stays.
0000:00:05.1 unbind e1000e   -        Driver \\x1b[31m moves."
ends 0 reattach -n 7
like "that of reattach too" "$out" "*0000:00:05.1 bind *- *e1000e *"
ends 0 detach --dry-run --json 7
is "in JSON" "$(json '[.[] | [.device, .step, .from, .to]]')" \
    '[["0000:00:05.0","stay","vfio-pci","vfio-pci"],["0000:00:05.1","unbind","e1000e",""]]'
ends 0 detach --dry-run idle
is "an empty plan" "$out" "nothing to do"
ends 0 detach --dry-run --json idle
is "in JSON, too" "$(json .)" "[]"
for verb in detach reattach; do
    run "$verb" echo
    like "$verb sends no option of its own" "$err" "dmaownctl: $verb: *InvalidOption"
    run "$verb" --wait 2m echo
    is "$verb waits" "$err" "dmaownctl: $verb: wait=t:120 "
    run "$verb" --wait 0 echo
    is "$verb does not wait" "$err" "dmaownctl: $verb: wait=t:0 "
    run "$verb" --dry-run -w 5 -o new=text echo
    is "the plan of $verb has the same options" "$err" "dmaownctl: $verb: wait=t:5 new=s:text "
    ends 2 "$verb"
    ends 2 "$verb" --wait soon 7
    ends 2 "$verb" --json 7
    for pair in DeviceInUse:4 SwitchFailed:4 NotViable:4 Busy:5 AlreadyOwned:5 PolicyDenied:3 \
        NotHolder:3 NoSuchTarget:6; do
        ends "${pair#*:}" "$verb" "error:${pair%:*}"
        ends "${pair#*:}" "$verb" --dry-run "error:${pair%:*}"
    done
done
run reattach --reattach-unreset echo
is "unreset" "$err" "dmaownctl: reattach: reattach_unreset=b:1 "
ends 2 detach --reattach-unreset 7

# ---- the options of a claim
run claim --detach --reattach echo
is "claim switches" "$err" "dmaownctl: claim: lifetime=s:persistent detach=b:1 reattach=b:1 "
run hold --detach --reattach echo
is "hold switches" "$err" "dmaownctl: hold: lifetime=s:connection detach=b:1 reattach=b:1 "
run run --detach --reattach echo -- true
is "run switches" "$err" "dmaownctl: run: lifetime=s:fd detach=b:1 reattach=b:1 "
run explain --detach echo
is "explain asks for it" "$err" "dmaownctl: explain: lifetime=s:persistent detach=b:1 "
ends 2 explain --reattach 7
ends 0 show 7
like "show tells the uses" "$out" "*eth0 has the address 10.0.2.15/24, and a route; nvme0n1 is mounted*"

# ---- reserve
config=$work/config
folder=$config/policy.d
mkdir "$config"
# kept NAME FILTER: of the file for a device.
kept() { jq -cr "$2" "$folder/reserve-$1.json" 2>&1 || :; }
# files: what is in the folder, odd names and all.
files() { (cd "$folder" && shopt -s dotglob nullglob && echo *); }

ends 0 reserve --config "$config" 12
is "reserve prints the file" "$(head -n 1 <<< "$out")" "$folder/reserve-0000:00:05.2.json"
is "nothing else is there" "$(files)" "reserve-0000:00:05.2.json"
is "its rule" "$(kept 0000:00:05.2 '.rules[0]')" '{"name":"reserve-0000_00_05.2","effect":"allow",'\
'"match":{"bus":"pci","name":"0000:00:05.2"},"detach":true,"reserve":true}'
is "everybody may read it" "$(stat -c %a "$folder/reserve-0000:00:05.2.json")" 644
ends 0 policy check --config "$config"
ends 4 reserve --config "$config" 0000:00:05.0
like "what is in use is refused" "$err" "*Device 0000:00:05.1 speaks. Or say --even-if-used*"
is "and nothing is written" "$(files)" "reserve-0000:00:05.2.json"
ends 0 reserve --config "$config" --even-if-used --user root -u 1000 --group root \
    --vfio-driver vfio-pci 7 0000:00:05.0
is "one file for a group" "$(files)" "reserve-0000:00:05.0.json reserve-0000:00:05.2.json"
is "with all that was said" "$(kept 0000:00:05.0 '.rules[0] | del(.name, .effect)')" \
    '{"match":{"bus":"pci","name":["0000:00:05.0","0000:00:05.1"]},"subjects":{"users":["root","1000"],'\
'"groups":["root"]},"detach":true,"reserve":true,"vfio_driver":"vfio-pci"}'
ends 0 policy check --config "$config"
is "two rules" "$out" "2 rules, no errors"
ends 0 reserve --config "$config" --even-if-used --user 1000 7
is "again: the new rule" "$(kept 0000:00:05.0 '.rules[0].subjects')" '{"users":["1000"]}'

# ---- reserve: what it refuses
ends 2 reserve --config "$config" --user no-such-user 12
ends 2 reserve --config "$config" --group no-such-group 12
ends 2 reserve --config "$config"
ends 6 reserve --config "$config" 99
ends 6 reserve --config "$config" 12 99
run reserve --config "$config" --vfio-driver "no driver" 12
is "a faulty rule" "$status" 1
like "says where" "$err" "$folder/reserve-0000:00:05.2.json:*: error: *vfio_driver*nothing was written*"
ends 1 reserve --config "$work/none" 12
if [ "$(id -u)" -ne 0 ]; then
    ends 3 reserve 12
    ends 3 unreserve 12
fi
cat > "$config/policy.json" <<'END'
{ "version": 1, "rules": [
  { "name": "no-nics", "effect": "deny", "match": { "bus": "pci" }, "subjects": { "users": [1000] } } ] }
END
run reserve --config "$config" --user 1000 12
is "a policy with an error" "$status" 1
like "a rule that never applies" "$err" \
    "*reserve-0000:00:05.2.json:*\"reserve-0000_00_05.2\"*can never apply*\"no-nics\"*already*policy check*"
rm "$folder/reserve-0000:00:05.0.json"
before=$(cat "$folder"/*)
run reserve --config "$config" --user 1000 12
is "a policy that would have an error" "$status" 1
like "when only the new one is at fault" "$err" "*can never apply*would have an error*"
is "nothing was written" "$(cat "$folder"/*)" "$before"
is "nothing is left behind" "$(files)" "reserve-0000:00:05.2.json"
ends 0 reserve --config "$config" --user 1001 12
sed -i 's/deny/allow/' "$config/policy.json"
ends 0 reserve --config "$config" --user 1000 12
like "who may claim is another matter" "$err" \
    "$folder/reserve-0000:00:05.2.json:*warning*only its \"reserve\" counts*\"no-nics\"*"
ends 0 policy check --config "$config"
rm "$config/policy.json"

# ---- unreserve
ends 0 reserve --config "$config" --even-if-used 7
ends 0 unreserve --config "$config" 0000:00:05.1
like "by any device of the group" "$out" "$folder/reserve-0000:00:05.0.json is removed.*until 'dmaownctl reattach'*"
is "the other stays" "$(files)" "reserve-0000:00:05.2.json"
ends 6 unreserve --config "$config" 0000:00:05.0
like "not reserved" "$err" "*no file of 'dmaownctl reserve'*0000:00:05.0*"
ends 6 unreserve --config "$config" platform/0000:00:05.2
ends 0 unreserve --config "$config" 12
is "by the group" "$(files)" ""
for target in pci/0000:00:05.2 /sys/bus/pci/devices/0000:00:05.2 /sys/devices/pci0000:00/0000:00:05.2; do
    ends 0 reserve --config "$config" 12
    echo "no JSON" > "$folder/reserve-broken.json"
    ends 0 unreserve --config "$config" "$target"
    is "by $target, beside a file that is no policy" "$(files)" "reserve-broken.json"
    rm "$folder/reserve-broken.json"
done
cat > "$folder/by-hand.json" <<'END'
{ "version": 1, "rules": [
  { "name": "by-hand", "effect": "allow", "match": { "name": "0000:00:05.2" }, "reserve": true } ] }
END
ends 6 unreserve --config "$config" 0000:00:05.2
is "what others wrote stays" "$(files)" "by-hand.json"
rm "$folder/by-hand.json"

# ---- without a daemon
ends 0 reserve --config "$config" 12
kill "$daemon_pid"
wait "$daemon_pid" 2> /dev/null || :
ends 7 reserve --config "$config" 12
ends 0 unreserve --config "$config" 0000:00:05.2
like "unreserve does without" "$err" "*cannot be reached*reads the policy when it starts*"
is "and it is gone" "$(files)" ""
finish
