#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The manual and the completion of dmaownctl know what the program knows.
set -eu
source=${top_srcdir:-$(dirname "$0")/../..}
build=${top_builddir:-$PWD}
manual=$source/client/dmaownctl.1
completion=$source/client/completion/dmaownctl
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
failed=0

# check NAME PROBLEMS: passes when there are none.
check() {
    count=$((count + 1))
    if [ -z "$2" ]; then
        echo "ok $count - $1"
    else
        failed=$((failed + 1))
        echo "not ok $count - $1"
        sed 's/^/# /' <<< "$2"
    fi
}

# ---- The manual
# Escapes that only say "a hyphen", and the macros and commas between words, are no matter.
text=$(sed 's/\\-/-/g' "$manual")
mapfile -t verbs < <("$build/dmaownctl" --help |
    sed -n '/^Verbs:/,/^$/s/^  \([a-z-]*\( [a-z]\{1,\}\)\{0,1\}\) .*/\1/p')
check "verbs were found" "$([ ${#verbs[@]} -ge 12 ] || echo "only: ${verbs[*]}")"
for verb in "${verbs[@]}"; do
    # A verb is what an entry begins with.
    check "the manual has $verb" "$(grep -qE "^\.(B|BR|BI|RB) \"?$verb( |\"|$)" <<< "$text" ||
        echo "$verb is in dmaownctl --help")"
    # shellcheck disable=SC2086 # a verb may be two words
    for option in $("$build/dmaownctl" $verb --help | sed -n 's/^ .*\(--[a-z-]*\).*/\1/p'); do
        check "the manual has $option, for $verb" "$(grep -qE "^\.B[RI]? .*$option( |=|\"|\]|$)" <<< "$text" ||
            echo "$option is in dmaownctl $verb --help")"
    done
done
for option in $(grep -oE '^\.B[RI]? .*--[a-z-]+' <<< "$text" | grep -oE -- '--[a-z-]+' | sort -u); do
    check "the program has $option" "$(for verb in "" "${verbs[@]}"; do
        # shellcheck disable=SC2086 # as above
        "$build/dmaownctl" $verb --help
    done | grep -q -- " ${option}[= ]" || echo "$option is in the manual")"
done
check "the manual has every exit status" "$(for status in 0 1 2 3 4 5 6 7 126 127; do
    grep -qx "\.B $status" <<< "$text" || echo "$status is missing"
done)"

# ---- The completion
check "bash can read the completion" "$(bash -n "$completion" 2>&1 || :)"

# A program that answers as dmaownctl does, with a world of its own.
cat > "$work/dmaownctl" <<END
#!/bin/bash
case "\$*" in
    "list --devices --json")
        echo '[ { "id": 7, "node": "/dev/vfio/7", "device_count": 1, "devices": [
    {
      "name": "0000:00:05.0",
      "driver": "e1000e"
    } ] } ]' | jq . ;;
    "--bus-address=unix:x list --devices --json") echo '[ { "id": 99 } ]' | jq . ;;
    "leases --json") echo '[ { "id": 12 }, { "id": 3 } ]' | jq . ;;
    *) exec "$build/dmaownctl" "\$@" ;;
esac
END
chmod +x "$work/dmaownctl"

# completes LINE WANTED: what the completion offers at the end of LINE, sorted, in one line.
completes() {
    local got
    got=$(env -i PATH="$work:$PATH" HOME="$work" LC_ALL=C.UTF-8 bash --norc -euc '
        set +eu
        . /usr/share/bash-completion/bash_completion
        . "$1"
        COMP_LINE=$2 COMP_POINT=${#2} COMP_TYPE=9 COMP_KEY=9
        # As readline splits it: at blanks, and at the characters of COMP_WORDBREAKS that stand inside.
        mapfile -t COMP_WORDS < <(sed "s/[:=]/\n&\n/g; s/ /\n/g" <<< "$2" | sed "/^$/d")
        [ "${2: -1}" != " " ] || COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _dmaownctl dmaownctl "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
        printf "%s\n" "${COMPREPLY[@]}"
    ' bash "$completion" "$1" 2>&1 | sort | paste -sd' ')
    check "completes '$1'" "$([ "$got" = "$2" ] || echo "got: $got; wanted: $2")"
}
completes "dmaownctl " "$(printf '%s\n' "${verbs[@]%% *}" | sort -u | paste -sd' ')"
completes "dmaownctl le" "leases"
completes "dmaownctl policy " "check test"
completes "dmaownctl policy t" "test"
completes "dmaownctl claim " "/dev/vfio/7 0000:00:05.0 7"
completes "dmaownctl claim 7 /d" "/dev/vfio/7"
# What stands before the last colon is on the line already.
completes "dmaownctl show 0000:00:0" "05.0"
completes "dmaownctl policy test --uid root 7" "7"
completes "dmaownctl --bus-address unix:x show " "99"
for verb in detach reattach reserve unreserve; do
    completes "dmaownctl $verb 0000:00:0" "05.0"
done
completes "dmaownctl reattach --re" "--reattach-unreset"
completes "dmaownctl detach --wait " ""
completes "dmaownctl reserve --group roo" "root"
completes "dmaownctl release " "12 3"
completes "dmaownctl revoke 1" "12"
completes "dmaownctl revoke --t" "--timeout="
completes "dmaownctl run /d" "/dev/vfio/7"
completes "dmaownctl run --user roo" "root"
completes "dmaownctl run 7 -- dmaownct" "dmaownctl"
completes "dmaownctl run 7 -- cat --lifetime $work/dm" "$work/dmaownctl"
completes "dmaownctl claim 7 -- /d" "/dev/vfio/7"
completes "dmaownctl claim --l" "--lifetime="
completes "dmaownctl claim --lifetime " "connection fd persistent process unit"
completes "dmaownctl claim --lifetime=pers" "persistent"
completes "dmaownctl list --d" "--devices"
completes "dmaownctl --v" "--version"
completes "dmaownctl claim --comment " ""
completes "dmaownctl claim --uid roo" "root"
touch "$work/some-policy.json"
completes "dmaownctl policy check $work/some" "$work/some-policy.json"
touch "$work/some-board.dtb"
completes "dmaownctl audit-dt $work/some-b" "$work/some-board.dtb"
completes "dmaownctl audit-dt --fdt $work/some-b" "$work/some-board.dtb"
completes "dmaownctl audit-dt --level " "critical info warning"
completes "dmaownctl audit-dt --sy" "--sysfs="
completes "dmaownctl status " ""

echo "1..$count"
[ "$failed" -eq 0 ]
