#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Devices without a group: it forms when VFIO's driver probes them, and is judged then; what shares their
# stream is kept from drivers meanwhile.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/devicetree.scenario
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
. "$(dirname "$0")/switch.sh"
. "$(dirname "$0")/devicetree-lib.sh"
modules
policy '{ "version": 1, "rules": [
    { "name": "never", "effect": "deny", "match": { "name": ["soc:noreg", "701a3000.shd"] }, "subjects": { "users": ["alice"] } },'"${devicetree_policy#*[}"
start
watch_signals
before=$(snapshot)
# differs: what is not as before.
differs() { diff <(echo "$before") <(snapshot) | sed -n '/^[<>]/p'; }

# replug DEVICE NODE: as at boot, without a group.
replug() {
    unplug "$1"
    fakectl device platform "$1" "node=$2" driver=none
    within is_output "" group_of "$1"
}
# device_of NAME PROPERTY
device_of() { property "$(device_path "$(encoded "$1")")" Device "$2"; }
encoded() { sed 's/\./_2e/g; s/:/_3a/g' <<< "$1"; }
# unplug DEVICE: and waits for the daemon to know.
unplug() {
    fakectl remove "$1"
    within is_output "" device_path "$(encoded "$1")" || :
}

# ---- Detach
multie=700a6000.multie
is "it has no group" "$(device_of $multie Group) $(reason_of alice $multie)" "/ false no-group"
refused "a claim without detach" NotViable claim alice $multie
is "with it it could be had" "$(reason_of alice $multie detach b true)" "true "
planned=$(plan alice PlanDetach $multie)
is "the plan" "$(cut -f 1,2,4 <<< "$planned" | tr '\t' ' ' | paste -sd,)" "$multie override vfio-platform,$multie bind vfio-platform"
fakectl writes clear
works "detached" call alice Detach $multie
is "the writes are those of the plan" "$(writes_made)" "$(writes_of_plan <<< "$planned")"
group=$(group_of $multie)
is "a group has formed" "$(now $multie) $(device_of $multie Group) $(group "$group" Isolated)" "vfio-platform vfio-platform $root/group/$group true"
is "and can be had" "$(reason_of alice "$group") $(reason_of alice $multie)" "true  true "
is "it is on record" "$(events detached "$group")" 1
refused "back, by another" NotHolder call bob Reattach $multie
works "the daemon is killed" service kill
works "and starts" service start
works "back" call alice Reattach $multie
is "everything is as before, but for the group" "$(differs) $(group_of $multie)" " $group"
works "again, now that there is one" call alice Detach "$group"
works "and back" call alice Reattach "$group"
becomes "everything is as before" "" differs

# ---- Claim
dupsid=700ac000.dupsid
lease=$(claim alice $dupsid detach b true reattach b true)
group=$(group_of $dupsid)
is "the lease has the group that formed" "$(lease "$lease" Groups) $(can_open alice "$group")" "[\"$root/group/$group\"] 0x1"
is "on record" "$(events granted "$group")" 1
manager Release o "$lease" > /dev/null
within gone "$lease"
becomes "at its end it goes back" "" differs
lease=$(claim alice 0000:00:05.0 detach b true reattach b true)
is "a PCI function" "$(now 0000:00:05.0) $(lease "$lease" Groups)" "vfio-pci vfio-pci [\"$root/group/$(group_of 0000:00:05.0)\"]"
manager Release o "$lease" > /dev/null
within gone "$lease"
becomes "at its end it goes back" "" differs
multie_group=$(group_of $multie)
replug $multie /soc/multie@700a6000
lease=$(claim alice "$multie" detach b true)
is "two targets at once, or one twice, are one" "$(lease "$lease" Groups)" "[\"$root/group/$multie_group\"]"
manager Release o "$lease" > /dev/null
within gone "$lease"
works "reattached" call alice Reattach $multie
becomes "everything is as before" "" differs

