# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034 # sets variables for the scenarios
#
# What scenarios use inside a test VM. Source it first: . /opt/test/guest-lib.sh
#
# A scenario is a list of checks, each of which prints "ok N - what" or "not ok N - what" and goes
# on; `finish` prints the plan and ends with 0 only if all were ok.

checks=0
failures=0

ok() { checks=$((checks + 1)); echo "ok $checks - $*"; }
not_ok() {
    checks=$((checks + 1))
    failures=$((failures + 1))
    echo "not ok $checks - $*"
}
note() { printf '# %s\n' "${*//$'\n'/$'\n'# }"; }

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
        sleep 0.1
    done
}

# ---- kernel ----

# The names of devices differ from bus to bus.
device_path() {
    local bus
    for bus in platform amba; do
        [ ! -e "/sys/bus/$bus/devices/$1" ] || { echo "/sys/bus/$bus/devices/$1"; return; }
    done
    echo "/sys/bus/pci/devices/$1"
}
driver_of() {
    local link
    if link=$(readlink "$(device_path "$1")/driver"); then basename "$link"; else echo none; fi
}
has_driver() { [ "$(driver_of "$1")" = "$2" ]; } # has_driver DEVICE DRIVER, for wait_for
# drivers_of DEVICE...: what each is bound to, on one line
drivers_of() {
    local device drivers=()
    for device; do
        drivers+=("$(driver_of "$device")")
    done
    echo "${drivers[*]}"
}
override_of() { cat "$(device_path "$1")/driver_override"; }
# test_module NAME: one of modules/
test_module() { insmod "/usr/lib/vmtest/modules/$(uname -r)/$1.ko" "${@:2}"; }
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
    echo "$1" > "$path/subsystem/drivers_probe"
    [ "$(driver_of "$1")" = "$2" ]
}

# release_driver DEVICE: no override and whatever driver the kernel finds.
release_driver() {
    local path
    path=$(device_path "$1")
    [ ! -e "$path/driver" ] || echo "$1" > "$path/driver/unbind"
    echo > "$path/driver_override"
    echo "$1" > "$path/subsystem/drivers_probe"
}

# bind_error DEVICE DRIVER: what the kernel says when that very driver is bound by hand, "" if it
# lets it in. The override is no driver's again afterwards.
bind_error() {
    local path said
    path=$(device_path "$1")
    echo > "$path/driver_override"
    said=$({ echo "$1" > "$path/subsystem/drivers/$2/bind"; } 2>&1)
    echo none-by-test > "$path/driver_override"
    echo "${said##*: }"
}

