#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Groups that only look isolated: what the device tree says of streams, against the groups that formed.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/devicetree.scenario
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
. "$(dirname "$0")/switch.sh"
. "$(dirname "$0")/devicetree-lib.sh"
modules
policy "$devicetree_policy"
start
watch_signals
before=$(snapshot)
samec=$(group_of 700a2000.samec)
virta=$(group_of 700d0000.virta)
virtb=$(group_of 700d1000.virtb)

# ---- What is not isolated
is "half: a driver runs on the stream without a group" "$(isolated 700a2000.samec) $(reason_of alice 700a2000.samec detach b true)" "false false half"
is "who it is" "$(sharing alice 700a2000.samec detach b true)" "700a2000.samec half 700a3000.samed true"
like "in words" "$(message_of claim alice 700a2000.samec detach b true)" "700a2000\\.samec.*700a3000\\.samed.*calxedaxgmac"
is "split: two groups on one stream" "$(isolated 700d0000.virta) $(reason_of alice 700d0000.virta detach b true)" "false false split"
is "both of them" "$(isolated 700d1000.virtb) $(reason_of alice 700d1000.virtb detach b true)" "false false split"
is "who it is" "$(sharing alice 700d0000.virta detach b true)" "700d0000.virta split 700d1000.virtb true"
like "in words" "$(message_of claim alice 700d0000.virta detach b true)" "700d0000\\.virta.*700d1000\\.virtb.* $virtb"
refused "it is not viable" NotViable claim alice 700d0000.virta detach b true
refused "nor can it be detached" NotViable call alice Detach 700d0000.virta
refused "while on its driver, that is the first reason" KernelHeld claim alice 700d0000.virta
is "the list knows" "$(fakectl unbind 700d0000.virta; within is_output none group "$virta" Owner; as alice busctl --json=short call $bus_name $root org.dmaownd1.Manager ListGroups |
    jq -r ".data[0][] | select(.[0] == $virta) | .[2]" | sed 's/^no-vfio-driver$/split/')" split
fakectl bind 700d0000.virta calxedaxgmac
is "a mask that overlaps with another" "$(isolated 701ab000.maskw) $(sharing alice 701ab000.maskw detach b true)" "false 701ab000.maskw half 701ad000.masko true"
is "streams of two groups, through a third device" "$(isolated 701a6000.bridge1) $(isolated 701a7000.bridge2) $(sharing bob 701a6000.bridge1 detach b true | paste -sd,)" \
    "false false 701a6000.bridge1 half 701a8000.bridge3 false,701a6000.bridge1 split 701a7000.bridge2 false"
is "single groups of two IOMMUs, through a device on both" "$(isolated 700c0000.vop1) $(isolated 700c2000.vop3)" "false false"

# ---- What is
for device in 700a0000.dmaa 700a1000.dmab 701a9000.xg1 701ae000.othersmmu 54200000.dc 9010000.pl031 0000:01:00.0 0000:00:03.0; do
    is "$device is isolated" "$(isolated $device)" true
done
is "a group of two" "$(reason_of alice 701a9000.xg1 detach b true)" "true "
is "a group of a function and a platform device" "$(isolated 0001:00:01.0) $(reason_of alice 0001:00:01.0 detach b true)" "true true "
is "a group that is coarser than the tree" "$(isolated 54340000.vic) $(sharing alice 54340000.vic)" "true "
is "which its drivers have" "$(findings alice 54340000.vic | awk '$3 == "kernel-driver" { print $2 }' | sort | paste -sd' ')" "54200000.dc 54240000.dc 54340000.vic"
is "pending: nobody drives the other" "$(isolated 700a4000.busy) $(reason_of alice 700a4000.busy detach b true)" "true true "
is "who it is" "$(sharing alice 700a4000.busy detach b true)" "700a4000.busy pending 700a5000.idle false"
is "devices of two streams, too" "$(sharing alice 701a2000.shc detach b true)" "701a2000.shc pending 701a4000.she false
701a2000.shc pending 701a5000.rev false"

# ---- The audit
is "split" "$(audit split)" "critical 700c0000.vop1+700c1000.vop2+700c2000.vop3+700c3000.vop4 $(group_of 700c0000.vop1)+$(group_of 700c2000.vop3)
critical 700d0000.virta+700d1000.virtb $virta+$virtb
critical 701a6000.bridge1+701a7000.bridge2 $(group_of 701a6000.bridge1)+$(group_of 701a7000.bridge2)"
is "half" "$(audit half)" "critical 700a2000.samec+700a3000.samed $samec
critical 701a6000.bridge1+701a7000.bridge2+701a8000.bridge3 $(group_of 701a6000.bridge1)+$(group_of 701a7000.bridge2)
critical 701ab000.maskw+701ac000.maski+701ad000.masko $(group_of 701ab000.maskw)"
is "pending" "$(audit pending | grep -o '700a[5-8][^ ]*' | tr '+' '\n' | sort -u | paste -sd' ')" "700a5000.idle 700a6000.multie 700a7000.latef 700a8000.lateg"
is "two IOMMUs" "$(audit two-iommus | awk '{ print $2 }' | paste -sd' ')" "700c3000.vop4 701af000.twosmmu"
is "an IOMMU that is disabled" "$(audit disabled-iommu)" "warning 700b0000.behindoff "
like "a platform device on a function's stream" "$(audit map-overlap)" "(^|
)warning [^ ]*700ae000\\.pcisid"
is "no IOMMU where others have one" "$(audit no-iommus)" "info 700af000.noio "
is "who asks does not matter" "$(audit split bob)" "$(audit split)"
is "critical ones come first" "$(manager AuditDeviceTree | jq -r '.data[0][].level.data' | uniq | paste -sd' ')" "critical warning info"
is "nodes and streams" "$(manager AuditDeviceTree | jq -c '.data[0][] | select(.devices.data == ["platform/700d0000.virta", "platform/700d1000.virtb"]) | [.nodes.data, .specifiers.data]')" \
    '[["/soc/virta@700d0000","/soc/virtb@700d1000"],["/soc/iommu@a000000 0x10"]]'

