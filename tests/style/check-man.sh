#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The manual pages format without a warning, and say what the programs know.
# shellcheck source-path=SCRIPTDIR
. "${0%/*}/common.sh"

mapfile -t pages < <(sources '*.[1-8]')
for page in "${pages[@]}"; do
    check "$page formats cleanly" \
        "$(MANROFFSEQ='' MANWIDTH=80 LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null || :)"
done

page=daemon/dmaownd.8
# Every event and field that audit.c can write is in the manual.
for word in $(grep -ho '"DMAOWND_[A-Z_]*[="]' daemon/record/audit*.c | tr -d '"=' | sort -u); do
    check "dmaownd(8) has $word" "$(grep -qF "$word" "$page" || echo "it is in audit.c")"
done
# Every long option of the daemon is in the manual.
for option in $(sed -n 's/.*{ *"\([a-z-]*\)", *\(no\|required\|optional\)_argument.*/\1/p' daemon/main.c); do
    [ "$option" != help ] || continue
    check "dmaownd(8) has --$option" "$(sed 's/\\-/-/g' "$page" | grep -qF -e "--$option" || echo "it is in main.c")"
done
# Every method, signal and error of the bus is in its manual.
page=dbus/org.dmaownd1.5
for word in $(sed -n 's/.*<\(method\|signal\) name="\([A-Za-z]*\)".*/\2/p' dbus/*.xml | sort -u); do
    check "org.dmaownd1(5) has $word" "$(grep -qw "$word" "$page" || echo "it is in dbus/*.xml")"
done
for word in $(sed -n 's/.*= ERROR("\([A-Za-z]*\)").*/\1/p' daemon/model/outcome.c); do
    check "org.dmaownd1(5) has $word" "$(grep -qw "$word" "$page" || echo "it is an error of the bus")"
done
finish
