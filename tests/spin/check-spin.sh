#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The race of claim against bind, in every order of events: claim.pml says what is checked. BINDS and
# CRASHES bound what the administrator does and how often the daemon dies.
set -eu -o pipefail
model=$(cd "$(dirname "$0")" && pwd)/claim.pml
: "${BINDS:=2}" "${CRASHES:=1}"
command -v spin > /dev/null || { echo "Bail out! spin is not installed: see tests/install-deps"; exit 99; }
work=$(mktemp -d "${PWD}/check-spin.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
count=0
failed=0

# check NAME COMMAND...: passes if the command does; shows the search otherwise.
check() {
    local name=$1
    shift
    count=$((count + 1))
    if "$@"; then
        echo "ok $count - $name"
    else
        failed=$((failed + 1))
        echo "not ok $count - $name"
        grep -v '^Depth=' search | tail -n 60 | sed 's/^/# /'
    fi
}

# search OPTIMISATION WORD...: exhaustive, no hashing; with these preprocessor words. The output is in the
# file search.
search() {
    local optimisation=$1
    shift
    rm -f pan pan.* search
    if spin -a "$@" "$model" > search 2>&1 &&
        ${CC:-gcc} -w "$optimisation" -DSAFETY -DNOFAIR -DMEMLIM=1024 -o pan pan.c >> search 2>&1; then
        ./pan -m10000 >> search 2>&1 || :
    fi
}

has() { grep -q "$1" search; }
has_not() { ! grep -qE "$1" search; }
# Every statement of a process was reached: of a loop without an end all but its end.
all_reached() { ! sed -n '/^unreached in/,$p' search | grep -E 'claim\.pml:[0-9]+' | grep -vq '"-end-"'; }
# By an assertion, or by a state where all wait.
finds() { has 'errors: 1$'; }

search -O1 -DBINDS="$BINDS" -DCRASHES="$CRASHES"
echo "# $BINDS binds and unbinds, $CRASHES crashes:$(sed -n 's/ states, stored$/ states/p' search)," \
    "$(sed -n 's/ *\(.*\)\ttotal actual memory usage/\1 MB/p' search)"
check "no error in any state" has 'errors: 0$'
check "the search was complete" has_not 'max search depth too small|Search not completed|MEMLIM|out of memory'
check "everything was reached" all_reached
mapfile -t words < <(sed -n 's/^ \* *\(MUTATE_[A-Z]*\) .*/\1/p' "$model")
for word in "${words[@]}"; do
    search -O0 -DBINDS=2 -DCRASHES="$CRASHES" "-D$word"
    check "$word is found" finds
done
echo "1..$count"
[ "$failed" -eq 0 ]
