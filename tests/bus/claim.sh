#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Verdicts, grants by path, and what they open; identity; quotas; keys; release.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
start
watch_signals
acl() { getfacl --omit-header --absolute-names --numeric "/dev/vfio/$1" 2> /dev/null | paste -sd' '; }

# ---- The three steps of a group with a sibling on a kernel driver
refused "a sibling on a kernel driver" KernelHeld claim alice 7
text=$(claim alice 7 2>&1 || :)
like "names the device" "$text" "0000:00:05.1"
like "and the driver" "$text" "e1000e"
is "Explain says the same" "$(verdict alice 7)" "false kernel-driver"
like "finding" "$(findings alice 7)" "7 0000:00:05.1 kernel-driver true"
like "finding of the other member" "$(findings alice 7)" "7 0000:00:05.0 user-driver false"
fails "nothing was opened" can_open alice 7
echo 0000:00:05.1 > /sys/bus/pci/drivers/e1000e/unbind
seven=$(claim alice 7)
like "granted when it was unbound" "$seven" "^$root/lease/[0-9]+\$"
works "the node opens to alice" can_open alice 7
fails "and to nobody else" can_open bob 7
is "access list" "$(acl 7 | tr -s ' ')" "user::rw- user:1001:rw- group::--- mask::rw- other::--- "
is "owner" "$(group 7 Owner)" user
is "the group's lease" "$(group 7 Lease)" "$seven"
is "holder" "$(lease "$seven" Uid) $(lease "$seven" ClaimantUid)" "1001 1001"
is "terms" "$(for p in Mode Interface Lifetime State Rule; do lease "$seven" $p; done | paste -sd' ')" \
    "path group persistent active nics"
eventually "LeaseGranted" signalled "^LeaseGranted $root $seven 7 1001\$"

# ---- Others
refused "a second claim" AlreadyOwned claim bob 7
refused "by the same caller" AlreadyOwned claim alice 7
is "and in Explain" "$(verdict bob 0000:00:05.1)" "false leased"
refused "beside a free group: nothing at all" AlreadyOwned as bob busctl call $bus_name $root \
    org.dmaownd1.Manager Claim 'asa{sv}' 2 9 7 1 lifetime s persistent
is "all or nothing" "$(group 9 Owner)" none
fails "no access was left" can_open bob 9
refused "somebody else's lease" NotHolder as bob busctl call $bus_name $root org.dmaownd1.Manager Release o "$seven"
refused "on the object too" NotHolder as bob busctl call $bus_name "$seven" org.dmaownd1.Lease Release
refused "no such lease" NoSuchLease manager Release o $root/lease/4711
refused "a path that is no lease" NoSuchLease manager Release o /etc/passwd
works "still alice's" can_open alice 7

# ---- Release
works "release" as alice busctl call $bus_name $root org.dmaownd1.Manager Release o "$seven"
fails "access has gone when it returns" can_open alice 7
is "no access list is left" "$(stat -c %a /dev/vfio/7) $(acl 7 | tr -s ' ')" "600 user::rw- group::--- other::--- "
eventually "LeaseEnded" signalled "^LeaseEnded $root $seven 7 released\$"
eventually "the object has gone" gone "$seven"
is "once" "$(times "^LeaseEnded .*$seven " "$signals")" 1
is "owner" "$(group 7 Owner)" none
again=$(claim bob 7)
unlike "an id never repeats" "$again" "^$seven\$"
works "the node opens to bob" can_open bob 7
fails "and not to alice any more" can_open alice 7
works "root releases" manager Release o "$again"
refused "twice" NoSuchLease manager Release o "$again"

# ---- Passive and other members
refused "beside uio" KernelHeld claim alice 10
is "reason" "$(verdict alice 10)" "false unsafe-uio"
eight=$(claim alice 0000:02:00.0)
works "behind pcieport" can_open alice 8
eleven=$(claim alice 11)
works "beside pci-stub" can_open alice 11
twelve=$(claim alice fff50000.ethernet)
works "a platform device, by a group of alice's" can_open alice 12
is "its rule" "$(lease "$twelve" Rule)" soc
thirteen=$(claim alice 13)
works "a mediated device" can_open alice 13
refused "bob has no rule" PolicyDenied claim bob 13
refused "nor has root" PolicyDenied claim root 9
is "reason" "$(verdict bob 13)" "false no-rule"
for path in "$eight" "$eleven" "$twelve" "$thirteen"; do
    works "release" as alice busctl call $bus_name "$path" org.dmaownd1.Lease Release
