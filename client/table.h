/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tables and lists for people, made from JSON values. Whatever is shown is escaped. */

#include "client/json.h"
#include "client/verb.h"

struct column {
    const char *title;
    const char *key;       /* member of a row; NULL: empty */
    const char *child_key; /* member of a row below another; NULL: empty */
    /* Text for a value that may be NULL (absent); printable, the caller's. NULL: value_format(). */
    char *(*format)(json_object *value);
    /* Name of a colour, or NULL for none. NULL: no colours in this column. */
    const char *(*color)(const char *text);
    bool right;
    bool wrap; /* may take several lines */
};

/* Prints rows, an array of objects, with a heading. children: the key of the array of rows that
 * stand below a row, or NULL. The first column is then the one that the tree is drawn in. */
enum exit_status table_print(const struct client *client, const struct column *columns,
                             size_t n_columns, json_object *rows, const char *children);

/* Prints members of an object as "  Title: text" lines; child_key and wrap have no meaning. */
enum exit_status list_print(const struct client *client, const struct column *lines, size_t n_lines,
                            json_object *object);

/* Escaped text of any value: "-" for what is absent or empty, yes or no, arrays with commas.
 * The caller's; NULL when out of memory. */
char *value_format(json_object *value);
/* Values that say more in another form; all as value_format(). */
char *user_value_format(json_object *value);   /* a uid */
char *time_value_format(json_object *value);   /* microseconds since 1970 */
char *object_value_format(json_object *value); /* object paths of groups or leases: the number */
char *blockers_format(json_object *value);     /* [["0000:00:05.1", "e1000e"]]: with brackets */
char *sentences_format(json_object *value);    /* an array of text that has commas of its own */

const char *verdict_color(const char *text);
const char *owner_color(const char *text);
const char *role_color(const char *text);
