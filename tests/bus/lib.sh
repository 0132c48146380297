# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# For the tests of this folder: sourced first, it runs the test inside the fake kernel, with a private
# bus; then it gives TAP and a few words for the daemon. A test ends with `finish`.
set -eu -o pipefail

: "${top_srcdir:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}"
: "${top_builddir:=$top_srcdir}"
: "${DMAOWND:=$top_builddir/dmaownd}"
: "${DMAOWNCTL:=$top_builddir/dmaownctl}"
: "${FAKEKERNEL:=$top_builddir/tests/fakekernel}"
: "${CALLER:=$top_builddir/tests/bus/caller}"
: "${SCENARIO:=$top_srcdir/tests/fakekernel/default.scenario}"
export top_srcdir top_builddir DMAOWND DMAOWNCTL FAKEKERNEL CALLER SCENARIO

if [ -z "${FAKEKERNEL_INSIDE:-}" ]; then
    programs=("$FAKEKERNEL/fakekernel" "$FAKEKERNEL/fakectl")
    [ "${needs_daemon:-yes}" = no ] || programs+=("$CALLER" "$DMAOWND")
    for program in "${programs[@]}"; do
        [ -x "$program" ] || { echo "Bail out! $program was not built"; exit 99; }
    done
    [ "$(id -u)" = 0 ] || { echo "Bail out! the fake kernel needs root"; exit 99; }
    export FAKEKERNEL_INSIDE=1
    exec timeout --signal=KILL "${TEST_TIMEOUT:-300}" "$FAKEKERNEL/fakekernel" --scenario "$SCENARIO" \
        --bus-policy "$top_srcdir/dbus/org.dmaownd1.conf" -- bash "$0" "$@"
fi

trap 'echo "# line $LINENO of $0 ended the test: $BASH_COMMAND" >&2' ERR

# ---- TAP --------------------------------------------------------------------------------------

count=0
failed=0

pass() {
    count=$((count + 1))
    echo "ok $count - $1"
}

# fail NAME [WHY...]
fail() {
    count=$((count + 1))
    failed=$((failed + 1))
    echo "not ok $count - $1"
    shift
    [ $# -eq 0 ] || printf '%s\n' "$@" | sed 's/^/# /'
}

# is NAME GOT EXPECTED
is() {
    if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "got:      $2" "expected: $3"; fi
}

# like NAME GOT REGEX
like() {
    if [[ $2 =~ $3 ]]; then pass "$1"; else fail "$1" "got:    $2" "wanted: $3"; fi
}

# unlike NAME GOT REGEX
unlike() {
    if [[ $2 =~ $3 ]]; then fail "$1" "got:      $2" "unwanted: $3"; else pass "$1"; fi
}

# works NAME COMMAND...
works() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then pass "$name"; else fail "$name" "$*" "$output"; fi
}

# fails NAME COMMAND...
fails() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then fail "$name" "$*" "$output"; else pass "$name"; fi
}

# eventually NAME COMMAND...: within 10 s (a bound, not a measurement).
eventually() {
    local name=$1
    shift
    if within "$@"; then pass "$name"; else fail "$name" "$*" "$("$@" 2>&1)"; fi
}

# becomes NAME EXPECTED COMMAND...: the output does, within 10 s.
becomes() {
    local name=$1 expected=$2
    shift 2
    # What it was once is enough: asked again, it may be something else by then.
    if within is_output "$expected" "$@"; then pass "$name"; else is "$name" "$("$@" 2>&1)" "$expected"; fi
}
is_output() { [ "$("${@:2}" 2> /dev/null)" = "$1" ]; }

# within COMMAND...: waits for it to succeed, for at most 10 s.
within() {
    local end=$((SECONDS + 10))
    until "$@" > /dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.02
    done
}

finish() {
    if [ "$failed" -gt 0 ] && [ -s "$log" ]; then
        echo "# --- the daemon's log:"
        tail -n 60 "$log" | sed 's/^/# /'
    fi
    # Nothing that a sanitizer found may go unnoticed.
    if grep -aE 'runtime error:|ERROR: (Address|Leak)Sanitizer|Assertion' "$log" 2> /dev/null; then
        fail "the daemon's log is free of sanitizer reports"
    fi
    echo "1..$count"
    [ "$failed" -eq 0 ]
}

# ---- The machine ------------------------------------------------------------------------------

log=/run/fakekernel/dmaownd.log
# shellcheck disable=SC2034 # for the tests
journal=/run/fakekernel/journal
config=/run/config
mkdir -p "$config"

fakectl() { "$FAKEKERNEL/fakectl" "$@"; }
sysfs() { echo "/sys/bus/pci/devices/$1"; }

# as USER COMMAND...: with that user's groups.
as() {
    local user=$1
    shift
    setpriv --reuid "$user" --regid "$user" --init-groups -- "$@"
}

