/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/topology-read.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "util/fd.h"
#include "util/string.h"

#define PCI_NAME_MAX 31

/* A function as it was read; the name tells it from others. */
struct read_function {
    char name[PCI_NAME_MAX + 1];
    uint8_t *config;
    size_t length;
    bool virtual;
};

/* Counts hexadecimal digits. */
static size_t digits_count(const char *text, size_t length) {
    size_t n = 0;

    while (n < length && isxdigit((unsigned char)text[n]))
        n++;
    return n;
}

bool pci_name_is_valid(const char *name, size_t length) {
    size_t domain = digits_count(name, length);

    /* ":BB:DD.F" */
    if (length > PCI_NAME_MAX || domain < 4 || length - domain != 8)
        return false;
    const char *rest = name + domain;
    return rest[0] == ':' && digits_count(rest + 1, 2) == 2 && rest[3] == ':' &&
           digits_count(rest + 4, 2) == 2 && rest[6] == '.' && rest[7] >= '0' && rest[7] <= '7';
}

static void function_free(struct read_function *function) {
    if (function)
        free(function->config);
    free(function);
}
DEFINE_CLEANUP(struct read_function *, function_free)

void topology_reading_done(struct topology_reading *reading) {
    for (size_t i = 0; i < reading->n_chains; i++)
        free((void *)reading->chains[i].functions);
    free(reading->chains);
    for (size_t i = 0; i < reading->n_read; i++)
        function_free(reading->read[i]);
    free(reading->read);
    *reading = (struct topology_reading){0};
}

/* What others than root are refused, or what is gone, is simply not there. */
static int config_load(int sysfs, const char *path, struct read_function *function) {
    _cleanup_(freep) char *file = string_format("%s/config", path);
    _cleanup_(freep) char *physical = string_format("%s/physfn", path);
    _cleanup_(freep) char *data = NULL;
    struct stat status;
    size_t size;

    if (!file || !physical)
        return -ENOMEM;
    function->virtual = fstatat(sysfs, physical, &status, AT_SYMLINK_NOFOLLOW) == 0;
    int r = file_read(sysfs, file, TOPOLOGY_CONFIG_MAX, &data, &size);
    if (r < 0)
        return r == -ENOMEM ? r : 0;
    function->config = (uint8_t *)TAKE_POINTER(data);
    function->length = size;
    return 0;
}

static int function_add(struct topology_reading *reading, struct read_function *function) {
    struct read_function **grown =
        reallocarray(reading->read, reading->n_read + 1, sizeof(*reading->read));

    if (!grown)
        return -ENOMEM;
    reading->read = grown;
    reading->read[reading->n_read++] = function;
    return 0;
}

/* The function in the folder path, whose name are the last length bytes of it. */
static int function_read(int sysfs, struct topology_reading *reading, const char *path, size_t length,
                         const struct read_function **ret) {
    const char *name = path + strlen(path) - length;
    _cleanup_(function_freep) struct read_function *function = NULL;

    for (size_t i = 0; i < reading->n_read; i++)
        if (strcmp(reading->read[i]->name, name) == 0) {
            *ret = reading->read[i];
            return 0;
        }
    function = calloc(1, sizeof(*function));
    if (!function)
        return -ENOMEM;
    memcpy(function->name, name, length + 1);
    int r = config_load(sysfs, path, function);
    if (r >= 0)
        r = function_add(reading, function);
    if (r < 0)
        return r;
    *ret = TAKE_POINTER(function);
    return 0;
}

static bool is_last_name(const char *path, const char *name) {
    return strcmp(path_basename(path), name) == 0;
}

static int chain_add(struct topology_chain *chain, const struct read_function *function,
                     const char *const *paths, size_t n_paths) {
    struct topology_function *functions = (struct topology_function *)chain->functions;
    bool member = false;

    for (size_t i = 0; i < n_paths && !member; i++)
        member = is_last_name(paths[i], function->name);
    functions[chain->n_functions++] = (struct topology_function){
        .name = function->name,
        .config = function->config,
        .length = function->length,
        .member = member,
        .virtual = function->virtual,
    };
    return 0;
}

/* From the last part of path to the first; what is no PCI function (a root complex) is passed over. */
static int chain_read(int sysfs, struct topology_reading *reading, const char *const *paths,
                      size_t n_paths, const char *path) {
    struct topology_chain *chain = &reading->chains[reading->n_chains];
    _cleanup_(freep) char *rest = strdup(path);

    chain->functions = calloc(TOPOLOGY_DEPTH_MAX, sizeof(*chain->functions));
    if (!rest || !chain->functions)
        return -ENOMEM;
    reading->n_chains++;
    while (chain->n_functions < TOPOLOGY_DEPTH_MAX) {
        const struct read_function *function;
        char *slash = strrchr(rest, '/');
        const char *name = slash ? slash + 1 : rest;
        int r = 0;
        if (pci_name_is_valid(name, strlen(name)))
            r = function_read(sysfs, reading, rest, strlen(name), &function);
        else if (chain->n_functions == 0)
            return -EINVAL;
        else
            function = NULL;
        if (r >= 0 && function)
            r = chain_add(chain, function, paths, n_paths);
        if (r < 0 || !slash)
            return r;
        *slash = 0;
    }
    return 0;
}

int topology_read(int sysfs, const char *const *paths, size_t n_paths, struct topology_reading *ret) {
    _cleanup_(topology_reading_done) struct topology_reading reading = {0};

    reading.chains = calloc(n_paths ? n_paths : 1, sizeof(*reading.chains));
    if (!reading.chains)
        return -ENOMEM;
    for (size_t i = 0; i < n_paths; i++) {
        int r = chain_read(sysfs, &reading, paths, n_paths, paths[i]);
        if (r < 0)
            return r;
    }
    *ret = reading;
    reading = (struct topology_reading){0};
    return 0;
}
