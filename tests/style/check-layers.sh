#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An #include "..." never points to a layer above its own.
# shellcheck source-path=SCRIPTDIR
. "${0%/*}/common.sh"

# What each folder may include beside itself.
declare -A below=(
    [util]=""
    [policy]="util"
    [model]="util policy"
    [kernel]="util policy model"
    [record]="util policy model"
    [manager]="util policy model kernel record"
    [bus]="util policy model kernel record manager"
    [main]="util policy model kernel record manager bus"
    [client]="util policy model kernel"
)

# Layer of a file, or "" where it has none.
layer() {
    case "$1" in
        daemon/main.c) echo main ;;
        daemon/manager*.[ch]) echo manager ;;
        daemon/*/*) local rest=${1#daemon/}; echo "${rest%%/*}" ;;
        daemon/*) echo manager ;;
        policy/*) echo policy ;;
        client/*) echo client ;;
    esac
}

# The file that FILE's #include "NAME" means: beside it, else below daemon/, else from the top.
resolve() {
    local candidate
    for candidate in "${1%/*}/$2" "daemon/$2" "$2"; do
        if [ -e "$candidate" ]; then
            echo "$candidate"
            return
        fi
    done
}

for file in $(find daemon policy client -name '*.[ch]' | LC_ALL=C sort); do
    own=$(layer "$file")
    problems=""
    while read -r name; do
        [ "$name" != config.h ] || continue
        target=$(resolve "$file" "$name")
        if [ -z "$target" ]; then
            problems+="$name is no file of the project"$'\n'
            continue
        fi
        other=$(layer "$target")
        case " $own ${below[$own]-?} " in
            *" $other "*) ;;
            *) problems+="$file ($own) includes $name (${other:-no layer})"$'\n' ;;
        esac
    done < <(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$file")
    check "$file" "${problems%$'\n'}"
done
finish
