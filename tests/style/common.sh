# SPDX-License-Identifier: LGPL-2.1-or-later
# For the checks in this folder: TAP on stdout, one test for each file or rule that is checked.
set -eu
cd "${top_srcdir:-$(dirname "$0")/../..}"
count=0
failed=0

# check NAME PROBLEMS: passes when there are no problems; prints them otherwise.
check() {
    count=$((count + 1))
    if [ -z "$2" ]; then
        echo "ok $count - $1"
    else
        echo "not ok $count - $1"
        while IFS= read -r line; do echo "# $line"; done <<< "$2"
        failed=$((failed + 1))
    fi
}

finish() {
    [ "$count" -gt 0 ] || check "something was checked" "nothing was found to check"
    echo "1..$count"
    [ "$failed" -eq 0 ]
}

# sources PATTERN...: files of the project with such names, sorted; nothing that a build made.
# Also right in an unpacked tarball, where git knows nothing.
sources() {
    local names=() pattern
    for pattern; do names+=(-o -name "$pattern"); done
    find daemon client dbus systemd policy tests m4 .ci build-aux/version build-aux/substitute Makefile.am configure.ac \
        -type f \( "${names[@]:1}" \) 2>/dev/null | LC_ALL=C sort
}
