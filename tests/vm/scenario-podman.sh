#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Containers of Debian's podman and crun: devices by name, a lease for each container, and what remains of it
# when a container, its monitor or dmaownd is killed.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-callers.sh
. /opt/test/guest-callers.sh
# shellcheck source=tests/vm/guest-podman.sh
. /opt/test/guest-podman.sh
start_for_containers

# ---- The list
is "by node" "$(node_of $lent0)" "/dev/vfio/$first"
is "readable for all" "$(stat -c '%a %U' $spec)" "644 root"
is "written without a capability" "$(awk '/^CapEff/ { print $2 }' "/proc/$(systemctl show -p MainPID --value dmaownd-cdi)/status")" \
    0000000000000000
systemd-analyze security --no-pager dmaownd-cdi | tail -n 1 | tr -cd '[:print:]\n' | sed 's/^/# /'

# ---- A container has it
check "a container starts with the device by name" start one $lent0
check "and uses the group inside" wait_for 20 has_said one "flags=0x3 held"
is "the lease lives with its first process, and says which container" "$(held_by "$first")" \
    "$(container_pid one) \"container $(id_of one)\""
is "nobody else has it meanwhile" "$(opens_as alice "$first")" "open: EACCES"
one=$(id_of one)
does_not_start two $lent0 --annotation run.oci.hooks.stderr=/tmp/reason
like "podman names the hook" "$said" "*error executing hook*"
like "the journal has dmaownd's sentence, with the holder" "$(reason $lent0)" "*Group $first is owned*container $one*"
is "crun writes it where it is told to" "$(cat /tmp/reason)" "dmaownd: $(reason $lent0 | sed "s/^$lent0: //")"
check "another device is another's" start two $lent1 --user 1000
check "also for a user who is not root inside" wait_for 20 has_said two "flags=0x3 held"
two=$(id_of two)
is "two containers, two leases" "$(held_by "$second")" "$(container_pid two) \"container $two\""

# ---- dmaownd goes and comes
lease=$(lease_of "$first")
check "dmaownd is killed, and back" kill_daemon
is "the container has its lease still" "$(lease_of "$first") $(property "$lease" Lease State)" "$lease \"active\""
check "and the list is there again" wait_for 20 lists "$edu $lent0 $lent1"
check "dmaownd is restarted" service restart
is "the lease stays" "$(lease_of "$first") $(property "$lease" Lease State)" "$lease \"active\""

# ---- Ends
podman kill --signal KILL one > /dev/null
check "a container that is killed frees its group" wait_for 20 is_free "$first"
check "started again" podman start one
check "it has the group again" wait_for 20 has_access root "$first" ""
is "under a new process" "$(held_by "$first")" "$(container_pid one) \"container $one\""
pid=$(container_pid one)
check "restarted" podman restart --time 0 one
is "also" "$(held_by "$first")" "$(container_pid one) \"container $one\""
check_not "by another process" test "$pid" = "$(container_pid one)"
monitor=$(podman inspect --format '{{.ConmonPid}}' one 2> /dev/null || cat "$(podman inspect --format '{{.ConmonPidFile}}' one)")
kill -KILL "$monitor" "$(container_pid one)"
check "killed with its monitor, so that no hook is called: the group is free" wait_for 20 is_free "$first"
podman rm --force --time 0 one > /dev/null 2>&1
check "stopped" podman stop --time 0 two
check "it has released" is_free "$second"
check "removed" podman rm two
finish
