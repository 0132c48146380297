#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every write of a switch fails, one after the other: all is as before then.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/switch.scenario
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
. "$(dirname "$0")/switch.sh"
policy "$switch_policy"
start
learn

# ---- Each write fails
for ((n = first; n <= away; n += SWITCH_STRIDE)); do
    failures=$(events switch-failed 10)
    fakectl writes clear
    fakectl write-fault $n EROFS
    if call alice Detach "$targets" > /run/answer 2>&1; then
        # A probe that fails is repeated by name.
        is "away, write $n: it is done" "$(snapshot)" "$moved"
        call alice Reattach "$targets" > /dev/null
        is "away, write $n: and undone" "$(snapshot)" "$before"
        continue
    fi
    fakectl release
    what=$(fakectl writes | grep EROFS)
    like "away, write $n ($what): the error" "$(cat /run/answer)" \
        "Step [a-z]+ of device 0000:"
    like "away, write $n: its errno" "$(cat /run/answer)" "EROFS|Read-only file system"
    settled "away, write $n"
    is "away, write $n: on record once" "$(events switch-failed 10)" $((failures + 1))
done
for ((n = first; n <= back; n += SWITCH_STRIDE)); do
    call alice Detach "$targets" > /dev/null
    fakectl writes clear
    fakectl write-fault $n EROFS
    if ! call alice Reattach "$targets" > /run/answer 2>&1; then
        fakectl release
        like "back, write $n ($(fakectl writes | grep EROFS)): the error" "$(cat /run/answer)" "Step [a-z]+ of device 0000:"
        works "back, write $n: again" call alice Reattach "$targets" wait t 10
    fi
    fakectl release
    settled "back, write $n"
done

# ---- A driver that refuses, and then one that does not come back
fakectl driver pci vfio-pci refuse=EINVAL only=0000:03:00.0
is "a driver that refuses" "$(error_of call alice Detach "$targets")" SwitchFailed
like "says which and why" "$(message_of call alice Detach "$targets")" "bind of device 0000:03:00\\.0.*(EINVAL|Invalid argument)"
fakectl driver pci vfio-pci refuse=none
settled "a driver that refuses"
fakectl driver pci vfio-pci refuse=EINVAL only=0000:03:00.0
fakectl driver pci e1000e refuse=EIO only=0000:00:06.0
is "the old driver refuses too" "$(error_of call alice Detach "$targets")" SwitchFailed
is "the others are back" "$(snapshot | grep -v 0000:00:06.0)" "$(grep -v 0000:00:06.0 <<< "$before")"
fakectl driver pci vfio-pci refuse=none
fakectl driver pci e1000e refuse=none
works "later it wants it" call alice Reattach "$targets" wait t 10
settled "a driver that did not come back"
works "the daemon lives" is_running
finish

