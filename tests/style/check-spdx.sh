#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every source file names its licence in its first lines, and it is the project's.
# shellcheck source-path=SCRIPTDIR
. "${0%/*}/common.sh"

problems=""
total=0
while IFS= read -r file; do
    total=$((total + 1))
    head -n 4 "$file" | grep -qF "SPDX-License-Identifier: LGPL-2.1-or-later" ||
        problems+="$file"$'\n'
done < <(sources '*.[ch]' '*.sh' '*.mk' '*.m4' '*.am' '*.ac' '*.xml' '*.conf' '*.in' '*.catalog' \
             '*.policy' '*.preset' '*.service' '*.[1-8]' '*.py' '*.bash' |
             grep -v '^systemd/dmaownd.service$\|/corpus/')
while IFS= read -r file; do
    total=$((total + 1))
    head -n 4 "$file" | grep -qF "SPDX-License-Identifier: LGPL-2.1-or-later" ||
        problems+="$file"$'\n'
done < <(grep -rlI --exclude-dir=corpus '^#!/' tests .ci bootstrap build-aux/version build-aux/substitute)
check "$total files name LGPL-2.1-or-later" "${problems%$'\n'}"
check "the licence is there" "$([ -s LICENSE ] || echo LICENSE is missing)"
finish
