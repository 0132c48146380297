#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# VFIO drivers whose module is to be loaded, is kept out, missing or broken; variants that refuse.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/fakekernel/switch.scenario
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
. "$(dirname "$0")/switch.sh"
variant='vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i*'
modules mlx5_vfio_pci "$variant"
fakectl unbind 0000:00:06.1
fakectl module vfio_pci loadable
fakectl module mlx5_vfio_pci loadable
fakectl module vfio_platform loadable
policy "$switch_policy"
start
before=$(snapshot)
back() {
    call alice Reattach "$1" > /dev/null
    is "$1: everything is as before" "$(snapshot)" "$before"
}
loaded() { test -e "/sys/module/$1"; }

# ---- Loaded when it is needed
like "the plan loads it" "$(plan alice PlanDetach 7)" "load"$'\t[^\t]*\t'"vfio_pci"
fails "but not yet" loaded vfio_pci
works "a module is loaded" call alice Detach 7
works "it is" loaded vfio_pci
is "with its driver" "$(now 0000:00:05.0)" "vfio-pci vfio-pci"
unlike "once" "$(plan alice PlanDetach 8)" "load"
back 7
works "a variant" call alice Detach 17
is "with its driver" "$(now 0000:00:0c.0)" "mlx5_vfio_pci mlx5_vfio_pci"
back 17
works "one of another bus" call alice Detach 12
is "with its driver" "$(now fff50000.ethernet)" "vfio-platform vfio-platform"
back 12

# ---- A variant that can not be used
fakectl driver pci mlx5_vfio_pci refuse=EOPNOTSUPP
works "a variant that refuses" call alice Detach 17
is "vfio-pci takes the device" "$(now 0000:00:0c.0)" "vfio-pci vfio-pci"
back 17
fakectl driver pci mlx5_vfio_pci refuse=none
fakectl module mlx5_vfio_pci fails
works "a variant that can not be loaded" call alice Detach 17
is "vfio-pci takes the device" "$(now 0000:00:0c.0)" "vfio-pci vfio-pci"
back 17
blacklist mlx5_vfio_pci
fakectl module mlx5_vfio_pci loadable
works "a variant that is blacklisted" call alice Detach 17
is "vfio-pci takes the device" "$(now 0000:00:0c.0)" "vfio-pci vfio-pci"
fails "it was not loaded" loaded mlx5_vfio_pci
back 17
blacklist

# ---- No driver at all
fakectl writes clear
fakectl module vfio_pci loadable
blacklist vfio_pci
refused "a module that is blacklisted" NotViable call alice Detach 7
like "is told so" "$(message_of call alice Detach 7)" "blacklisted"
is "and in Explain" "$(reason_of alice 7 detach b true)" "false no-vfio-driver"
is "nothing was written" "$(fakectl writes count) $(snapshot)" "0 $before"
blacklist
becomes "no longer" "true " reason_of alice 7 detach b true
fakectl module vfio_pci fails
is "one that fails" "$(error_of call alice Detach 7)" SwitchFailed
like "is told so" "$(message_of call alice Detach 7)" "vfio_pci"
unlike "and not as blacklisted" "$(message_of call alice Detach 7)" "blacklisted"
is "everything is as before" "$(snapshot)" "$before"
fakectl module vfio_pci loadable
rm /lib/modules/"$(uname -r)"/kernel/vfio_pci.ko
depmod "$(uname -r)" 2> /dev/null || :
refused "one that is missing" NotViable call alice Detach 7
like "is told so" "$(message_of call alice Detach 7)" "vfio_pci.*missing|no.*vfio_pci|not.*vfio_pci"
is "nothing was written" "$(fakectl writes count) $(snapshot)" "0 $before"
modules mlx5_vfio_pci "$variant"

# ---- A module that takes its time, and a service manager that does not answer
systemd jobs hold
in_background call call alice Detach 7
within grep -q "start modprobe@vfio_pci" /run/systemd.out
works "the daemon answers meanwhile" manager ListGroups
fails "the call waits" ended call
systemd jobs go
eventually "and goes on" ended call
is "to its end" "$(cat /run/call.status) $(now 0000:00:05.0)" "0 vfio-pci vfio-pci"
back 7
end systemd
fakectl module vfio_pci loadable
refused "without a service manager nothing is loaded" SwitchFailed call alice Detach 7
is "everything is as before" "$(snapshot)" "$before"
fakectl module vfio_pci loaded
works "what is loaded needs none" call alice Detach 7
back 7
works "the daemon lives" is_running
finish
