/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/why.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/bus.h"
#include "client/table.h"
#include "client/topology-read.h"
#include "client/topology-text.h"
#include "util/fd.h"
#include "util/string.h"

/* Of the property iommus in the device tree. */
#define STREAMS_SIZE_MAX 4096

/* The devices, each with its place below the sysfs root. */
struct question {
    int sysfs;
    json_object *devices;
    size_t n;
    const char **paths;
    json_object *entries;
};

static const char *device_name(const struct question *question, size_t index) {
    return json_text(json_object_array_get_idx(question->devices, index), "name");
}

static const char *device_bus(const struct question *question, size_t index) {
    return json_text(json_object_array_get_idx(question->devices, index), "bus");
}

/* The daemon's root of sysfs is /sys. A path that leads out of it is none. */
static const char *device_path(json_object *device) {
    const char *path = string_after(json_text(device, "sysfs_path"), "/sys/");

    return path && !strstr(path, "/../") ? path : "";
}

static bool is_pci(const struct question *question, size_t index) {
    const char *name = path_basename(question->paths[index]);

    return strcmp(device_bus(question, index), "pci") == 0 && pci_name_is_valid(name, strlen(name));
}

/* ---- Entries ------------------------------------------------------------------------------- */

static int texts_add_once(json_object *array, const char *text) {
    for (size_t i = 0; i < json_length(array); i++)
        if (string_equal(json_object_get_string(json_object_array_get_idx(array, i)), text))
            return 0;
    return json_append(array, json_object_new_string(text));
}

static json_object *entry_find(json_object *entries, const char *reason, const char *text) {
    for (size_t i = 0; i < json_length(entries); i++) {
        json_object *entry = json_object_array_get_idx(entries, i);
        if (strcmp(json_text(entry, "reason"), reason) == 0 &&
            strcmp(json_text(entry, "text"), text) == 0)
            return entry;
    }
    return NULL;
}

static int entry_new(json_object *entries, const char *reason, const char *text, const char *way_out,
                     json_object **ret) {
    _cleanup_(json_putp) json_object *entry = json_object_new_object();

    if (!entry || json_set_text(entry, "reason", reason) < 0 ||
        json_set(entry, "causes", json_object_new_array()) < 0 ||
        json_set(entry, "devices", json_object_new_array()) < 0 ||
        json_set(entry, "missing", json_object_new_array()) < 0 ||
        json_set_text(entry, "text", text) < 0 || json_set_text(entry, "way_out", way_out) < 0 ||
        json_append(entries, json_object_get(entry)) < 0)
        return -ENOMEM;
    *ret = entry; /* borrowed from entries */
    return 0;
}

/* Adds devices a and b to the entry with this reason and text, which is made if there is none. */
static int entry_add(struct question *question, const char *reason, const char *text,
                     const char *way_out, size_t a, size_t b, json_object **ret) {
    json_object *entry = entry_find(question->entries, reason, text);
    int r = entry ? 0 : entry_new(question->entries, reason, text, way_out, &entry);

    if (r >= 0)
        r = texts_add_once(json_member(entry, "devices"), device_name(question, b));
    if (r >= 0)
        r = texts_add_once(json_member(entry, "devices"), device_name(question, a));
    if (r >= 0)
        *ret = entry;
    return r;
}

/* ---- PCI ----------------------------------------------------------------------------------- */

/* What several functions of one slot lack, or cause, adds up. */
static int entry_add_details(json_object *entry, const struct topology_answer *answer) {
    json_object *causes = json_member(entry, "causes"), *missing = json_member(entry, "missing");
    int r = answer->other ? texts_add_once(causes, answer->other) : 0;

    if (r >= 0 && answer->cause)
        r = texts_add_once(causes, answer->cause);
    for (unsigned bit = 1; r >= 0 && bit <= answer->missing; bit <<= 1)
        if ((answer->missing & bit) && topology_acs_to_string(bit))
            r = texts_add_once(missing, topology_acs_to_string(bit));
    return r;
}

static int pci_add(struct question *question, const struct topology_answer *answer, size_t a, size_t b) {
    _cleanup_(freep) char *text = topology_text(answer), *way_out = topology_way_out(answer);
    json_object *entry;

    if (!text || !way_out)
        return -ENOMEM;
    int r = entry_add(question, topology_reason_to_string(answer->reason), text, way_out, a, b, &entry);
    return r < 0 ? r : entry_add_details(entry, answer);
}

/* indices: which of the devices are of PCI. */
static int pci_explain(struct question *question, const size_t *indices, size_t n) {
    _cleanup_(topology_reading_done) struct topology_reading reading = {0};
    _cleanup_(freep) struct topology_answer *answers = calloc(n, sizeof(*answers));
    _cleanup_(freep) size_t *with = calloc(n, sizeof(*with));
    _cleanup_(freep) const char **paths = calloc(n, sizeof(*paths));

    if (!answers || !with || !paths)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        paths[i] = question->paths[indices[i]];
    int r = topology_read(question->sysfs, paths, n, &reading);
    if (r < 0)
        return r;
    topology_explain_group(reading.chains, n, answers, with);
    for (size_t i = 1; r >= 0 && i < n; i++)
        r = pci_add(question, &answers[i], indices[i], indices[with[i]]);
    return r;
}

/* ---- Others -------------------------------------------------------------------------------- */

