/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* The kernel's clocks, in microseconds. Boottime goes on while the machine is suspended. */
uint64_t now_monotonic(void);
uint64_t now_boottime(void);
uint64_t now_realtime(void);
