#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# dmaownctl audit-dt: files good and bad, a machine that is a folder, the daemon's answer; what is
# printed, and how it ends.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/client-lib.sh"

# tree NAME: makes NAME.dtb of the nodes on standard input.
tree() {
    { echo "/dts-v1/; / { #address-cells = <1>; #size-cells = <1>;"; cat; echo "};"; } |
        dtc -q -I dts -O dtb -o "$work/$1.dtb"
}

# ---- Trees

tree clean <<'END'
    smmu: smmu@1000 { compatible = "arm,smmu-v3"; reg = <0x1000 0x1000>; #iommu-cells = <1>; };
    a@2000 { reg = <0x2000 0x1000>; iommus = <&smmu 0x200>; };
    b@3000 { reg = <0x3000 0x1000>; iommus = <&smmu 0x201>; };
    c@4000 { reg = <0x4000 0x1000>; iommus = <&smmu 0x201>; status = "disabled"; };
END
# The same stream twice, at an IOMMU of each kind; two only under a mask.
tree shared <<'END'
    v2: smmu@1000 { compatible = "arm,mmu-500"; reg = <0x1000 0x100>; #iommu-cells = <2>; };
    v3: smmu@1100 { compatible = "arm,smmu-v3"; reg = <0x1100 0x100>; #iommu-cells = <1>; };
    vop: iommu@1200 { compatible = "rockchip,iommu"; reg = <0x1200 0x100>; #iommu-cells = <0>; };
    a@2000 { reg = <0x2000 0x1000>; iommus = <&v2 0x200 0xf>; };
    b@3000 { reg = <0x3000 0x1000>; iommus = <&v2 0x205 0>; };
    c@4000 { reg = <0x4000 0x1000>; iommus = <&v3 0x300>; };
    d@5000 { reg = <0x5000 0x1000>; iommus = <&v3 0x300>; };
    e@6000 { reg = <0x6000 0x1000>; iommus = <&vop>; };
    f@7000 { reg = <0x7000 0x1000>; iommus = <&vop>; };
    g@8000 { reg = <0x8000 0x1000>; iommus = <&v2 0x210 0>, <&v3 0x301>; };
    pcie@9000 { device_type = "pci"; reg = <0x9000 0x1000>; iommu-map = <0 &v3 0x400 0x100>; };
END
# SMMUv2: the second master's group is a new one, although it is on the first one's stream.
tree warning <<'END'
    v2: smmu@1000 { compatible = "arm,mmu-500"; reg = <0x1000 0x100>; #iommu-cells = <1>; };
    a@2000 { reg = <0x2000 0x1000>; iommus = <&v2 0x200>; };
    b@3000 { reg = <0x3000 0x1000>; iommus = <&v2 0x200>, <&v2 0x210>; };
END
tree info <<'END'
    v2: smmu@1000 { compatible = "arm,mmu-500"; reg = <0x1000 0x100>; #iommu-cells = <1>; };
    a@2000 { reg = <0x2000 0x1000>; iommus = <&v2 0x200>; };
    ethernet@3000 { reg = <0x3000 0x1000>; };
END
tree mistake <<'END'
    a@2000 { reg = <0x2000 0x1000>; iommus = <0x99 1>; };
END

# What Linux makes of it, by the driver of each kind of IOMMU; numbers are in the order of names.
tree predicted <<'END'
    off: smmu@1000 { compatible = "arm,mmu-500"; reg = <0x1000 0x100>; #iommu-cells = <1>; status = "disabled"; };
    v2: smmu@1100 { compatible = "arm,mmu-500"; reg = <0x1100 0x100>; #iommu-cells = <2>; };
    v3: smmu@1200 { compatible = "arm,smmu-v3"; reg = <0x1200 0x100>; #iommu-cells = <1>; };
    vop: iommu@1300 { compatible = "rockchip,iommu"; reg = <0x1300 0x100>; #iommu-cells = <0>; };
    vpu: iommu@1400 { compatible = "rockchip,iommu"; reg = <0x1400 0x100>; #iommu-cells = <0>; };
    m4u: iommu@1500 { compatible = "mediatek,mt8173-m4u"; reg = <0x1500 0x100>; #iommu-cells = <1>; };
    vm: iommu@1600 { compatible = "virtio,mmio"; reg = <0x1600 0x100>; #iommu-cells = <1>; };
    a0 { iommus = <&off 1>; };
    b0 { iommus = <&v2 0x400 0xf0>; };
    b1 { iommus = <&v2 0x400 0xf>; };
    b2 { iommus = <&v2 0x500 0>, <&v2 0x400 0xf>; };
    b3 { iommus = <&v2 0x500 0xf>; };
    c0 { iommus = <&v2 0x220 0>; };
    c1 { iommus = <&v2 0x221 0>; };
    c2 { iommus = <&v2 0x322 0>, <&v2 0x220 0>, <&v2 0x221 0>; };
    c3 { iommus = <&v2 0x322 0xf>; };
    d0 { iommus = <&v2 0x600 0>; };
    d1 { iommus = <&v2 0x600 0>, <&v2 0x610 0>; };
    d2 { iommus = <&v2 0x600 0>; };
    e0 { iommus = <&v2 0x700 0>, <&v3 0x301>; };
    e1 { iommus = <&v3 0x301>; };
    f0 { iommus = <&vop>, <&vpu>; };
    f1 { iommus = <&vop>; };
    f2 { iommus = <&vpu>; };
    g0 { iommus = <&m4u 5>; };
    g1 { iommus = <&m4u 5>; };
    g2 { iommus = <&m4u 6>; };
    h0 { iommus = <&vm 5>; };
    h1 { iommus = <&vm 5>; };
    x0 { iommus = <&v3 0x300>; };
    x1 { iommus = <&v3 0x300>; };
    pcie@9000 { device_type = "pci"; reg = <0x9000 0x1000>; iommu-map = <0 &v3 0x300 0x1>; };
END

# ---- How it ends

ends 0 audit-dt --fdt "$work/clean.dtb"
like "a clean tree" "$out" "$work/clean.dtb: 1 IOMMU, 2 masters in 2 sets, 0 findings, 0 mistakes"
for case in clean:000 info:001 warning:011 mistake:011 shared:111; do
    tree=$work/${case%:*}.dtb
    for level in critical:1 warning:2 info:3; do
        wanted=$(cut -c "${level#*:}" <<< "${case#*:}")
        run audit-dt --level "${level%:*}" --fdt "$tree"
        is "${case%:*} at --level ${level%:*}" "$status" "$wanted"
    done
    run audit-dt "$tree" --json
    is "${case%:*}: the level is warning, with --json, too" "$status" "$(cut -c 2 <<< "${case#*:}")"
done
for words in "--level none" --fdt "--local --fdt $work/clean.dtb" "--sysfs / $work/clean.dtb" \
    "--dot --json --fdt $work/clean.dtb" "--dot --sets" "--dot $work/clean.dtb $work/info.dtb"; do
    # shellcheck disable=SC2086 # words
    ends 2 audit-dt $words
done

# ---- What it prints

run audit-dt --fdt "$work/shared.dtb"
like "findings, the worst first" "$out" "$work/shared.dtb: *LEVEL*KIND*TEXT
critical half *c@4000*d@5000*stream 0x300 of /smmu@1100*
warning*two-iommus */g@8000*"
run audit-dt "$work/mistake.dtb"
like "mistakes are warnings" "$out" "*warning*mistake*/a@2000: *phandle 0x99*"
run audit-dt --sets "$work/shared.dtb"
like "the kinds of IOMMU, and the groups" "$(tr -s ' ' <<< "$out")" "*/smmu@1000 smmu-v2 0 *
├─/a@2000 0x200 0xf 0
└─/b@3000 0x205 0x0 0
/smmu@1100 smmu-v3 1 *
├─/c@4000 0x300 1
└─/d@5000 0x300 none
/iommu@1200 single 2 *
├─/e@6000 - 2
└─/f@7000 - 2
/smmu@1000 smmu-v2 3 *
└─/g@8000 0x210 0x0 3
/smmu@1100 smmu-v3 3 *
└─/g@8000 0x301 3
*/pcie@9000 /smmu@1100 0x0 0x400 0x100
*LEVEL*"
run audit-dt --sets "$work/warning.dtb"
like "a new group on an old stream" "$(tr -s ' ' <<< "$out")" "*├─/a@2000 0x200 0
└─/b@3000 0x200,0x210 1*"
is "no colour off a terminal" "$("$ctl" audit-dt "$work/shared.dtb" | grep -c $'\e')" 0
colored() { script -qec "TERM=xterm $1 '$ctl' audit-dt '$work/shared.dtb'" /dev/null | grep -c $'\e\\[.*critical'; }
is "colour on a terminal" "$(colored "")" 1
is "but not with NO_COLOR" "$(colored "NO_COLOR=1")" 0

run audit-dt --json "$work/predicted.dtb"
is "the predicted groups" "$(json '[.sets[].devices[] | "\(.node):\(.predicted_group)"] | unique | join(" ")')" \
    "/b0:0 /b1:null /b2:null /b3:1 /c0:2 /c1:3 /c2:null /c3:4 /d0:5 /d1:6 /d2:6 /e0:7 /e1:8 /f0:9 /f1:10 /f2:9 \
/g0:11 /g1:11 /g2:12 /h0:13 /h1:14 /x0:15 /x1:null"

# ---- JSON

run audit-dt --json --fdt "$work/shared.dtb"
is "one line" "$(wc -l < "$work/out")" 1
is "its keys" "$(json 'keys | join(" ")')" "file findings iommus maps masters mistakes sets"
is "a set" "$(json '.sets[0] | [.iommu, .grouping, .devices]')" '["/smmu@1000","smmu-v2",'\
'[{"node":"/a@2000","specifiers":["0x200 0xf"],"predicted_group":0},'\
'{"node":"/b@3000","specifiers":["0x205 0x0"],"predicted_group":0}]]'
is "no group is null" "$(json '.sets[1].devices[1].predicted_group')" null
is "a set over two IOMMUs" "$(json '[.sets[] | select(.set == 3) | .iommu]')" '["/smmu@1000","/smmu@1100"]'
is "a stream without cells" "$(json '.sets[2].devices[0].specifiers')" "[]"
is "how many masters" "$(json .masters)" 7
is "a finding" "$(json '.findings[0] | [.kind, .level, .nodes, .specifiers, (.text | length > 20)]')" \
    '["half","critical",["/c@4000","/d@5000"],["/smmu@1100 0x300"],true]'
is "an IOMMU" "$(json '.iommus[2]')" \
    '{"node":"/iommu@1200","compatible":"rockchip,iommu","grouping":"single","enabled":true}'
is "a map" "$(json '.maps[0] | [.node, .iommu, .requester, .length, .id, .mask]')" \
    '["/pcie@9000","/smmu@1100",0,256,1024,4294967295]'
run audit-dt --json "$work/mistake.dtb"
is "a mistake" "$(json '.mistakes[0] | [.node, (.text | length > 20)]')" '["/a@2000",true]'

# ---- Several files

run audit-dt "$work/shared.dtb" --fdt "$work/clean.dtb" "$work/info.dtb"
is "one with findings" "$status" 1
is "the clean one is not told" "$(grep -c 'masters* in' <<< "$out")" 2
like "a summary" "$out" "*
3 trees: 1 critical, 2 warning, 1 info, 0 mistakes, in 2 of them"
run audit-dt --json "$work/shared.dtb" --fdt "$work/clean.dtb" "$work/info.dtb"
is "a line each" "$(jq -cs '[.[] | .file | sub(".*/"; "")]' <<< "$out")" '["clean.dtb","shared.dtb","info.dtb"]'
mkdir -p "$work/folder/vendor" "$work/empty"
cp "$work/clean.dtb" "$work/folder/vendor/b.dtb"
cp "$work/info.dtb" "$work/folder/vendor/a.dtb"
cp "$work/clean.dtb" "$work/folder/c.dtb"
echo "no tree" > "$work/folder/vendor/a.dts"
ends 0 audit-dt --json --fdt "$work/folder"
is "a folder, in order" "$(jq -cs '[.[] | .file | sub(".*/folder/"; "")]' <<< "$out")" \
    '["c.dtb","vendor/a.dtb","vendor/b.dtb"]'
ends 2 audit-dt "$work/empty"
like "a folder without trees is an error" "$err" "*$work/empty: there is no .dtb file in this folder"

cp "$work/clean.dtb" "$work/tree"
ends 0 audit-dt "$work/tree"
like "a file of any name" "$out" "$work/tree: 1 IOMMU, *"

# ---- What cannot be read

head -c 200 "$work/shared.dtb" > "$work/truncated.dtb"
head -c 4096 /dev/zero > "$work/zeros.dtb"
# The structure begins behind the header and one empty reservation of memory.
{ head -c 56 "$work/shared.dtb"; head -c 4 /dev/zero | tr '\0' '\377'; tail -c +61 "$work/shared.dtb"; } \
    > "$work/damaged.dtb"
for name in truncated zeros damaged none; do
    ends 2 audit-dt --fdt "$work/$name.dtb"
    like "$name: the file and the reason" "$err" "dmaownctl: audit-dt: $work/$name.dtb: [A-Z]*"
done
mkfifo "$work/fifo.dtb"
run_fifo() { timeout 20 "$ctl" audit-dt --fdt "$work/fifo.dtb" > /dev/null 2>&1 || echo $?; }
is "a pipe that nobody writes to" "$(run_fifo)" 2
run audit-dt --json "$work/truncated.dtb" "$work/shared.dtb"
is "an error beats findings" "$status" 2
is "the others are still looked at, and the error is in its place" \
    "$(jq -cs '[.[] | [has("error"), (.findings | length > 0)]]' <<< "$out")" '[[true,false],[false,true]]'
if [ -c /dev/full ]; then
    status=0
    "$ctl" audit-dt --json "$work/clean.dtb" > /dev/full 2> "$work/err" || status=$?
    is "a full disk is no finding" "$status" 2
fi

# ---- Names

# What dtc would not take: a name of the same length is put in place of it.
sed -i 's|c@4000|"\\\x1b\xff;;|' "$work/shared.dtb"
run audit-dt --sets "$work/shared.dtb"
like "a name that is not printable" "$out" '*─/"\\\\??;; *'
run audit-dt --json "$work/shared.dtb"
is "in JSON" "$(json '.findings[0].nodes[0]')" '/"\??;;'
run audit-dt --dot "$work/shared.dtb"
like "in a graph" "$out" '*\[label="/\\"\\\\\\\\??;;", *'
tree quotes <<'END'
    v2: smmu@1000 { compatible = "evil\";}\\N<b>", "arm,mmu-500"; reg = <0x1000 0x100>; #iommu-cells = <1>; };
    a@2000 { reg = <0x2000 0x1000>; iommus = <&v2 0x200>; };
    b@3000 { reg = <0x3000 0x1000>; iommus = <&v2 0x200>; };
    ethernet@4000 { reg = <0x4000 0x1000>; };
END

# ---- The graph

ends 0 audit-dt --dot --fdt "$work/quotes.dtb"
like "a graph" "$out" "digraph \"$work/quotes.dtb\" {*}"
is "quotes and backslashes stay in their string" "$(grep -F evil <<< "$out")" \
    '  i0 [label="/smmu@1000\nevil\";}\\\\N<b> (smmu-v2)", shape=box];'
like "IOMMU, set, masters" "$out" '*i0 -> s0 \[label="0x200"\];*s0 -> m0;*s0 -> m1;*'
run audit-dt --dot --fdt "$work/shared.dtb"
is "it ends as the tables do" "$status" 1
like "findings are red" "$out" '*"/d@5000", color=red*'
like "not by the least" "$("$ctl" audit-dt --dot "$work/predicted.dtb")" '*"/x0", color=red*'
like "maps" "$out" '*i1 -> b* \[style=dashed, label="0x0 + 0x100 from 0x400"\];*'
# Each line is of the form that Graphviz's grammar gives it, with strings that end.
string='"([^"\\]|\\.)*"'
attributes="\\[(label=$string)?([a-z]+=[a-z0-9]+|, |label=$string)*\\]"
for name in shared quotes clean; do
    "$ctl" audit-dt --dot "$work/$name.dtb" > "$work/dot" || :
    is "$name: every line is one of DOT" "$(grep -vxE "digraph $string \\{|  rankdir=LR;|  (node|edge) $attributes;\
|  [ismb][0-9]+ $attributes;|  [is][0-9]+ -> [smb][0-9]+( $attributes)?;|\\}" "$work/dot" || :)" ""
    if command -v dot > /dev/null; then
        is "$name: Graphviz draws it" "$(dot -Tsvg "$work/dot" 2>&1 > "$work/svg" || echo failed)" ""
    fi
done

# ---- A machine, as a folder

# device NAME NODE DRIVER GROUP: "" for no driver or group.
device() {
    local path=$sys/devices/platform/$1
    mkdir -p "$path" "$sys/firmware/devicetree/base$2" "$sys/bus/platform/devices"
    ln -s "../../../firmware/devicetree/base$2" "$path/of_node"
    ln -s ../../../bus/platform "$path/subsystem"
    echo "of:NxT(null)C" > "$path/modalias"
    [ -z "$3" ] || ln -s "../../../bus/platform/drivers/$3" "$path/driver"
    [ -z "$4" ] || ln -s "../../../kernel/iommu_groups/$4" "$path/iommu_group"
    [ -z "$4" ] || mkdir -p "$sys/kernel/iommu_groups/$4/devices"
    ln -s "../../../devices/platform/$1" "$sys/bus/platform/devices/$1"
}
sys=$work/sys
mkdir -p "$sys/firmware/devicetree/base"
cp "$work/warning.dtb" "$sys/firmware/fdt"
device 2000.a /a@2000 vfio-platform 5
device 3000.b /b@3000 host-driver 6
run audit-dt --sysfs "$sys"
is "two groups on one stream" "$status" 1
like "are found" "$out" "this machine: 1 IOMMU, 2 masters in 1 set, 1 finding*critical*split*5,6*2000.a*3000.b*"
run audit-dt --sysfs "$sys" --json
is "in JSON" "$(json '[.judged_by, .device_tree, .findings[0].kind, .findings[0].groups, .findings[0].devices]')" \
    '["dmaownctl",true,"split",[5,6],["platform/2000.a","platform/3000.b"]]'
is "with the groups as they are" "$(json '[.sets[0].devices[] | .group]')" '[5,6]'
run audit-dt --sysfs "$sys" --sets
like "and as a table" "$(tr -s ' ' <<< "$out")" "*├─platform/2000.a 0x200 5*"
rm -r "$sys/devices" "$sys/bus"
device 2000.a /a@2000 vfio-platform 5
device 3000.b /b@3000 "" ""
ends 0 audit-dt --sysfs "$sys"
like "no group yet" "$out" "*info*pending*3000.b*"
rm "$sys/firmware/fdt"
mkdir -p "$work/nothing"
ends 0 audit-dt --sysfs "$work/nothing"
like "no device tree" "$out" "this machine has no device tree*"
ends 0 audit-dt --sysfs "$work/nothing" --json
is "in JSON" "$(json '[.device_tree, .sets, .findings]')" '[false,[],[]]'
ends 0 audit-dt --sysfs "$work/nothing" --dot
is "an empty graph" "$(tr -d '\n' <<< "$out" | sed 's/ node.*;//')" 'digraph "this machine" {  rankdir=LR; }'
ends 2 audit-dt --sysfs "$work/no-such-folder"

# ---- Through the daemon

start
run audit-dt
like "without the daemon" "$err" "*dmaownd cannot be reached*judging without the daemon*"
start_daemon
run audit-dt
is "the daemon's findings" "$status" 1
like "escaped" "$out" '*critical*split*7,12*platform/1.evil,platform/2.b*These\\x1b*'
ends 0 audit-dt --local
run audit-dt --json
is "in JSON" "$(json '[.judged_by, (.findings[] | .kind, .groups, .nodes)]')" \
    '["dmaownd","split",[7,12],["/a","/b"]]'

finish
