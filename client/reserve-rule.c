/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/reserve-rule.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "client/policy-question.h"
#include "policy/policy.h"
#include "util/string.h"

#define PREFIX "reserve-"

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

/* ---- Names ----------------------------------------------------------------------------------- */

char *reserve_file_name(const char *device_name) {
    static const char suffix[] = ".json";
    char *name = malloc(strlen(PREFIX) + 3 * strlen(device_name) + sizeof(suffix));

    if (!name)
        return NULL;
    char *end = stpcpy(name, PREFIX);
    for (const char *at = device_name; *at; at++)
        if (strchr(letters, *at) || *at == ':')
            *end++ = *at;
        else
            end += sprintf(end, "%%%02x", (unsigned char)*at);
    strcpy(end, suffix);
    return name;
}

/* FNV-1a. */
static uint32_t text_hash(const char *text) {
    uint32_t hash = 2166136261;

    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619;
    return hash;
}

char *reserve_rule_name(const char *device_name) {
    char name[POLICY_NAME_MAX + 1];
    int length = snprintf(name, sizeof(name), PREFIX "%s", device_name);
    bool unclear = length >= (int)sizeof(name);

    for (char *at = name; *at; at++)
        if (!strchr(letters, *at)) {
            unclear = unclear || *at != ':';
            *at = '_';
        }
    if (unclear && strlen(name) > POLICY_NAME_MAX - strlen("-01234567"))
        name[POLICY_NAME_MAX - strlen("-01234567")] = 0;
    return unclear ? string_format("%s-%08x", name, text_hash(device_name)) : strdup(name);
}

/* A pattern that matches this text only. */
static json_object *pattern_new(const char *text) {
    _cleanup_(freep) char *pattern = malloc(2 * strlen(text) + 1);
    char *end = pattern;

    if (!pattern)
        return NULL;
    for (; *text; text++) {
        if (strchr("*?[\\", *text))
            *end++ = '\\';
        *end++ = *text;
    }
    *end = 0;
    return json_object_new_string(pattern);
}

static bool pattern_is(const char *pattern, const char *text) {
    for (; *pattern && *text; pattern++, text++) {
        if (*pattern == '\\')
            pattern++;
        if (*pattern != *text)
            return false;
    }
    return !*pattern && !*text;
}

/* ---- Making one ------------------------------------------------------------------------------ */

static int compare_names(const void *a, const void *b) {
    return strcmp(json_text(*(json_object *const *)a, "name"),
                  json_text(*(json_object *const *)b, "name"));
}

json_object *reserve_endpoints(json_object *devices) {
    _cleanup_(json_putp) json_object *endpoints = json_object_new_array();

    for (size_t i = 0; endpoints && i < json_length(devices); i++) {
        json_object *device = json_object_array_get_idx(devices, i);
        if (policy_exempts(device))
            continue;
        if (json_append(endpoints, json_object_get(device)) < 0)
            return NULL;
    }
    if (endpoints)
        json_object_array_sort(endpoints, compare_names);
    return TAKE_POINTER(endpoints);
}

/* The key's values in all endpoints, each once: one alone, or a list. */
static int match_set(json_object *match, const char *key, const char *source,
                     json_object *endpoints) {
    _cleanup_(strings_freep) char **seen = NULL;
    _cleanup_(json_putp) json_object *list = json_object_new_array();

    for (size_t i = 0; i < json_length(endpoints); i++) {
        const char *text = json_text(json_object_array_get_idx(endpoints, i), source);
        if (strings_contain(seen, text))
            continue;
        if (!list || strings_append(&seen, text) < 0 || json_append(list, pattern_new(text)) < 0)
            return -1;
    }
    json_object *value = json_length(list) == 1 ? json_object_array_get_idx(list, 0) : list;
    return json_set(match, key, json_object_get(value));
}

static int strings_set(json_object *object, const char *key, const char *const *strings) {
    if (!*strings)
        return 0;
    json_object *list = json_object_new_array();
    for (; list && *strings; strings++)
        if (json_append(list, json_object_new_string(*strings)) < 0) {
            json_object_put(list);
            return -1;
        }
    return json_set(object, key, list);
}

static int subjects_set(json_object *rule, const struct reserve_terms *terms) {
    if (!*terms->users && !*terms->groups)
        return 0; /* root */
    json_object *subjects = json_object_new_object();
    if (json_set(rule, "subjects", subjects) < 0)
        return -1;
    return strings_set(subjects, "users", terms->users) < 0 ||
                   strings_set(subjects, "groups", terms->groups) < 0
               ? -1
               : 0;
}

/* Fills rule, which is empty. */
static int rule_fill(json_object *rule, json_object *endpoints, const struct reserve_terms *terms) {
    _cleanup_(freep) char *name =
        reserve_rule_name(json_text(json_object_array_get_idx(endpoints, 0), "name"));

    if (!name || json_set_text(rule, "name", name) < 0 ||
        json_set_text(rule, "effect", "allow") < 0)
        return -1;
    json_object *match = json_object_new_object();
    if (json_set(rule, "match", match) < 0 || match_set(match, "bus", "bus", endpoints) < 0 ||
        match_set(match, "name", "name", endpoints) < 0 || subjects_set(rule, terms) < 0 ||
        json_set(rule, "detach", json_object_new_boolean(true)) < 0 ||
        json_set(rule, "reserve", json_object_new_boolean(true)) < 0)
        return -1;
    return terms->vfio_driver ? json_set_text(rule, "vfio_driver", terms->vfio_driver) : 0;
}

json_object *reserve_document(json_object *endpoints, const struct reserve_terms *terms) {
    _cleanup_(json_putp) json_object *document = json_object_new_object();

    if (!document || json_set(document, "version", json_object_new_int(1)) < 0)
        return NULL;
    json_object *rules = json_object_new_array();
    if (json_set(document, "rules", rules) < 0)
        return NULL;
    json_object *rule = json_object_new_object();
    if (!rule || json_append(rules, rule) < 0 || rule_fill(rule, endpoints, terms) < 0)
        return NULL;
    return TAKE_POINTER(document);
}

/* ---- Finding one ----------------------------------------------------------------------------- */

/* True if value is, or holds, a pattern for this text. */
static bool value_is(json_object *value, const char *text) {
    if (json_object_is_type(value, json_type_string))
        return pattern_is(json_object_get_string(value), text);
    for (size_t i = 0; i < json_length(value); i++)
        if (value_is(json_object_array_get_idx(value, i), text))
            return true;
    return false;
}

bool reserve_holds(json_object *document, const char *bus, const char *device_name) {
    json_object *rules = json_member(document, "rules");
    json_object *rule = json_length(rules) == 1 ? json_object_array_get_idx(rules, 0) : NULL;
    json_object *match = json_member(rule, "match");

    return string_after(json_text(rule, "name"), PREFIX) && json_truth(rule, "reserve") &&
           (!bus || value_is(json_member(match, "bus"), bus)) &&
           value_is(json_member(match, "name"), device_name);
}
