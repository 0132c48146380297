# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# For the tests of dmaownctl: sourced first, it gives TAP, a private bus and a stand-in for the daemon.
# A test ends with `finish`.
set -eu
build=${top_builddir:-$PWD}
ctl=$build/dmaownctl
work=$(mktemp -d)
count=0
failed=0
export LC_ALL=C.UTF-8 TZ=UTC TERM=dumb

stop() {
    exec {bus_output}<&- {daemon_output}<&- 2> /dev/null || :
    kill "${daemon_pid:-}" "${bus_pid:-}" 2> /dev/null || :
    rm -rf "$work"
}
trap stop EXIT

finish() {
    echo "1..$count"
    [ "$failed" -eq 0 ]
}

result() {
    count=$((count + 1))
    if [ "$1" = ok ]; then
        echo "ok $count - $2"
    else
        failed=$((failed + 1))
        echo "not ok $count - $2"
        sed 's/^/# /' <<< "$3"
    fi
}

# is NAME GOT WANTED
is() {
    if [ "$2" = "$3" ]; then result ok "$1"; else result bad "$1" "got:    $2"$'\n'"wanted: $3"; fi
}

# like NAME GOT PATTERN
like() {
    # shellcheck disable=SC2053 # a pattern is meant
    if [[ $2 == $3 ]]; then result ok "$1"; else result bad "$1" "got:    $2"$'\n'"wanted: $3"; fi
}

# run ARGUMENT...: sets out, err and status.
run() {
    status=0
    "$ctl" "$@" > "$work/out" 2> "$work/err" || status=$?
    out=$(< "$work/out")
    err=$(< "$work/err")
}

# ends STATUS ARGUMENT...: the call ends so, with a message unless that is 0.
ends() {
    local wanted=$1 name
    shift
    name="dmaownctl$(printf ' %q' "$@")"
    run "$@"
    is "$name ends with $wanted" "$status" "$wanted"
    [ "$wanted" = 0 ] || like "$name says why" "$err" "dmaownctl: *"
}

# json FILTER: of the last output.
json() { jq -cr "$1" <<< "$out" 2>&1 || :; }

start() {
    cat > "$work/bus.conf" <<END
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path=$work/bus</listen>
  <policy context="default">
    <allow own="*"/><allow send_destination="*"/>
    <allow receive_type="method_call"/><allow receive_type="method_return"/>
    <allow receive_type="error"/><allow receive_type="signal"/>
  </policy>
</busconfig>
END
    exec {bus_output}< <(exec dbus-daemon --nofork --nopidfile --config-file="$work/bus.conf" --print-address \
        2> "$work/bus.log")
    bus_pid=$!
    read -r -t 30 address <&"$bus_output"
    export DBUS_SYSTEM_BUS_ADDRESS=$address
}

# start_daemon [keep]: with lease 4 there from the start.
start_daemon() {
    exec {daemon_output}< <(exec "$build/tests/unit/test-client-daemon" "$address" "$@")
    daemon_pid=$!
    read -r -t 30 line <&"$daemon_output"
    is "the stand-in is ready" "$line" ready
}

# told: the next line of the stand-in.
told() {
    local line=""
    read -r -t 30 line <&"$daemon_output" || line="nothing"
    echo "$line"
}