# policy [JSON]: as given, or one that lets alice and bob have what can be had.
# shellcheck disable=SC2120 # the default is enough for most
policy() {
    local text=${1-}
    [ $# -gt 0 ] || text='{ "version": 1, "rules": [
        { "name": "nics", "effect": "allow", "match": { "bus": "pci" },
          "subjects": { "users": ["alice", "bob"] } },
        { "name": "soc", "effect": "allow", "match": { "compatible": "calxeda,hb-xgmac" },
          "subjects": { "groups": ["dmaown"] } },
        { "name": "mediated", "effect": "allow", "match": { "bus": "mdev" },
          "subjects": { "users": ["alice"] } } ] }'
    printf '%s\n' "$text" > "$config/policy.json"
}

daemon_words() {
    # shellcheck disable=SC2086 # a wrapper is words
    printf '%s\n' ${DMAOWND_WRAPPER:-} "$DMAOWND" --config "$config" --foreground
}

# start [OPTION...]: the daemon, in the foreground, with the policy above unless there is one.
start() {
    local words
    [ -e "$config/policy.json" ] || policy
    mapfile -t words < <(daemon_words)
    fakectl service start dmaownd "${words[@]}" "$@" > /dev/null || { fail "the daemon starts"; finish; exit 1; }
}

service() { fakectl service "$1" dmaownd; }
daemon_pid() { service status | awk 'NR == 1 { print $2 }'; }
is_running() { [[ $(service status) == active* ]]; }
# ticks_pass N: so many ticks of the daemon, within 10 s (WATCHDOG_USEC in its environment makes them short).
ticks_pass() {
    local from
    from=$(ticks)
    within has_ticked $((from + $1))
}
ticks() { service status | sed -n 's/.* watchdog //p'; }
has_ticked() { [ "$(ticks)" -ge "$1" ]; }

# ---- The bus ----------------------------------------------------------------------------------

bus_name=org.dmaownd1
root=/org/dmaownd1

# manager METHOD [SIGNATURE ARGUMENT...]: as JSON.
manager() { busctl --json=short -- call $bus_name $root org.dmaownd1.Manager "$@"; }

# property PATH INTERFACE NAME: bare.
property() {
    busctl --json=short get-property $bus_name "$1" "org.dmaownd1.$2" "$3" | jq -cr '.data'
}
group() { property "$root/group/$1" Group "$2"; }
lease() { property "$1" Lease "$2"; }
device_path() { busctl --json=short tree --list $bus_name | grep -F "$1"; }

# claim USER TARGET [SIGNATURE...]: a persistent lease; prints its path. More options as for busctl.
claim() {
    local user=$1 target=$2
    shift 2
    as "$user" busctl --json=short call $bus_name $root org.dmaownd1.Manager Claim 'asa{sv}' \
        1 "$target" $((1 + $# / 3)) lifetime s persistent "$@" | jq -r '.data[0]'
}

# error_of COMMAND...: the name of the D-Bus error without what is common, "" when it worked.
error_of() {
    { SYSTEMD_LOG_LEVEL=debug "$@" 2>&1 || :; } |
        sed -n 's/.*Got message type=error.* error-name=\([^ ]*\) .*/\1/p' |
        sed 's/^org.dmaownd1.Error.//' | tail -n 1
}

# refused NAME ERROR COMMAND...: fails with that D-Bus error.
refused() {
    local name=$1 expected=$2 got
    shift 2
    got=$(error_of "$@")
    if [ "$got" = "$expected" ]; then pass "$name"; else
        fail "$name" "got:      ${got:-no error}" "expected: $expected" "$("$@" 2>&1 || :)"
    fi
}

# explain USER TARGET: grantable and reason; findings: one line each, group device reason blocks.
explain() {
    as "$1" busctl --json=short call $bus_name $root org.dmaownd1.Manager Explain 'asa{sv}' 1 "$2" 0
}
verdict() { explain "$1" "$2" | jq -r '"\(.data[0]) \(.data[1])"'; }
findings() {
    explain "$1" "$2" | jq -r '.data[2][] | "\(.group.data) \(.device.data) \(.reason.data) \(.blocks.data)"'
}

# can_open USER GROUP
can_open() { as "$1" "$FAKEKERNEL/fakectl" status "/dev/vfio/$2"; }

# hold USER COMMAND...: one that stays until release_hold; sets $held to its first line.
hold() {
    mkfifo /run/hold
    as "$@" < /run/hold > /run/held 2>&1 &
    holder=$!
    exec 8> /run/hold
    within test -s /run/held
    # shellcheck disable=SC2034 # for the tests
    held=$(head -n 1 /run/held)
}
release_hold() {
    exec 8>&-
    wait "$holder" || :
    rm /run/hold /run/held
}

# owner_is GROUP OWNER
owner_is() { [ "$(group "$1" Owner)" = "$2" ]; }
gone() { ! busctl get-property $bus_name "$1" org.dmaownd1.Lease Id; }

# watch_signals: from here on, signals go to the file $signals.
signals=/run/signals
watch_signals() {
    mkfifo /run/watch
    "$CALLER" watch < /run/watch > "$signals" &
    exec 7> /run/watch
    within grep -q watching "$signals"
}
# signalled REGEX: one such line came.
signalled() { grep -qE "$1" "$signals"; }
# times REGEX FILE: how many such lines.
times() { grep -cE "$1" "$2" || :; }
