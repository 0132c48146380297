#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Containers: the specification follows the groups and the policy, and the hook claims for a container's process.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
: "${CDI:=$top_builddir/dmaownd-cdi}" "${OCI_HOOK:=$top_builddir/oci-hook}"
for program in "$CDI" "$OCI_HOOK"; do
    [ -x "$program" ] || { echo "Bail out! $program was not built"; exit 99; }
done
cdi=/run/cdi
spec=$cdi/dmaownd.org-group.json
mkdir -p $cdi
echo '{"another": "vendor"}' > $cdi/another.json

# root_may MATCH: root may have what matches.
root_may() {
    policy '{ "version": 1, "rules": [ { "name": "containers", "effect": "allow", "match": '"$1"',
        "subjects": { "users": ["root"] }, "modes": ["path"], "lifetimes": ["process"] } ] }'
}
reload() { manager Reload > /dev/null; }

# names: of the devices in the specification, "" without one; nodes: NAME NODE, one a line.
names() { [ ! -e $spec ] || jq -r '[.devices[].name] | join(" ")' $spec; }
node_of() { jq -r --arg name "$1" '.devices[] | select(.name == $name) | .containerEdits.deviceNodes[0].path' $spec; }
start_cdi() { fakectl service start dmaownd-cdi "$CDI" --directory $cdi --hook "$OCI_HOOK" "$@" > /dev/null; }
stop_cdi() { fakectl service stop dmaownd-cdi; }
cdi_pid() { fakectl service status dmaownd-cdi | awk 'NR == 1 { print $2 }'; }

# ---- The file follows the groups and the policy
echo "of a crash before" > $spec
works "starts without the daemon" start_cdi
is "without it nothing is published, and nothing old is left" "$(names)" ""
root_may '{ "bus": "pci" }'
start
all="0000:00:05.0 0000:00:06.1 0000:00:07.1 0000:00:08.0 0000:02:00.0"
becomes "what policy lets root have, on VFIO drivers" "$all" names
is "by the node of its group" "$(node_of 0000:00:05.0) $(node_of 0000:00:08.0)" "/dev/vfio/7 /dev/vfio/9"
is "anyone may read it" "$(stat -c '%a %U' $spec)" "644 root"
is "others' files are left alone" "$(cat $cdi/another.json)" '{"another": "vendor"}'
is "version and kind" "$(jq -r '.cdiVersion + " " + .kind' $spec)" "0.5.0 dmaownd.org/group"
is "the hooks' program" "$(jq -r '[.devices[].containerEdits.hooks[].path] | unique | join(" ")' $spec)" "$OCI_HOOK"
is "their words" "$(jq -c '.devices[0].containerEdits.hooks | map([.hookName] + .args)' $spec)" \
    '[["createRuntime","oci-hook","claim","0000:00:05.0","/dev/vfio/7"],["poststop","oci-hook","release","0000:00:05.0","/dev/vfio/7"]]'
fakectl unbind 0000:00:08.0
becomes "a device without its VFIO driver goes" "${all/ 0000:00:08.0/}" names
fakectl bind 0000:00:08.0 vfio-pci
becomes "and comes back" "$all" names
fakectl node 9 remove
becomes "a group without a node goes" "${all/ 0000:00:08.0/}" names
fakectl node 9 recreate
becomes "and comes back" "$all" names
root_may '{ "name": "0000:00:0[78].*" }'
reload
becomes "a new policy" "0000:00:07.1 0000:00:08.0" names
policy '{ "version": 1, "rules": [ { "name": "fds", "effect": "allow", "match": { "bus": "pci" }, "modes": ["fd"],
    "subjects": { "users": ["root"] } } ] }'
reload
becomes "no file where no device is allowed in this way" gone_file eval '[ -e $spec ] || echo gone_file'
is "but the folder stays" "$(ls $cdi)" another.json
root_may '{ "bus": "pci" }'
reload
becomes "and it comes back" "$all" names
echo "broken" > "$config/policy.json"
reload 2> /dev/null || :
root_may '{ "bus": "pci" }'
is "a policy that is refused changes nothing" "$(names)" "$all"

# ---- A number that becomes another's
fakectl remove 0000:00:08.0
fakectl device pci 0000:03:00.0 vendor=0x8086 product=0x10d3 class=0x020000 native=e1000e driver=vfio-pci group=9
becomes "a device that got the number has its own name" \
    "0000:00:05.0 0000:00:06.1 0000:00:07.1 0000:02:00.0 0000:03:00.0" names
is "and the old name is not in the file" "$(node_of 0000:03:00.0) $(node_of 0000:00:08.0)" "/dev/vfio/9 "
fakectl remove 0000:03:00.0
fakectl device pci 0000:00:08.0 vendor=0x8086 product=0x1521 class=0x020000 native=igb driver=vfio-pci group=9
becomes "back as it was" "$all" names

