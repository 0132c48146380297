# SPDX-License-Identifier: LGPL-2.1-or-later
include tests/unit/local.mk
include tests/fakekernel/local.mk
include tests/bus/local.mk
include tests/random/local.mk
include tests/spin/local.mk
include tests/vm/local.mk
include tests/fuzz/local.mk
include tests/benchmark/local.mk
include tests/style/local.mk
