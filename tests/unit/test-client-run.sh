#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# dmaownctl run against a stand-in for the daemon: which fds and words the command gets, who it is, and
# how it ends.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/client-lib.sh"

# A command that says what it got: its fds above 2, what the files among them hold, its environment.
cat > "$work/command" <<'END'
#!/bin/bash
for fd in /proc/self/fd/*; do
    fd=${fd##*/}
    # bash has the script open as 255, and the folder that it lists as the lowest that is free.
    [[ $fd -gt 2 && $fd -ne 255 && -e /proc/$$/fd/$fd ]] || continue
    case "$(readlink "/proc/$$/fd/$fd")" in
        pipe:*) echo "fd $fd: pipe" ;;
        /memfd:*) echo "fd $fd: $(cat <&"$fd")" ;;
        *) echo "fd $fd: $(readlink "/proc/$$/fd/$fd")" ;;
    esac
done
[ "$LISTEN_PID" = "$$" ] && echo "LISTEN_PID is its own"
for name in LISTEN_FDS LISTEN_FDNAMES DMAOWND_LEASE DMAOWND_GROUPS LISTEN_PIDFDID; do
    echo "$name: ${!name-unset}"
done
printf 'argument: %s\n' "$@"
exit "${STATUS:-0}"
END
chmod +x "$work/command"

start
ends 7 run 7 -- true
start_daemon

# ---- Usage
ends 2 run 7
like "says what is missing" "$err" "*there is no '-- COMMAND'*"
ends 2 run 7 --
ends 2 run -- true
ends 2 run 7 --comment --
ends 2 run 7 true
ends 2 run 7 --no-such-option -- true
ends 2 run 7 --lifetime fd -- true
ends 2 run 7 -o lifetime=persistent -- true
ends 2 run 7 --json -- true
ends 2 run "" -- true
ends 2 run 7 --user no-such-user -- true
ends 2 run 7 --user 4294967294 -- true

# ---- What is asked for
ends 2 run echo -- true
is "asks for lifetime fd" "$err" "dmaownctl: run: lifetime=s:fd "
run run --ttl 1h echo -i group --key k -m fd -c "--" --container -- true --ttl 5
is "sends its options, and none of the command's" "$err" "dmaownctl: run: \
lifetime=s:fd ttl=t:3600 interface=s:group key=s:k mode=s:fd comment=s:-- container=b:1 "
for pair in InvalidOption:2 PolicyDenied:3 KernelHeld:4 Busy:5 NoSuchTarget:6 NotSupported:1; do
    ends "${pair#*:}" run "error:${pair%:*}" -- touch "$work/ran"
done
is "a claim that fails runs nothing" "$(ls "$work/ran" 2>&1)" "ls: cannot access '$work/ran': No such file or directory"

# ---- What the command gets
bold=$'\e[1m'
ends 0 run 7 12 -- "$work/command" a "" "$bold" --help
is "in mode path" "$out" "fd 3: pipe
LISTEN_PID is its own
LISTEN_FDS: 1
LISTEN_FDNAMES: lease
DMAOWND_LEASE: 4
DMAOWND_GROUPS: 7 12
LISTEN_PIDFDID: unset
argument: a
argument: 
argument: $bold
argument: --help"
is "nothing is said" "$err" ""
is "the lease ends with the command" "$(told)" fd-closed
ends 0 run 12 7 --mode fd --container -- "$work/command"
like "in mode fd" "$out" "fd 3: pipe
fd 4: container
fd 5: group:7
fd 6: group:12
LISTEN_PID*
LISTEN_FDS: 4
LISTEN_FDNAMES: lease:container:group-7:group-12
*DMAOWND_GROUPS: 12 7
*"
is "and ends" "$(told)" fd-closed
ends 0 run 7 --mode fd --interface cdev -- "$work/command"
like "with cdevs" "$out" "fd 3: pipe
fd 4: iommufd
fd 5: device:0000:00:05.0
fd 6: device:0000:00:05.1
LISTEN_PID*
LISTEN_FDNAMES: lease:iommufd:device-0000_00_05.0:device-0000_00_05.1
*"
is "and ends" "$(told)" fd-closed
# What dmaownctl was started with, and its own sockets, end with it; also where fds must go.
LISTEN_FDS=2 LISTEN_PID=1 LISTEN_FDNAMES=a:b LISTEN_PIDFDID=5 run run 7 8 9 --mode fd -- "$work/command" \
    3< /dev/zero 4< /dev/zero 5< /dev/zero 67< /dev/zero 70< /dev/zero 99< /dev/zero
