#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Mode fd: what is passed, what is not given beside it, and what a failure leaves.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
start
watch_signals
acl() { getfacl --omit-header --absolute-names --numeric "/dev/vfio/$1" 2> /dev/null | paste -sd' ' | tr -s ' '; }
# vfio_files: of the daemon, its workers included.
vfio_files() {
    local pid n=0
    for pid in $(daemon_pid) $(pgrep -P "$(daemon_pid)"); do
        n=$((n + $(find "/proc/$pid/fd" \( -lname '/dev/vfio/*' -o -lname '/dev/iommu*' -o -lname '/run/fakekernel/files/*' \) | wc -l)))
    done
    echo $n
}
closed_acl="user::rw- group::--- other::--- "

# ---- A group
begin one alice claim 9 mode=fd
like "a group's fd" "$said" "^$root/lease/[0-9]+ group:9\$"
lease=$(lease_of "$said")
is "its terms" "$(for p in Mode Interface Lifetime State Uid; do lease "$lease" $p; done | paste -sd' ')" "fd group connection active 1001"
say one status group:9
is "VFIO answers through it" "$said" 0x1
is "no access to the node" "$(acl 9)" "$closed_acl"
is "its mode" "$(stat -c '%a %U' /dev/vfio/9)" "600 root"
fails "alice can not open it" can_open alice 9
like "the group is open, for everybody" "$(fakectl status /dev/vfio/9 2>&1)" "Device or resource busy"
becomes "the daemon keeps nothing of it" 0 vfio_files
is "owner" "$(group 9 Owner) $(group 9 Lease)" "user $lease"
eventually "LeaseGranted" signalled "^LeaseGranted $root $lease 9 1001\$"
is "it is no stranger" "$(times "DMAOWND_EVENT=(foreign|conflict)" "$log")" 0
refused "nobody else gets it" AlreadyOwned claim bob 9
refused "nor another fd" AlreadyOwned as bob busctl call $bus_name $root org.dmaownd1.Manager Claim 'asa{sv}' 1 9 1 mode s fd
say one leave
becomes "it drains when the connection ends" draining lease "$lease" State
say one status group:9
is "the fd still answers: nothing is pulled" "$said" 0x1
refused "meanwhile" Busy claim bob 9
openers() { lease "$lease" Openers | jq -r '.[]'; }
becomes "the opener is named" 1 eval "openers | grep -cE 'process ${process[one]} .*caller'"
is "to others it is not" "$(as bob busctl --json=short get-property $bus_name "$lease" org.dmaownd1.Lease Openers | jq -c .data)" "[]"
say one close all
eventually "and ends with the last copy" signalled "^LeaseEnded $root $lease 9 disconnected\$"
end one
works "then it can be granted" claim bob 9
manager Release o "$(group 9 Lease)" > /dev/null

# ---- A container
begin one alice claim 9 11 mode=fd container=b:true
like "a container and its groups" "$said" "^$root/lease/[0-9]+ container group:11 group:9\$"
lease=$(lease_of "$said")
say one status group:9
is "attached" "$said" 0x3
say one status group:11
is "both" "$said" 0x3
say one device group:9 0000:00:08.0
is "to the container that was passed" "$said" ok
is "the claim holds against a kernel driver" "$(fakectl unbind 0000:00:07.0 && fakectl bind 0000:00:07.0 e1000e 2>&1)" \
    "fakectl: Device or resource busy"
fakectl bind 0000:00:07.0 pci-stub
becomes "the daemon keeps nothing of it" 0 vfio_files
say one release
is "Release answers" "$said" released
becomes "it drains" draining lease "$lease" State
say one close group:9
say one close group:11
say one close container
is "a device that is open keeps its group" "$(lease "$lease" State)" draining
say one close device
eventually "until that is closed" signalled "^LeaseEnded $root $lease 9 11 released\$"
end one

# ---- What fails is undone
for error in EBUSY EPERM EINVAL EIO; do
    fakectl fail-container 11 $error
    begin one alice claim 9 11 mode=fd container=b:true
    like "an attach that fails ($error) is a refusal" "$said" "^org.dmaownd1.Error.(NotViable|ForeignOwner|KernelHeld): "
    like "and says which group" "$said" "11"
    end one
    is "$error: no lease" "$(property $root Manager LeaseCount)" 0
    becomes "$error: nothing is open" 0 vfio_files
    is "$error: the other group is free" "$(fakectl status /dev/vfio/9) $(group 9 Owner)" "0x1 none"
done
fakectl fail-container 11 none
hold root "$FAKEKERNEL/fakectl" hold /dev/vfio/11
begin one alice claim 9 11 mode=fd
like "one that is open elsewhere" "$said" "^org.dmaownd1.Error.ForeignOwner: .*11"
end one
release_hold
becomes "its other group is free" "0x1 none" eval "echo \$(fakectl status /dev/vfio/9) \$(group 9 Owner)"
fakectl disagree 11 on
begin one alice claim 9 11 mode=fd
like "one that the kernel calls not viable" "$said" "^org.dmaownd1.Error.NotViable: .*11"
end one
fakectl disagree 11 off
eventually "all can be had afterwards" claim alice 11
manager Release o "$(group 11 Lease)" > /dev/null
is "no end without a beginning" "$(times DMAOWND_EVENT=granted "$log")" "$(within is_output "$(times DMAOWND_EVENT=granted "$log")" times DMAOWND_EVENT=ended "$log"; times DMAOWND_EVENT=ended "$log")"

# ---- More fds than a reply can carry
for i in $(seq 20); do
    fakectl device pci "0000:10:$(printf %02x "$i").0" vendor=0x8086 product=0x10d3 class=0x020000 driver=vfio-pci group=$((100 + i))
