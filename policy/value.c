/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading single values out of a document, with a fault for each that is not as it must be. */

#include <stdarg.h>
#include <stdio.h>

#include "policy/compile.h"
#include "util/string.h"

_printf_(4, 0)
static void compile_message(struct compiler *compiler, enum policy_severity severity,
                            struct location at, const char *format, va_list arguments) {
    _cleanup_(freep) char *text = NULL;

    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    const char *shown = text ? text : "out of memory";
    if (compiler->rule_name[0])
        report_add(compiler->report, severity, compiler->file, at, "Rule \"%s\": %s",
                   compiler->rule_name, shown);
    else
        report_add(compiler->report, severity, compiler->file, at, "%s", shown);
}

void compile_fault(struct compiler *compiler, struct location at, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    compile_message(compiler, POLICY_ERROR, at, format, arguments);
    va_end(arguments);
}

void compile_warn(struct compiler *compiler, struct location at, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    compile_message(compiler, POLICY_WARNING, at, format, arguments);
    va_end(arguments);
}

static const char *type_to_string(enum json_type type) {
    switch (type) {
    case json_type_boolean:
        return "true or false";
    case json_type_double:
        return "a fraction";
    case json_type_int:
        return "a whole number";
    case json_type_object:
        return "an object {…}";
    case json_type_array:
        return "a list […]";
    case json_type_string:
        return "a string";
    default:
        return "null";
    }
}

bool value_is(struct compiler *compiler, const char *key, struct json_object *value,
              enum json_type type) {
    if (json_object_is_type(value, type))
        return true;
    compile_fault(compiler, document_value_location(value), "\"%s\" must be %s, but is %s.", key,
                  type_to_string(type), type_to_string(json_object_get_type(value)));
    return false;
}

static char *keys_join(const char *const *keys) {
    char *joined = string_format("%s", *keys);

    while (joined && *++keys) {
        char *longer = string_format("%s%s%s", joined, keys[1] ? ", " : " and ", *keys);
        free(joined);
        joined = longer;
    }
    return joined;
}

bool key_is_known(struct compiler *compiler, const char *what, const char *key,
                  struct json_object *value, const char *const *known) {
    for (const char *const *candidate = known; *candidate; candidate++)
        if (string_equal(*candidate, key))
            return true;
    _cleanup_(freep) char *joined = keys_join(known);
    compile_fault(compiler, document_key_location(value),
                  "The key " QUOTED " is unknown in %s, which knows %s; correct or remove it.", key,
                  what, joined ? joined : "others");
    return false;
}

const char *value_string(struct compiler *compiler, const char *key, struct json_object *value) {
    struct location at = document_value_location(value);

    if (!value_is(compiler, key, value, json_type_string))
        return NULL;
    const char *text = json_object_get_string(value);
    if (!*text)
        compile_fault(compiler, at, "\"%s\" has an empty string, which matches nothing; write a "
                      "value or leave the key out.", key);
    else if (strlen(text) > POLICY_STRING_MAX)
        compile_fault(compiler, at, "\"%s\" has a string of more than %d bytes, which nothing "
                      "matches; shorten it.", key, POLICY_STRING_MAX);
    else if (!text_is_printable(text))
        compile_fault(compiler, at, "\"%s\" has a string with control characters, which nothing "
                      "matches; remove them.", key);
    else
        return text;
    return NULL;
}

bool value_number(struct compiler *compiler, const char *key, struct json_object *value,
                  int64_t low, int64_t high, int64_t *ret) {
    if (!value_is(compiler, key, value, json_type_int))
        return false;
    int64_t number = json_object_get_int64(value); /* the nearest one, if it is out of range */
    if (number < low || number > high) {
        compile_fault(compiler, document_value_location(value),
                      "\"%s\" must be a number from %lld to %lld.", key, (long long)low,
                      (long long)high);
        return false;
    }
    *ret = number;
    return true;
}

ssize_t value_list(struct compiler *compiler, const char *key, struct json_object *value) {
    struct location at = document_value_location(value);

    if (!value_is(compiler, key, value, json_type_array))
        return -1;
    size_t n = json_object_array_length(value);
    if (n == 0)
        compile_fault(compiler, at, "\"%s\" is an empty list, so that the rule can never apply; "
                      "fill it or leave the key out.", key);
    else if (n > POLICY_LIST_MAX)
        compile_fault(compiler, at, "\"%s\" is a list of more than %d items; use a pattern or a "
                      "second rule.", key, POLICY_LIST_MAX);
    else
        return (ssize_t)n;
    return -1;
}
