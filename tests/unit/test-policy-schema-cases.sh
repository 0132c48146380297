#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The schema accepts what is shipped and what test-policy-decide loads, and refuses every fault of
# test-policy-faults that a schema can see.
set -eu -o pipefail
{
    "${top_builddir:?}/tests/unit/test-policy-decide" --list
    "${top_builddir:?}/tests/unit/test-policy-faults" --list
} | python3 "${top_srcdir:?}/tests/unit/validate-policies.py" "${top_srcdir:?}/policy"
