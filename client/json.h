/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the daemon says, as JSON values: the form in which dmaownctl holds everything that it reads.
 * Tables are made from the same values that --json prints. */

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>
#include <systemd/sd-bus.h>

#include "util/cleanup.h"

static inline void json_putp(json_object **value) {
    json_object_put(*value);
}

/* The next value of a message. Dictionaries become objects (keys of a{sv} like property_name, the
 * others as they are), arrays and structs arrays, variants what is in them, fds null. The number
 * and the depth of values are limited. *ret is the caller's. -EBADMSG, -E2BIG, -ENOMEM. */
int json_from_message(sd_bus_message *message, json_object **ret);

/* Member of an object; NULL if object is NULL or none, or has no such member. Borrowed. */
json_object *json_member(json_object *object, const char *key);
/* The same as text, "" for everything that is not text; as a number, 0; as a truth value, false. */
const char *json_text(json_object *object, const char *key);
uint64_t json_number(json_object *object, const char *key);
bool json_truth(json_object *object, const char *key);
/* Length of an array; 0 for everything else. */
size_t json_length(json_object *array);

/* Adds a member. json_set() takes value over, also when it fails; NULL there means out of memory.
 * 0 or -ENOMEM. */
int json_set(json_object *object, const char *key, json_object *value);
int json_set_text(json_object *object, const char *key, const char *text);
int json_append(json_object *array, json_object *value);

/* Sorts an array of objects by the number "id". */
void json_sort_by_id(json_object *array);

/* Writes value and a newline on standard output; line: in one line. Nothing in it can control a
 * terminal. 0 or -ENOMEM. */
int json_print(json_object *value, bool line);