# ---- What does not hold is refused before, or undone afterwards
fakectl writes clear
refused "what policy denies is not touched" PolicyDenied call alice Detach soc:noreg
refused "nor what has no driver of VFIO's" NotViable call alice Detach 700aa000.unusable
refused "nor one without an IOMMU" NotViable call alice Detach 700af000.noio
is "no write" "$(fakectl writes count)" 0
refused_once "one that the IOMMU does not take" SwitchFailed call alice Detach 700ab000.bigsid
becomes "is put back" "" differs
becomes "and forgotten" 0 records
fakectl driver platform vfio-platform refuse=EIO only=$dupsid
replug $dupsid /soc/dupsid@700ac000
refused_once "one that the driver does not take" SwitchFailed call alice Detach $dupsid
becomes "is put back" "" differs
fakectl driver platform vfio-platform refuse=none
refused_once "a stream that somebody else has" SwitchFailed call alice Detach 700a3000.samed
becomes "is put back" "" differs

# ---- What forms is judged in full
rev=701a5000.rev
she=701a4000.she
shc_group=$(group_of 701a2000.shc)
refused_once "it comes into a group with what policy denies" PolicyDenied call alice Detach $rev
becomes "is put back" "" differs
is "and is in it" "$(group_of $rev)" "$shc_group"
replug $rev /soc/rev@701a5000
refused_once "with what the host drives" KernelHeld call bob Detach $rev
becomes "is put back" "" differs
is "and is in it" "$(group_of $rev)" "$shc_group"
like "and told" "$(grep -E 'DMAOWND_EVENT=(switch-failed|detached|reattached)' "$log" | tail -n 1)" "DMAOWND_GROUP=$shc_group"
within not_switching "$shc_group"
works "now that it is in there, with all of them" call bob Detach $rev
is "they are away" "$(now $rev) $(now 701a2000.shc) $(now 701a3000.shd)" "vfio-platform vfio-platform vfio-platform vfio-platform vfio-platform vfio-platform"
works "and back" call bob Reattach $rev
becomes "everything is as before" "" differs
replug $rev /soc/rev@701a5000
refused_once "a group of its own, though not its own stream" NotViable call alice Detach $she
becomes "is put back" "" differs
eventually "but it has formed" eval "sharing alice $she detach b true | grep -q '$she split 701a2000.shc true'"
replug $she /soc/she@701a4000
becomes "and is gone" true isolated 701a2000.shc
refused_once "nor claimed" NotViable claim alice $she detach b true
becomes "is put back" "" differs
replug $she /soc/she@701a4000
lease=$(claim bob $she detach b true)
like "who does not require isolation has it, on record" "$(grep 'DMAOWND_EVENT=granted' "$log" | tail -n 1)" "DMAOWND_REASON=split"
manager Release o "$lease" > /dev/null
within gone "$lease"
works "reattached" call bob Reattach $she
becomes "everything is as before" "" differs
replug $she /soc/she@701a4000

# ---- The guard: what shares the stream
latef=700a7000.latef
lateg=700a8000.lateg
works "detached" call alice Detach $latef
becomes "the other one is pinned" "- dmaownd-held" now $lateg
is "which stands in nobody's way" "$(reason_of alice $latef) $(isolated $latef)" "true  true"
echo $lateg > /sys/bus/platform/drivers_probe
is "no driver takes it" "$(now $lateg)" "- dmaownd-held"
works "reattached" call alice Reattach $latef
becomes "it is free again" "" differs
lease=$(claim alice $latef detach b true)
becomes "of a lease, too" "- dmaownd-held" now $lateg
refused "it can not be had meanwhile" NotViable call alice Detach $lateg
works "the daemon is killed" service kill
works "and starts" service start
is "it stays so" "$(now $lateg) $(lease "$lease" State)" "- dmaownd-held active"
: > $signals
fakectl driver platform amd-xgbe
printf amd-xgbe 1<> /sys/bus/platform/devices/$lateg/driver_override
echo $lateg > /sys/bus/platform/drivers_probe
eventually "a driver that is bound all the same is a conflict" signalled "^Conflict .*$lateg.*amd-xgbe"
within not_switching $lateg
is "whoever moves what was pinned is not fought" "$(driver $lateg)" amd-xgbe
is "the lease is not touched" "$(lease "$lease" State) $(events conflict "$(group_of $latef)")" "active 1"
unplug $lateg
fakectl device platform $lateg node=/soc/lateg@700a8000 driver=none
becomes "what comes while it is leased is pinned" "- dmaownd-held" now $lateg
unplug $lateg
: > $signals
fakectl device platform $lateg node=/soc/lateg@700a8000 native=amd-xgbe
eventually "and told of when its driver was faster" signalled "^Conflict .*$lateg.*amd-xgbe"
becomes "unbound and pinned" "- dmaownd-held" now $lateg
manager Release o "$lease" > /dev/null
within gone "$lease"
works "reattached" call alice Reattach $latef
becomes "its driver gets it" "amd-xgbe -" now $lateg
replug $latef /soc/latef@700a7000
replug $lateg /soc/lateg@700a8000

