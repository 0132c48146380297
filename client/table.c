/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/table.h"

#include <stdio.h>
#include <string.h>

#include <libsmartcols.h>

#include "client/bus.h"
#include "client/text.h"
#include "util/string.h"

static inline void scols_unref_tablep(struct libscols_table **table) {
    scols_unref_table(*table);
}

/* The elements of an array with a separator between. */
static char *array_join(json_object *array, const char *separator, char *(*format)(json_object *)) {
    _cleanup_(freep) char *joined = NULL;

    for (size_t i = 0; i < json_length(array); i++) {
        _cleanup_(freep) char *element = format(json_object_array_get_idx(array, i));
        char *longer = element ? string_format("%s%s%s", joined ? joined : "",
                                               joined ? separator : "", element)
                               : NULL;
        if (!longer)
            return NULL;
        free(joined);
        joined = longer;
    }
    return joined ? TAKE_POINTER(joined) : strdup("-");
}

static char *array_format(json_object *array, char *(*format)(json_object *)) {
    return array_join(array, ",", format);
}

char *value_format(json_object *value) {
    switch (json_object_get_type(value)) {
    case json_type_null:
        return strdup("-");
    case json_type_boolean:
        return strdup(json_object_get_boolean(value) ? "yes" : "no");
    case json_type_array:
        return array_format(value, value_format);
    case json_type_string:
        if (json_object_get_string_len(value) == 0)
            return strdup("-");
        /* fall through */
    default:
        return text_escape(json_object_get_string(value));
    }
}

char *user_value_format(json_object *value) {
    if (!json_object_is_type(value, json_type_int))
        return value_format(value);
    return user_format((uid_t)json_object_get_uint64(value));
}

char *time_value_format(json_object *value) {
    if (!json_object_is_type(value, json_type_int))
        return value_format(value);
    return time_format(json_object_get_uint64(value));
}

char *object_value_format(json_object *value) {
    if (json_object_is_type(value, json_type_array))
        return array_format(value, object_value_format);
    if (!json_object_is_type(value, json_type_string))
        return value_format(value);
    const char *number = path_basename(json_object_get_string(value));
    return *number ? text_escape(number) : strdup("-");
}

/* ["0000:00:05.1", "e1000e"] */
static char *blocker_format(json_object *pair) {
    if (json_length(pair) != 2)
        return value_format(pair);
    _cleanup_(freep) char *device = value_format(json_object_array_get_idx(pair, 0));
    _cleanup_(freep) char *driver = value_format(json_object_array_get_idx(pair, 1));
    return device && driver ? string_format("%s (%s)", device, driver) : NULL;
}

char *blockers_format(json_object *value) {
    return json_object_is_type(value, json_type_array) ? array_format(value, blocker_format)
                                                       : value_format(value);
}

char *sentences_format(json_object *value) {
    return json_object_is_type(value, json_type_array) ? array_join(value, "; ", value_format)
                                                       : value_format(value);
}

const char *verdict_color(const char *text) {
    return strcmp(text, "grantable") == 0 ? "green" : "yellow";
}

const char *owner_color(const char *text) {
    if (strcmp(text, "user") == 0)
        return "cyan";
    return strcmp(text, "foreign") == 0 ? "red" : NULL;
}

const char *role_color(const char *text) {
    return strcmp(text, "kernel") == 0 ? "yellow" : NULL;
}

static char *cell_format(const struct column *column, json_object *row, const char *key) {
    json_object *value = json_member(row, key);

    return column->format ? column->format(value) : value_format(value);
}

static int table_add_columns(struct libscols_table *table, const struct column *columns,
                             size_t n_columns, bool tree) {
    for (size_t i = 0; i < n_columns; i++) {
        int flags = (columns[i].right ? SCOLS_FL_RIGHT : 0) |
                    (columns[i].wrap ? SCOLS_FL_WRAP : 0) | (tree && i == 0 ? SCOLS_FL_TREE : 0);
        struct libscols_column *column =
            scols_table_new_column(table, columns[i].title, columns[i].wrap ? 0.5 : 0, flags);
        if (!column)
            return -1;
    }
    return 0;
}

static int table_add_row(struct libscols_table *table, const struct client *client,
                         const struct column *columns, size_t n_columns, json_object *row,
                         struct libscols_line *parent, struct libscols_line **ret) {
    struct libscols_line *line = scols_table_new_line(table, parent);

    if (!line)
        return -1;
    for (size_t i = 0; i < n_columns; i++) {
        const char *key = parent ? columns[i].child_key : columns[i].key;
        if (!key)
            continue;
        _cleanup_(freep) char *text = cell_format(&columns[i], row, key);
        if (!text)
            return -1;
        const char *color = client->color && columns[i].color ? columns[i].color(text) : NULL;
        if (color && scols_cell_set_color(scols_line_get_cell(line, i), color) < 0)
            return -1;
        if (scols_line_refer_data(line, i, TAKE_POINTER(text)) < 0)
            return -1;
    }
    *ret = line;
    return 0;
}

static int table_fill(struct libscols_table *table, const struct client *client,
                      const struct column *columns, size_t n_columns, json_object *rows,
                      const char *children) {
    struct libscols_line *line, *below;

    for (size_t i = 0; i < json_length(rows); i++) {
        json_object *row = json_object_array_get_idx(rows, i);
        if (table_add_row(table, client, columns, n_columns, row, NULL, &line) < 0)
            return -1;
        json_object *inner = children ? json_member(row, children) : NULL;
        for (size_t j = 0; j < json_length(inner); j++)
            if (table_add_row(table, client, columns, n_columns,
                              json_object_array_get_idx(inner, j), line, &below) < 0)
                return -1;
    }
    return 0;
}

enum exit_status table_print(const struct client *client, const struct column *columns,
                             size_t n_columns, json_object *rows, const char *children) {
    _cleanup_(scols_unref_tablep) struct libscols_table *table = scols_new_table();

    if (!table || table_add_columns(table, columns, n_columns, children != NULL) < 0 ||
        scols_table_enable_colors(table, client->color) < 0 ||
        /* The text is escaped already; the library would escape the backslashes again. */
        scols_table_enable_noencoding(table, true) < 0 ||
        table_fill(table, client, columns, n_columns, rows, children) < 0)
        return client_fail_memory(client);
    if (scols_table_is_empty(table))
        return STATUS_DONE;
    if (scols_print_table(table) < 0)
        return client_fail(client, STATUS_ERROR, "the table cannot be printed");
    return STATUS_DONE;
}

enum exit_status list_print(const struct client *client, const struct column *lines, size_t n_lines,
                            json_object *object) {
    int width = 0;

    for (size_t i = 0; i < n_lines; i++)
        if ((int)strlen(lines[i].title) > width)
            width = (int)strlen(lines[i].title);
    for (size_t i = 0; i < n_lines; i++) {
        _cleanup_(freep) char *text = cell_format(&lines[i], object, lines[i].key);
        if (!text)
            return client_fail_memory(client);
        printf("%*s: %s\n", width + 2, lines[i].title, text);
    }
    return STATUS_DONE;
}