# ---- Nothing for nothing
within is_running
inode=$(stat -c '%i %Y' $spec)
lease=$(busctl --json=short call $bus_name $root org.dmaownd1.Manager Claim 'asa{sv}' 1 9 2 lifetime s process pid u $$ |
    jq -r '.data[0]')
like "a lease" "$lease" "^$root/lease/"
manager Release o "$lease" > /dev/null
within owner_is 9 none
# What it is told after that, it sees after that: a change that does show.
is "a lease leaves the file alone, and its device in it" "$(stat -c '%i %Y' $spec)" "$inode"
switches() { awk '/ctxt_switches/ { n += $2 } END { print n }' "/proc/$(cdi_pid)/status"; }
# Often enough in a row that a look that is due has come.
before=0 same=0
settled() {
    local now
    now=$(switches)
    same=$((now == before ? same + 1 : 0)) before=$now
    [ "$same" -ge 25 ]
}
eventually "it comes to rest" settled
before=$(switches)
for _ in 1 2 3 4 5; do manager ListGroups > /dev/null; done
is "others' questions do not wake it" "$(switches)" "$before"
# What it was asked until a change that it does look at came.
busctl --json=short monitor --match "type='method_call',member='Explain'" $bus_name > /run/explained 2> /run/explaining &
monitor=$!
within grep -q Monitoring /run/explaining
explained() { grep -c '"member":"Explain"' /run/explained || :; }
look() {
    fakectl unbind 0000:00:08.0
    becomes "a change" "${all/ 0000:00:08.0/}" names
    fakectl bind 0000:00:08.0 vfio-pci
    becomes "and back" "$all" names
    within settled
    same=0
}
look
once=$(explained)
for _ in 1 2 3; do
    lease=$(busctl --json=short call $bus_name $root org.dmaownd1.Manager Claim 'asa{sv}' 1 9 2 lifetime s process pid u $$ |
        jq -r '.data[0]')
    manager Release o "$lease" > /dev/null
    within owner_is 9 none
done
within settled
is "claims and releases make it ask nothing" "$(explained)" "$once"
kill $monitor
wait $monitor || :

# ---- Always whole
cat > /run/reader.py <<'P'
import json, os, sys
path, versions, broken = sys.argv[1], set(), 0
print("reading", flush=True)
while not os.path.exists("/run/reader.stop"):
    try:
        with open(path) as file:
            text, inode = file.read(), os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        continue
    try:
        broken += not (json.loads(text)["devices"] and text.endswith("}\n"))
    except ValueError:
        broken += 1
    versions.add(inode)
print("broken", broken, "many" if len(versions) > 5 else "few", flush=True)
P
python3 /run/reader.py $spec > /run/reader.out &
reader=$!
within grep -q reading /run/reader.out
for _ in 1 2 3 4 5; do
    fakectl unbind 0000:00:08.0
    becomes "a version" "${all/ 0000:00:08.0/}" names
    fakectl bind 0000:00:08.0 vfio-pci
    becomes "and the next" "$all" names
done
: > /run/reader.stop
wait $reader
is "a reader sees whole files only" "$(tail -n 1 /run/reader.out)" "broken 0 many"
is "no other file is left" "$(ls -A $cdi | paste -sd' ')" "another.json dmaownd.org-group.json"

# ---- The daemon goes and comes
service stop > /dev/null
becomes "without the daemon there is no file" "" names
# shellcheck disable=SC2119
service start > /dev/null
becomes "with it there is" "$all" names
service kill KILL > /dev/null 2>&1 || kill -KILL "$(daemon_pid)"
becomes "also when it was killed" "" names
within eval '! is_running'
service start > /dev/null
becomes "and is back" "$all" names
is "an end by SIGTERM is a good end" "$(stop_cdi)" "status 0"
is "and leaves no file" "$(ls -A $cdi)" another.json
works "start" start_cdi
becomes "again" "$all" names
pid=$(cdi_pid)
kill -KILL "$pid"
eventually "it is killed" eval '! kill -0 $pid'
is "and leaves a file" "$(names)" "$all"
works "which the unit removes" grep -qx "ExecStopPost=/.*/dmaownd-cdi --remove" "$top_builddir/systemd/dmaownd-cdi.service"
works "in this way" "$CDI" --directory $cdi --remove
is "and nothing else" "$(ls -A $cdi)" another.json
works "again, when there is none" "$CDI" --directory $cdi --remove
works "nor a folder" "$CDI" --directory $cdi/none --remove
fails "but not where there is no folder" "$CDI" --directory $cdi/another.json --remove
works "start" start_cdi
becomes "and it is there" "$all" names

