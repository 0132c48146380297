#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The hook of libvirt, run as libvirt runs it: what a domain gets before it starts, with what its lease lives
# then, and what is left when domain or libvirt end, each in its own way.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${top_builddir:=$top_srcdir}"
: "${HOOK:=$top_builddir/dmaownd-libvirt-hook}"
export HOOK SCENARIO=$top_srcdir/tests/fakekernel/switch.scenario
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/switch.sh"

# Files of libvirt, in an /etc of the test's own.
mkdir -p /run/etc/libvirt /run/libvirt/qemu
cp -a /etc/passwd /etc/group /etc/nsswitch.conf /etc/alternatives /run/etc/
echo "libvirt-qemu:x:64055:64055::/:/bin/false" >> /run/etc/passwd
echo "libvirt-qemu:x:64055:" >> /run/etc/group
mount --bind /run/etc /etc

policy '{ "version": 1, "rules": [
    { "name": "fixed", "effect": "allow", "match": { "bus": "pci", "name": ["0000:00:0a.0"] },
      "subjects": { "users": ["root"] }, "delegate": ["libvirt-qemu"], "require": [] },
    { "name": "guests", "effect": "allow", "match": { "bus": "pci" }, "subjects": { "users": ["root"] },
      "modes": ["path"], "lifetimes": ["process"], "detach": true, "delegate": ["libvirt-qemu", "bob"] } ] }'

# ---- libvirt's part ---------------------------------------------------------------------------

