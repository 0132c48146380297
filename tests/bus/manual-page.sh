#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The examples of org.dmaownd1(5), as a reader sees them: each is run, in order, and answers what the page
# says. `$` is the shell of the user agent, `#` that of root. What `cat` shows of a file that there is not
# yet is the file. MANUAL_PAGE_SHOW=1 shows what each command answers, for who changes the page.
# shellcheck source-path=SCRIPTDIR
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
export SCENARIO=$top_srcdir/tests/bus/manual-page.scenario
. "$(dirname "$0")/lib.sh" || exit 99
. "$(dirname "$0")/callers.sh"
: "${MANUAL_PAGE:=$top_srcdir/dbus/org.dmaownd1.5}"

# ---- The page
# rendered: as a terminal shows it that is wide enough, without bold and underlining.
rendered() { tbl "$MANUAL_PAGE" | groff -man -Tutf8 -P-cbou -rLL=300n -rHY=0; }
# examples FOLDER: its examples, one file each: the prompt, the command and, behind a line of --, the answer.
# An example begins with a prompt and ends with the next one, or with an empty line.
examples() {
    rendered | awk -v folder="$1" '
        function flush() { if (file) close(file); file = "" }
        /^ *$/ { flush(); next }
        !file { match($0, /^ */); indent = RLENGTH }
        { line = substr($0, indent + 1) }
        line ~ /^[$#] / { flush(); file = sprintf("%s/%03d", folder, ++n) }
        file { print line > file }'
}
# Splits the lines of an example where the shell has all of the command: sets $prompt, $command, $answer.
read_example() {
    local lines n
    mapfile -t lines < "$1"
    prompt=${lines[0]:0:1}
    lines[0]=${lines[0]:2}
    command=
    for ((n = 0; n < ${#lines[@]}; n++)); do
        command+=${command:+$'\n'}${lines[n]}
        [[ ${lines[n]} == *[\\\|] ]] || ! bash -n <<< "$command" 2> /dev/null || break
    done
    answer=$(printf '%s\n' "${lines[@]:n+1}")
}

# ---- Its shells
# Descriptors of this script, which would be the next free ones for a reader.
close_others() {
    local fd
    for fd in {10..30}; do exec {fd}>&-; done
}
shell_of() { case "$1" in '$') echo agent ;; '#') echo root ;; esac; }
# begin_shell USER: runs the commands that it is given, one after the other, until end_shell.
begin_shell() {
    mkdir -p "/run/$1"
    chown "$1" "/run/$1"
    mkfifo "/run/$1.in"
    : > "/run/$1.out"
    # shellcheck disable=SC2016 # for the shell
    (cd "/run/$1" && close_others && exec env HOME="/run/$1" PATH="/run/bin:$PATH" setpriv --reuid "$1" --regid "$1" \
        --init-groups bash --norc -c 'while IFS= read -r -d "" -u 9 command; do
            eval "$command" < /dev/null 9<&-
            echo "ended $?"
        done' 9< "/run/$1.in" > "/run/$1.out" 2>&1) &
    process[$1]=$!
    local fd
    exec {fd}> "/run/$1.in"
    input[$1]=$fd
}
# in_shell USER COMMAND: sets $said to what it prints.
in_shell() {
    local before end=$((SECONDS + 60))
    before=$(wc -l < "/run/$1.out")
    printf '%s\0' "$2" >&"${input[$1]}"
    until said=$(tail -n +$((before + 1)) "/run/$1.out") && grep -qx 'ended [0-9]*' <<< "$said"; do
        [ "$SECONDS" -lt "$end" ] || { said+=" (does not end)"; return; }
        sleep 0.02
    done
    said=$(grep -vx 'ended [0-9]*' <<< "$said" || :)
}

# ---- Comparing
# What differs from run to run: process ids, names on the bus, microseconds since 1970.
normalised() {
    sed -E 's/("Pid": |"type":"u","data":)[0-9]+/\1NUMBER/; s/process [0-9]+/process NUMBER/
        s/:1\.[0-9]+/:1.NUMBER/; s/\b1[0-9]{15}\b/MICROSECONDS/' <<< "$1"
}
# Asking does not change anything, and may be too early for what happens by itself.
only_asks() { [[ $1 =~ ^(jq|grep|cat|getfacl|manager\ (Find|List)|busctl\ .*get-property) ]]; }
answers() {
    in_shell "$(shell_of "$prompt")" "$command"
    [ "$(normalised "$said")" = "$(normalised "$answer")" ]
}
# A watcher in the background sees what happens once it says that it watches.
watches() { [[ $command == *monitor*\& ]]; }
is_watching() { grep -qi monitoring "/run/$(shell_of "$prompt")"/*.err; }

# run_example FILE
run_example() {
    read_example "$1"
    local name="$prompt ${command//$'\n'/ }"
    if [[ $command =~ ^cat\ ([^ ]+)$ ]] && [ ! -e "$(place "${BASH_REMATCH[1]}")" ]; then
        printf '%s\n' "$answer" > "$(place "${BASH_REMATCH[1]}")"
        pass "$name: is written"
        return
    fi
    command=${command//\/etc\/dmaownd\//$config/}
    if answers || { only_asks "$command" && within answers; }; then
        pass "$name"
    else
        fail "$name" "got:" "$said" "expected:" "$answer"
    fi
    [ -z "${MANUAL_PAGE_SHOW:-}" ] || sed 's/^/    /' <<< "$said"
    ! watches || within is_watching || fail "it watches"
}
# place FILE: where a file of the page is here.
place() {
    case "$1" in
        /etc/dmaownd/*) echo "$config/${1##*/}" ;;
        *) echo "/run/$(shell_of "$prompt")/$1" ;;
    esac
}

# ---- The session
# The users of the page, as Debian numbers them.
printf '%s\n' agent:x:990:990::/run/agent:/bin/bash libvirt-qemu:x:64055:64055::/run:/bin/sh >> /etc/passwd
printf '%s\n' agent:x:990: libvirt-qemu:x:64055: >> /etc/group
# Warnings of the compiler are errors here; dmaownctl is the one that was built.
mkdir -p /run/bin /run/examples
ln -s "$(realpath "$DMAOWNCTL")" /run/bin/dmaownctl
printf '#!/bin/sh\nexec %s -Wall -Wextra -Werror "$@"\n' "$(command -v cc)" > /run/bin/cc
chmod +x /run/bin/cc
systemd unit machine-a.service active
policy '{ "version": 1, "rules": [] }'
start
rm "$config/policy.json"
begin_shell agent
begin_shell root

examples /run/examples
mapfile -t files < <(find /run/examples -type f | LC_ALL=C sort)
is "every prompt of the page's source is an example" "${#files[@]}" "$(grep -cE '^(\$|#) ' "$MANUAL_PAGE")"
[ ${#files[@]} -ge 40 ] && pass "${#files[@]} examples" || fail "examples were found" "${#files[@]}"
for file in "${files[@]}"; do run_example "$file"; done
works "the daemon lives" is_running
end agent
end root
finish
