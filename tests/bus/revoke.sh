#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Revoke: the holder is told, has its time, and then access goes; what could not be had is said.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
start
watch_signals
revoke() { busctl --timeout=60 call $bus_name $root org.dmaownd1.Manager Revoke 'oa{sv}' "$@" > /run/revoked 2>&1; }
# revoking LEASE...: the same in the background; its status is in /run/status when it has answered.
revoking() {
    rm -f /run/status
    { { revoke "$@" && echo 0 || echo 1; } > /run/status.new && mv /run/status.new /run/status; } 8>&- &
    revoker=$!
}
answered() { [ -e /run/status ]; }
within_twice() { within "$@" || within "$@"; }
ended() { signalled "^LeaseEnded $root $1 .* $2\$"; }
reason_of() { sed -n "s/.*DMAOWND_EVENT=ended .*DMAOWND_LEASE=${1##*/} .*DMAOWND_REASON=\([^ ]*\).*/\1/p" "$log"; }
driver_of() { basename "$(readlink "$(sysfs "$1")/driver")"; }

# ---- Nobody has it open
lease=$(claim alice 9)
works "revoke" revoke "$lease" 0
is "the lease has ended when it answers" "$(busctl get-property $bus_name "$lease" org.dmaownd1.Lease Id 2>&1 | grep -c 'Unknown object')" 1
eventually "the holder was told" signalled "^LeaseRevoking $root $lease 0\$"
eventually "and that it ended" ended "$lease" revoked
fails "access" can_open alice 9
is "on record" "$(reason_of "$lease")" revoked
is "the driver stays" "$(driver_of 0000:00:08.0)" vfio-pci
refused "twice" NoSuchLease busctl call $bus_name $root org.dmaownd1.Manager Revoke 'oa{sv}' "$lease" 0

# ---- Time, and a holder who uses it
lease=$(claim alice 9)
revoking "$lease" 1 timeout t 300
eventually "the holder is told how long" signalled "^LeaseRevoking $root $lease 300\$"
works "it has access so long" can_open alice 9
is "and its lease" "$(lease "$lease" State) $(group 9 Owner)" "active user"
fails "there is no answer yet" answered
refused "nobody else gets it" AlreadyOwned claim bob 9
works "the holder releases" as alice busctl call $bus_name "$lease" org.dmaownd1.Lease Release
eventually "then the call answers" answered
is "with success" "$(cat /run/status)" 0
eventually "the reason is the holder's" ended "$lease" released
wait $revoker

# ---- Time, and a holder who does not
lease=$(claim alice 9)
revoking "$lease" 1 timeout t 1
eventually "after the time it has ended" ended "$lease" revoked
eventually "and the call answers" answered
is "with success" "$(cat /run/status)" 0
fails "access" can_open alice 9

# ---- A holder who goes by itself, and is not asked by the kernel too
lease=$(claim alice 9)
revoking "$lease" 2 timeout t 300 unbind b true
within signalled "^LeaseRevoking $root $lease 300\$"
works "with unbind the holder releases in time" manager Release o "$lease"
eventually "the lease ends" ended "$lease" released
eventually "and the call answers" answered
is "with success" "$(cat /run/status)" 0
is "no driver was taken away" "$(driver_of 0000:00:08.0)" vfio-pci

# ---- A holder who leaves
begin one alice claim 9
lease=$(lease_of "$said")
revoking "$lease" 1 timeout t 300
within signalled "^LeaseRevoking $root $lease 300\$"
end one
eventually "the end of a connection is an end" ended "$lease" disconnected
eventually "and the call answers" answered
is "with success" "$(cat /run/status)" 0

# ---- Open
lease=$(claim alice 9)
hold alice "$FAKEKERNEL/fakectl" hold /dev/vfio/9 container
fails "a group that is open" revoke "$lease" 0
like "says who has it open" "$(cat /run/revoked)" "process [0-9]+ \(.*/fakectl"
is "is Busy" "$(error_of busctl call $bus_name $root org.dmaownd1.Manager Revoke 'oa{sv}' "$lease" 0)" Busy
is "it drains" "$(lease "$lease" State)" draining
is "without access" "$(stat -c %a /dev/vfio/9)" 600
like "and without its opener being disturbed" "$(fakectl status /dev/vfio/9 2>&1)" "busy"
release_hold
eventually "until it is closed" ended "$lease" revoked

