#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Rockchip's IOMMU knows no streams: what is behind one instance is one group, and so says dmaownd.
# shellcheck source=tests/vm/guest-lib.sh disable=SC2154
. /opt/test/guest-lib.sh
# shellcheck source=tests/vm/guest-tree.sh
. /opt/test/guest-tree.sh

video=(700c0000.vop 700c1000.vop) codec=(700c2000.vpu 700c3000.vpu)
load_vfio
load_host_driver
fresh_start < <(tree_policy)

group=$(group_of "${video[0]}")
is "what is behind one instance is one group" "$(members_of "$group")" "${video[*]} "
claim alice "${video[0]}"
refused "the kernel has it" KernelHeld
like "one is named" "$error_text" "*${video[0]}*"
like "and the other" "$error_text" "*${video[1]}*"
is "it is isolated" "$(isolated "${video[0]}")" true

# Their group forms with the first driver that looks at them.
audit
check "the other instance's are to come" found pending "${codec[0]}"
drive plain_master "${codec[@]}"
is "they are one group, another one" "$(members_of "$(group_of "${codec[0]}")")" "${codec[*]} "
check "dmaownd sees it" wait_for 20 is_listed "$(group_of "${codec[0]}")" count 2
audit
check_not "nothing is to come" found pending "${codec[0]}"
check_not "nothing is split" found split "${codec[0]}"
check_not "and nothing half" found half "${codec[0]}"

# VFIO wants an IOMMU whose DMA is coherent, and this one is not: a detach is undone.
move Detach alice "${video[0]}"
refused "VFIO takes none of them" SwitchFailed
like "the error says which" "$error_text" "*.vop*"
is "the host has both" "$(driver_of "${video[0]}") $(driver_of "${video[1]}")" "plain_master plain_master"
is "as before" "$(override_of "${video[0]}") $(override_of "${video[1]}")" "(null) (null)"
finish
