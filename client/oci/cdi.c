/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/oci/cdi.h"

#include <errno.h>
#include <stdbool.h>

#include "client/exit-status.h"
#include "client/json.h"
#include "client/oci/node.h"
#include "util/string.h"

/* The oldest that allows a digit as a name's first character. Readers refuse a newer one than theirs. */
#define CDI_VERSION "0.5.0"

/* Inside of the container; its /dev is its own, and its cgroup and the lease are the boundary. */
#define NODE_MODE 0666

/* Claiming waits for a group that drains, for 10 s, and for the bus. */
#define HOOK_SECONDS 30

/* ---- What is listed --------------------------------------------------------------------------- */

/* The alphabet of CDI's names; at both ends only letters and digits. */
static bool name_is_valid(const char *name) {
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:";
    size_t length = strlen(name);

    return length > 0 && length <= CDI_NAME_LENGTH_MAX && strspn(name, alphabet) == length &&
           !strchr("_-.:", name[0]) && !strchr("_-.:", name[length - 1]);
}

static int cdi_add(struct cdi *cdi, const char *name, const char *node) {
    struct cdi_device *grown = reallocarray(cdi->devices, cdi->n_devices + 1, sizeof(*grown));

    if (!grown)
        return -ENOMEM;
    cdi->devices = grown;
    struct cdi_device device = {.name = strdup(name), .node = strdup(node)};
    cdi->devices[cdi->n_devices++] = device; /* cdi_done()'s, whole or not */
    return device.name && device.node ? 0 : -ENOMEM;
}

int cdi_add_group(struct cdi *cdi, uint32_t group, const char *node, const char *first,
                  json_object *findings) {
    uint32_t of_node;

    if (exit_status_from_reason(first) == STATUS_DENIED || vfio_node_parse(node, &of_node) < 0 ||
        of_node != group)
        return 0;
    for (size_t i = 0; i < json_length(findings); i++) {
        json_object *finding = json_object_array_get_idx(findings, i);
        const char *name = json_text(finding, "device");
        if (strcmp(json_text(finding, "reason"), "user-driver") != 0 ||
            json_number(finding, "group") != group || !name_is_valid(name))
            continue;
        int r = cdi_add(cdi, name, node);
        if (r < 0)
            return r;
    }
    return 0;
}

int cdi_add_known(struct cdi *cdi, const struct cdi *known, const char *node) {
    int r = 0;

    for (size_t i = 0; r >= 0 && i < known->n_devices; i++)
        if (strcmp(known->devices[i].node, node) == 0)
            r = cdi_add(cdi, known->devices[i].name, node);
    return r;
}

void cdi_done(struct cdi *cdi) {
    for (size_t i = 0; i < cdi->n_devices; i++) {
        free(cdi->devices[i].name);
        free(cdi->devices[i].node);
    }
    free(cdi->devices);
    *cdi = (struct cdi){0};
}

/* ---- The document ----------------------------------------------------------------------------- */

/* Its number is left to the reader, who looks at the node that there is when a container is made. */
static int node_append(json_object *nodes, const char *path) {
    _cleanup_(json_putp) json_object *node = json_object_new_object();

    if (!node || json_set_text(node, "path", path) < 0 || json_set_text(node, "permissions", "rw") < 0 ||
        json_set(node, "fileMode", json_object_new_int(NODE_MODE)) < 0)
        return -ENOMEM;
    return json_append(nodes, TAKE_POINTER(node));
}

static int hook_append(json_object *hooks, const char *moment, const char *program, const char *verb,
                       const struct cdi_device *device) {
    _cleanup_(json_putp) json_object *hook = json_object_new_object(), *words = json_object_new_array();
    const char *const all[] = {"oci-hook", verb, device->name, device->node};

    if (!hook || !words || json_set_text(hook, "hookName", moment) < 0 ||
        json_set_text(hook, "path", program) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < ELEMENTS_OF(all); i++)
        if (json_append(words, json_object_new_string(all[i])) < 0)
            return -ENOMEM;
    if (json_set(hook, "args", TAKE_POINTER(words)) < 0 ||
        json_set(hook, "timeout", json_object_new_int(HOOK_SECONDS)) < 0)
        return -ENOMEM;
    return json_append(hooks, TAKE_POINTER(hook));
}

static int device_append(json_object *devices, const char *program, const struct cdi_device *device) {
    _cleanup_(json_putp) json_object *entry = json_object_new_object(), *edits = json_object_new_object(),
                                     *nodes = json_object_new_array(), *hooks = json_object_new_array();

    if (!entry || !edits || !nodes || !hooks || node_append(nodes, device->node) < 0 ||
        node_append(nodes, VFIO_CONTAINER_NODE) < 0 ||
        hook_append(hooks, "createRuntime", program, "claim", device) < 0 ||
        hook_append(hooks, "poststop", program, "release", device) < 0 ||
        json_set_text(entry, "name", device->name) < 0 ||
        json_set(edits, "deviceNodes", TAKE_POINTER(nodes)) < 0 ||
        json_set(edits, "hooks", TAKE_POINTER(hooks)) < 0 ||
        json_set(entry, "containerEdits", TAKE_POINTER(edits)) < 0)
        return -ENOMEM;
    return json_append(devices, TAKE_POINTER(entry));
}

static int compare_names(const void *a, const void *b) {
    const struct cdi_device *left = a, *right = b;

    return strcmp(left->name, right->name);
}

/* In the sorted list: devices of two buses can have one name. */
static bool is_ambiguous(const struct cdi *cdi, size_t i) {
    const struct cdi_device *devices = cdi->devices;

    return (i > 0 && compare_names(&devices[i - 1], &devices[i]) == 0) ||
           (i + 1 < cdi->n_devices && compare_names(&devices[i], &devices[i + 1]) == 0);
}

static int document_print(json_object *devices, char **ret) {
    _cleanup_(json_putp) json_object *document = json_object_new_object();

    if (!document || json_set_text(document, "cdiVersion", CDI_VERSION) < 0 ||
        json_set_text(document, "kind", CDI_KIND) < 0 ||
        json_set(document, "devices", json_object_get(devices)) < 0)
        return -ENOMEM;
    const char *text = json_object_to_json_string_ext(
        document, JSON_C_TO_STRING_NOSLASHESCAPE | JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);
    char *line = text ? string_format("%s\n", text) : NULL;
    if (!line)
        return -ENOMEM;
    *ret = line;
    return 0;
}

int cdi_format(struct cdi *cdi, const char *hook, char **ret) {
    _cleanup_(json_putp) json_object *devices = json_object_new_array();

    if (!devices)
        return -ENOMEM;
    if (cdi->n_devices > 0)
        qsort(cdi->devices, cdi->n_devices, sizeof(*cdi->devices), compare_names);
    for (size_t i = 0; i < cdi->n_devices; i++)
        if (!is_ambiguous(cdi, i) && device_append(devices, hook, &cdi->devices[i]) < 0)
            return -ENOMEM;
    if (json_length(devices) > 0)
        return document_print(devices, ret);
    *ret = NULL;
    return 0;
}