show_groups() {
    local group member
    for group in $(find /sys/kernel/iommu_groups -mindepth 1 -maxdepth 1 -printf '%f\n' |
                       sort -n); do
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

manager=(org.dmaownd1 /org/dmaownd1 org.dmaownd1.Manager)
config=$(cat /opt/test/sysconfdir 2> /dev/null || echo /etc)/dmaownd
policy_file=$config/policy.json

# jq takes long to start on an emulated processor, so what is asked often is taken apart here.

# attempt USER METHOD [SIGNATURE ARGUMENT...]: calls the Manager. Sets answer (the values, as a JSON
# array on one line), error_name ("" when it worked, without the project's prefix) and error_text.
attempt() {
    local user=$1
    shift
    attempt_on "$user" "${manager[@]}" "$@"
}
attempt_on() { # attempt_on USER SERVICE OBJECT INTERFACE METHOD ...
    local user=$1 status=0 line
    shift
    error_name="" error_text="" answer=""
    # Only in its debug output does busctl name an error.
    SYSTEMD_LOG_LEVEL=debug as_user "$user" busctl --json=short call "$@" \
        > /tmp/attempt.out 2> /tmp/attempt.err || status=$?
    if [ "$status" = 0 ]; then
        answer=$(< /tmp/attempt.out)
        [[ $answer =~ '"data":'(.*)'}'$ ]] && answer=${BASH_REMATCH[1]}
        return
    fi
    error_name=no-answer
    while read -r line; do
        [[ ! $line =~ error-name=([^ ]+) ]] || error_name=${BASH_REMATCH[1]#org.dmaownd1.Error.}
        [[ ! $line =~ ^'Call failed: '(.*) ]] || error_text=${BASH_REMATCH[1]}
    done < /tmp/attempt.err
}

# worked WHAT: the last attempt had no error. refused WHAT NAME: it had this one.
worked() { is "$1" "${error_name:+$error_name: }$error_text" ""; }
refused() { is "$1" "$error_name" "$2"; }

# claim USER TARGET[,TARGET...] [OPTION TYPE VALUE]...: attempts a Claim and sets lease, its path.
# Without a lifetime among the options it is persistent, because busctl is gone at once.
claim() {
    local user=$1 targets options
    IFS=, read -ra targets <<< "$2"
    shift 2
    options=("$@")
    [[ " $* " == *" lifetime "* ]] || options+=(lifetime s persistent)
    attempt "$user" Claim 'asa{sv}' "${#targets[@]}" "${targets[@]}" \
        $((${#options[@]} / 3)) "${options[@]}"
    lease=""
    [[ ! $answer =~ '"'(/org/dmaownd1/lease/[^\"]*) ]] || lease=${BASH_REMATCH[1]}
}
release() { attempt "$1" Release o "$2"; } # release USER LEASE

# explain USER TARGET: sets grantable and reason; blocking prints "DEVICE DRIVER" of each finding of
# it that blocks.
explain() {
    attempt "$1" Explain 'asa{sv}' 1 "$2" 0
    grantable="" reason=""
    [[ ! $answer =~ ^\[(true|false),'"'([^\"]*) ]] ||
        grantable=${BASH_REMATCH[1]} reason=${BASH_REMATCH[2]}
}
blocking() {
    jq -r '.[2][] | map_values(.data) | select(.blocks) | .device + " " + .driver' <<< "$answer"
}

# listed GROUP FIELD [USER]: a field of ListGroups: owner verdict count node object.
listed() {
    local -A column=([owner]=1 [verdict]=2 [count]=3 [node]=4 [object]=5)
    attempt "${3:-root}" ListGroups
    [[ $answer =~ \[$1,'"'([a-z]*)'","'([a-z-]*)'",'([0-9]*)',"'([^\"]*)'","'([^\"]*)'"' ]] || return
    echo "${BASH_REMATCH[${column[$2]}]}"
}
# is_listed GROUP FIELD VALUE [USER], for wait_for.
is_listed() { [ "$(listed "$1" "$2" "${4:-root}")" = "$3" ]; }

property() { # property OBJECT INTERFACE NAME: JSON, of the value alone
    local got
    got=$(busctl --json=short get-property org.dmaownd1 "$1" "org.dmaownd1.$2" "$3" 2> /dev/null)
    [[ ! $got =~ '"data":'(.*)'}'$ ]] || echo "${BASH_REMATCH[1]}"
}
# has_like OBJECT INTERFACE NAME PATTERN, for wait_for
# shellcheck disable=SC2053 # a pattern is meant
has_like() { [[ $(property "$1" "$2" "$3") == $4 ]]; }
has_property() { [ "$(property "$1" "$2" "$3")" = "$4" ]; }

# The user's entry in the node's ACL as it takes effect: "rw-", "---" or nothing.
access_of() { # access_of USER GROUP
    getfacl --absolute-names --all-effective "/dev/vfio/$2" 2> /dev/null |
        sed -n "s/^user:$1:.*#effective:\(.*\)/\1/p"
}
has_access() { [ "$(access_of "$1" "$2")" = "$3" ]; }

# What a uid gets from the node: vfio-open's line.
opens_as() { vfio-open -u "$(id -u "$1")" "/dev/vfio/$2"; }
can_open() { [[ $(opens_as "$1" "$2") == flags=* ]]; }

# vfio_fds PID: nodes of VFIO and iommufd and what comes from them, as far as the process has it open.
vfio_fds() {
    find "/proc/$1/fd" -type l \( -lname '/dev/vfio/?*' -o -lname /dev/iommu -o \
        -lname 'anon_inode:*vfio*' \) -printf '%l '
}
# A node may be open for the moment of a look.
keeps_nothing_of_vfio() { wait_for 5 daemon_has_nothing_of_vfio; }
daemon_has_nothing_of_vfio() { [ -z "$(vfio_fds "$(main_pid)")" ]; }

# call METHOD ...: as root, on the Manager; prints busctl's answer.
call() { busctl call "${manager[@]}" "$@"; }

# ---- life of the daemon ----

write_policy() { # write_policy < JSON
    mkdir -p "$config"
    cat > "$policy_file"
}

main_pid() { systemctl show -p MainPID --value dmaownd; }
is_active() { [ "$(systemctl is-active dmaownd)" = active ]; }
is_ready_again() { is_active && [ "$(main_pid)" != "$1" ]; } # is_ready_again OLD-PID

# Start, stop and restart, without systemd's limit of starts in a short time.
service() {
    systemctl reset-failed dmaownd 2> /dev/null
    timeout 60 systemctl "$1" dmaownd
}
kill_daemon() { # SIGKILL, and back by systemd's hand
    local before
    systemctl reset-failed dmaownd 2> /dev/null
    before=$(main_pid)
    systemctl kill --signal=KILL dmaownd
    wait_for 60 is_ready_again "$before"
}

# Kernel, policy and daemon as after a boot; the policy comes on standard input. Every scenario
# begins with it, so that they may run in one machine one after the other.
fresh_start() {
    local file
    systemctl stop dmaownd 2> /dev/null
    rm -rf /run/dmaownd "$config"
    for file in /sys/bus/{pci,platform,amba}/devices/*/driver_override; do
        [ ! -e "$file" ] || [ "$(< "$file")" = "(null)" ] ||
            release_driver "$(basename "${file%/*}")" 2> /dev/null
    done
    udevadm settle --timeout=30
    write_policy
    mark_journal
    service start || {
        journalctl -u dmaownd --no-pager | tail -n 40 | sed 's/^/# /'
        bail "dmaownd does not start"
    }
}

# ---- journal ----

# Later counts begin here. (Not at a cursor: with a match, journalctl loses an entry behind it.)
mark_journal() { journal_mark=@${EPOCHREALTIME/,/.}; }
# journal FIELD MATCH...: that field of each entry since the mark that matches, one a line
journal() {
    local field=$1
    shift
    journalctl --sync
    journalctl -q --no-pager -o cat --output-fields="$field" --since "$journal_mark" "$@"
}
# journal_count EVENT GROUP
journal_count() {
    journal DMAOWND_EVENT "DMAOWND_EVENT=$1" "DMAOWND_GROUP=$2" | wc -l
}
has_journal_count() { [ "$(journal_count "$1" "$2")" = "$3" ]; }
# journal_field EVENT GROUP FIELD: of the newest such entry
journal_field() { journal "$3" "DMAOWND_EVENT=$1" "DMAOWND_GROUP=$2" | tail -n 1; }
# has_ended GROUP COUNT REASON: the group's leases have ended so often, the last for this reason.
has_ended() {
    local reasons
    mapfile -t reasons < <(journal DMAOWND_REASON DMAOWND_EVENT=ended "DMAOWND_GROUP=$1")
    echo "reasons so far: ${reasons[*]}"
    [ "${#reasons[@]}" = "$2" ] && [ "${reasons[-1]}" = "$3" ]
}
# All that the journal tells of a group: "denied denied granted ended"
journal_story() {
    local events
    mapfile -t events < <(journal DMAOWND_EVENT "DMAOWND_GROUP=$1")
    echo "${events[*]}"
}

# ---- signals ----

# Records all signals of the daemon from here on.
watch_signals() {
    stop_signals
    : > /tmp/signals
    busctl monitor --json=short --match "type='signal',sender='org.dmaownd1'" \
        > /tmp/signals 2> /tmp/signals.log &
    signals_pid=$!
    wait_for 10 grep -q Monitoring /tmp/signals.log
}
stop_signals() {
    [ -z "${signals_pid:-}" ] || kill "$signals_pid" 2> /dev/null
    signals_pid=""
}
# signals MEMBER: the arguments of each such signal, one JSON array a line
signals() {
    sed -n "/\"member\":\"$1\"/ s/.*\"payload\":{[^}]*\"data\":\(.*\)}}\$/\\1/p" /tmp/signals
}
has_signals() { [ "$(signals "$1" | wc -l)" -ge "$2" ]; } # has_signals MEMBER COUNT

# ---- things that stay ----

# edu-dma in hold NAME has done its DMA and stays; dma_done NAME "" if it was only to claim.
dma_done() {
    wait_for 30 grep -qE '^(staying|failed)' "/tmp/hold.$1"
    cat "/tmp/hold.$1"
    grep -q "^ok: ${2-DMA outside of the mapping is stopped}" "/tmp/hold.$1" &&
        ! grep -q '^failed' "/tmp/hold.$1"
}

# hold NAME COMMAND...: starts it in the background and waits for its first line, in held[NAME].
declare -A held=() held_pid=()
hold() {
    local name=$1
    shift
    # The process itself, not a shell around it, is what let_go has to end.
    [ "$1" != as_user ] || set -- setpriv --reuid "$2" --regid "$2" --init-groups -- "${@:3}"
    # Made empty here: the background would do it too late.
    : > "/tmp/hold.$name"
    "$@" > "/tmp/hold.$name" 2>&1 < /dev/null &
    held_pid[$name]=$!
    wait_for 20 test -s "/tmp/hold.$name"
    held[$name]=$(cat "/tmp/hold.$name")
}
is_gone() { [ ! -e "/proc/$1" ]; } # is_gone PID
let_go() { # let_go NAME
    kill "${held_pid[$1]}" 2> /dev/null
    wait "${held_pid[$1]}" 2> /dev/null
    return 0
}
