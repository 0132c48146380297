#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A claim that switches drivers first, and switches them back at the end of the lease.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/switch.scenario
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
. "$(dirname "$0")/switch.sh"
policy "$switch_policy"
start
watch_signals
before=$(snapshot)
as_before() { is_output "$before" snapshot; }
restored() {
    eventually "$1: everything is as before" as_before
    within not_switching 7 9 14
}
taken() { claim alice "$1" detach b true "${@:2}"; }

# ---- There
refused "without it the kernel has it" KernelHeld claim alice 7
lease=$(taken 7)
like "with it there is a lease" "$lease" "/lease/"
is "on VFIO" "$(now 0000:00:05.0) $(now 0000:00:05.1) $(now 0000:00:05.2)" "vfio-pci vfio-pci vfio-pci vfio-pci - dmaownd-held"
works "it opens" can_open alice 7
is "on record" "$(events detached 7) $(events granted 7)" "1 1"
refused "it stays so long" AlreadyOwned call alice Reattach 7
manager Release o "$lease" > /dev/null
eventually "it ends" gone "$lease"
is "without more it stays on VFIO" "$(now 0000:00:05.0)" "vfio-pci vfio-pci"
works "for the next claim" test -n "$(claim bob 7)"
manager Release o "$(busctl tree --list $bus_name | grep lease/ | tail -n 1)" > /dev/null
within is_output 0 property $root Manager LeaseCount
works "or back, by who detached it" call alice Reattach 7
restored "without reattach"

# ---- And back
lease=$(taken 7 reattach b true)
manager Release o "$lease" > /dev/null
eventually "it ends" gone "$lease"
restored "released"
becomes "on record" 2 events reattached 7
lease=$(taken 7 reattach b true)
hold alice "$FAKEKERNEL/fakectl" hold /dev/vfio/7
manager Release o "$lease" > /dev/null
is "while somebody has it open" "$(lease "$lease" State) $(now 0000:00:05.0)" "draining vfio-pci vfio-pci"
release_hold
restored "when it has drained"
works "the lease has ended" gone "$lease"

lease=$(taken 14 reattach b true ttl t 1)
is "for a second" "$(now 0000:00:1e.0)" "- dmaownd-held"
restored "expired"
begin job alice claim 7 9 lifetime=connection detach=b:true reattach=b:true
is "two groups" "$(now 0000:00:05.0) $(now 0000:00:08.0)" "vfio-pci vfio-pci vfio-pci vfio-pci"
end job
restored "disconnected"
begin job alice claim 7 mode=fd lifetime=fd container=b:true detach=b:true reattach=b:true
like "by descriptor" "$said" "group:7"
is "on VFIO" "$(now 0000:00:05.1)" "vfio-pci vfio-pci"
end job
restored "closed"

# ---- A call that is repeated
lease=$(taken 7 reattach b true key s job)
fakectl writes clear
is "gets the same lease" "$(taken 7 reattach b true key s job)" "$lease"
is "and nothing is written" "$(fakectl writes count)" 0
works "the daemon is killed" service kill
works "and starts" service start
is "the lease is back" "$(lease "$lease" State)" active
manager Release o "$lease" > /dev/null
restored "after a restart"
lease=$(taken 7 reattach b true)
works "the daemon is killed" service kill
fakectl unbind 0000:00:05.0
fakectl unbind 0000:00:05.1
works "and starts" service start
eventually "a lease whose devices have gone ends" gone "$lease"
eventually "the pin goes" is_output "- -" now 0000:00:05.2
call root Reattach 7 > /dev/null 2>&1 || :
for device in 0000:00:05.0 0000:00:05.1; do
    echo > "$(sysfs $device)/driver_override"
    echo $device > /sys/bus/pci/drivers_probe
done
restored "what somebody else moved"

# ---- Refused
fakectl writes clear
refused "a rule without detach" PolicyDenied taken 16
refused "what the host needs" DeviceInUse taken 18
refused "one of two" DeviceInUse as alice busctl call $bus_name $root org.dmaownd1.Manager Claim "asa{sv}" 2 7 18 2 lifetime s persistent detach b true
is "nothing was written" "$(fakectl writes count)" 0
refused "one that is another's" PolicyDenied claim bob 12 detach b true
fakectl driver pci vfio-pci refuse=EINVAL only=0000:00:05.1
refused "a driver that refuses" SwitchFailed taken 7
fakectl driver pci vfio-pci refuse=none
restored "a driver that refuses"
is "and there is no lease" "$(property $root Manager LeaseCount)" 0
fakectl fail-container 7 EBUSY
refused "a claim that fails when it is detached" ForeignOwner as alice busctl call $bus_name $root org.dmaownd1.Manager Claim 'asa{sv}' 1 7 5 \
    lifetime s fd mode s fd container b true detach b true reattach b true || :
fakectl fail-container 7 none
restored "a claim that fails"

# ---- A caller that vanishes
fakectl writes clear
leaves alice 7 detach=b:true reattach=b:true
restored "a caller that has left"
is "and there is no lease" "$(property $root Manager LeaseCount)" 0
fakectl write-hang 2
(exec setpriv --reuid alice --regid alice --init-groups -- "$CALLER" claim 7 detach=b:true reattach=b:true) \
    < <(sleep 60) > /run/vanishing 2>&1 &
caller=$!
within something_hangs
kill $caller
fakectl release
restored "a caller that vanishes in the middle"
becomes "and there is no lease" 0 property $root Manager LeaseCount
works "the daemon lives" is_running
is "no record is left behind" "$(find /run/dmaownd -name 'switch-*')" ""
finish