begin one alice claim 9 mode=fd container=b:true lifetime=persistent
lease=$(lease_of "$said")
fails "the same in mode fd" revoke "$lease" 0
like "says who" "$(cat /run/revoked)" "process ${process[one]} \(.*/caller"
say one status group:9
is "nothing is pulled" "$said" 0x3
end one
eventually "until it is closed" ended "$lease" revoked

# ---- unbind
lease=$(claim alice 9)
works "with unbind" revoke "$lease" 1 unbind b true
is "the lease has ended" "$(reason_of "$lease")" revoked
is "the device is left without a driver" "$(driver_of 0000:00:08.0)" ""
fakectl bind 0000:00:08.0 vfio-pci

begin one alice claim 9 mode=fd container=b:true lifetime=persistent
lease=$(lease_of "$said")
works "a group and a container do not stand against it" revoke "$lease" 1 unbind b true
is "it has ended" "$(reason_of "$lease")" revoked
say one status group:9
is "the fd is dead" "$said" ENODEV
end one
fakectl bind 0000:00:08.0 vfio-pci

# By another driver: all writers of a file of FUSE may have to stand in one line.
fakectl driver pci mlx5-vfio-pci vfio
fakectl unbind 0000:00:06.0
fakectl bind 0000:00:06.0 mlx5-vfio-pci
becomes "a group of two" "true " verdict alice 10
begin one alice claim 10 mode=fd container=b:true lifetime=persistent
lease=$(lease_of "$said")
say one device group:10 0000:00:06.1
is "a device is open" "$said" ok
soc=$(claim alice 12)
fakectl fault /sys/bus/platform/drivers/vfio-platform/unbind EROFS
busctl --timeout=60 call $bus_name $root org.dmaownd1.Manager Revoke 'oa{sv}' "$soc" 1 unbind b true > /run/failed 2>&1 &
failing=$!
revoking "$lease" 2 unbind b true timeout t 1
eventually "the other one is unbound" test ! -e "$(sysfs 0000:00:06.0)/driver"
eventually "and this one is on its way" test ! -e "$(sysfs 0000:00:06.1)/driver"
works "the daemon is not held up" as bob busctl --timeout=5 call $bus_name $root org.dmaownd1.Manager ListGroups
is "and grants" "$(lease "$(claim bob 9)" State)" active
manager Release o "$(group 9 Lease)" > /dev/null
works "it says so in the end" within_twice answered
is "as an error" "$(cat /run/status)" 1
like "with who has it open" "$(cat /run/revoked)" "process ${process[one]} \(.*/caller"
is "the lease drains" "$(lease "$lease" State)" draining
say one close all
eventually "until it is closed" ended "$lease" revoked
end one
wait $failing && fail "an unbind that fails is an error" || pass "an unbind that fails is an error"
like "which says what failed" "$(cat /run/failed)" "could not be unbound: Read-only file system"
is "the lease drains" "$(lease "$soc" State 2>&1)" draining
fakectl fault /sys/bus/platform/drivers/vfio-platform/unbind none
eventually "until the driver lets go" ended "$soc" revoked
is "which it did" "$(readlink /sys/bus/platform/devices/fff50000.ethernet/driver || :)" ""
becomes "none has a driver" " " eval "echo \"\$(driver_of 0000:00:06.0) \$(driver_of 0000:00:06.1)\""
fakectl bind 0000:00:06.1 vfio-pci

# ---- The same when somebody asks for it while it drains
lease=$(claim alice 9)
hold alice "$FAKEKERNEL/fakectl" hold /dev/vfio/9 0000:00:08.0
works "release" manager Release o "$lease"
is "drains" "$(lease "$lease" State)" draining
revoking "$lease" 1 unbind b true
eventually "the kernel asks for it" test ! -e "$(sysfs 0000:00:08.0)/driver"
release_hold
eventually "it ends" gone "$lease"
eventually "and the call answers" answered
is "with success" "$(cat /run/status)" 0
becomes "no driver" "" driver_of 0000:00:08.0
fakectl bind 0000:00:08.0 vfio-pci
becomes "it can be had again" "true " verdict alice 9

