# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What scenarios use inside a test VM. Source it first: . /opt/test/guest-lib.sh
#
# A scenario is a list of checks, each of which prints "ok N - what" or "not ok N - what" and goes
# on; `finish` prints the plan and ends with 0 only if all were ok.

checks=0
failures=0

ok() { checks=$((checks + 1)); echo "ok $checks - $*"; }
not_ok() { checks=$((checks + 1)); failures=$((failures + 1)); echo "not ok $checks - $*"; }
note() { sed 's/^/# /' <<< "$*"; }

finish() {
    if [ "$failures" -gt 0 ]; then
        note "the daemon's journal:"
        journalctl -u dmaownd -o short-monotonic --no-pager 2> /dev/null | tail -n 80 | sed 's/^/# /'
    fi
    echo "1..$checks"
    [ "$failures" = 0 ]
    exit
}

# Where the environment itself is broken, no check can be believed.
bail() { echo "Bail out! $*"; exit 99; }

# check WHAT COMMAND...: ok if the command succeeds; its output is shown if it does not.
check() {
    local what=$1 output
    shift
    if output=$("$@" 2>&1); then ok "$what"; else
        not_ok "$what"
        note "failed ($?): $*"
        note "$output"
    fi
}

# check_not WHAT COMMAND...: ok if the command fails.
check_not() {
    local what=$1 output
    shift
    if output=$("$@" 2>&1); then
        not_ok "$what"
        note "should have failed: $*"
        note "$output"
    else ok "$what"; fi
}

# is WHAT GOT WANTED: both are the same text.
is() {
    if [ "$2" = "$3" ]; then ok "$1"; else
        not_ok "$1"
        note "got:    $2"
        note "wanted: $3"
    fi
}

# like WHAT GOT PATTERN: the text matches the shell pattern.
like() {
    # shellcheck disable=SC2053 # a pattern is meant
    if [[ $2 == $3 ]]; then ok "$1"; else
        not_ok "$1"
        note "got:    $2"
        note "wanted: $3"
    fi
}

# wait_for SECONDS COMMAND...: until the command succeeds; fails when the time is over. Only to
# bound a wait: no check may depend on how long something takes.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        read -rt 0.1 <> <(:) || true
    done
}

# ---- kernel ----

device_path() { echo "/sys/bus/pci/devices/$1"; }
driver_of() {
    local link
    if link=$(readlink "$(device_path "$1")/driver"); then basename "$link"; else echo none; fi
}
group_of() { # the group's number, or nothing
    local link
    link=$(readlink "$(device_path "$1")/iommu_group") && basename "$link"
}
members_of() { # members_of GROUP: names, sorted
    local member
    for member in "/sys/kernel/iommu_groups/$1/devices/"*; do
        [ ! -e "$member" ] || basename "$member"
    done | sort | tr '\n' ' '
}

# unbind_driver DEVICE: none is left, none comes back (the override names no driver).
unbind_driver() {
    local path
    path=$(device_path "$1")
    echo none-by-test > "$path/driver_override"
    [ ! -e "$path/driver" ] || echo "$1" > "$path/driver/unbind"
}

# bind_driver DEVICE DRIVER, as an administrator does it; fails if another driver or none is there
# afterwards.
bind_driver() {
    local path
    path=$(device_path "$1")
    modprobe -q "$2"
    echo "$2" > "$path/driver_override"
    [ ! -e "$path/driver" ] || echo "$1" > "$path/driver/unbind"
    echo "$1" > /sys/bus/pci/drivers_probe
    [ "$(driver_of "$1")" = "$2" ]
}

# release_driver DEVICE: no override and whatever driver the kernel finds.
release_driver() {
    local path
    path=$(device_path "$1")
    [ ! -e "$path/driver" ] || echo "$1" > "$path/driver/unbind"
    echo > "$path/driver_override"
    echo "$1" > /sys/bus/pci/drivers_probe
}

show_groups() {
    local group member
    for group in $(ls /sys/kernel/iommu_groups | sort -n); do
        for member in $(members_of "$group"); do
            note "group $group: $member $(driver_of "$member")"
        done
    done
}

# qmp JSON: one command to QEMU itself; prints the answer, fails on an error.
qmp() {
    local line
    if [ -z "${qmp_ready:-}" ]; then
        stty -F /dev/ttyS2 raw -echo 115200
        exec 9<> /dev/ttyS2
        # The terminal has echoed QMP's greeting back into QMP; \377 makes it forget that input.
        printf '\377\n' >&9
        echo '{"execute":"qmp_capabilities"}' >&9
        while read -rt 5 -u 9 line; do
            [[ $line != *'"return"'* ]] || break
        done
        qmp_ready=1
    fi
    echo "$1" >&9
    while read -rt 30 -u 9 line; do
        case $line in
            *'"event"'*) ;;
            *'"return"'*) echo "$line"; return 0 ;;
            *'"error"'*) echo "$line"; return 1 ;;
        esac
    done
    return 1
}

plug() { # plug BUS ID DRIVER
    qmp '{"execute":"device_add","arguments":{"driver":"'"$3"'","bus":"'"$1"'","id":"'"$2"'"}}'
}
unplug() { qmp '{"execute":"device_del","arguments":{"id":"'"$1"'"}}'; }

# ---- users ----

as_user() { # as_user NAME COMMAND...
    local user=$1
    shift
    setpriv --reuid "$user" --regid "$user" --init-groups -- "$@"
}

# ---- dmaownd ----

bus_name=org.dmaownd1
manager=(org.dmaownd1 /org/dmaownd1 org.dmaownd1.Manager)

# call METHOD [SIGNATURE ARGUMENT...]: on the Manager; prints busctl's answer.
call() {
    local method=$1
    shift
    busctl call "${manager[@]}" "$method" "$@"
}
call_as() { # call_as USER METHOD ...
    local user=$1 method=$2
    shift 2
    as_user "$user" busctl call "${manager[@]}" "$method" "$@"
}
