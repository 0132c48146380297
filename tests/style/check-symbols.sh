#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# No two libraries that are linked into one program define the same function: the linker would take the
# first without a word.
# shellcheck source-path=SCRIPTDIR
build=$(cd "${top_builddir:-.}" && pwd)
. "${0%/*}/common.sh"

# The functions of libraries, one a line for each definition.
functions_of() {
    local library
    for library; do
        # What begins with __ is the compiler's.
        nm -g --defined-only "$build/$library" 2>/dev/null |
            awk '$2 ~ /^[TDBR]$/ && $3 !~ /^__/ { print $3 }' | sort -u
    done
}

# check_program NAME LIBRARY...
check_program() {
    local name=$1
    shift
    check "the functions of $name were found" \
        "$([ "$(functions_of "$@" | wc -l)" -gt 100 ] || echo "no library is built")"
    check "each function of $name is defined once" "$(functions_of "$@" | sort | uniq -d)"
}

check_program dmaownd daemon/libbus.a daemon/libmanager.a daemon/kernel/libkernel.a \
    daemon/record/librecord.a daemon/libmodel.a policy/libpolicy.a daemon/libutil.a
check_program dmaownctl client/libclient.a policy/libpolicy.a daemon/kernel/libkernel.a daemon/libmodel.a \
    daemon/libutil.a
check_program dmaownd-libvirt-hook client/libvirt/liblibvirthook.a client/libclient.a policy/libpolicy.a \
    daemon/kernel/libkernel.a daemon/libmodel.a daemon/libutil.a
finish
