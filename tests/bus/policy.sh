#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A policy with a fault never replaces a good one; at the first start it means that nothing is granted.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh" || exit 99
reload() { manager Reload; }
generation() { property $root Manager PolicyGeneration; }

# ---- No policy at all
mkdir "$config/policy.d"
fakectl service start dmaownd "$DMAOWND" --config "$config" --foreground > /dev/null
fakectl service stop dmaownd > /dev/null

# ---- A bad one at the first start
echo '{ "version": 1, "rules": [ { "name": "a" ] }' > "$config/policy.json"
fakectl service start dmaownd "$DMAOWND" --config "$config" --foreground > /dev/null
is "a bad policy at the first start denies all" "$(verdict alice 9)" "false no-rule"
is "no generation" "$(generation)" 0
eventually "and the daemon says so" grep -qE "DMAOWND_EVENT=policy-rejected" "$log"
like "with file, line and column" "$(grep policy-rejected "$log")" "$config/policy.json:1:[0-9]+"
watch_signals
policy
works "a good one follows" reload
becomes "first generation" 1 generation
eventually "PolicyReloaded" signalled "^PolicyReloaded $root 1 true"
is "grants" "$(verdict alice 9)" "true "
lease=$(claim alice 9)

# ---- Faults: NAME, then a policy
fault() {
    local before=$generations
    cp "$config/policy.json" /run/good.json
    policy "$2"
    : > "$signals"
    refused "$1: Reload says so" PolicyInvalid reload
    eventually "$1: PolicyReloaded says so" signalled "^PolicyReloaded $root $before false .*policy.json"
    is "$1: the old policy stays" "$(generation) $(verdict alice 11)" "$before true "
    cp /run/good.json "$config/policy.json"
}
generations=1
rule='"name": "a", "effect": "allow", "match": { "bus": "pci" }, "subjects": { "users": ["alice"] }'
fault "empty" ''
fault "not JSON" 'rules: []'
fault "cut short" '{ "version": 1, "rules": [ {'
fault "garbage behind it" '{ "version": 1, "rules": [] } x'
fault "no version" '{ "rules": [] }'
fault "another version" '{ "version": 2, "rules": [] }'
fault "an unknown key" '{ "version": 1, "rules": [], "colour": "red" }'
fault "an unknown key in a rule" "{ \"version\": 1, \"rules\": [ { $rule, \"colour\": 1 } ] }"
fault "a key twice" "{ \"version\": 1, \"rules\": [ { $rule, \"effect\": \"deny\" } ] }"
fault "a wrong type" "{ \"version\": 1, \"rules\": [ { $rule, \"max_ttl\": \"long\" } ] }"
fault "a wrong word" "{ \"version\": 1, \"rules\": [ { $rule, \"modes\": [\"pipe\"] } ] }"
fault "an empty list" "{ \"version\": 1, \"rules\": [ { $rule, \"modes\": [] } ] }"
fault "a name twice" "{ \"version\": 1, \"rules\": [ { $rule }, { $rule } ] }"
fault "a rule that never applies" "{ \"version\": 1, \"rules\": [ { $rule },
    { \"name\": \"b\", \"effect\": \"deny\", \"match\": { \"bus\": \"pci\", \"vendor\": \"0x8086\" },
      \"subjects\": { \"users\": [\"alice\"] } } ] }"
fault "PCI keys with another bus" '{ "version": 1, "rules": [ { "name": "a", "effect": "allow",
    "match": { "bus": "platform", "vendor": "0x8086" }, "subjects": { "users": ["alice"] } } ] }'
fault "a malformed class" '{ "version": 1, "rules": [ { "name": "a", "effect": "allow",
    "match": { "class": "02" }, "subjects": { "users": ["alice"] } } ] }'
fault "an unknown user in a deny rule" '{ "version": 1, "rules": [ { "name": "a", "effect": "deny",
    "match": { "bus": "pci" }, "subjects": { "users": ["mallory"] } } ] }'
fault "very deep" "$(printf '[%.0s' {1..5000})"
fault "very long" "{ \"version\": 1, \"rules\": [], \"$(printf '%0100000d' 0)\": 1 }"