done
becomes "nothing is left" 0 property $root Manager LeaseCount

# ---- One lease of two groups
pair=$(as alice busctl --json=short call $bus_name $root org.dmaownd1.Manager Claim 'asa{sv}' 3 9 11 0000:00:07.1 \
    1 lifetime s persistent | jq -r '.data[0]')
is "two groups" "$(lease "$pair" Groups)" "[\"$root/group/9\",\"$root/group/11\"]"
works "both open" can_open alice 9
works "both open" can_open alice 11
eventually "in the signal" signalled "^LeaseGranted $root $pair 9 11 1001\$"
manager Release o "$pair" > /dev/null

# ---- key and comment
first=$(claim alice 9 key s job-1 comment s "für Tests")
is "a retried call is the same lease" "$(claim alice 9 key s job-1)" "$first"
refused "another key" AlreadyOwned claim alice 9 key s job-2
refused "the same key of another claimant" AlreadyOwned claim bob 9 key s job-1
like "who refuses says whose it is, and what for to who may see that" "$(claim alice 9 2>&1)" \
    "owned by uid 1001 \(lease ${first##*/}, \"für Tests\"\)"
unlike "nor does root's program tell others" "$(claim root 9 2>&1)" "für Tests"
unlike "nor the record" "$(grep "DMAOWND_EVENT=denied" "$log")" "für Tests"
like "and not to others" "$(claim bob 9 2>&1)" "owned by uid 1001 \(lease ${first##*/}\);"
is "comment" "$(as alice busctl --json=short get-property $bus_name "$first" org.dmaownd1.Lease Comment | jq -r .data)" "für Tests"
is "not for others" "$(as bob busctl --json=short get-property $bus_name "$first" org.dmaownd1.Lease Comment | jq -r .data)" ""
is "nor who sent it" "$(as bob busctl --json=short get-property $bus_name "$first" org.dmaownd1.Lease Pid | jq -r .data)" 0
leaks() { as bob busctl --json=short call $bus_name "$@" | grep -cE 'für Tests|"Sender":.*":1\.' || :; }
is "nor in GetAll" "$(leaks "$first" org.freedesktop.DBus.Properties GetAll s org.dmaownd1.Lease)" 0
is "nor in GetManagedObjects" "$(leaks $root org.freedesktop.DBus.ObjectManager GetManagedObjects)" 0
is "nor in any signal" "$(grep -E "für Tests|job-1" "$signals" || :)" ""
fails "a property cannot be written" as alice busctl set-property $bus_name "$first" org.dmaownd1.Lease Uid u 0
is "everybody sees the holder" "$(as bob busctl --json=short get-property $bus_name "$first" org.dmaownd1.Lease Uid | jq -r .data)" 1001
manager Release o "$first" > /dev/null

# ---- Identity is the bus's
refused "Explain for another uid" org.freedesktop.DBus.Error.AccessDenied as bob busctl call $bus_name $root \
    org.dmaownd1.Manager Explain 'asa{sv}' 1 9 1 uid u 1001
is "is for root" "$(busctl --json=short call $bus_name $root org.dmaownd1.Manager Explain 'asa{sv}' 1 9 1 uid u 1001 |
    jq -r '.data[0]')" true
refused "a claim for another uid needs a delegate" PolicyDenied claim alice 9 uid u 1002
like "delegate-denied" "$(as alice busctl call $bus_name $root org.dmaownd1.Manager Claim 'asa{sv}' 1 9 1 uid u 1002 2>&1 || :)" "bob|1002"
refused "not even root" PolicyDenied claim alice 9 uid u 0
refused "Reload is for root" org.freedesktop.DBus.Error.AccessDenied as alice busctl call $bus_name $root org.dmaownd1.Manager Reload
refused "Rescan is for root" org.freedesktop.DBus.Error.AccessDenied as alice busctl call $bus_name $root org.dmaownd1.Manager Rescan
works "Rescan" manager Rescan

