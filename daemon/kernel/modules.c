/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <syslog.h>
#include <unistd.h>

#include <libkmod.h>

#include "util/string.h"

struct modules {
    int sysfs;
    struct kmod_ctx *kmod;
};

DEFINE_CLEANUP(struct kmod_ctx *, kmod_unref)
DEFINE_CLEANUP(struct kmod_module *, kmod_module_unref)
DEFINE_CLEANUP(struct kmod_list *, kmod_module_unref_list)
DEFINE_CLEANUP(struct kmod_list *, kmod_module_info_free_list)

static const char *const state_names[] = {
    [MODULE_LOADED] = "loaded",
    [MODULE_LOADABLE] = "loadable",
    [MODULE_BLACKLISTED] = "blacklisted",
    [MODULE_MISSING] = "missing",
};

const char *module_state_to_string(enum module_state state) {
    return state_names[state];
}

int module_state_from_string(const char *text, enum module_state *ret) {
    for (size_t i = 0; i < ELEMENTS_OF(state_names); i++)
        if (string_equal(text, state_names[i])) {
            *ret = (enum module_state)i;
            return 0;
        }
    return -EINVAL;
}

/* ---- The folder */

static bool has_index(const char *directory) {
    char path[PATH_MAX];

    return (size_t)snprintf(path, sizeof(path), "%s/modules.dep.bin", directory) < sizeof(path) &&
           access(path, R_OK) == 0;
}

/* ProtectKernelModules= hides the folder from the service, and from nobody else. */
static int open_system(const char *const *config_paths, struct kmod_ctx **ret) {
    _cleanup_(kmod_unrefp) struct kmod_ctx *kmod = kmod_new(NULL, config_paths);
    char seen_by_init[PATH_MAX];

    if (!kmod)
        return -ENOMEM;
    int length = snprintf(seen_by_init, sizeof(seen_by_init), "/proc/1/root%s", kmod_get_dirname(kmod));
    bool fits = (size_t)length < sizeof(seen_by_init);
    if (!has_index(kmod_get_dirname(kmod)) && fits && has_index(seen_by_init)) {
        kmod_unref(kmod);
        kmod = kmod_new(seen_by_init, config_paths);
    }
    *ret = TAKE_POINTER(kmod);
    return *ret ? 0 : -ENOMEM;
}

static int open_places(const struct module_places *places, struct kmod_ctx **ret) {
    if (!places->directory)
        return open_system(places->config_paths, ret);
    *ret = kmod_new(places->directory, places->config_paths);
    return *ret ? 0 : -ENOMEM;
}

int modules_new(int sysfs, const struct module_places *places, struct modules **ret) {
    static const struct module_places system_places;
    _cleanup_(modules_freep) struct modules *modules = calloc(1, sizeof(*modules));

    if (!modules)
        return -ENOMEM;
    modules->sysfs = sysfs;
    int r = open_places(places ?: &system_places, &modules->kmod);
    if (r < 0)
        return r;
    /* What can not be read is said in the answer, not on stderr. */
    kmod_set_log_priority(modules->kmod, LOG_CRIT);
    /* Many lookups follow. Fails where there is no folder. */
    (void)kmod_load_resources(modules->kmod);
    *ret = TAKE_POINTER(modules);
    return 0;
}

struct modules *modules_free(struct modules *modules) {
    if (modules)
        kmod_unref(modules->kmod);
    free(modules);
    return NULL;
}

/* ---- One module */

static bool is_in_sysfs(const struct modules *modules, const char *module) {
    char path[PATH_MAX];

    return (size_t)snprintf(path, sizeof(path), "module/%s", module) < sizeof(path) &&
           faccessat(modules->sysfs, path, F_OK, 0) == 0;
}

/* The module of that name in a list; the caller's. NULL if it is not there. */
static struct kmod_module *pick(const struct kmod_list *list, const char *name) {
    const struct kmod_list *entry;

    kmod_list_foreach(entry, list) {
        _cleanup_(kmod_module_unrefp) struct kmod_module *module = kmod_module_get_module(entry);
        if (string_equal(kmod_module_get_name(module), name))
            return TAKE_POINTER(module);
    }
    return NULL;
}

static bool filter_takes(const struct modules *modules, enum kmod_filter filter,
                         const struct kmod_list *list, const char *name) {
    _cleanup_(kmod_module_unref_listp) struct kmod_list *left = NULL;

    if (kmod_module_apply_filter(modules->kmod, filter, list, &left) < 0)
        return false;
    _cleanup_(kmod_module_unrefp) struct kmod_module *module = pick(left, name);
    return !module;
}

/* The way to forbid a module even to those who ask for it by name. Other commands may well load it. */
static bool install_forbids(const struct kmod_module *module) {
    const char *command = kmod_module_get_install_commands(module);
    char program[PATH_MAX];

    if (!command)
        return false;
    command += strspn(command, " \t");
    snprintf(program, sizeof(program), "%.*s", (int)strcspn(command, " \t;&|"), command);
    const char *name = path_basename(program);
    return string_equal(name, "false") || string_equal(name, "true");
}

static bool is_forbidden(const struct modules *modules, const struct kmod_module *module) {
    _cleanup_(kmod_module_unref_listp) struct kmod_list *needed = kmod_module_get_dependencies(module);
    struct kmod_list *entry;

    if (install_forbids(module))
        return true;
    kmod_list_foreach(entry, needed) {
        _cleanup_(kmod_module_unrefp) struct kmod_module *one = kmod_module_get_module(entry);
        if (install_forbids(one) && !is_in_sysfs(modules, kmod_module_get_name(one)))
            return true;
    }
    return false;
}

