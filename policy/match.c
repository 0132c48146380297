/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Does a rule's match hold for a device, and is one match as wide as another? */

#include <stdio.h>

#include "policy/rule.h"

static const char *const keys[MATCH_KEYS] = {
    [MATCH_BUS] = "bus",
    [MATCH_VENDOR] = "vendor",
    [MATCH_PRODUCT] = "product",
    [MATCH_SUBSYSTEM_VENDOR] = "subsystem_vendor",
    [MATCH_SUBSYSTEM_PRODUCT] = "subsystem_product",
    [MATCH_NUMA_NODE] = "numa_node",
    [MATCH_CLASS] = "class",
    [MATCH_REMOVABLE] = "removable",
    [MATCH_DRIVER] = "driver",
    [MATCH_NAME] = "name",
    [MATCH_COMPATIBLE] = "compatible",
    [MATCH_MODALIAS] = "modalias",
    [MATCH_PATH] = "path",
};

const char *match_key_to_string(enum match_key key) {
    return keys[key];
}

bool match_key_is_pci(enum match_key key) {
    return key == MATCH_VENDOR || key == MATCH_PRODUCT || key == MATCH_SUBSYSTEM_VENDOR ||
           key == MATCH_SUBSYSTEM_PRODUCT || key == MATCH_CLASS;
}

static bool text_matches(const struct condition *condition, const char *text) {
    if (!text || !*text)
        return false;
    for (size_t i = 0; i < condition->n; i++)
        if (pattern_matches(&condition->patterns[i], text))
            return true;
    return false;
}

static bool number_matches(const struct condition *condition, uint32_t number) {
    for (size_t i = 0; i < condition->n; i++)
        if (condition->numbers[i] == number)
            return true;
    return false;
}

static bool compatible_matches(const struct condition *condition, const char *const *compatible) {
    for (; compatible && *compatible; compatible++)
        if (text_matches(condition, *compatible))
            return true;
    return false;
}

static const char *class_text(struct device_texts *texts) {
    if (!texts->device->has_ids)
        return NULL;
    if (!texts->has_class)
        (void)snprintf(texts->class, sizeof(texts->class), "0x%06x",
                       texts->device->class & 0xffffff);
    texts->has_class = true;
    return texts->class;
}

static const char *path_text(struct device_texts *texts) {
    if (!texts->device->path)
        return NULL;
    if (!texts->has_path)
        (void)snprintf(texts->path, sizeof(texts->path), "/sys/%s", texts->device->path);
    texts->has_path = true;
    return texts->path;
}

/* The number that a key asks for; false if the device has none. */
static bool device_number(const struct policy_device *device, enum match_key key, uint32_t *ret) {
    if (key == MATCH_NUMA_NODE) {
        *ret = (uint32_t)device->numa_node;
        return true;
    }
    *ret = key == MATCH_VENDOR             ? device->vendor
           : key == MATCH_PRODUCT          ? device->product
           : key == MATCH_SUBSYSTEM_VENDOR ? device->subsystem_vendor
                                           : device->subsystem_product;
    return device->has_ids;
}

static const char *device_text(struct device_texts *texts, enum match_key key) {
    switch (key) {
    case MATCH_BUS:
        return texts->device->bus;
    case MATCH_CLASS:
        return class_text(texts);
    case MATCH_REMOVABLE:
        return texts->device->removable;
    case MATCH_DRIVER:
        return texts->device->driver;
    case MATCH_NAME:
        return texts->device->name;
    case MATCH_MODALIAS:
        return texts->device->modalias;
    case MATCH_PATH:
        return path_text(texts);
    default:
        return NULL;
    }
}

static bool condition_holds(const struct condition *condition, struct device_texts *texts) {
    uint32_t number;

    if (condition->numbers)
        return device_number(texts->device, condition->key, &number) &&
               number_matches(condition, number);
    if (condition->key == MATCH_COMPATIBLE)
        return compatible_matches(condition, texts->device->compatible);
    return text_matches(condition, device_text(texts, condition->key));
}

bool match_holds(const struct policy_match *match, struct device_texts *texts) {
    for (size_t i = 0; i < match->n_conditions; i++)
        if (!condition_holds(&match->conditions[i], texts))
            return false;
    return true;
}

static bool any_pattern_covers(const struct condition *outer, const struct pattern *inner) {
    for (size_t i = 0; i < outer->n; i++)
        if (pattern_covers(&outer->patterns[i], inner))
            return true;
    return false;
}

static bool condition_covers(const struct condition *outer, const struct condition *inner) {
    for (size_t i = 0; i < inner->n; i++)
        if (outer->numbers ? !number_matches(outer, inner->numbers[i])
                           : !any_pattern_covers(outer, &inner->patterns[i]))
            return false;
    return true;
}

static const struct condition *match_condition(const struct policy_match *match,
                                               enum match_key key) {
    for (size_t i = 0; i < match->n_conditions; i++)
        if (match->conditions[i].key == key)
            return &match->conditions[i];
    return NULL;
}

bool match_covers(const struct policy_match *outer, const struct policy_match *inner) {
    if (outer->keys & ~inner->keys)
        return false;
    for (size_t i = 0; i < outer->n_conditions; i++)
        if (!condition_covers(&outer->conditions[i],
                              match_condition(inner, outer->conditions[i].key)))
            return false;
    return true;
}