# ---- While it is being pinned
fakectl write-hang 1 "*/$lateg/driver_override"
works "detached" call alice Detach $latef
within something_hangs
refused "what is being pinned is busy" Busy call alice Detach $lateg
refused "for a claim, too" Busy claim bob $lateg detach b true
fakectl release
becomes "it is pinned" "- dmaownd-held" now $lateg
works "reattached" call alice Reattach $latef
becomes "everything is as before" "" differs
replug $latef /soc/latef@700a7000
replug $lateg /soc/lateg@700a8000

# ---- A crash on the way
for write in 1 2; do
    replug $multie /soc/multie@700a6000
    within is_output true eval "reason_of alice $multie detach b true | cut -d' ' -f 1"
    fakectl writes clear
    fakectl write-hang $write
    in_background away call alice Detach $multie
    within something_hangs
    works "killed at write $write" service kill
    fakectl release
    works "it starts" service start
    becomes "$write: everything is as before" "" differs
    becomes "$write: no record is left" 0 records
    becomes "$write: it can be had" "true " reason_of alice $multie detach b true
    eventually "$write: its caller was told" ended away
done
replug $multie /soc/multie@700a6000
fakectl write-hang 2
in_background away call alice Claim $multie detach b true lifetime s persistent
within something_hangs
service kill
service start
becomes "it starts while the probe hangs, and takes the override back" "- -" now $multie
is "which still hangs" "$(hung)" 1
fakectl release
becomes "a claim: everything is as before" "" differs
becomes "no record is left" 0 records
is "there is no lease" "$(property $root Manager LeaseCount)" 0
eventually "its caller was told" ended away

# ---- Two at once, of one stream
in_background first call alice Detach $latef
in_background second call alice Detach $lateg
eventually "both end" eval "ended first && ended second"
is "one of them is away" "$(cat /run/first.status /run/second.status | sort | paste -sd' ')" "0 1"
pinned=$latef
[ "$(cat /run/first.status)" = 1 ] || pinned=$lateg
becomes "the other is pinned" "- dmaownd-held" now $pinned
works "reattached" eval "call alice Reattach $latef || call alice Reattach $lateg"
becomes "everything is as before" "" differs

# ---- Two groups of one set, which two leases have: who is beside both stays pinned until both have ended
replug $rev /soc/rev@701a5000
works "one goes to userspace" call bob Detach $she
works "and the other" call bob Detach 701a2000.shc
one=$(claim bob $she)
other=$(claim bob 701a2000.shc)
unplug $rev
fakectl device platform $rev node=/soc/rev@701a5000 native=calxedaxgmac
becomes "who shares both streams is pinned" "- dmaownd-held" now $rev
: > $signals
manager Release o "$one" > /dev/null
within gone "$one"
works "one goes back" call bob Reattach $she
within not_switching "$(group_of $she)"
is "it is pinned for the other" "$(now $rev) $(lease "$other" State)" "- dmaownd-held active"
unlike "and no driver got it in between" "$(cat $signals)" "Conflict .*$rev"
manager Release o "$other" > /dev/null
within gone "$other"
works "the other goes back" call bob Reattach 701a2000.shc
becomes "and its driver gets it" "calxedaxgmac -" now $rev
works "the daemon lives" is_running
becomes "no record is left" 0 records
finish
