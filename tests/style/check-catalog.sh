#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every MESSAGE_ID of the daemon has an entry in the journal's catalog, and the other way round.
# shellcheck source-path=SCRIPTDIR
. "${0%/*}/common.sh"

header=daemon/record/message-ids.h
catalog=systemd/dmaownd.catalog
in_code=$(grep -oiE '[0-9a-f]{32}' "$header" | tr A-F a-f | LC_ALL=C sort)
in_catalog=$(sed -n 's/^-- \([0-9a-f]\{32\}\)$/\1/p' "$catalog" | LC_ALL=C sort)
check "ids were found" "$([ -n "$in_code" ] || echo "none in $header")"
check "no id is used twice" "$(uniq -d <<< "$in_code")$(uniq -d <<< "$in_catalog")"
check "every id has an entry" "$(LC_ALL=C comm -23 <(echo "$in_code") <(echo "$in_catalog"))"
check "every entry has an id" "$(LC_ALL=C comm -13 <(echo "$in_code") <(echo "$in_catalog"))"
check "systemd can read the catalog" "$(
    root=$(mktemp -d)
    mkdir -p "$root/usr/lib/systemd/catalog" "$root/var/lib/systemd/catalog"
    cp "$catalog" "$root/usr/lib/systemd/catalog/"
    journalctl --root="$root" --update-catalog 2>&1 || :
    listed=$(journalctl --root="$root" --list-catalog 2>/dev/null | grep -c '^[0-9a-f]')
    [ "$listed" = "$(wc -l <<< "$in_catalog")" ] || echo "$listed entries are listed"
    rm -rf "$root")"
finish
