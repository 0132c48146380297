#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The story of the README, in a VM: a group that the kernel holds, why, how it becomes grantable,
# who gets it and who does not, and what the journal says of it.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh

target=0000:00:05.0
sibling=0000:00:05.2
failed=0

say() { printf '\n== %s\n' "$*"; }
# show WANTED-STATUS COMMAND...: as typed at a prompt.
show() {
    local wanted=$1 prompt='#' typed status=0
    shift
    typed=$*
    if [ "$1" = as_user ]; then
        prompt="$2\$"
        typed=${*:3}
    fi
    echo "$prompt ${typed/asa\{sv\}/\'asa\{sv\}\'}"
    "$@" 2>&1 || status=$?
    [ "$status" = "$wanted" ] || { echo "(status $status, $wanted was expected)"; failed=1; }
}

fresh_start <<'END'
{ "version": 1,
  "rules": [
    { "name": "slot-5",
      "effect": "allow",
      "match": { "bus": "pci", "name": "0000:00:05.*" },
      "subjects": { "users": ["alice", "bob"] } } ] }
END
bind_driver "$target" vfio-pci
udevadm settle
group=$(group_of "$target")
wait_for 10 is_listed "$group" verdict kernel-driver alice
claim_call=(busctl call org.dmaownd1 /org/dmaownd1 org.dmaownd1.Manager Claim 'asa{sv}' 1
    "$target" 1 lifetime s persistent)

echo "Kernel $(uname -r), $(systemctl --version | head -n 1)"
say "The policy allows alice and bob the devices in slot 5."
show 0 cat "$policy_file"
say "The groups of this machine:"
show 0 as_user alice dmaownctl list
say "Alice wants $target. A sibling in its group is still the kernel's:"
show 1 as_user alice "${claim_call[@]}"
show 0 as_user alice dmaownctl show "$target"
say "The administrator takes the sibling's driver away, by hand:"
echo "# echo $sibling > /sys/bus/pci/devices/$sibling/driver/unbind"
unbind_driver "$sibling"
wait_for 10 is_listed "$group" verdict grantable alice
say "The same call is granted now:"
show 0 as_user alice "${claim_call[@]}"
show 0 getfacl -pE "/dev/vfio/$group"
show 0 as_user alice vfio-open "/dev/vfio/$group"
say "Bob may not open the node, and a second claim is refused:"
show 1 as_user bob vfio-open "/dev/vfio/$group"
show 5 as_user bob dmaownctl claim --lifetime persistent "$target"
show 0 dmaownctl leases
say "Alice releases it:"
lease=$(property "/org/dmaownd1/group/$group" Group Lease | tr -d '"')
show 0 as_user alice dmaownctl release "${lease##*/}"
wait_for 10 has_journal_count ended "$group" 1
say "A program that gets the group as an open descriptor needs access to no node, and does DMA:"
show 0 as_user alice dmaownctl run --mode fd "$target" -- edu-dma
wait_for 10 has_journal_count ended "$group" 2
say "What the journal tells of group $group:"
show 0 journalctl -q --no-pager -o cat --since "$journal_mark" "DMAOWND_GROUP=$group"
say "The grant with all its fields:"
show 0 journalctl -q --no-pager -o verbose --since "$journal_mark" \
    --output-fields="MESSAGE,$(printf 'DMAOWND_%s,' EVENT GROUP DEVICES LEASE UID RULE)" \
    "DMAOWND_GROUP=$group" DMAOWND_EVENT=granted
echo
exit "$failed"