is "the groups of the caller count, not its account" "$(setpriv --reuid nobody --regid 2000 --clear-groups -- busctl --json=short \
    call $bus_name $root org.dmaownd1.Manager Explain 'asa{sv}' 1 12 0 | jq -r '.data[0]')" true
is "nor what it left behind" "$(setpriv --reuid alice --regid alice --clear-groups -- busctl --json=short \
    call $bus_name $root org.dmaownd1.Manager Explain 'asa{sv}' 1 12 0 | jq -r '.data[0]')" false

# ---- The node must not be open to others
chmod 0666 /dev/vfio/9
becomes "a node open to all" "false node-open-to-others" verdict alice 9
refused "is not granted" NotViable claim alice 9
chmod 0600 /dev/vfio/9
setfacl -m u:1002:rw /dev/vfio/9
refused "nor is one open to somebody else" NotViable claim alice 9
setfacl -b /dev/vfio/9
chown 1002 /dev/vfio/9
refused "nor is one that is somebody else's" NotViable claim alice 9
chown 0 /dev/vfio/9
fakectl node 9 1:5
refused "nor is one with another number" NotViable claim alice 9
is "nobody was let in" "$(acl 9 | tr -s ' ')" "user::rw- group::--- other::--- "
fakectl node 9 remove
becomes "no node" "false no-node" verdict alice 9
refused "is not granted" NotViable claim alice 9
fakectl node 9 recreate

# ---- The kernel's own word
fakectl set /sys/kernel/iommu_groups/9/reserved_regions "0x1000 0x1fff direct"
refused "a direct region" NotViable claim alice 9
is "reason" "$(verdict alice 9)" "false direct-region"
fakectl set /sys/kernel/iommu_groups/9/reserved_regions "0x00000000fee00000 0x00000000feefffff msi"
fakectl disagree 9 on
refused "a kernel that says no where sysfs says yes" NotViable claim alice 9
like "is named" "$(claim alice 9 2>&1 || :)" "kernel"
eventually "with its reason" grep -q "DMAOWND_REASON=kernel-disagrees" "$log"
fakectl disagree 9 off
works "and it is asked again the next time" claim alice 9
fakectl unbind 0000:00:08.0
becomes "without its driver" "false no-vfio-driver" verdict alice 9
fakectl bind 0000:00:08.0 vfio-pci
becomes "nothing of it is left" "true " verdict alice 9

# ---- Quota
policy '{ "version": 1, "limits": { "leases_per_uid": 2 }, "rules": [
    { "name": "one", "effect": "allow", "match": { "name": "0000:00:08.0" }, "max_leases": 1,
      "subjects": { "users": ["alice", "bob"] } },
    { "name": "nics", "effect": "allow", "match": { "bus": "pci" }, "delegate": ["bob"],
      "subjects": { "users": ["alice", "bob"] } } ] }'
works "reload" manager Reload
becomes "generation" 2 property $root Manager PolicyGeneration
works "one" claim alice 9
works "two" claim alice 11
refused "three" QuotaExceeded claim alice 8
is "in Explain" "$(verdict alice 8)" "false quota"
works "another uid has its own" claim bob 8
for path in $(busctl tree --list $bus_name | grep lease/); do manager Release o "$path" > /dev/null; done

# ---- delegate
nine=$(claim alice 11 uid u 1002)
is "holder and claimant" "$(lease "$nine" Uid) $(lease "$nine" ClaimantUid)" "1002 1001"
works "the holder has access" can_open bob 11
fails "the claimant has not" can_open alice 11
refused "the holder does not release" NotHolder as bob busctl call $bus_name "$nine" org.dmaownd1.Lease Release
works "the claimant does" as alice busctl call $bus_name "$nine" org.dmaownd1.Lease Release
finish