/* The cells that say which streams of which IOMMU a device uses; *ret is NULL if there are none. */
static int streams_read(int sysfs, const char *path, char **ret, size_t *ret_size) {
    _cleanup_(freep) char *file = string_format("%s/of_node/iommus", path);

    if (!file)
        return -ENOMEM;
    int r = *path ? file_read(sysfs, file, STREAMS_SIZE_MAX, ret, ret_size) : -ENOENT;
    return r == -ENOMEM ? r : 0;
}

/* 1: both devices name the same streams; 0: they do not. */
static int same_streams(const struct question *question, size_t a, size_t b) {
    _cleanup_(freep) char *first = NULL, *second = NULL;
    size_t size, second_size;
    int r = streams_read(question->sysfs, question->paths[a], &first, &size);

    if (r >= 0)
        r = streams_read(question->sysfs, question->paths[b], &second, &second_size);
    if (r < 0)
        return r;
    return first && second && size > 0 && size == second_size && memcmp(first, second, size) == 0;
}

/* Members of one container of fsl-mc (DPRC) are siblings below it. */
static bool same_container(const struct question *question, size_t a, size_t b) {
    const char *first = question->paths[a], *second = question->paths[b];
    size_t length = (size_t)(path_basename(first) - first);

    return strcmp(device_bus(question, a), "fsl-mc") == 0 &&
           strcmp(device_bus(question, b), "fsl-mc") == 0 && length > 0 &&
           length == (size_t)(path_basename(second) - second) && memcmp(first, second, length) == 0;
}

static int other_add(struct question *question, const char *reason, const char *text,
                     const char *way_out, size_t a, size_t b) {
    json_object *entry;

    return entry_add(question, reason, text, way_out, a, b, &entry);
}

/* One device and an earlier one, not both of PCI. 1 if that is explained. */
static int other_explain_pair(struct question *question, size_t a, size_t b) {
    int r = same_streams(question, a, b);

    if (r < 0)
        return r;
    if (r > 0)
        r = other_add(question, "same-stream",
                      "The device tree gives them the same stream of the same IOMMU (iommus).",
                      "Another device tree, if the hardware has another stream for one of them.", a, b);
    else if (same_container(question, a, b))
        r = other_add(question, "same-container",
                      "They are in one fsl-mc container (DPRC), which has one stream of the IOMMU.",
                      "Move one of them to a container of its own (restool).", a, b);
    else
        return 0;
    return r < 0 ? r : 1;
}

static int other_explain(struct question *question, size_t index) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < index; i++)
        r = other_explain_pair(question, index, i);
    if (r != 0)
        return r;
    return other_add(question, "unknown",
                     "Not all of them are PCI devices, and neither the device tree nor the bus says why: "
                     "the IOMMU's driver or the firmware may give all devices of a kind one group.",
                     "", index, 0);
}

/* ---- All ----------------------------------------------------------------------------------- */

static int question_answer(struct question *question) {
    _cleanup_(freep) size_t *pci = calloc(question->n, sizeof(*pci));
    size_t n_pci = 0;
    int r = 0;

    if (!pci)
        return -ENOMEM;
    for (size_t i = 0; i < question->n; i++) {
        question->paths[i] = device_path(json_object_array_get_idx(question->devices, i));
        if (is_pci(question, i))
            pci[n_pci++] = i;
    }
    if (n_pci > 0)
        r = pci_explain(question, pci, n_pci);
    for (size_t i = 1; r >= 0 && i < question->n; i++)
        if (!is_pci(question, i) || (!is_pci(question, 0) && i == pci[0]))
            r = other_explain(question, i);
    return r;
}

int why_explain(int sysfs, json_object *devices, json_object **ret) {
    size_t n = json_length(devices);
    _cleanup_(json_putp) json_object *entries = json_object_new_array();
    _cleanup_(freep) const char **paths = calloc(n ? n : 1, sizeof(*paths));
    struct question question = {sysfs, devices, n, paths, entries};

    if (!entries || !paths)
        return -ENOMEM;
    int r = n > 1 ? question_answer(&question) : 0;
    if (r < 0)
        return r;
    *ret = TAKE_POINTER(entries);
    return 0;
}

bool why_needs_root(json_object *entries) {
    for (size_t i = 0; i < json_length(entries); i++)
        if (strcmp(json_text(json_object_array_get_idx(entries, i), "reason"), "needs-root") == 0)
            return true;
    return false;
}

/* The lines that have something to say. */
static enum exit_status entry_print(const struct client *client, json_object *entry) {
    static const struct column all[] = {
        {.title = "Reason", .key = "reason"},   {.title = "Because of", .key = "causes"},
        {.title = "Devices", .key = "devices"}, {.title = "Not switched on", .key = "missing"},
        {.title = "Why", .key = "text"},        {.title = "Way out", .key = "way_out"},
    };
    struct column lines[ELEMENTS_OF(all)];
    size_t n = 0;

    for (size_t i = 0; i < ELEMENTS_OF(all); i++)
        if (*json_text(entry, all[i].key) || json_length(json_member(entry, all[i].key)) > 0)
            lines[n++] = all[i];
    return list_print(client, lines, n, entry);
}

enum exit_status why_print(const struct client *client, json_object *entries) {
    enum exit_status status = STATUS_DONE;

    printf("\nWhy these devices are together:\n");
    if (json_length(entries) == 0)
        printf("  there is only one\n");
    for (size_t i = 0; status == STATUS_DONE && i < json_length(entries); i++) {
        if (i > 0)
            printf("\n");
        status = entry_print(client, json_object_array_get_idx(entries, i));
    }
    return status;
}
