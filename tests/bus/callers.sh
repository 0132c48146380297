# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# For tests with several callers at once that do something now and then; sourced after lib.sh.

# shellcheck disable=SC2034 # $said is for the tests
declare -A input process

# begin NAME USER VERB...: a caller; its first line is in $said. It lives until `end NAME`.
begin() {
    local name=$1 user=$2 fd
    shift 2
    rm -f "/run/$name.in" "/run/$name.out"
    mkfifo "/run/$name.in"
    (exec setpriv --reuid "$user" --regid "$user" --init-groups -- "$CALLER" "$@") \
        < "/run/$name.in" > "/run/$name.out" 2>&1 &
    process[$name]=$!
    exec {fd}> "/run/$name.in"
    input[$name]=$fd
    within test -s "/run/$name.out"
    said=$(head -n 1 "/run/$name.out")
}

# lease_of TEXT: the path in what a claim said.
lease_of() { echo "${1%% *}"; }

# say NAME LINE: gives it a command; the line that it answers is in $said.
say() {
    local name=$1 before
    shift
    before=$(wc -l < "/run/$name.out")
    echo "$*" >&"${input[$name]}"
    within has_more "/run/$name.out" "$before"
    said=$(sed -n "$((before + 1))p" "/run/$name.out")
}
has_more() { [ "$(wc -l < "$1")" -gt "$2" ]; }

# end NAME: with its connection and its descriptors.
end() {
    local fd=${input[$1]}
    exec {fd}>&-
    kill "${process[$1]}" 2> /dev/null || :
    wait "${process[$1]}" 2> /dev/null || :
    unset "input[$1]" "process[$1]"
}

# systemd LINE...: the stand-in for the service manager does that; it is begun when it does not run.
systemd() {
    [ -n "${input[systemd]:-}" ] || begin systemd root systemd
    local before
    before=$(times "^(done|[A-Z]).* ${1%% *}\$" /run/systemd.out)
    echo "$*" >&"${input[systemd]}"
    within did_more "$before" "${1%% *}"
}

# shellcheck disable=SC2154 # of lib.sh
# modules [MODULE ALIAS]...: what modprobe and the daemon find to load, with these besides VFIO's own; and
# who loads it.
modules() {
    rm -rf /run/modules
    "$top_srcdir/tests/fakekernel/make-modules" /run/modules "$(uname -r)" "$@" 2>&1 | sed 's/^/# /'
    cp -r "/run/modules/lib/modules/$(uname -r)" /lib/modules/
    systemd jobs go
}
# blacklist [MODULE...]: those alone.
blacklist() {
    mkdir -p /run/modprobe.d
    printf 'blacklist %s\n' "$@" > /run/modprobe.d/test.conf
}

did_more() { [ "$(times "^(done|[A-Z]).* $2\$" /run/systemd.out)" -gt "$1" ]; }

# leaves USER TARGET OPTION...: claims, and has left the bus when the daemon, which stands still
# meanwhile, comes to it.
leaves() {
    begin leaving "$1" leave "${@:2}"
    local daemon fd=${input[leaving]}
    daemon=$(daemon_pid)
    kill -STOP "$daemon"
    echo now >&"$fd"
    wait "${process[leaving]}" || :
    kill -CONT "$daemon"
    exec {fd}>&-
    unset "input[leaving]" "process[leaving]"
}
