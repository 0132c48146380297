#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A grant survives the daemon; what is dead is ended; a state file may be anything.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
start
recorded() { grep -cE "DMAOWND_EVENT=$1 (.* )?DMAOWND_LEASE=$2( |\$)" "$log" || :; }

# ---- SIGKILL and restart
nine=$(claim alice 9 key s job comment s "kept")
eight=$(claim alice 8 ttl t 3600)
hold alice "$CALLER" hold 11
eleven=$held
works "kill" service kill
works "access stays without a daemon" can_open alice 9
fails "for nobody else" can_open bob 9
works "it starts again" service start
is "a persistent lease is back" "$(lease "$nine" State) $(lease "$nine" Uid) $(lease "$nine" Rule)" "active 1001 nics"
is "with what was said" "$(lease "$nine" Comment)" kept
is "and its key" "$(claim alice 9 key s job)" "$nine"
is "one with a time" "$(lease "$eight" State)" active
is "one of a connection that lives" "$(lease "$eleven" State)" active
refused "still owned" AlreadyOwned claim bob 9
works "access" can_open alice 9
is "each on record, once" "$(recorded recovered "${nine##*/}") $(recorded recovered "${eight##*/}") $(recorded recovered "${eleven##*/}")" "1 1 1"
release_hold
eventually "the connection's end is seen after a restart" gone "$eleven"
fails "and access taken" can_open alice 11

# ---- Dead while it was away
hold alice "$CALLER" hold 11
eleven=$held
service kill > /dev/null
release_hold
manager_less=$(stat -c %a /dev/vfio/11)
is "nobody takes it back meanwhile" "$manager_less" 660
fakectl unbind 0000:02:00.0
works "start" service start
eventually "a connection that has gone is ended" gone "$eleven"
eventually "a group without VFIO driver is ended" gone "$eight"
fails "access" can_open alice 11
is "on record" "$(recorded ended "${eleven##*/}") $(recorded ended "${eight##*/}")" "1 1"
is "the other stays" "$(lease "$nine" State)" active
fakectl bind 0000:02:00.0 vfio-pci

# ---- The group's number changed hands meanwhile
twelve=$(claim alice 12)
service kill > /dev/null
fakectl regroup fff50000.ethernet 33
fakectl unbind fff50000.ethernet
fakectl bind fff50000.ethernet vfio-platform
fakectl device pci 0000:09:00.0 vendor=0x8086 product=0x10d3 class=0x020000 driver=vfio-pci group=12
works "start" service start
fails "a newcomer under the old number is nobody's" can_open alice 12
is "nor is it owned" "$(group 12 Owner)" none
like "the lease is with its device, or ended" "$(lease "$twelve" Groups 2>&1 || :)" "group/33|Unknown object"
manager Release o "$twelve" > /dev/null 2>&1 || :
fakectl remove 0000:09:00.0

# ---- A member that moved meanwhile, into somebody else's group or a new one
fakectl unbind 0000:00:07.0
fakectl bind 0000:00:07.0 vfio-pci
within is_output vfio1 property $root/device/pci_2f0000_3a00_3a07_2e0 Device VfioDevice || :
for group in 8 40; do
    eight=$(claim bob 8)
    eleven=$(claim alice 11)
    service kill > /dev/null
    fakectl remove 0000:00:07.0
    fakectl device pci 0000:00:07.0 vendor=0x8086 product=0x10d3 class=0x020000 native=e1000e driver=vfio-pci group=$group
    works "start" service start
    is "the other's lease is untouched" "$(lease "$eight" State 2> /dev/null) $(lease "$eight" Uid 2> /dev/null)" "active 1002"
    works "and its access" can_open bob 8
    fails "which the one that moved does not get" can_open alice 8
    is "the lease stays with its group" "$(lease "$eleven" Groups 2> /dev/null)" "[\"$root/group/11\"]"
    fails "and gets no other" can_open alice $group
    manager Release o "$eight" > /dev/null 2>&1 || :
    manager Release o "$eleven" > /dev/null 2>&1 || :
    fails "at its end its group is closed" can_open alice 11
    fakectl remove 0000:00:07.0
    fakectl device pci 0000:00:07.0 vendor=0x8086 product=0x10d3 class=0x020000 native=e1000e driver=vfio-pci group=11
    becomes "all is as before" "true " verdict alice 11
done
fakectl unbind 0000:00:07.0
fakectl bind 0000:00:07.0 pci-stub

# ---- The node was touched meanwhile
service kill > /dev/null
setfacl -b /dev/vfio/9
works "start" service start
eventually "access that was lost comes back" can_open alice 9
service kill > /dev/null
chmod 0666 /dev/vfio/9
works "start" service start
becomes "and too much of it goes" 660 stat -c %a /dev/vfio/9

# ---- restart, stop
works "restart" service restart
is "the lease" "$(lease "$nine" State)" active
works "stop" service stop
works "stop leaves access" can_open alice 9
works "start" service start
is "the lease" "$(lease "$nine" State)" active
works "release" manager Release o "$nine"
last=${nine##*/}

# ---- While it drains
nine=$(claim alice 9)
[ "${nine##*/}" -gt "$last" ] && pass "ids go on" || fail "ids go on" "$nine after $last"
hold alice "$FAKEKERNEL/fakectl" hold /dev/vfio/9
manager Release o "$nine" > /dev/null
service kill > /dev/null
works "start" service start
is "a draining lease drains on" "$(lease "$nine" State)" draining
refused "Busy" Busy claim bob 9
release_hold
eventually "and ends" gone "$nine"
service kill > /dev/null
works "start" service start
eventually "an ended one does not come back" gone "$nine"
works "nor is its group owned" claim bob 9

# ---- A service manager that hangs, while the device of a unit's lease goes
systemd unit machine-a.scope active
begin unit alice claim 11 lifetime=unit unit=machine-a.scope
eleven=$(lease_of "$said")
end unit
service kill > /dev/null
systemd hang
asked=$(times "^asked .*machine_2da" /run/systemd.out)
was_asked() { [ "$(times "^asked .*machine_2da" /run/systemd.out)" -gt "$asked" ]; }
has_name() { busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus NameHasOwner s $bus_name | grep -q true; }
service start > /dev/null &
starter=$!
eventually "a unit's lease is found again, and the service manager asked" was_asked
fakectl unbind 0000:00:07.1
eventually "what is ended for another reason is not waited for" has_name
wait $starter && pass "the daemon has started" || fail "the daemon has started"
is "the lease has ended" "$(recorded ended "${eleven##*/}") $(group 11 Owner)" "1 none"
end systemd
fakectl bind 0000:00:07.1 vfio-pci

# ---- A second daemon
is "a second one ends" "$(timeout 10 "$DMAOWND" --config "$config" --foreground > /run/second 2>&1; echo $?)" 1
[ -s /run/second ] && pass "and says why" || fail "and says why"
is "with its own state too" "$(timeout 10 "$DMAOWND" --config "$config" --state /run/other --foreground > /run/second 2>&1; echo $?)" 1
works "the first one lives" is_running
works "and answers" manager ListGroups
is "the lease is there" "$(property $root Manager LeaseCount)" 1

# ---- State files
state=$(find /run/dmaownd -name '*.json' -size +0)
[ -n "$state" ] && pass "there is a state file" || fail "there is a state file" "$(ls -la /run/dmaownd)"
is "for root alone" "$(stat -c %a /run/dmaownd) $(stat -c %a "$state")" "700 600"
service kill > /dev/null
cp "$state" /run/saved
# starts_with NAME: with the state that is there; then the saved one is put back.
starts_with() {
    works "$1: the daemon starts" service start
    works "$1: and answers" manager ListGroups
    like "$1: group 9 is judged" "$(verdict alice 9)" "^(true|false) "
    service kill > /dev/null
    cp /run/saved "$state"
    setfacl -b /dev/vfio/9 2> /dev/null || :
}
size=$(stat -c %s "$state")
for length in 0 1 $((size / 3)) $((size / 2)) $((size - 2)); do
    truncate -s "$length" "$state"
    starts_with "cut to $length of $size bytes"
done
head -c 65536 /dev/urandom > "$state"
starts_with "random bytes"
printf '[%.0s' {1..100000} > "$state"
starts_with "very deep"
echo garbage > "$state"
setfacl -m u:1001:rw,m:rw /dev/vfio/9
works "a lease whose state was lost: the daemon starts" service start
fails "its access is taken back" can_open alice 9
works "and its end is on record" grep -qE "DMAOWND_EVENT=ended DMAOWND_GROUP=9 .*DMAOWND_REASON=not-recovered" "$log"
service kill > /dev/null
cp /run/saved "$state"
rm "$state"; mkdir "$state"
works "a directory: the daemon starts or says why" bash -c "'$FAKEKERNEL/fakectl' service start dmaownd || tail -n 3 $log | grep -qi state"
service kill > /dev/null
rm -rf "$state"
sed 's/"boot_id": *"[^"]*"/"boot_id":"00000000-0000-0000-0000-000000000000"/; s/"boot": *"[^"]*"/"boot":"00000000-0000-0000-0000-000000000000"/' /run/saved > "$state"
cmp -s /run/saved "$state" && fail "the state names the boot" "$(cat /run/saved)" || pass "the state names the boot"
works "another boot: the daemon starts" service start
is "no lease of another boot is back" "$(property $root Manager LeaseCount)" 0
is "and no access left" "$(stat -c %a /dev/vfio/9)" 600
service kill > /dev/null
sed 's/1002/0/g; s/0000:00:08.0/..\/..\/etc\/passwd/g' /run/saved > "$state"
starts_with "hostile names"
works "start" service start

# ---- The bus goes away and comes back
within manager ListGroups
for path in $(busctl tree --list $bus_name | grep lease/); do manager Release o "$path" > /dev/null; done
becomes "nothing is left" 0 property $root Manager LeaseCount
nine=$(claim alice 9)
hold alice "$CALLER" hold 11
fakectl service kill bus > /dev/null
works "access stays without a bus" can_open alice 9
rm -f /run/dbus/system_bus_socket
works "the bus comes back" fakectl service start bus
is_running || { within bash -c "! '$FAKEKERNEL/fakectl' service status dmaownd | grep -q active"; service start > /dev/null; }
eventually "so does the daemon" manager ListGroups
is "with the lease" "$(lease "$nine" State)" active
becomes "but not that of a connection of the other bus" none group 11 Owner
is "nor its access" "$(stat -c %a /dev/vfio/11)" 600
release_hold
finish
