/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The object `match` of a rule. */

#include <ctype.h>
#include <errno.h>

#include "policy/compile.h"
#include "util/string.h"

const char *const removable_words[] = { "fixed", "removable", "unknown", NULL };

/* Everything below returns NULL (or 0) if the text is good, else what to say behind the key. */

static const char *bus_fault(const char *text) {
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && *text != '-' && *text != '_')
            return "is compared whole with the name of a bus, such as \"pci\" or \"platform\"";
    return NULL;
}

static const char *removable_fault(const char *text) {
    for (const char *const *word = removable_words; *word; word++)
        if (string_equal(*word, text))
            return NULL;
    return "must be \"fixed\", \"removable\" or \"unknown\"";
}

static const char *name_fault(const char *text) {
    return strchr(text, '/') ? "can never match, because sysfs names hold no /" : NULL;
}

static const char *path_fault(const char *text) {
    static const char root[] = "/sys/";
    size_t plain = strcspn(text, "*?[\\");

    if (strncmp(text, root, plain < strlen(root) ? plain : strlen(root)) != 0 ||
        (!text[plain] && plain <= strlen(root)))
        return "can never match, because the path of a device begins with /sys/";
    return text[strlen(text) - 1] == '/' ? "can never match, because no path ends with /" : NULL;
}

/* A class is written as 0x and six digits, of which patterns may stand for some. */
static const char *class_fault(const char *text) {
    size_t digits = 0;
    bool star = false;

    if (strncmp(text, "0x", 2) != 0)
        return "must begin with 0x, as in \"0x02****\"";
    for (text += 2; *text; text++) {
        if (*text == '[') {
            size_t length = strspn(text + 1, "!^-0123456789abcdef");
            if (length == 0 || text[length + 1] != ']')
                return "may hold only hexadecimal digits and ranges of them between [ and ]";
            text += length + 1;
        } else if (*text != '*' && *text != '?' && !isxdigit((unsigned char)*text)) {
            return "may hold only hexadecimal digits and the pattern characters * ? [ ]";
        }
        star = star || *text == '*';
        digits += *text != '*';
    }
    if (digits > 6 || (digits < 6 && !star))
        return "must stand for six hexadecimal digits, as in \"0x020000\" or \"0x02****\"";
    return NULL;
}

static const char *text_fault(enum match_key key, const char *text) {
    switch (key) {
    case MATCH_BUS:
        return bus_fault(text);
    case MATCH_REMOVABLE:
        return removable_fault(text);
    case MATCH_CLASS:
        return class_fault(text);
    case MATCH_DRIVER:
    case MATCH_NAME:
        return name_fault(text);
    case MATCH_PATH:
        return path_fault(text);
    default:
        return NULL;
    }
}

static bool key_is_exact(enum match_key key) {
    return key == MATCH_BUS || key == MATCH_REMOVABLE;
}

static int compile_pattern(struct compiler *compiler, enum match_key key,
                           struct json_object *value, struct pattern *ret) {
    const char *name = match_key_to_string(key);
    const char *text = value_string(compiler, name, value);

    if (!text)
        return 0;
    char *copy = policy_copy_string(compiler->policy, text);
    if (!copy)
        return -ENOMEM;
    for (char *at = copy; key == MATCH_CLASS && *at; at++)
        *at = (char)tolower((unsigned char)*at);
    const char *malformed = key_is_exact(key) ? NULL : pattern_fault(copy);
    const char *never = text_fault(key, copy);
    if (malformed)
        compile_fault(compiler, document_value_location(value),
                      "\"%s\": the pattern " QUOTED " has %s.", name, text, malformed);
    else if (never)
        compile_fault(compiler, document_value_location(value), "\"%s\": " QUOTED " %s.", name,
                      text, never);
    *ret = key_is_exact(key) ? pattern_make_literal(copy) : pattern_make(copy);
    return 0;
}

static void compile_id(struct compiler *compiler, enum match_key key, struct json_object *value,
                       uint32_t *ret) {
    const char *name = match_key_to_string(key);

    if (!json_object_is_type(value, json_type_string)) {
        compile_fault(compiler, document_value_location(value),
                      "\"%s\" must be a string with a hexadecimal number, such as \"0x8086\".",
                      name);
        return;
    }
    const char *text = json_object_get_string(value);
    if (parse_hex32(text, ret) < 0 || strlen(text) > strlen("0xffff"))
        compile_fault(compiler, document_value_location(value),
                      "\"%s\": " QUOTED " is not 0x and one to four hexadecimal digits, such as "
                      "\"0x8086\".", name, text);
}

static void compile_node(struct compiler *compiler, struct json_object *value, uint32_t *ret) {
    int64_t node;

    if (json_object_is_type(value, json_type_string)) {
        compile_id(compiler, MATCH_NUMA_NODE, value, ret);
        return;
    }
    if (value_number(compiler, "numa_node", value, -1, 0xffff, &node))
        *ret = (uint32_t)node;
}

