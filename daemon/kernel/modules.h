/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Kernel modules: which of them answer to an alias, and whether one is or can be loaded. Reads the
 * module folder of the running kernel and the configuration of modprobe through libkmod, and loads
 * nothing. Files are opened and perhaps uncompressed: only for worker processes. */

#include "util/cleanup.h"

enum module_state {
    MODULE_LOADED,      /* or built in */
    MODULE_LOADABLE,
    MODULE_BLACKLISTED, /* modprobe -b does not load it, nor what it needs: a blacklist, or an install
                         * line that runs true or false */
    MODULE_MISSING,
};

/* "loadable". */
const char *module_state_to_string(enum module_state state);
/* 0, or -EINVAL for no state's word. */
int module_state_from_string(const char *text, enum module_state *ret);

/* Where modules are looked for. NULL, for either, is the system's own: /lib/modules/RELEASE, or what
 * PID 1 sees there where a sandbox hides it, and modprobe.d with the kernel's command line. A list of
 * paths ends with NULL; an empty one is no configuration. */
struct module_places {
    const char *directory;
    const char *const *config_paths;
};

/* places may be NULL; its strings and sysfs (the fd of the root) are borrowed until modules_free. A
 * machine without a module folder is no error: nothing is loadable there. -ENOMEM. */
struct modules;
int modules_new(int sysfs, const struct module_places *places, struct modules **ret);
struct modules *modules_free(struct modules *modules);
DEFINE_CLEANUP(struct modules *, modules_free)

/* Of a module by its name, with underscores. */
enum module_state modules_state(struct modules *modules, const char *name);

/* A bool parameter that modprobe will give the module (modprobe.d, the kernel's command line): 1 or 0;
 * -ENOENT if it gives none, or one that the kernel would not understand. */
int modules_option(struct modules *modules, const char *name, const char *parameter);

/* The names of at most MODULES_FOUND_MAX modules that answer to alias, those first whose own pattern has
 * the fewest wildcards, in the order of their names where that is equal; without the one called except,
 * if it is not NULL. libkmod finds them in no useful order and does not tell the pattern. *ret is the
 * caller's; NULL for none. 0 or -ENOMEM. */
#define MODULES_FOUND_MAX 16
int modules_find(struct modules *modules, const char *alias, const char *except, char ***ret);