# ---- The hook
# container ID DEVICE-NODE...: starts a process for it, and writes its bundle, with the nodes as the host has them.
declare -A process=()
container() {
    local id=$1 node numbers list=""
    shift
    mkdir -p "/run/bundles/$id"
    for node; do
        numbers=$(stat -c '"major": %Hr, "minor": %Lr' "$node")
        list+="${list:+, }{ \"path\": \"$node\", \"type\": \"c\", $numbers }"
    done
    echo "{ \"linux\": { \"devices\": [ $list ] } }" > "/run/bundles/$id/config.json"
    sleep 1000 &
    process[$id]=$!
}
state() { # state ID [PID]
    echo "{\"ociVersion\":\"1.0\",\"id\":\"$1\",\"pid\":${2:-${process[$1]}},\"bundle\":\"/run/bundles/$1\",\"status\":\"created\",\"annotations\":{\"a\":\"b\"}}"
}
# hook ID VERB DEVICE NODE: sets $status and $said.
hook() {
    status=0
    said=$(state "$1" | "$OCI_HOOK" "${@:2}" 2>&1) || status=$?
}
stop() { kill -KILL "${process[$1]}"; wait "${process[$1]}" 2> /dev/null || :; }
lease_of() { group "$1" Lease; }
leases() { property $root Manager LeaseCount; }

container one /dev/vfio/9
hook one claim 0000:00:08.0 /dev/vfio/9
is "claims" "$status $said" "0 "
lease=$(lease_of 9)
is "for the container's process" "$(lease "$lease" Lifetime) $(lease "$lease" Pid)" "process ${process[one]}"
is "and says for which" "$(lease "$lease" Comment)" "container one"
is "by root, for root" "$(lease "$lease" ClaimantUid) $(lease "$lease" Uid) $(lease "$lease" Mode)" "0 0 path"
hook one claim 0000:00:08.0 /dev/vfio/9
is "the same again is the same lease" "$status $(lease_of 9) $(leases)" "0 $lease 1"
container two /dev/vfio/9
hook two claim 0000:00:08.0 /dev/vfio/9
is "another container is refused" "$status" 1
like "with dmaownd's sentence" "$said" "^dmaownd: Group 9 is owned by uid 0 "
like "and with the holder" "$said" "\"container one\""
eventually "the journal has it under the container" grep -aq 'CONTAINER_ID_FULL=two' "$journal"
works "as this program's" grep -aq 'SYSLOG_IDENTIFIER=dmaownd-oci-hook' "$journal"
hook two release 0000:00:08.0 /dev/vfio/9
is "releases nothing of another's" "$status $(lease_of 9)" "0 $lease"
hook one release 0000:00:08.0 /dev/vfio/9
is "releases" "$status$said $(lease_of 9) $(group 9 Owner)" "0 / none"
hook one release 0000:00:08.0 /dev/vfio/9
is "and again" "$status$said" "0"
hook two claim 0000:00:08.0 /dev/vfio/9
is "then another gets it" "$status" 0
stop two
eventually "a container that is killed frees its group" owner_is 9 none
process[two]=0
hook two release 0000:00:08.0 /dev/vfio/9
is "releases nothing, with pid 0 as runtimes say it" "$status$said" 0

# Two containers with one id, of two runtimes, and the same one that starts again
container again /dev/vfio/9
hook again claim 0000:00:08.0 /dev/vfio/9
lease=$(lease_of 9)
old=${process[again]}
container again /dev/vfio/9
hook again claim 0000:00:08.0 /dev/vfio/9
is "another of the same id is refused while the first one runs" "$status" 1
like "by the process" "$said" "^dmaownd: The group is leased for process $old, of another container with the id again: "
hook again release 0000:00:08.0 /dev/vfio/9
is "and when it stops" "$status$said" 0
is "the lease is the first one's" "$(lease_of 9) $(lease "$lease" Pid) $(lease "$lease" State)" "$lease $old active"
kill -STOP "$(daemon_pid)"
kill -KILL "$old"
wait "$old" 2> /dev/null || :
# The daemon sees the end, and the question, when it runs again: in either order.
state again | "$OCI_HOOK" claim 0000:00:08.0 /dev/vfio/9 > /run/again 2>&1 &
claiming=$!
kill -CONT "$(daemon_pid)"
status=0
wait $claiming || status=$?
is "when the first one is dead it gets the group" "$status $(cat /run/again)" "0 "
is "with a lease of its own" "$(lease "$(lease_of 9)" Pid)" "${process[again]}"
root_may '{ "bus": "pci" }'
sed -i 's/"lifetimes": .*\]/"lifetimes": ["process", "persistent"] } ]/' "$config/policy.json"
reload
lease=$(lease_of 9)
works "a lease that root keeps" busctl call $bus_name "$lease" org.dmaownd1.Lease SetLifetime 'a{sv}' 1 lifetime s persistent
hook again claim 0000:00:08.0 /dev/vfio/9
is "is not the container's: it is released, and there is a new one" "$status$said $(lease "$(lease_of 9)" Pid)" "0 ${process[again]}"
unlike "with another number" "$(lease_of 9)" "^$lease\$"
root_may '{ "bus": "pci" }'
reload
stop again
eventually "and ends with it" owner_is 9 none

