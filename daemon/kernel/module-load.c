/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/module-load.h"

#include <errno.h>

#include <libkmod.h>

#include "util/cleanup.h"

static void context_unrefp(struct kmod_ctx **context) {
    kmod_unref(*context);
}

static void module_unrefp(struct kmod_module **module) {
    kmod_module_unref(*module);
}

int module_insert(const char *name) {
    _cleanup_(context_unrefp) struct kmod_ctx *context = kmod_new(NULL, NULL);
    _cleanup_(module_unrefp) struct kmod_module *module = NULL;

    if (!context)
        return -ENOMEM;
    int r = kmod_module_new_from_name(context, name, &module);
    if (r >= 0)
        r = kmod_module_probe_insert_module(module, KMOD_PROBE_APPLY_BLACKLIST_ALL, NULL, NULL, NULL, NULL);
    /* A positive answer is the flag by which it was left out. */
    return r > 0 ? -EPERM : r;
}