# ---- Files that are not what they should be
odd() {
    : > "$signals"
    refused "$1: Reload says so" PolicyInvalid reload
    eventually "$1: PolicyReloaded says so" signalled "^PolicyReloaded $root $generations false"
    is "$1: the old policy stays" "$(generation) $(verdict alice 11)" "$generations true "
}
mv "$config/policy.json" /run/good.json
mkdir "$config/policy.json"
odd "a directory"
rmdir "$config/policy.json"
ln -s policy.json "$config/policy.json"
odd "a loop of links"
rm "$config/policy.json"
ln -s /nonexistent "$config/policy.json"
odd "a dangling link"
rm "$config/policy.json"
mkfifo "$config/policy.json"
odd "a pipe that nobody writes to"
rm "$config/policy.json"
cp /run/good.json "$config/policy.json"
fakectl set /sys/firmware/policy.json '{}'
fakectl fault /sys/firmware/policy.json EIO
rm "$config/policy.json"
ln -s /sys/firmware/policy.json "$config/policy.json"
odd "a file that cannot be read"
rm "$config/policy.json"
cp /run/good.json "$config/policy.json"
mkdir "$config/policy.d/10-odd.json"
odd "a directory in policy.d"
rmdir "$config/policy.d/10-odd.json"
echo '{' > "$config/policy.d/10-bad.json"
odd "a bad file in policy.d"
rm "$config/policy.d/10-bad.json"
mv "$config/policy.d" /run/policy.d
: > "$config/policy.d"
odd "a file in place of policy.d"
rm "$config/policy.d"
mv /run/policy.d "$config/policy.d"
echo '{' > "$config/policy.d/10-bad.json.off"
works "another name is no policy" reload
becomes "next generation" 2 generation
generations=2

# ---- policy.d adds in byte order; an unknown user in an allow rule is dropped with a warning
cat > "$config/policy.d/20-more.json" <<'J'
{ "version": 1, "rules": [ { "name": "more", "effect": "allow", "match": { "name": "fff50000.ethernet" },
  "subjects": { "users": ["mallory", "bob"] } } ] }
J
works "a file more" reload
becomes "generation" 3 generation
is "files" "$(property $root Manager PolicyFiles)" "[\"$config/policy.json\",\"$config/policy.d/20-more.json\"]"
is "its rule holds" "$(verdict bob 12)" "true "
like "a warning" "$(cat "$log")" "mallory"
rm "$config/policy.d/20-more.json"

# ---- Every member must be allowed
reload_with() { policy "$1"; works "reload" reload; }
reload_with '{ "version": 1, "rules": [
    { "name": "not-this", "effect": "deny", "match": { "name": "0000:00:07.0" } },
    { "name": "nics", "effect": "allow", "match": { "bus": "pci" }, "subjects": { "users": ["alice"] } } ] }'
becomes "a denied member denies the group" "false policy-denied" verdict alice 11
refused "PolicyDenied" PolicyDenied claim alice 11
reload_with '{ "version": 1, "rules": [
    { "name": "nics", "effect": "allow", "match": { "bus": "pci", "class": "0x01****" }, "subjects": { "users": ["alice"] } } ] }'
becomes "another class" "false no-rule" verdict alice 11
reload_with '{ "version": 1, "rules": [
    { "name": "half", "effect": "allow", "match": { "name": "0000:00:07.1" }, "subjects": { "users": ["alice"] } } ] }'
becomes "one member that no rule matches" "false no-rule" verdict alice 11
reload_with '{ "version": 1, "rules": [
    { "name": "end", "effect": "allow", "match": { "name": "0000:02:00.0" }, "subjects": { "users": ["alice"] },
      "modes": ["fd"] } ] }'
becomes "a bridge on pcieport needs no rule; mode" "false mode-denied" verdict alice 8
reload_with '{ "version": 1, "rules": [
    { "name": "end", "effect": "allow", "match": { "name": "0000:02:00.0" }, "subjects": { "users": ["alice"] },
      "lifetimes": ["persistent"], "max_ttl": 60 } ] }'
becomes "lifetime" "false lifetime-denied" verdict alice 8
works "the one that is allowed, with a time" claim alice 8 ttl t 60
manager Release o "$(group 8 Lease)" > /dev/null
refused "a longer time" PolicyDenied claim alice 8 ttl t 61

# ---- A lease that the new policy would not grant stays
is "the lease is there" "$(lease "$lease" State)" active
works "with its access" can_open alice 9

# ---- The file vanishes while the daemon runs
rm "$config/policy.json"
before=$(verdict alice 8)
refused "a policy that is gone is no new policy" PolicyInvalid reload
is "the old one stays" "$(verdict alice 8)" "$before"
policy '{ "version": 1, "rules": [] }'
works "one that allows nothing says so" reload
becomes "and nothing is granted" "false no-rule" verdict alice 8
works "the lease stays" can_open alice 9

# ---- SIGHUP reloads
policy
kill -HUP "$(daemon_pid)"
becomes "SIGHUP reloads" "true " verdict alice 8
finish
