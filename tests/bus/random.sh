#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Random things happen to devices, nodes and leases; in between, the model is what the kernel has and no
# node is open to anybody but its holder. SEED makes another run, ROUNDS a longer one.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
RANDOM=${SEED:=1}
echo "# SEED=$SEED"
# A short watchdog is a short tick: what is only mended then is mended soon.
DMAOWND_WRAPPER="env WATCHDOG_USEC=1000000 ${DMAOWND_WRAPPER:-}"
start

kernel_has() { fakectl state | LC_ALL=C sort; }
daemon_has() {
    busctl --json=short call $bus_name $root org.freedesktop.DBus.ObjectManager GetManagedObjects |
        jq -r '.data[0] | to_entries[] | .value["org.dmaownd1.Device"] // empty
            | select(.Group.data != "/")
            | "\(.Group.data | split("/") | last) \(.Name.data) \(if .Driver.data == "" then "-" else .Driver.data end)"' |
        LC_ALL=C sort
}
agree() { [ "$(kernel_has)" = "$(daemon_has)" ]; }
# holders: "group uid" of active leases; openers: "group uid" that may open a node.
holders() {
    busctl --json=short call $bus_name $root org.freedesktop.DBus.ObjectManager GetManagedObjects |
        jq -r '.data[0] | to_entries[] | .value["org.dmaownd1.Lease"] // empty | select(.State.data == "active")
            | .Uid.data as $uid | .Groups.data[] | "\(split("/") | last) \($uid)"' | LC_ALL=C sort
}
openers() {
    local node
    for node in /dev/vfio/[0-9]*; do
        getfacl --omit-header --absolute-names --numeric "$node" 2> /dev/null |
            awk -v group="${node##*/}" -F'[:\t]' '$1 == "user" && $2 != "" { user = $2 }
                /^mask::rw/ { mask = 1 } /^(group:|other)::?.*r/ { if ($0 !~ /^group:[^:]/) print group, "all" }
                END { if (user != "" && mask) print group, user }'
    done | LC_ALL=C sort
}
closed() { [ "$(holders)" = "$(openers)" ]; }

# shellcheck disable=SC2034 # by name
drivers=(vfio-pci vfio-pci vfio-pci vfio-pci vfio-pci e1000e igb pci-stub uio_pci_generic)
# shellcheck disable=SC2034 # by name
users=(alice bob)
pick() { local -n from=$1; picked=${from[RANDOM % ${#from[@]}]}; }
# any_device: sets $device, of those that are there now.
any_device() {
    local all
    mapfile -t all < <(cd /sys/bus/pci/devices && ls)
    device=${all[RANDOM % ${#all[@]}]}
}
touch_node() {
    [ -c "$1" ] || return 0
    case $((RANDOM % 4)) in
    0) chmod 0600 "$1" ;;
    1) chmod 0666 "$1"; [ "$(group "${1##*/}" Owner)" = user ] || chmod 0600 "$1" ;;
    2) setfacl -b "$1" ;;
    3) fakectl node "${1##*/}" recreate ;;
    esac
}
step() {
    case $((RANDOM % 14)) in
    12) any_device; [ -e "$(sysfs "$device")/driver" ] || fakectl regroup "$device" $((RANDOM % 16)) ;; # the tick finds it
    13) [ $((RANDOM % 4)) -gt 0 ] || { service kill; service start; } ;;
    0 | 1 | 2) any_device; pick drivers; fakectl bind "$device" "$picked" ;;
    3 | 4 | 5) any_device; fakectl unbind "$device" ;;
    6) fakectl device pci "0000:20:$(printf %02x $((RANDOM % 8))).0" vendor=0x8086 product=0x10d3 class=0x020000 \
        driver=none group=$((RANDOM % 16)) ;;
    7) any_device; [[ $device != 0000:20:* ]] || fakectl remove "$device" ;;
    8 | 9) pick users; claim "$picked" $((RANDOM % 16)) ;;
    10) local leases
        mapfile -t leases < <(busctl tree --list $bus_name | grep lease/)
        [ ${#leases[@]} -eq 0 ] || { pick leases; manager Release o "$picked"; } ;;
    11) touch_node "/dev/vfio/$((RANDOM % 16))" ;;
    esac > /dev/null 2>&1 || :
}
for round in $(seq "${ROUNDS:-20}"); do
    for _ in $(seq $((1 + RANDOM % 30))); do step; done
    if within agree; then pass "round $round: the model is what the kernel has"; else
        fail "round $round: the model is what the kernel has" "$(diff <(kernel_has) <(daemon_has) || :)"
    fi
    if within closed; then pass "round $round: nodes are open to their holders alone"; else
        fail "round $round: nodes are open to their holders alone" "$(diff <(holders) <(openers) || :)"
    fi
done
works "the daemon lives" is_running
granted=$(times DMAOWND_EVENT=granted "$log")
echo "# $granted grants, $(times DMAOWND_EVENT=ended "$log") ends, $(times DMAOWND_EVENT=conflict "$log") conflicts"
[ "$granted" -gt 0 ] && pass "something was granted" || fail "something was granted"
finish
