/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/audit-print.h"

#include <stdio.h>
#include <string.h>

#include "client/bus.h"
#include "client/table.h"
#include "util/string.h"

static const char *level_color(const char *text) {
    if (strcmp(text, "critical") == 0)
        return "red";
    return strcmp(text, "warning") == 0 ? "yellow" : NULL;
}

/* ---- Findings -------------------------------------------------------------------------------- */

/* A mistake in the form of a finding. */
static int append_mistake(json_object *rows, json_object *mistake) {
    _cleanup_(json_putp) json_object *row = json_object_new_object();
    _cleanup_(freep) char *text =
        string_format("%s: %s", json_text(mistake, "node"), json_text(mistake, "text"));

    if (!row || json_set_text(row, "level", "warning") < 0 ||
        json_set_text(row, "kind", "mistake") < 0 ||
        !text || json_set_text(row, "text", text) < 0)
        return -1;
    return json_append(rows, TAKE_POINTER(row));
}

static enum exit_status findings_print(const struct client *client, json_object *document) {
    static const struct column file[] = {
        {.title = "LEVEL", .key = "level", .color = level_color},
        {.title = "KIND", .key = "kind"},
        {.title = "TEXT", .key = "text", .wrap = true},
    };
    static const struct column machine[] = {
        {.title = "LEVEL", .key = "level", .color = level_color},
        {.title = "KIND", .key = "kind"},
        {.title = "GROUPS", .key = "groups"},
        {.title = "DEVICES", .key = "devices", .wrap = true},
        {.title = "TEXT", .key = "text", .wrap = true},
    };
    _cleanup_(json_putp) json_object *rows = json_object_new_array();
    json_object *findings = json_member(document, "findings"), *mistakes = json_member(document, "mistakes");

    for (size_t i = 0; i < json_length(findings); i++)
        if (!rows || json_append(rows, json_object_get(json_object_array_get_idx(findings, i))) < 0)
            return client_fail_memory(client);
    for (size_t i = 0; i < json_length(mistakes); i++)
        if (!rows || append_mistake(rows, json_object_array_get_idx(mistakes, i)) < 0)
            return client_fail_memory(client);
    return json_member(document, "file")
               ? table_print(client, file, ELEMENTS_OF(file), rows, NULL)
               : table_print(client, machine, ELEMENTS_OF(machine), rows, NULL);
}

/* ---- Sets ------------------------------------------------------------------------------------ */

static char *group_format(json_object *value) {
    return value ? value_format(value) : strdup("none");
}

static enum exit_status sets_print(const struct client *client, json_object *document) {
    static const struct column file[] = {
        {.title = "IOMMU", .key = "iommu", .child_key = "node"},
        {.title = "GROUPING", .key = "grouping"},
        {.title = "SET", .key = "set", .right = true},
        {.title = "STREAMS", .child_key = "specifiers", .wrap = true},
        {.title = "PREDICTED", .child_key = "predicted_group", .format = group_format, .right = true},
    };
    static const struct column machine[] = {
        {.title = "IOMMU", .key = "iommu", .child_key = "device"},
        {.title = "GROUPING", .key = "grouping"},
        {.title = "SET", .key = "set", .right = true},
        {.title = "STREAMS", .child_key = "specifiers", .wrap = true},
        {.title = "GROUP", .child_key = "group", .format = group_format, .right = true},
    };
    json_object *sets = json_member(document, "sets");

    return json_member(document, "file")
               ? table_print(client, file, ELEMENTS_OF(file), sets, "devices")
               : table_print(client, machine, ELEMENTS_OF(machine), sets, "devices");
}

static char *hex_format(json_object *value) {
    return string_format("0x%llx", (unsigned long long)json_object_get_uint64(value));
}

static enum exit_status maps_print(const struct client *client, json_object *document) {
    static const struct column columns[] = {
        {.title = "HOST BRIDGE", .key = "node"},
        {.title = "IOMMU", .key = "iommu"},
        {.title = "FUNCTIONS FROM", .key = "requester", .format = hex_format, .right = true},
        {.title = "STREAMS FROM", .key = "id", .format = hex_format, .right = true},
        {.title = "COUNT", .key = "length", .format = hex_format, .right = true},
    };
    json_object *maps = json_member(document, "maps");

    if (json_length(maps) == 0)
        return STATUS_DONE;
    printf("\n");
    return table_print(client, columns, ELEMENTS_OF(columns), maps, NULL);
}

/* ---- All ------------------------------------------------------------------------------------- */

static void print_count(size_t n, const char *what, const char *end) {
    printf("%zu %s%s%s", n, what, n == 1 ? "" : "s", end);
}

/* What was looked at, in one line. */
static enum exit_status summary_print(const struct client *client, json_object *document) {
    json_object *file = json_member(document, "file"), *parts = json_member(document, "sets");
    _cleanup_(freep) char *name = file ? value_format(file) : strdup("this machine");
    size_t n_parts = json_length(parts), n_sets = 0;

    if (!name)
        return client_fail_memory(client);
    /* A set that reaches over two IOMMUs has two parts. */
    if (n_parts > 0)
        n_sets = json_number(json_object_array_get_idx(parts, n_parts - 1), "set") + 1;
    printf("%s: ", name);
    print_count(json_length(json_member(document, "iommus")), "IOMMU", ", ");
    print_count(json_number(document, "masters"), "master", " in ");
    print_count(n_sets, "set", ", ");
    print_count(json_length(json_member(document, "findings")), "finding", ", ");
    print_count(json_length(json_member(document, "mistakes")), "mistake", "\n");
    return STATUS_DONE;
}

enum exit_status audit_print(const struct client *client, json_object *document, bool sets, bool many) {
    bool clean = json_length(json_member(document, "findings")) == 0 &&
                 json_length(json_member(document, "mistakes")) == 0;

    if (many && clean && !sets)
        return STATUS_DONE;
    enum exit_status status = summary_print(client, document);
    if (status == STATUS_DONE && sets)
        status = sets_print(client, document);
    if (status == STATUS_DONE && sets)
        status = maps_print(client, document);
    if (status == STATUS_DONE && sets && !clean)
        printf("\n");
    if (status == STATUS_DONE)
        status = findings_print(client, document);
    if (status == STATUS_DONE && many)
        printf("\n");
    return status;
}
