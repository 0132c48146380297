/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/policy-question.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "util/fd.h"
#include "util/pci-class.h"
#include "util/string.h"

#define COMPATIBLE_MAX 64

/* Eight hexadecimal digits behind a letter pair. */
static bool modalias_number(const char *text, uint32_t *ret) {
    unsigned value;
    int length = 0;

    if (strspn(text, "0123456789abcdefABCDEF") < 8 || sscanf(text, "%8x%n", &value, &length) != 1 ||
        length != 8)
        return false;
    *ret = value;
    return true;
}

/* "pci:v00008086d000010D3sv00008086sd0000A01Fbc02sc00i00" */
bool modalias_subsystem(const char *modalias, uint32_t *ret_vendor, uint32_t *ret_product) {
    const char *ids = string_after(modalias, "pci:v");
    uint32_t vendor, product;

    if (!ids || strlen(ids) < 38 || memcmp(ids + 17, "sv", 2) != 0 ||
        memcmp(ids + 27, "sd", 2) != 0)
        return false;
    if (!modalias_number(ids + 19, &vendor) || !modalias_number(ids + 29, &product))
        return false;
    *ret_vendor = vendor;
    *ret_product = product;
    return true;
}

/* The one fact that rules can ask for and the API does not tell. */
static bool read_removable(const char *sysfs_path, char *buffer, size_t size) {
    _cleanup_(freep) char *path = string_format("%s/removable", sysfs_path);

    return path && string_after(sysfs_path, "/sys/devices/") && !strstr(sysfs_path, "/../") &&
           attribute_read(AT_FDCWD, path, buffer, size) >= 0;
}

static const char *text_or_null(json_object *device, const char *key) {
    const char *text = json_text(device, key);

    return *text ? text : NULL;
}

bool policy_exempts(json_object *device) {
    const char *driver = json_text(device, "driver");

    return strcmp(json_text(device, "bus"), "pci") == 0 &&
           pci_class_is_bridge((uint32_t)json_number(device, "class")) &&
           (!*driver || strcmp(driver, "pcieport") == 0);
}

/* Everything is borrowed, from json, compatible and removable. */
static void device_facts(json_object *json, const char **compatible, const char *removable,
                         struct policy_device *ret) {
    bool pci = strcmp(json_text(json, "bus"), "pci") == 0;
    json_object *strings = json_member(json, "compatible");
    size_t n = 0;

    for (size_t i = 0; i < json_length(strings) && n < COMPATIBLE_MAX; i++) {
        const char *text = json_object_get_string(json_object_array_get_idx(strings, i));
        if (text)
            compatible[n++] = text;
    }
    compatible[n] = NULL;
    *ret = (struct policy_device){
        .bus = text_or_null(json, "bus"),
        .name = text_or_null(json, "name"),
        .path = string_after(json_text(json, "sysfs_path"), "/sys/"),
        .driver = text_or_null(json, "driver"),
        .modalias = text_or_null(json, "modalias"),
        .compatible = n > 0 ? compatible : NULL,
        .has_ids = pci,
        .vendor = (uint32_t)json_number(json, "vendor"),
        .product = (uint32_t)json_number(json, "product"),
        .class = (uint32_t)json_number(json, "class"),
        .numa_node = json_object_get_int(json_member(json, "numa_node")),
        .removable = *removable ? removable : NULL,
    };
    (void)modalias_subsystem(json_text(json, "modalias"), &ret->subsystem_vendor,
                             &ret->subsystem_product);
}

static int answer_to_json(json_object *device, const char *effect, const struct policy_rule *rule,
                          json_object **ret) {
    _cleanup_(json_putp) json_object *answer = json_object_new_object();

    if (!answer || json_set_text(answer, "device", json_text(device, "name")) < 0 ||
        json_set_text(answer, "driver", json_text(device, "driver")) < 0 ||
        json_set_text(answer, "effect", effect) < 0 ||
        json_object_object_add(answer, "rule", NULL) < 0)
        return -ENOMEM;
    if (rule && (json_set_text(answer, "rule", rule->name) < 0 ||
                 json_set_text(answer, "file", rule->file) < 0 ||
                 json_set(answer, "line", json_object_new_int64(rule->line)) < 0))
        return -ENOMEM;
    *ret = TAKE_POINTER(answer);
    return 0;
}

int policy_ask(const struct policy *policy, const struct policy_subject *subject,
               json_object *device, json_object **ret, const struct policy_rule **ret_rule) {
    const char *compatible[COMPATIBLE_MAX + 1];
    char removable[32] = "";
    struct policy_device facts;

    if (policy_exempts(device)) {
        *ret_rule = NULL;
        return answer_to_json(device, "exempt", NULL, ret);
    }
    if (!read_removable(json_text(device, "sysfs_path"), removable, sizeof(removable)))
        removable[0] = 0;
    device_facts(device, compatible, removable, &facts);
    const struct policy_rule *rule = policy_decide(policy, &facts, subject);
    const char *effect = rule && rule->effect == POLICY_ALLOW ? "allow" : "deny";
    int r = answer_to_json(device, effect, rule, ret);
    if (r >= 0)
        *ret_rule = rule;
    return r;
}

/* The words of the bits that are set. */
static int set_bits(json_object *object, const char *key, unsigned bits,
                    const char *(*to_string)(unsigned bit)) {
    json_object *words = json_object_new_array();

    for (unsigned bit = 1; words && bit <= bits; bit <<= 1)
        if ((bits & bit) && to_string(bit))
            (void)json_append(words, json_object_new_string(to_string(bit)));
    return json_set(object, key, words);
}

json_object *policy_terms_to_json(const struct policy_terms *terms) {
    _cleanup_(json_putp) json_object *object = json_object_new_object();

    if (!object || set_bits(object, "modes", terms->modes, policy_mode_to_string) < 0 ||
        set_bits(object, "lifetimes", terms->lifetimes, policy_lifetime_to_string) < 0 ||
        set_bits(object, "require", terms->require, policy_require_to_string) < 0 ||
        json_set(object, "detach", json_object_new_boolean(terms->detach)) < 0 ||
        json_set(object, "max_ttl", json_object_new_int64(terms->max_ttl)) < 0 ||
        json_set(object, "max_leases", json_object_new_int64(terms->max_leases)) < 0)
        return NULL;
    return TAKE_POINTER(object);
}