libvirt_begins() {
    rm -f /run/libvirtd.in
    mkfifo /run/libvirtd.in
    # shellcheck disable=SC2016
    (exec bash -c 'while read -r xml operation part name; do
        "$HOOK" "$name" "$operation" "$part" - < "$xml" > /run/hook.out 2> /run/hook.err
        echo $? > /run/hook.ending
        mv /run/hook.ending /run/hook.status
    done') < /run/libvirtd.in &
    libvirtd=$!
    exec 6> /run/libvirtd.in
}
libvirt_ends() {
    kill -KILL "$libvirtd"
    wait "$libvirtd" 2> /dev/null || :
    exec 6>&-
}
# ask NAME OPERATION PART [XML-FILE]; answered: sets status and said, what stood on standard error.
ask() {
    rm -f /run/hook.status
    echo "${4:-/run/$1.xml} $2 $3 $1" >&6
}
answered() {
    local end=$((SECONDS + 30))
    until [ -e /run/hook.status ] || [ "$SECONDS" -ge "$end" ]; do sleep 0.02; done
    status=$(cat /run/hook.status)
    said=$(cat /run/hook.err)
}
hook() { ask "$@"; answered; }
works_silently() { is "$1" "$status $said $(cat /run/hook.out)" "0  "; }
denied() { like "$1" "$status $said" "^1 dmaownd: $2"; }

hostdev() { # hostdev SLOT.FUNCTION [MANAGED]
    echo "<hostdev mode='subsystem' type='pci' managed='${2:-yes}'><source><address domain='0x0000' bus='0x00'
        slot='0x${1%.*}' function='0x${1#*.}'/></source></hostdev>"
}
# domain NAME NUMBER DEVICES [LABEL]: writes its XML.
uuid_of() { printf '5b2f9c1e-8a47-4f0d-9a6b-3c1d2e4f5a%02d\n' "$1"; }
domain() {
    echo "<domain type='kvm' id='1'><name>$1</name><uuid>$(uuid_of "$2")</uuid><devices>$3</devices>
        ${4:+<seclabel type='static' model='dac' relabel='yes'><label>$4</label></seclabel>}</domain>" > "/run/$1.xml"
}
# qemu NAME NUMBER: a process that stands for it, with libvirt's file; sets $qemu.
qemu() {
    # shellcheck disable=SC2016
    (exec -a qemu-system-x86_64 bash -c 'read -r < /run/never' qemu -name "guest=$1" -uuid "$(uuid_of "$2")") &
    qemu=$!
    within grep -qz uuid "/proc/$qemu/cmdline"
    echo "$qemu" > "/run/libvirt/qemu/$1.pid"
}
qemu_ends() { kill -KILL "$qemu"; wait "$qemu" 2> /dev/null || :; }
mkfifo /run/never

leases() { busctl tree --list $bus_name 2> /dev/null | grep lease/ || :; }
no_lease() { [ -z "$(leases)" ]; }
both() { echo "$(driver 0000:00:05.0) $(driver 0000:00:08.0)"; }
reason() { grep "DMAOWND_EVENT=ended .*DMAOWND_LEASE=${1##*/} " "$log" | sed 's/.*DMAOWND_REASON=\([^ ]*\).*/\1/'; }

domain plain 1 "<disk type='file'><source file='/a'/></disk>"
domain vm 2 "$(hostdev 05.0)$(hostdev 08.0 no)"
domain other 3 "$(hostdev 08.0)"

# ---- Without dmaownd
libvirt_begins
for call in "prepare begin" "start begin" "started begin" "reconnect begin" "stopped end" "release end"; do
    # shellcheck disable=SC2086 # words
    hook plain $call
    works_silently "a domain without host devices needs no dmaownd: $call"
done
hook vm prepare begin
denied "one that has some does" "dmaownd cannot be reached: "
hook vm started begin
denied "also later" "dmaownd cannot be reached: "
for call in "reconnect begin" "release end"; do
    # shellcheck disable=SC2086 # words
    hook vm $call
    like "nothing of it stops a domain that runs or has ended: $call" "$status $said" "^0 dmaownd: dmaownd cannot be reached: "
    like "the journal has it" "$(cat $journal)" "MESSAGE=libvirt domain vm, ${call% *}: dmaownd cannot be reached"
done
for call in "start begin" "stopped end" "migrate begin" "restore begin" "attach begin" "prepare end" "new thing"; do
    # shellcheck disable=SC2086 # words
    hook vm $call
    works_silently "nothing is done at $call"
done

# ---- A life
start
before=$(snapshot)
as_before() { is_output "$before" snapshot; }
back() {
    eventually "$1: the lease is gone" no_lease
    eventually "$1: everything is as before" as_before
    within not_switching 7 9
}
hook vm prepare begin
works_silently "a domain with two devices is let in"
lease=$(leases)
is "with one lease" "$(wc -l <<< "$lease") $(property "$lease" Lease Groups)" "1 [\"$root/group/7\",\"$root/group/9\"]"
is "claimed by root for the user of QEMU" "$(lease "$lease" ClaimantUid) $(lease "$lease" Uid)" "0 64055"
is "which says for whom" "$(lease "$lease" Comment)" "libvirt domain vm $(uuid_of 2)"
is "living with libvirt" "$(lease "$lease" Lifetime) $(lease "$lease" Pid)" "process $libvirtd"
is "the devices are on VFIO" "$(both)" "vfio-pci vfio-pci"
works "QEMU may open the one" can_open libvirt-qemu 7
works "and the other" can_open libvirt-qemu 9
fails "nobody else" can_open alice 9
qemu vm 2
hook vm started begin
works_silently "when it runs"
is "the lease lives with QEMU" "$(lease "$lease" Lifetime) $(lease "$lease" Pid)" "process $qemu"

hook other prepare begin
denied "another domain that wants one of them" "Group 9 .*"
like "is told who has it" "$said" "libvirt-qemu|64055"
is "and has no lease" "$(leases)" "$lease"
hook other started begin
denied "nor could it start" "The domain has host devices that were not claimed"
hook other release end
works_silently "its end"
is "is no end of the first" "$(lease "$lease" State)" active

for call in "prepare begin" "release end"; do
    # shellcheck disable=SC2086 # words
    hook vm $call
    like "while it runs, its lease is left alone: $call" "$said" "^dmaownd: The domain runs, in process $qemu; "
    is "and stays" "$(lease "$lease" State) $(lease "$lease" Pid) $(both)" "active $qemu vfio-pci vfio-pci"
done
is "libvirt goes on" "$status" 0
hook vm prepare begin
is "but starts no second one" "$status" 1
# More on its command line than can be read.
truncate -s 5M /run/long
works "a process" mount --bind /run/long "/proc/$qemu/cmdline"
for call in "prepare begin" "release end"; do
    # shellcheck disable=SC2086 # words
    hook vm $call
    like "that nobody can tell about keeps its lease: $call" "$said" \
        "^dmaownd: Whether the domain runs in process $qemu cannot be found out .File too large.; its lease is left alone.\$"
    is "as it was" "$(lease "$lease" State) $(lease "$lease" Pid) $(both)" "active $qemu vfio-pci vfio-pci"
done
is "libvirt goes on" "$status" 0
hook vm prepare begin
is "and starts no second one" "$status" 1
umount "/proc/$qemu/cmdline"
qemu_ends
hook vm release end
works_silently "the end of the domain"
is "is the end of the lease, at once" "$(leases)" ""
back "ended"
hook vm release end
works_silently "twice is no matter"
works "what root detaches by hand" call root Detach 0000:00:08.0
hook vm release end
is "is not what this domain holds" "$status$said $(driver 0000:00:08.0)" "0 vfio-pci"
works "and stays until root gives it back" call root Reattach 0000:00:08.0
back "that"

# A domain that gets more on its way.
domain more 10 "$(hostdev 08.0)"
hook more prepare begin
lease=$(leases)
domain more 10 "$(hostdev 08.0)$(hostdev 05.0)"
qemu more 10
hook more started begin
denied "a device that was not there at first" "The domain has a host device that was not claimed .*: pci/0000:00:05.0\. "
is "stops it before the lease is handed over" "$(lease "$lease" Pid)" "$libvirtd"
domain more 10 "$(hostdev 08.0)"
hook more started begin
works_silently "without it, it runs"
domain more 10 "$(hostdev 08.0)$(hostdev 05.0)$(hostdev 1f.0)"
hook more reconnect begin
like "nothing stops it later" "$status $said" "^0 dmaownd: The domain has a host device .*: pci/0000:00:05.0\. "
like "the journal has it" "$(cat $journal)" "MESSAGE=libvirt domain more, reconnect: The domain has a host device"
qemu_ends
domain more 10 "$(hostdev 08.0)"
hook more release end
back "one that wanted more"

# ---- Sudden ends
# runs: the domain vm does; sets $lease and $qemu.
runs() {
    hook vm prepare begin
    lease=$(leases)
    qemu vm 2
    hook vm started begin
    is "$1: the domain runs" "$status $said $(lease "$lease" Pid)" "0  $qemu"
}
runs "QEMU is killed"
qemu_ends
eventually "the lease goes with it" no_lease
is "for that reason" "$(reason "$lease")" process-exited
is "libvirt, which resets them, finds the devices where they were" "$(both)" "vfio-pci vfio-pci"
fails "QEMU may not open them any more" can_open libvirt-qemu 7
hook vm stopped end
is "also then" "$(both)" "vfio-pci vfio-pci"
hook vm release end
works_silently "until it says that it is done"
is "with what QEMU had" "$(both)" "e1000e igb"
back "QEMU is killed"

hook vm prepare begin
works_silently "let in"
lease=$(leases)
libvirt_ends
eventually "libvirt is killed before QEMU runs: the lease is gone" no_lease
is "for that reason" "$(reason "$lease")" process-exited
libvirt_begins
hook vm prepare begin
works_silently "at once it can start again"
hook vm release end
back "libvirt is killed before QEMU runs"

runs "libvirt is killed"
libvirt_ends
is "a running domain keeps its lease" "$(lease "$lease" State)" active
libvirt_begins
hook vm reconnect begin
works_silently "libvirt comes back to it"
is "the lease is the same" "$(leases) $(lease "$lease" Pid)" "$lease $qemu"
libvirt_ends
qemu_ends
eventually "QEMU is killed while there is no libvirt: the lease is gone" no_lease
within as_before || within as_before || within as_before || :
back "and after a while"
libvirt_begins

runs "dmaownd is killed"
works "kill" service kill
works "the daemon starts again" service start
is "the lease is there" "$(lease "$lease" Pid)" "$qemu"
qemu_ends
hook vm release end
works_silently "and is released"
back "dmaownd is killed"

# A libvirt that could not release: the next start does.
hook vm prepare begin
lease=$(leases)
domain vm 2 "$(hostdev 05.0)"
hook vm prepare begin
works_silently "a domain that has a lease already is let in"
is "with another one" "$(leases | wc -l) $([ "$(leases)" = "$lease" ] || echo another)" "1 another"
is "of what it has now" "$(property "$(leases)" Lease Groups)" "[\"$root/group/7\"]"
hook vm release end
is "what it had before goes back later" "$(both)" "e1000e vfio-pci"
works "or now" call root Reattach 9
domain vm 2 "$(hostdev 05.0)$(hostdev 08.0 no)"
back "started anew"

# ---- Reconnect to a domain without a lease
qemu vm 2
hook vm reconnect begin
like "devices that the host has are left to it" "$status $said" "^0 dmaownd: The domain runs without a lease, .*e1000e"
like "the journal has it" "$(cat $journal)" "MESSAGE=libvirt domain vm, reconnect: The domain runs without a lease"
is "nothing was moved" "$(snapshot)" "$before"
qemu_ends
domain other 3 "$(hostdev 08.0)"
fakectl unbind 0000:00:08.0
fakectl bind 0000:00:08.0 vfio-pci
qemu other 3
hook other reconnect begin
works_silently "devices that nobody has are claimed"
is "to live with QEMU" "$(lease "$(leases)" Pid)" "$qemu"
manager Release o "$(leases)" > /dev/null
within no_lease
hold root "$FAKEKERNEL/fakectl" hold /dev/vfio/9
hook other reconnect begin
like "those that QEMU has open are not, any more" "$status $said" \
    "^0 dmaownd: The domain runs without a lease, and nothing is to be done about it before it ends. .Group 9 is open in"
is "they are a stranger's" "$(group 9 Owner) $(leases)" "foreign "
release_hold
qemu_ends
fakectl unbind 0000:00:08.0
fakectl bind 0000:00:08.0 igb
rm -f /run/libvirt/qemu/*.pid
hook vm reconnect begin
like "a QEMU that is not found" "$status $said" "^0 dmaownd: The QEMU of the domain was not found through /run/libvirt/qemu/vm.pid: No such file"
back "no QEMU"

# ---- Started, but what?
hook vm prepare begin
hook vm started begin
denied "no file with QEMU's number" "The QEMU of the domain was not found through /run/libvirt/qemu/vm.pid: No such file"
qemu vm 3
hook vm started begin
denied "the QEMU of another domain" "The QEMU of the domain .* it names no process that runs this domain"
is "the lease stays as it was" "$(lease "$(leases)" Pid)" "$libvirtd"
qemu_ends
hook vm started begin
denied "a QEMU that has ended" "The QEMU of the domain .* it names no process that runs this domain"
echo "1 or 2" > /run/libvirt/qemu/vm.pid
hook vm started begin
denied "no number" "The QEMU of the domain .*vm.pid: Invalid argument"
lease=$(leases)
hook vm release end
works_silently "a domain that has not got so far"
is "is released" "$(leases) $(reason "$lease")" " released"
back "not started"

# ---- Denials
domain fixed 4 "$(hostdev 0a.0)"
hook fixed prepare begin
denied "a rule without detach" ".*0000:00:0a.0.* edu"
like "says that it is the rule" "$said" 'not allowed by rule "fixed"\.$'
domain two 5 "$(hostdev 08.0)$(hostdev 0b.0)"
hook two prepare begin
denied "one of two devices that the host needs" ".*0000:00:0b.0"
domain nobody 6 "$(hostdev 1f.0)"
hook nobody prepare begin
denied "a device that is not there" ".*pci/0000:00:1f.0"
is "nobody has a lease" "$(leases)" ""
is "nothing was moved" "$(snapshot)" "$before"

# ---- Who QEMU is
for label in bob:kvm +1002:+1002 1002; do
    domain labelled 7 "$(hostdev 08.0)" "$label"
    hook labelled prepare begin
    is "a domain with the label $label" "$status $said $(lease "$(leases)" Uid)" "0  1002"
    hook labelled release end
done
domain labelled 7 "$(hostdev 08.0)" alice:kvm
hook labelled prepare begin
denied "one for whom root may not claim" ".*1001|alice"
domain labelled 7 "$(hostdev 08.0)" stranger
hook labelled prepare begin
denied "one that there is not" "QEMU is to run as 'stranger', and there is no such user."
echo 'user = "bob"' > /etc/libvirt/qemu.conf
hook other prepare begin
is "one that qemu.conf has" "$status $said $(lease "$(leases)" Uid)" "0  1002"
hook other release end
works_silently "and its end"
rm /etc/libvirt/qemu.conf
mkdir /etc/libvirt/qemu.conf
hook other prepare begin
denied "a qemu.conf that cannot be read" "/etc/libvirt/qemu.conf, .* cannot be read: Is a directory"
rmdir /etc/libvirt/qemu.conf

# ---- Names
name="two words, Büro & co"
echo "<domain><name>${name/&/&amp;}</name><uuid>$(uuid_of 8)</uuid><devices>$(hostdev 08.0)</devices></domain>" > /run/named.xml
hook "$name" prepare begin /run/named.xml
is "a name of several words" "$status $said $(lease "$(leases)" Comment)" "0  libvirt domain $name $(uuid_of 8)"
qemu "$name" 8
hook "$name" started begin /run/named.xml
is "is found again" "$status $said $(lease "$(leases)" Pid)" "0  $qemu"
qemu_ends
hook "$name" release end /run/named.xml

# ---- What is no domain
# bad NAME TEXT SENTENCE
bad() {
    printf '%s' "$2" > /run/bad.xml
    hook bad prepare begin
    denied "$1" "$3"
    hook bad release end
    like "$1: the end is none of a domain" "$status $said" "^0 dmaownd: $3"
}
bad "nothing" "" "libvirt gave no XML of the domain."
bad "no XML" "name: vm" "The XML of the domain cannot be read: line 1: "
bad "entities" "<!DOCTYPE d [<!ENTITY a 'b'>]><domain><name>&a;</name></domain>" "The XML of the domain has a document type declaration"
bad "a bad address" "<domain><name>bad</name><uuid>$(uuid_of 9)</uuid><devices>$(hostdev $'1\e[31m.0')</devices></domain>" \
    "The XML of the domain cannot be read: "
bad "another bad address" "<domain><name>bad</name><uuid>$(uuid_of 9)</uuid><devices>$(hostdev '1&#155;.0')</devices></domain>" \
    "In the PCI address of a host device \(<hostdev>\), '0x1.xc2.x9b' is no slot"
head -c 17000000 /dev/zero | tr '\0' ' ' > /run/bad.xml
hook bad prepare begin
denied "a flood" "The XML of the domain is larger than 16 MiB."
is "by hand it says what it is" "$("$HOOK" 2>&1 || echo $?)" "dmaownd: This is a hook of libvirt, which runs it with NAME OPERATION begin|end - and the XML of a domain: see dmaownd-libvirt-hook(8).
2"

is "a user's own libvirt is not served" "$(setpriv --reuid alice --regid alice --init-groups -- "$HOOK" vm prepare begin - < /run/vm.xml 2>&1; echo $?)" 0

# ---- Whose libvirt has gone
mkfifo /run/orphan.in /run/orphan.go
bash -c '"$HOOK" other prepare begin - < /run/orphan.in 2> /run/orphan.err & cat /run/orphan.go > /dev/null' < /dev/null &
parent=$!
exec 5> /run/orphan.in
kill -KILL $parent
wait $parent 2> /dev/null || :
cat /run/other.xml >&5
exec 5>&-
eventually "an orphan is not let in" grep -q "^dmaownd: libvirt, which started the hook, has ended.\$" /run/orphan.err
is "and has no lease" "$(leases)" ""

# ---- Devices that somebody still has open
hook other prepare begin
works_silently "a domain that will end slowly"
lease=$(leases)
hold libvirt-qemu "$FAKEKERNEL/fakectl" hold /dev/vfio/9
ask other release end
becomes "its lease drains" draining lease "$lease" State
is "and libvirt waits" "$(cat /run/hook.status 2> /dev/null)" ""
release_hold
answered
works_silently "until it has"
is "and then it is gone" "$(leases)" ""

hook other prepare begin
qemu other 3
hook other started begin
lease=$(leases)
hold libvirt-qemu "$FAKEKERNEL/fakectl" hold /dev/vfio/9
qemu_ends
becomes "a lease drains after its domain" draining lease "$lease" State
busctl monitor --match "type='method_call',interface='org.dmaownd1.Manager',member='Claim'" > /run/calls 2>&1 &
monitor=$!
within grep -q Monitoring /run/calls
ask other prepare begin
eventually "the next start asks" grep -q Member=Claim /run/calls
kill $monitor
is "and waits" "$(lease "$lease" State)$(cat /run/hook.status 2> /dev/null)" draining
release_hold
answered
works_silently "it is let in as soon as it has"
is "with another lease" "$(leases | wc -l) $([ "$(leases)" = "$lease" ] || echo another)" "1 another"
hook other release end
back "at the end"
libvirt_ends
works "the daemon lives" is_running
finish