# ---- Two who revoke
lease=$(claim alice 9)
revoking "$lease" 1 timeout t 300
within signalled "^LeaseRevoking $root $lease 300\$"
works "a second one without time" revoke "$lease" 0
eventually "ends it" ended "$lease" revoked
eventually "for the first one too" answered
is "with success" "$(cat /run/status)" 0
lease=$(claim alice 9)
revoking "$lease" 1 timeout t 300
within signalled "^LeaseRevoking $root $lease 300\$"
busctl --timeout=60 call $bus_name $root org.dmaownd1.Manager Revoke 'oa{sv}' "$lease" 1 timeout t 600 > /dev/null 2>&1 &
later=$!
told_times() { times "^LeaseRevoking $root $lease " "$signals"; }
becomes "one with more time is announced too" 2 told_times
like "with the time that is really left" "$(grep "^LeaseRevoking $root $lease " "$signals" | tail -n 1)" " ([12]?[0-9]?[0-9]|300)\$"
manager Release o "$lease" > /dev/null
wait $revoker $later && pass "both answer" || fail "both answer"

# ---- More calls that wait than a uid may have: the one too many does nothing
lease=$(claim alice 9)
other=$(claim alice 11)
waiting=()
for _ in 1 2 3 4 5 6 7 8; do
    busctl --timeout=60 call $bus_name $root org.dmaownd1.Manager Revoke 'oa{sv}' "$lease" 1 timeout t 300 > /dev/null 2>&1 &
    waiting+=($!)
done
becomes "eight calls wait" 8 told_times
refused "the ninth is refused" QuotaExceeded busctl call $bus_name $root org.dmaownd1.Manager Revoke 'oa{sv}' "$other" 0
refused "with a time too" QuotaExceeded busctl call $bus_name $root org.dmaownd1.Manager Revoke 'oa{sv}' "$other" 1 timeout t 1
is "the lease stays" "$(lease "$other" State 2>&1)" active
works "with its access" can_open alice 11
is "no end of it is on disk" "$(times revoke_at "/run/dmaownd/lease-${other##*/}.json")" 0
manager Release o "$other" > /dev/null
eventually "it ends when it is released" ended "$other" released
is "and nobody was told that it is revoked" "$(times "^LeaseRevoking $root $other " "$signals")" 0
manager Release o "$lease" > /dev/null
wait "${waiting[@]}" && pass "the eight are answered" || fail "the eight are answered"

# ---- A restart does not forget
for unbind in false true; do
    lease=$(claim alice 9)
    told=$(times "^LeaseRevoking" "$signals")
    revoking "$lease" 2 timeout t 3 unbind b $unbind
    was_told() { [ "$(times "^LeaseRevoking" "$signals")" -gt "$told" ]; }
    eventually "unbind $unbind: told" was_told
    works "unbind $unbind: kill" service kill
    works "unbind $unbind: start" service start
    is "unbind $unbind: it has its time still" "$(lease "$lease" State)" active
    works "unbind $unbind: access" can_open alice 9
    eventually "unbind $unbind: it ends all the same" ended "$lease" revoked
    fails "unbind $unbind: access" can_open alice 9
    driver=vfio-pci
    [ $unbind = false ] || driver=""
    becomes "unbind $unbind: driver" "$driver" driver_of 0000:00:08.0
    [ $unbind = false ] || fakectl bind 0000:00:08.0 vfio-pci
    wait $revoker
done
lease=$(claim alice 9)
hold alice "$FAKEKERNEL/fakectl" hold /dev/vfio/9 0000:00:08.0
revoking "$lease" 1 unbind b true
eventually "an unbind that hangs" test ! -e "$(sysfs 0000:00:08.0)/driver"
works "kill" service kill
works "the daemon starts beside it" service start
is "the lease drains" "$(lease "$lease" State)" draining
release_hold
eventually "and ends" gone "$lease"
is "once, as it began" "$(reason_of "$lease")" revoked
becomes "no driver" "" driver_of 0000:00:08.0
wait $revoker
works "the daemon lives" is_running
finish
