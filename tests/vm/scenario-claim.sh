#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# One group with a sibling, from a refusal to a grant and back, against the kernel's own verdict.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh

target=0000:00:05.0
sibling=0000:00:05.2

fresh_start <<'END'
{ "version": 1,
  "rules": [ { "name": "slot", "effect": "allow",
               "match": { "bus": "pci", "name": "0000:00:05.*" },
               "reattach_unreset": true,
               "subjects": { "users": ["alice", "bob"] } } ] }
END
check "vfio-pci takes the target" bind_driver "$target" vfio-pci
group=$(group_of "$target")
object=/org/dmaownd1/group/$group
watch_signals

# Held by the kernel.
check "the list shows the kernel as owner" wait_for 10 is_listed "$group" owner kernel
is "with the reason" "$(listed "$group" verdict alice)" kernel-driver
is "and the number of devices" "$(listed "$group" count)" 3
claim alice "$target"
refused "a claim beside e1000 is refused" KernelHeld
like "naming the device" "$error_text" "*$sibling*"
like "and the driver" "$error_text" "*e1000*"
is "the kernel agrees" "$(vfio-open "/dev/vfio/$group")" "flags=0x0"
is "nobody got access" "$(access_of alice "$group")" ""
explain alice "$target"
is "Explain says the same" "$grantable $reason" "false kernel-driver"
is "and ties it to the device" "$(blocking)" "$sibling e1000"
is "Blockers says so too" "$(property "$object" Group Blockers)" "[[\"$sibling\",\"e1000\"]]"

# uio_pci_generic.
check "uio_pci_generic takes the sibling" bind_driver "$sibling" uio_pci_generic
claim alice "$target"
refused "a claim beside uio_pci_generic is refused" KernelHeld
like "naming it" "$error_text" "*$sibling*uio_pci_generic*"
explain alice "$target"
is "for its own reason" "$reason" unsafe-uio

# pci-stub coexists.
check "pci-stub takes the sibling" bind_driver "$sibling" pci-stub
explain alice "$target"
is "pci-stub is no obstacle" "$grantable $reason" "true "

# By hand: seen without a call that asks.
release_driver "$sibling"
check "a bind by hand is seen" wait_for 10 is_listed "$group" verdict kernel-driver alice
unbind_driver "$sibling"
check "an unbind by hand is seen" wait_for 10 is_listed "$group" verdict grantable alice
check "and told as a property change" wait_for 10 grep -q PropertiesChanged.*Blockers /tmp/signals
claim alice "$target" comment s "first try"
worked "the same call is granted now"
first=$lease
like "it answers with a lease" "$first" "/org/dmaownd1/lease/*"

# The kernel agrees.
is "the holder has access" "$(access_of alice "$group")" rw-
is "the group opens as the holder, viable" "$(opens_as alice "$group")" "flags=0x1"
is "and not as another" "$(opens_as bob "$group")" "open: EACCES"
is "the holder may claim it from the kernel" \
    "$(vfio-open -u 1001 -c "/dev/vfio/$group")" \
    "flags=0x3"

# What is shown of it.
check "the owner is a user" has_property "$object" Group Owner '"user"'
is "the group points at the lease" "$(property "$object" Group Lease)" "\"$first\""
is "the lease at the group" "$(property "$first" Lease Groups)" "[\"$object\"]"
is "the holder" "$(property "$first" Lease Uid)" 1001
is "the rule" "$(property "$first" Lease Rule)" '"slot"'
is "the comment" "$(property "$first" Lease Comment)" '"first try"'
is "one lease in all" "$(property /org/dmaownd1 Manager LeaseCount)" 1
check "LeaseGranted was sent" wait_for 10 has_signals LeaseGranted 1
is "with lease, groups and uid" "$(signals LeaseGranted)" "[\"$first\",[$group],1001]"

# While granted.
claim bob "$target"
refused "a second caller is refused" AlreadyOwned
claim alice 0000:00:05.1
refused "so is a second claim of the holder" AlreadyOwned
release bob "$first"
refused "another may not release it" NotHolder

# A driver beside the owner.
release_driver "$sibling"
is "the kernel lets it in, for the node is not in use" "$(driver_of "$sibling")" e1000
check "it is a Conflict" wait_for 10 has_signals Conflict 1
like "naming group, device and driver" "$(signals Conflict)" "[$group,\"$sibling\",\"e1000\",*"
check "and on record" wait_for 10 has_journal_count conflict "$group" 1
like "with the device" "$(journal_field conflict "$group" DMAOWND_DEVICES)" "*$sibling*"
is "the lease stays" "$(property "$first" Lease State)" '"active"'
unbind_driver "$sibling"

# Back.
release alice "$first"
worked "the holder releases it"
check "LeaseEnded is sent" wait_for 10 has_signals LeaseEnded 1
is "with its reason" "$(signals LeaseEnded)" "[\"$first\",[$group],\"released\"]"
is "access is taken back" "$(access_of alice "$group") $(opens_as alice "$group")" " open: EACCES"
is "the node is root's alone again" \
    "$(getfacl -pE "/dev/vfio/$group" | grep -v '^#' | tr '\n' ' ')" \
    "user::rw- group::--- other::---  "
check "the group is nobody's" wait_for 10 is_listed "$group" owner none
release alice "$first"
refused "the lease is no more" NoSuchLease

claim bob "$target"
worked "now the other gets it"
is "and he alone" "$(opens_as bob "$group") $(opens_as alice "$group")" "flags=0x1 open: EACCES"
release root "$lease"
worked "root may release what is another's"

# One entry a step.
check "the journal has them all" wait_for 10 has_journal_count ended "$group" 2
is "one entry a step" "$(journal_story "$group")" \
    "denied foreign denied granted denied denied conflict ended granted ended"
is "the reason of the last denial" "$(journal_field denied "$group" DMAOWND_REASON)" leased
is "whose it was" "$(journal_field granted "$group" DMAOWND_UID)" 1002
is "the rule" "$(journal_field granted "$group" DMAOWND_RULE)" slot
is "the reason of the end" "$(journal_field ended "$group" DMAOWND_REASON)" released
check "every entry has a message id" test -n "$(journal_field granted "$group" MESSAGE_ID)"
journalctl --update-catalog
like "and the catalog explains it" \
    "$(journalctl -q -x "DMAOWND_GROUP=$group" DMAOWND_EVENT=granted --no-pager)" "*-- Subject:*"
stop_signals
finish
