/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What this kernel enforces. */

#include <stdbool.h>

enum kernel_model {
    KERNEL_MODEL_CLAIM,    /* 5.19 and later: a driver's bind and a user's claim are exclusive */
    KERNEL_MODEL_NOTIFIER, /* before: a wrong bind stops the host */
    KERNEL_MODEL_NONE,     /* no IOMMU: no groups */
};

const char *kernel_model_to_string(enum kernel_model model);
int kernel_model_from_string(const char *text, enum kernel_model *ret);

/* By the names in kallsyms (path, normally /proc/kallsyms): costs 50 to 450 ms, so it is read once
 * a boot. -ENODATA if the file is not readable or tells nothing. */
int kernel_model_from_symbols(const char *path, enum kernel_model *ret);

/* By the release, e.g. "6.1.0-56-amd64": a guess, since distributions backport. */
enum kernel_model kernel_model_from_release(const char *release);

/* Interrupts are remapped: a chip with prefix IR- in /proc/interrupts. */
bool interrupts_are_remapped(void);
