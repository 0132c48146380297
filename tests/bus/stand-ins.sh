#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The service manager's stand-in, as systemd 252 answers.
# shellcheck source-path=SCRIPTDIR
needs_daemon=no
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"

one=org.freedesktop.systemd1
of() { busctl --json=short get-property $one "/org/freedesktop/systemd1/unit/$1" $one.Unit "$2" | jq -c .data; }
changes() { grep -c '"member":"PropertiesChanged"' /run/monitor || :; }

systemd unit machine-a.scope active
is "a unit" "$(for p in Id Names LoadState ActiveState SubState Job; do of machine_2da_2escope $p; done | paste -sd' ')" \
    '"machine-a.scope" ["machine-a.scope"] "loaded" "active" "running" [0,"/"]'
is "one that there is not" "$(for p in Id LoadState ActiveState; do of none_2eservice $p; done | paste -sd' ')" \
    '"none.service" "not-found" "inactive"'
is "GetUnit" "$(busctl --json=short call $one /org/freedesktop/systemd1 $one.Manager GetUnit s machine-a.scope | jq -r '.data[0]')" \
    /org/freedesktop/systemd1/unit/machine_2da_2escope
refused "of one that is not loaded" $one.NoSuchUnit busctl call $one /org/freedesktop/systemd1 $one.Manager GetUnit s none.service
works "LoadUnit" busctl call $one /org/freedesktop/systemd1 $one.Manager LoadUnit s none.service
is "GetAll" "$(busctl --json=short call $one /org/freedesktop/systemd1/unit/machine_2da_2escope \
    org.freedesktop.DBus.Properties GetAll s $one.Unit | jq '.data[0] | length')" 6
systemd alias machine-a.scope other.scope
is "an alias" "$(of other_2escope Id) $(of other_2escope Names)" '"machine-a.scope" ["machine-a.scope","other.scope"]'

busctl --json=short monitor $one > /run/monitor 2> /run/monitoring &
monitor=$!
within grep -q Monitoring /run/monitoring
systemd unit machine-a.scope inactive 7
busctl call $one /org/freedesktop/systemd1 $one.Manager Subscribe # busctl is gone at once
systemd unit machine-a.scope active
is "nobody subscribed, nothing is told" "$(changes)" 0
kill $monitor
wait $monitor || :
is "a job" "$(systemd unit machine-a.scope inactive 7; of machine_2da_2escope Job)" '[7,"/org/freedesktop/systemd1/job/7"]'
systemd hang
fails "it hangs" busctl --timeout=1 call $one /org/freedesktop/systemd1 $one.Manager GetUnit s machine-a.scope
systemd answer
works "and answers" of machine_2da_2escope Id

# ---- Modules
start_unit() { busctl --json=short call $one /org/freedesktop/systemd1 $one.Manager StartUnit ss "$1" replace | jq -r '.data[0]'; }
modules mlx5_vfio_pci "vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i*"
fakectl module mlx5_vfio_pci loadable
works "modprobe knows it" modprobe -nbq mlx5_vfio_pci
busctl --json=short monitor $one > /run/monitor 2> /run/monitoring &
monitor=$!
within eval "[ \$(grep -c Monitoring /run/monitoring) = 1 ]"
jobs_ended() { [ "$(grep -c '"member":"JobRemoved"' /run/monitor)" = "$1" ]; }
like "a module is asked for" "$(start_unit modprobe@mlx5_vfio_pci.service)" "^/org/freedesktop/systemd1/job/[0-9]+$"
eventually "the job ends" grep -q '"member":"JobRemoved".*"done"' /run/monitor
works "and its driver is there" test -e /sys/bus/pci/drivers/mlx5_vfio_pci
fakectl module mlx5_vfio_pci loadable
blacklist mlx5_vfio_pci
start_unit modprobe@mlx5_vfio_pci.service > /dev/null
within jobs_ended 2
fails "a blacklisted one is not loaded" test -e /sys/module/mlx5_vfio_pci
blacklist
systemd jobs hold
start_unit modprobe@mlx5_vfio_pci.service > /dev/null
fails "a job that takes its time" test -e /sys/module/mlx5_vfio_pci
systemd jobs go
eventually "and ends" test -e /sys/module/mlx5_vfio_pci
start_unit modprobe@no_such.service > /dev/null
within jobs_ended 4
fails "what there is not" test -e /sys/module/no_such
refused "another unit" $one.NoSuchUnit busctl call $one /org/freedesktop/systemd1 $one.Manager StartUnit ss other.service replace
kill $monitor
wait $monitor || :
systemd gone
fails "it is gone" of machine_2da_2escope Id
systemd back
works "and back" of machine_2da_2escope Id
finish
