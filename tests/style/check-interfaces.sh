#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The D-Bus files are well-formed and agree with each other.
# shellcheck source-path=SCRIPTDIR
. "${0%/*}/common.sh"

for file in dbus/*.xml dbus/*.conf dbus/*.policy; do
    check "$file is well-formed" "$(xmllint --nonet --noout "$file" 2>&1 || :)"
done

# value FILE XPATH: the attribute or text, one a line.
value() {
    xmllint --nonet --xpath "$2" "$1" 2>/dev/null | sed 's/^[^"]*"\(.*\)"$/\1/'
}

for file in dbus/*.xml; do
    name=$(basename "$file" .xml)
    check "$name is the interface in its file" \
        "$([ "$(value "$file" '/node/interface/@name')" = "$name" ] || value "$file" '/node/interface/@name')"
    # An interface with methods that the bus policy forgot is dead.
    [ -n "$(value "$file" '//method/@name')" ] || continue
    check "$name may be called" "$(grep -qF "send_interface=\"$name\"" dbus/org.dmaownd1.conf ||
        echo "org.dmaownd1.conf does not let anybody send to $name")"
done

check "the polkit action is org.dmaownd1.manage" \
    "$(value dbus/org.dmaownd1.policy '//action/@id' | grep -vx 'org.dmaownd1.manage' || :)"
check "activation starts the installed unit" \
    "$(grep -qx 'SystemdService=dmaownd.service' dbus/org.dmaownd1.service || cat dbus/org.dmaownd1.service)"
finish
