#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Reserves devices for the next boot, which scenario-reserved.sh looks at.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-switch.sh
. /opt/test/guest-switch.sh

# A rule that decides earlier would decide claims of what is reserved, too.
fresh_switch <<'END'
{ "version": 1,
  "rules": [ { "name": "other", "effect": "allow", "match": { "name": "0000:01:00.0" },
               "detach": true, "subjects": { "users": ["bob"] } } ] }
END
check_not "alice may not reserve" as_user alice dmaownctl reserve "$nic"
check "root reserves a NIC for alice" dmaownctl reserve --user alice "$nic"
check "and a group behind a bridge" dmaownctl reserve --user alice "$pair0"
check "and a disk" dmaownctl reserve --user alice "$disk"
check "what the host does not use goes at once" wait_for 30 has_driver "$disk" vfio-pci
check "which is undone" dmaownctl unreserve "$disk"
check "on both sides" dmaownctl reattach "$disk"
check "the files are policy" dmaownctl policy check
note "$(tail -n +1 "$config"/policy.d/*)"
wait_for 30 has_driver "$pair1" vfio-pci
is "who has what" "$(drivers_of "$nic" "$pair0" "$pair1" "$disk")" "vfio-pci vfio-pci vfio-pci nvme"
# Functions that do not exist yet.
cat > "$config/policy.d/50-functions.json" <<'END'
{ "version": 1,
  "rules": [
    { "name": "functions", "effect": "allow", "reserve": true, "subjects": { "users": ["alice"] },
      "match": { "name": "*:00.[1-4]", "class": "0x0108**" } } ] }
END
check "a reserving rule by hand" systemctl reload dmaownd
finish
