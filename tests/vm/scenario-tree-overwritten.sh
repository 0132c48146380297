#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# SMMUv2's driver makes a new group for a device whose last stream is new, though an earlier stream of it
# belongs to a group already: two users then meet on that stream. First that the kernel lets it happen, then
# that dmaownd does not. The same for a mask that holds a stream which was there before it: that device gets
# no group, and its host driver runs. And a device behind two SMMUs, which the kernel attaches to one of
# them in silence.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-tree.sh
. /opt/test/guest-tree.sh

old=700a6000.old wide=700a7000.wide late=700a8000.late both=700ac000.both
narrow=700ad000.narrow broad=700ae000.broad
load_vfio
load_host_driver

# The kernel alone.
stop_daemon
check "all go to VFIO" drive vfio-platform "$old" "$wide" "$late" "$both"
is "the first on stream 0x400 has a group of its own" "$(members_of "$(group_of "$old")")" "$old "
is "the second took the stream into a new group" "$(members_of "$(group_of "$wide")")" "$wide $late "
chmod 0666 "$(node_of "$old")" "$(node_of "$wide")"
hold one vfio-open -u 1001 -h -d "$old" "$(node_of "$old")"
is "one user has the first's device" "${held[one]}" "flags=0x3 held"
is "and another, at the same time, the second's" \
    "$(vfio-open -u 1002 -d "$wide" "$(node_of "$wide")")" "flags=0x3"
let_go one
chmod 0600 "$(node_of "$old")" "$(node_of "$wide")"
check "a device goes to VFIO" drive vfio-platform "$narrow"
check "one with a mask that holds its stream gets its host driver" drive plain_master "$broad"
is "which runs without a group" "$(driver_of "$broad") $(group_of "$broad")" "plain_master "
is "and the group of the first opens" "$(uses "$narrow")" "flags=0x3"
is "a device behind two SMMUs is in a group like any other" "$(uses "$both")" "flags=0x3"
is "attached to the first" "$(basename "$(readlink "$(device_path "$both")/iommu")")" \
    smmu.0x0000000070000000

# With dmaownd.
fresh_start < <(tree_policy)
check "all go to VFIO again" drive vfio-platform "$old" "$wide" "$late" "$both"
check "dmaownd sees it" wait_for 20 is_listed "$(group_of "$both")" verdict grantable alice
for device in "$old" "$wide" "$late"; do
    claim alice "$device"
    refused "$device is refused" NotViable
    like "$device: the error tells what with" "$error_text" "*stream*"
    explain alice "$device"
    is "$device: the reason" "$grantable $reason" "false split"
    is "$device: its group is not isolated" "$(isolated "$device")" false
done
audit
check "the audit finds the split" found split "$old"
like "with all devices" "$(found split "$old")" "split critical *$old*$wide*"
like "the groups, too" ",$(found split "$old" | sed 's/.*\[\([0-9,]*\)\].*/\1/')," "*,$(group_of "$wide"),*"
as_user alice dmaownctl audit-dt > /tmp/audit-dt
is "dmaownctl audit-dt ends as on findings" "$?" 1
check "and shows them" grep -q "split.*" /tmp/audit-dt

# A mask that came too late.
check "they are bound as before" drive vfio-platform "$narrow"
drive plain_master "$broad"
check "the audit finds the one without a group" wait_for 20 knows half "$broad"
claim alice "$narrow"
refused "the other's group is refused" NotViable
is "for that reason" "$(stands_against "$narrow")" "$narrow half"

# Behind two SMMUs: said, no more.
check "two IOMMUs are reported" knows two-iommus "$both"
claim alice "$both"
worked "and granted"
is "which the kernel takes" "$(opens_as alice "$(group_of "$both")")" "flags=0x1"
release alice "$lease"

# A rule that leaves out "isolated" means it.
write_policy <<'END'
{ "version": 1,
  "rules": [ { "name": "daring", "effect": "allow", "match": { "bus": "platform" }, "require": [],
               "subjects": { "users": ["alice"] } } ] }
END
attempt root Reload
claim alice "$old"
worked "a rule without isolation grants one of them"
is "the journal says what is not isolated" "$(journal_field granted "$(group_of "$old")" DMAOWND_REASON)" split
release alice "$lease"
finish