enum module_state modules_state(struct modules *modules, const char *name) {
    _cleanup_(kmod_module_unref_listp) struct kmod_list *found = NULL;

    if (is_in_sysfs(modules, name))
        return MODULE_LOADED;
    if (kmod_module_new_from_lookup(modules->kmod, name, &found) < 0)
        return MODULE_MISSING;
    /* Not found by its name: an alias can take that away ("alias vfio_pci off"), and modprobe heeds it. */
    _cleanup_(kmod_module_unrefp) struct kmod_module *module = pick(found, name);
    if (!module)
        return MODULE_MISSING;
    if (filter_takes(modules, KMOD_FILTER_BUILTIN, found, name))
        return MODULE_LOADED;
    const char *path = kmod_module_get_path(module);
    if (!path || access(path, R_OK) < 0)
        return MODULE_MISSING;
    bool forbidden =
        filter_takes(modules, KMOD_FILTER_BLACKLIST, found, name) || is_forbidden(modules, module);
    return forbidden ? MODULE_BLACKLISTED : MODULE_LOADABLE;
}

/* As the kernel reads a bool; a parameter without a value is on. */
static int parse_bool(const char *text) {
    if (!*text || strchr("yYtT1", *text))
        return 1;
    if (strchr("nNfF0", *text))
        return 0;
    return string_after(text, "on") ? 1 : string_after(text, "of") ? 0 : -ENOENT;
}

int modules_option(struct modules *modules, const char *name, const char *parameter) {
    _cleanup_(kmod_module_unrefp) struct kmod_module *module = NULL;
    int found = -ENOENT;

    if (kmod_module_new_from_name(modules->kmod, name, &module) < 0)
        return -ENOENT;
    const char *options = kmod_module_get_options(module);
    _cleanup_(freep) char *copy = options ? strdup(options) : NULL;
    char *rest = copy, *option;
    while ((option = strsep(&rest, " \t"))) {
        const char *value = string_after(option, parameter);
        if (value && (*value == '=' || !*value))
            found = parse_bool(*value ? value + 1 : value); /* the last one holds */
    }
    return found;
}

/* ---- Those that answer to an alias */

struct ranked {
    struct kmod_module *module; /* borrowed */
    unsigned wildcards;
};

static unsigned count_wildcards(const char *pattern) {
    unsigned n = 0;

    for (; *pattern; pattern++)
        n += *pattern == '*';
    return n;
}

/* Of its most exact pattern for the alias. UINT_MAX where it has none: the configuration says that it
 * answers. */
static unsigned wildcards_of(const struct kmod_module *module, const char *alias) {
    _cleanup_(kmod_module_info_free_listp) struct kmod_list *infos = NULL;
    unsigned fewest = UINT_MAX;
    struct kmod_list *info;

    if (kmod_module_get_info(module, &infos) < 0)
        return fewest;
    kmod_list_foreach(info, infos) {
        const char *pattern = kmod_module_info_get_value(info);
        if (!string_equal(kmod_module_info_get_key(info), "alias") || fnmatch(pattern, alias, 0) != 0)
            continue;
        unsigned wildcards = count_wildcards(pattern);
        if (wildcards < fewest)
            fewest = wildcards;
    }
    return fewest;
}

static int compare_ranked(const void *a, const void *b) {
    const struct ranked *left = a, *right = b;

    if (left->wildcards != right->wildcards)
        return left->wildcards < right->wildcards ? -1 : 1;
    return strcmp(kmod_module_get_name(left->module), kmod_module_get_name(right->module));
}

static bool is_new(const struct ranked *ranked, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (string_equal(kmod_module_get_name(ranked[i].module), name))
            return false;
    return true;
}

static size_t collect(struct kmod_list *found, const char *except,
                      struct ranked ret[MODULES_FOUND_MAX]) {
    struct kmod_list *entry;
    size_t n = 0;

    kmod_list_foreach(entry, found) {
        /* The list holds a reference. */
        struct kmod_module *module = kmod_module_get_module(entry);
        kmod_module_unref(module);
        const char *name = kmod_module_get_name(module);
        if (n < MODULES_FOUND_MAX && !string_equal(name, except) && is_new(ret, n, name))
            ret[n++] = (struct ranked){.module = module};
    }
    return n;
}

static void rank(struct ranked *ranked, size_t n, const char *alias) {
    /* Patterns are in the modules' files: not read without need. */
    if (n < 2)
        return;
    for (size_t i = 0; i < n; i++)
        ranked[i].wildcards = wildcards_of(ranked[i].module, alias);
    qsort(ranked, n, sizeof(*ranked), compare_ranked);
}

int modules_find(struct modules *modules, const char *alias, const char *except, char ***ret) {
    _cleanup_(kmod_module_unref_listp) struct kmod_list *found = NULL;
    _cleanup_(strings_freep) char **names = NULL;
    struct ranked ranked[MODULES_FOUND_MAX];

    int r = kmod_module_new_from_lookup(modules->kmod, alias, &found);
    if (r == -ENOMEM)
        return r;
    size_t n = r < 0 ? 0 : collect(found, except, ranked);
    rank(ranked, n, alias);
    for (size_t i = 0; i < n; i++) {
        r = strings_append(&names, kmod_module_get_name(ranked[i].module));
        if (r < 0)
            return r;
    }
    *ret = TAKE_POINTER(names);
    return 0;
}
