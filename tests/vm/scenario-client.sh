#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# dmaownctl on a system bus, and callers that behave badly while others are served.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh

nic=0000:00:02.0
fresh_start <<'END'
{ "version": 1,
  "rules": [ { "name": "nics", "effect": "allow", "match": { "vendor": "0x8086" },
               "subjects": { "users": ["alice"] } } ] }
END
bind_driver "$nic" vfio-pci
group=$(group_of "$nic")
wait_for 10 is_listed "$group" verdict grantable alice

status_of() { "$@" > /tmp/client.out 2>&1; echo $?; }
is "dmaownctl list works" "$(status_of as_user alice dmaownctl list)" 0
like "and shows the group" "$(cat /tmp/client.out)" "*$group*grantable*"
is "dmaownctl claim works" \
    "$(status_of as_user alice dmaownctl claim --lifetime persistent "$nic")" 0
is "status 5: owned" "$(status_of as_user alice dmaownctl claim --lifetime persistent "$nic")" 5
like "dmaownctl leases shows it" "$(dmaownctl leases --json)" "*nics*"
is "dmaownctl release works" "$(status_of as_user alice dmaownctl release "$(
    property /org/dmaownd1/group/"$group" Group Lease | tr -d '"')")" 0
is "status 3: denied" "$(status_of as_user bob dmaownctl claim "$nic")" 3
is "status 4: held by the kernel" "$(status_of as_user alice dmaownctl claim 0000:01:00.0)" 4
is "status 6: no such target" "$(status_of as_user alice dmaownctl claim 0000:77:00.0)" 6
is "status 2: usage" "$(status_of dmaownctl no-such-verb)" 2

# A flood from one, and one who does not read, while another is served.
hold deaf as_user bob bus-client deaf 5000
claim alice "$nic"
worked "served while another never reads its answers"
release alice "$lease"
let_go deaf
like "every call of a burst is answered" \
    "$(as_user bob timeout 120 bus-client burst 2000)" "* answered, * refused"
as_user alice bus-client vanish "$nic"
check "a caller that vanished before its answer leaves nothing" \
    wait_for 20 is_listed "$group" verdict grantable alice
is "dmaownd was not restarted" "$(systemctl show -p NRestarts --value dmaownd)" 0
finish