done
becomes "twenty groups more" 27 property $root Manager GroupCount
granted=$(times DMAOWND_EVENT=granted "$log")
begin one alice claim $(seq 101 117) mode=fd
like "17 groups" "$said" "^org.dmaownd1.Error.InvalidOption: .*17"
end one
begin one alice claim $(seq 101 116) mode=fd container=b:true
like "16 groups and a container" "$said" "^org.dmaownd1.Error.InvalidOption: "
end one
begin one alice claim $(seq 101 116) mode=fd lifetime=fd
like "16 groups and a lease fd" "$said" "^org.dmaownd1.Error.InvalidOption: "
end one
is "nothing happened before" "$(times DMAOWND_EVENT=granted "$log")" "$granted"
begin one alice claim $(seq 101 116) mode=fd
is "16 groups" "$(wc -w <<< "$said")" 17
end one
becomes "which end" 0 property $root Manager LeaseCount
begin one alice claim $(seq 101 114) mode=fd container=b:true lifetime=fd
is "14 groups, a container and a lease fd" "$(wc -w <<< "$said")" 17
end one
becomes "no lease" 0 property $root Manager LeaseCount
begin one alice claim $(seq 101 120) lifetime=persistent
is "in mode path there is no such limit" "$said" "$(lease_of "$said")"
say one release
end one

# ---- key
begin one alice claim 9 11 mode=fd container=b:true lifetime=persistent key=job
lease=$(lease_of "$said")
say one again
like "a retried call while they are open" "$said" "^org.dmaownd1.Error.Busy: "
say one close all
say one again
is "and when they are closed: the same lease, the same fds" "$said" "$lease container group:11 group:9"
say one status group:9
is "attached anew" "$said" 0x3
is "one lease" "$(property $root Manager LeaseCount)" 1
end one
begin one alice claim 9 11 mode=fd container=b:true lifetime=persistent key=job
is "also by another connection" "$said" "$lease container group:11 group:9"
end one
begin one alice claim 9 11 mode=fd lifetime=persistent key=job
like "not on other terms: without a container" "$said" "^org.dmaownd1.Error.InvalidOption: "
end one
begin one alice claim 9 11 lifetime=persistent key=job
like "not with another mode" "$said" "^org.dmaownd1.Error.InvalidOption: "
end one
begin one alice claim 9 mode=fd lifetime=persistent key=job
like "nor with other groups" "$said" "^org.dmaownd1.Error.InvalidOption: "
end one
begin one bob claim 9 11 mode=fd lifetime=persistent key=job
like "nor by another uid" "$said" "^org.dmaownd1.Error.AlreadyOwned: "
end one
manager Release o "$lease" > /dev/null
eventually "ends" gone "$lease"

# ---- A descriptor handed on
begin one alice claim 9 mode=fd
lease=$(lease_of "$said")
say one fork
child=$said
say one close all
end one
becomes "a child's copy keeps it draining" draining lease "$lease" State
becomes "and is named" 1 eval "openers | grep -cE '^process $child '"
kill "$child"
eventually "until it is gone" signalled "^LeaseEnded $root $lease 9 disconnected\$"

# ---- A group that loses its last VFIO device: the kernel drops the claim without a word
begin one alice claim 9 mode=fd container=b:true lifetime=persistent
lease=$(lease_of "$said")
echo 0000:00:08.0 > /sys/bus/pci/drivers/vfio-pci/unbind
eventually "ends the lease at once" signalled "^LeaseEnded $root $lease 9 device-gone\$"
say one status group:9
is "its fd is dead" "$said" ENODEV
end one
fakectl bind 0000:00:08.0 vfio-pci
becomes "and can be had again" "true " verdict alice 9

# ---- Policy
policy '{ "version": 1, "rules": [
    { "name": "path-only", "effect": "allow", "match": { "name": "0000:00:08.0" }, "modes": ["path"],
      "subjects": { "users": ["alice"] } },
    { "name": "fd-only", "effect": "allow", "match": { "bus": "pci" }, "modes": ["fd"],
      "subjects": { "users": ["alice"] } } ] }'
manager Reload > /dev/null
begin one alice claim 9 mode=fd
like "a mode that the rule does not have" "$said" "^org.dmaownd1.Error.PolicyDenied: "
end one
refused "the other way round" PolicyDenied claim alice 11
begin one alice claim 11 mode=fd
like "the one that it has" "$said" "group:11\$"
end one

# ---- Callers that do not read
policy
manager Reload > /dev/null
within owner_is 11 none
mkfifo /run/deaf
as alice "$CALLER" deaf 300 Claim 9 mode=fd < /run/deaf > /run/said 2>&1 &
deaf=$!
exec 9> /run/deaf
within grep -q deaf /run/said
becomes "one that never reads is granted" user group 9 Owner
works "others are served" as bob busctl --timeout=10 call $bus_name $root org.dmaownd1.Manager ListGroups
becomes "the daemon keeps nothing of it" 0 vfio_files
kill "$deaf"
exec 9>&-
becomes "and its end is the end of the lease" none group 9 Owner
for _ in 1 2 3 4 5 6 7 8; do as alice "$CALLER" vanish 9 mode=fd container=b:true; done
becomes "callers that leave in mid-call leave nothing" none group 9 Owner
becomes "no lease" 0 property $root Manager LeaseCount
for lifetime in persistent process fd; do
    for _ in 1 2 3; do leaves alice 9 mode=fd lifetime=$lifetime; done
    becomes "whatever the lifetime ($lifetime)" 0 property $root Manager LeaseCount
done
becomes "nothing is open" 0x1 fakectl status /dev/vfio/9
is "nothing is stored" "$(service status | grep -c '^fd' || :)" 0
works "the daemon lives" is_running
finish