# ---- Two devices of one group
echo 0000:00:05.1 > /sys/bus/pci/drivers/e1000e/unbind
fakectl bind 0000:00:05.1 vfio-pci
becomes "both are there" "0000:00:05.0 0000:00:05.1 ${all#* }" names
container pair /dev/vfio/7 /dev/vfio/9
hook pair claim 0000:00:05.0 /dev/vfio/7
is "the first" "$status$said" 0
hook pair claim 0000:00:05.1 /dev/vfio/7
is "and the second of one group" "$status$said" 0
hook pair claim 0000:00:08.0 /dev/vfio/9
is "and one of another group" "$status$said" 0
is "are two leases" "$(leases)" 2
hook pair release 0000:00:05.0 /dev/vfio/7
hook pair release 0000:00:05.1 /dev/vfio/7
is "releases" "$status$said $(group 7 Owner)" "0 none"
stop pair
eventually "and the other ends by itself" owner_is 9 none

# ---- A container that was created for something else
container old /dev/vfio/9
fakectl remove 0000:00:08.0
fakectl device pci 0000:03:00.0 vendor=0x8086 product=0x10d3 class=0x020000 native=e1000e driver=vfio-pci group=9
fakectl device pci 0000:00:08.0 vendor=0x8086 product=0x1521 class=0x020000 native=igb driver=vfio-pci group=14
eventually "its device has another group now" owner_is 14 none
hook old claim 0000:00:08.0 /dev/vfio/9
is "is refused" "$status" 1
like "with a way out" "$said" "/dev/vfio/9, which is not the node of 0000:00:08.0 now; that is /dev/vfio/14: create it anew"
becomes "and has nothing" 0 leases
becomes "also of the group that it claimed" none group 14 Owner
sed -i 's/"minor": [0-9]*/"minor": 99/' /run/bundles/old/config.json
hook old claim 0000:03:00.0 /dev/vfio/9
is "a node of another number is refused" "$status" 1
like "with both" "$said" "The container's /dev/vfio/9 is device [0-9]+:99, and the host's is [0-9]+:[0-9]+ now"
becomes "and has nothing" 0 leases
becomes "and the group is free" none group 9 Owner
container none /dev/vfio/7
hook none claim 0000:03:00.0 /dev/vfio/9
is "a container without the node is refused" "$status $said" "1 dmaownd: The container has no node /dev/vfio/9."
fakectl remove 0000:03:00.0
hook old claim 0000:03:00.0 /dev/vfio/9
is "a device that has gone is refused" "$status" 1
like "by its name" "$said" "0000:03:00.0"
hook old release 0000:03:00.0 /dev/vfio/9
is "but its release is none" "$status$said" 0

# ---- Policy, and what is no state
root_may '{ "name": "0000:00:05.0" }'
reload
hook none claim 0000:00:07.1 /dev/vfio/11
is "a container without the node never asks" "$status" 1
container denied /dev/vfio/11
hook denied claim 0000:00:07.1 /dev/vfio/11
is "policy" "$status" 1
like "says no" "$said" "^dmaownd: .*0000:00:07\.[01].*(rule|policy)"
bad() { # bad NAME INPUT PATTERN
    status=0
    said=$("$OCI_HOOK" claim 0000:00:05.0 /dev/vfio/7 <<< "$2" 2>&1) || status=$?
    is "$1" "$status" 1
    like "is said" "$said" "$3"
}
bad "no state" "" "JSON object"
bad "a process that is not there" "$(state denied 4194304)" "process 4194304"
bad "no process" "$(state denied 0)" "no process"
bad "no bundle" '{"id":"x","pid":1,"bundle":"/nonexistent"}' "/nonexistent/config.json"
bad "an unknown bundle, as crun has with mapped users" '{"id":"x","pid":1,"bundle":"/"}' "user namespace"
fails "words" "$OCI_HOOK" claim 0000:00:05.0 < /dev/null
fails "other words" "$OCI_HOOK" keep 0000:00:05.0 /dev/vfio/7 < /dev/null
fails "a node that is none of a group" "$OCI_HOOK" claim 0000:00:05.0 /dev/vfio/vfio < /dev/null
service stop > /dev/null
container alone /dev/vfio/7
hook alone claim 0000:00:05.0 /dev/vfio/7
is "without the daemon nothing starts" "$status" 1
like "and it says so" "$said" "^dmaownd: dmaownd cannot be reached"
hook alone release 0000:00:05.0 /dev/vfio/7
is "but everything stops" "$status" 0
finish
