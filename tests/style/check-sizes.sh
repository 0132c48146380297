#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A file has at most 500 lines of at most 110 columns, a function at most 60 lines.
# shellcheck source-path=SCRIPTDIR
. "${0%/*}/common.sh"
export LC_ALL=C.UTF-8

mapfile -t files < <(sources '*.[ch]')
long_files=$(wc -l "${files[@]}" | awk '$2 != "total" && $1 > 500 { print $2 ": " $1 " lines" }')
check "no file of more than 500 lines" "$long_files"
long_lines=$(awk 'length($0) > 110 { print FILENAME ":" FNR ": " length($0) " columns" }' "${files[@]}")
check "no line of more than 110 columns" "$long_lines"
functions=$(awk -f tests/style/functions.awk "${files[@]}")
check "functions were found" "$([ "$(wc -l <<< "$functions")" -gt 20 ] || echo "only: $functions")"
check "no function of more than 60 lines" "$(awk '$3 > 60 { print $1 ": " $2 "() has " $3 " lines" }' <<< "$functions")"
check "no tabs" "$(grep -lP '\t' "${files[@]}" || :)"
finish