like "nothing else is passed" "$out" "fd 3: pipe
fd 4: group:7
fd 5: group:8
fd 6: group:9
LISTEN_PID*
LISTEN_FDS: 4
LISTEN_FDNAMES: lease:group-7:group-8:group-9
*LISTEN_PIDFDID: unset*"
is "and ends" "$(told)" fd-closed
echo words > "$work/input"
run run 7 -- cat < "$work/input"
is "standard input is the command's" "$out" words
is "and ends" "$(told)" fd-closed
"$ctl" run 7 -- "$work/command" < /dev/null > "$work/out" 2>&- 0<&-
like "also where there are no standard fds" "$(< "$work/out")" "fd 3: pipe
LISTEN_PID*"
is "and ends" "$(told)" fd-closed

# ---- Who it is and how it ends
STATUS=42 run run 7 -- "$work/command"
is "its status is its own" "$status" 42
is "and ends" "$(told)" fd-closed
mkfifo "$work/begun"
"$ctl" run 7 -- bash -c 'echo $$ > '"$work/begun"'; exec sleep 300' &
started=$!
is "its pid is dmaownctl's" "$(< "$work/begun")" "$started"
ends 5 run 7 -- true
kill -TERM $started
status=0
wait $started || status=$?
is "signals reach it" "$status" 143
is "and end the lease" "$(told)" fd-closed
# The fd may be handed on: who still has it keeps the lease.
"$ctl" run 7 -- bash -c 'cat '"$work/begun"' > /dev/null & exec 3>&-'
ends 5 run 7 -- true
echo > "$work/begun"
is "the lease ends with the last copy" "$(told)" fd-closed
run run 7 -- no-such-command
is "a command that is not there" "$status" 127
is "says so" "$err" "dmaownctl: run: 'no-such-command' cannot be executed: No such file or directory"
is "and ends the lease" "$(told)" fd-closed
run run 7 -- ""
is "nor one without a name" "$status" 127
is "which ends the lease" "$(told)" fd-closed
run run 7 -- /etc/passwd
is "one that cannot be executed" "$status" 126
like "says so" "$err" "dmaownctl: run: '/etc/passwd' cannot be executed: Permission denied"
is "and ends the lease" "$(told)" fd-closed

# ---- The user
if [ "$(id -u)" = 0 ]; then
    chmod 755 "$work"
    run run --user nobody echo -- true
    is "access is for the user" "$err" "dmaownctl: run: lifetime=s:fd uid=u:$(id -u nobody) "
    run run --user nobody --mode fd echo -- true
    is "but not in mode fd" "$err" "dmaownctl: run: lifetime=s:fd mode=s:fd "
    run run --user root echo -- true
    is "nor for whom it is anyway" "$err" "dmaownctl: run: lifetime=s:fd "
    run run --user nobody -o uid=root echo -- true
    is "what was said holds" "$err" "dmaownctl: run: lifetime=s:fd uid=u:0 "
    out=$(HOME=/x USER=x LOGNAME=x SHELL=/x setpriv --groups 4242 "$ctl" run 7 --user nobody -- sh -c '
        id -G; echo $HOME $USER $LOGNAME $SHELL
        grep -E "^(Uid|Gid|CapEff):" /proc/self/status | tr -s "\t " " "')
    uid=$(id -u nobody) gid=$(id -g nobody)
    is "becomes the user" "$out" "$(id -G nobody)
$(getent passwd nobody | cut -d: -f6) nobody nobody /x
Uid: $uid $uid $uid $uid
Gid: $gid $gid $gid $gid
CapEff: 0000000000000000"
    is "and ends" "$(told)" fd-closed
    HOME=/x USER=x LOGNAME=x run run 7 --user "$(id -u root)" -- sh -c 'echo $HOME $USER $LOGNAME'
    is "root's names stay" "$out" "$(getent passwd root | cut -d: -f6) x x"
    is "and ends" "$(told)" fd-closed
    status=0
    err=$(setpriv --reuid nobody --regid nogroup --clear-groups "$ctl" run 7 --user nobody -- true 2>&1) || status=$?
    is "--user is for root" "$status" 3
    like "and says so" "$err" "dmaownctl: run: only root*"
fi
finish