static bool key_is_number(enum match_key key) {
    return key == MATCH_VENDOR || key == MATCH_PRODUCT || key == MATCH_SUBSYSTEM_VENDOR ||
           key == MATCH_SUBSYSTEM_PRODUCT || key == MATCH_NUMA_NODE;
}

/* A value that is no list stands for a list of itself. */
static struct json_object *item_at(struct json_object *value, size_t i) {
    return json_object_is_type(value, json_type_array) ? json_object_array_get_idx(value, i)
                                                       : value;
}

static int compile_numbers(struct compiler *compiler, struct condition *condition,
                           struct json_object *value) {
    uint32_t *numbers = policy_allocate(compiler->policy, condition->n, sizeof(*numbers));

    if (!numbers)
        return -ENOMEM;
    for (size_t i = 0; i < condition->n; i++)
        if (condition->key == MATCH_NUMA_NODE)
            compile_node(compiler, item_at(value, i), &numbers[i]);
        else
            compile_id(compiler, condition->key, item_at(value, i), &numbers[i]);
    condition->numbers = numbers;
    return 0;
}

static int compile_patterns(struct compiler *compiler, struct condition *condition,
                            struct json_object *value) {
    struct pattern *patterns = policy_allocate(compiler->policy, condition->n, sizeof(*patterns));
    int r = 0;

    if (!patterns)
        return -ENOMEM;
    for (size_t i = 0; r >= 0 && i < condition->n; i++) {
        patterns[i] = pattern_make_literal("");
        r = compile_pattern(compiler, condition->key, item_at(value, i), &patterns[i]);
    }
    condition->patterns = patterns;
    return r;
}

static int compile_condition(struct compiler *compiler, enum match_key key,
                             struct json_object *value, struct policy_match *match) {
    struct condition *condition = &match->conditions[match->n_conditions];
    ssize_t n = 1;

    if (json_object_is_type(value, json_type_array))
        n = value_list(compiler, match_key_to_string(key), value);
    if (n < 0)
        return 0;
    *condition = (struct condition){ .key = key, .n = (size_t)n };
    match->n_conditions++;
    match->keys |= 1u << key;
    return key_is_number(key) ? compile_numbers(compiler, condition, value)
                              : compile_patterns(compiler, condition, value);
}

static bool bus_is_possible(const struct policy_match *match, const char *bus) {
    if (!(match->keys & 1u << MATCH_BUS))
        return true;
    for (size_t i = 0; i < match->conditions[0].n; i++) /* the bus is always the first one */
        if (pattern_matches(&match->conditions[0].patterns[i], bus))
            return true;
    return false;
}

static void check_bus(struct compiler *compiler, const struct policy_match *match,
                      struct json_object *object) {
    if (bus_is_possible(match, "pci"))
        return;
    json_object_object_foreach(object, key, value) {
        for (enum match_key k = 0; k < MATCH_KEYS; k++)
            if (match_key_is_pci(k) && string_equal(match_key_to_string(k), key))
                compile_fault(compiler, document_key_location(value),
                              "\"%s\" is known of PCI devices only, but \"bus\" is another, so "
                              "that the rule can never apply; remove one of the two.", key);
    }
}

static void warn_product(struct compiler *compiler, const struct policy_match *match,
                         struct json_object *object, enum match_key product,
                         enum match_key vendor) {
    struct json_object *value;

    if (!(match->keys & 1u << product) || match->keys & 1u << vendor)
        return;
    if (json_object_object_get_ex(object, match_key_to_string(product), &value))
        compile_warn(compiler, document_key_location(value),
                     "\"%s\" without \"%s\" means other makers' devices of that number too; add "
                     "\"%s\".", match_key_to_string(product), match_key_to_string(vendor),
                     match_key_to_string(vendor));
}

void match_keys_list(const char *ret_known[MATCH_KEYS + 1]) {
    for (enum match_key key = 0; key < MATCH_KEYS; key++)
        ret_known[key] = match_key_to_string(key);
    ret_known[MATCH_KEYS] = NULL;
}

int compile_match(struct compiler *compiler, struct json_object *object) {
    const char *known[MATCH_KEYS + 1];
    struct policy_match *match = policy_allocate(compiler->policy, 1, sizeof(*match));
    struct json_object *value;
    int r = 0;

    if (!match)
        return -ENOMEM;
    compiler->rule->match = match;
    if (!value_is(compiler, "match", object, json_type_object))
        return 0;
    match_keys_list(known);
    json_object_object_foreach(object, name, unchecked)
        (void)key_is_known(compiler, "\"match\"", name, unchecked, known);
    for (enum match_key key = 0; r >= 0 && key < MATCH_KEYS; key++)
        if (json_object_object_get_ex(object, known[key], &value))
            r = compile_condition(compiler, key, value, match);
    if (r < 0)
        return r;
    check_bus(compiler, match, object);
    warn_product(compiler, match, object, MATCH_PRODUCT, MATCH_VENDOR);
    warn_product(compiler, match, object, MATCH_SUBSYSTEM_PRODUCT, MATCH_SUBSYSTEM_VENDOR);
    return 0;
}