# ---- A rule that does not require it
lease=$(claim bob 700d0000.virta detach b true)
is "it is granted" "$(lease "$lease" State) $(can_open bob "$virta")" "active 0x1"
is "with the host's driver beside it, which was judged" "$(driver 700d1000.virtb)" calxedaxgmac
like "the record says so" "$(grep 'DMAOWND_EVENT=granted' "$log" | tail -n 1)" "DMAOWND_REASON=split"
like "in words" "$(grep 'DMAOWND_EVENT=granted' "$log" | tail -n 1)" "not isolated"
refused "the other one is not for who requires it" NotViable claim alice 700d1000.virtb detach b true
is "for the rule does" "$(sharing bob 700d1000.virtb detach b true)" "700d1000.virtb split 700d0000.virta false"
manager Release o "$lease" > /dev/null
within gone "$lease"
works "reattached" call bob Reattach 700d0000.virta
is "and stays there" "$(now 700d1000.virtb)" "calxedaxgmac -"
lease=$(claim bob 700a2000.samec detach b true)
like "half: the record says so" "$(grep 'DMAOWND_EVENT=granted' "$log" | tail -n 1)" "DMAOWND_REASON=half"
manager Release o "$lease" > /dev/null
within gone "$lease"
works "reattached" call bob Reattach 700a2000.samec
lease=$(claim alice 701a9000.xg1 detach b true)
unlike "of an isolated one it does not" "$(grep 'DMAOWND_EVENT=granted' "$log" | tail -n 1)" "DMAOWND_REASON|isolated"
is "a group of two is there" "$(now 701a9000.xg1) $(now 701aa000.xg2)" "vfio-platform vfio-platform vfio-platform vfio-platform"
manager Release o "$lease" > /dev/null
within gone "$lease"
works "reattached" call root Reattach 701a9000.xg1 reattach_unreset b true
becomes "everything is as before" "$before" snapshot

# ---- Drivers come and go
fakectl unbind 700a3000.samed
becomes "half becomes pending" true isolated 700a2000.samec
eventually "which is told" signalled "PropertiesChanged $root/group/$samec .*Isolated true"
is "and can be had" "$(reason_of alice 700a2000.samec detach b true) $(sharing alice 700a2000.samec detach b true)" "true  700a2000.samec pending 700a3000.samed false"
fakectl bind 700a3000.samed calxedaxgmac
becomes "and half again" false isolated 700a2000.samec
fakectl driver platform amd-xgbe compatible=amd,xgbe-seattle-v1a
fakectl bind 700a5000.idle amd-xgbe
becomes "a driver for the one that was pending" false isolated 700a4000.busy
is "half" "$(reason_of alice 700a4000.busy detach b true)" "false half"
fakectl unbind 700a5000.idle
becomes "without it" true isolated 700a4000.busy
fakectl bind 701a4000.she amd-xgbe
becomes "one whose first probe makes a group of its own" false isolated 701a2000.shc
is "split" "$(reason_of alice 701a2000.shc detach b true) $(isolated 701a4000.she)" "false split false"
fakectl unbind 701a4000.she
is "it stays so without the driver" "$(within is_output none group "$(group_of 701a4000.she)" Owner; isolated 701a2000.shc)" false
fakectl remove 701a4000.she
becomes "not without the device" true isolated 701a2000.shc
fakectl device platform 701a4000.she node=/soc/she@701a4000 driver=none
becomes "which comes back" "701a2000.shc pending 701a4000.she false
701a2000.shc pending 701a5000.rev false" sharing alice 701a2000.shc detach b true
fakectl bind 700ae000.pcisid amd-xgbe
becomes "a driver on the stream of a function" "false half" reason_of alice 0000:00:04.0 detach b true
fakectl unbind 700ae000.pcisid
becomes "and without it" "true " reason_of alice 0000:00:04.0 detach b true

# ---- How the tree is read
is "a look at who reads" "$(stat -c %a /sys/firmware/fdt)" 400
full=$(manager AuditDeviceTree | jq -S .)
works "the daemon stops" service stop
fakectl rm /sys/firmware/fdt
works "without the blob it reads the folders" service start
is "which say the same" "$(manager AuditDeviceTree | jq -S .)" "$full"
service stop > /dev/null
fakectl set /sys/firmware/fdt rubbish
works "with a broken one it runs" service start
is "and nothing is known to be isolated" "$(isolated 701a9000.xg1) $(reason_of alice 701a9000.xg1 detach b true)" "false false split"
is "for who requires it" "$(reason_of bob 701a9000.xg1 detach b true)" "true "
refused "nor can it be audited" org.freedesktop.DBus.Error.NotSupported manager AuditDeviceTree
works "the daemon lives" is_running
finish
