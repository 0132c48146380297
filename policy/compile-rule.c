/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One entry of `rules`: its terms, and what it may not hold. */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "policy/compile.h"
#include "util/string.h"

#define MODULE_NAME_MAX 64
#define LEASES_MAX 65536

static int ignore_key(struct compiler *compiler, const char *key, struct json_object *value) {
    return 0; /* read before the others */
}

static void compile_words(struct compiler *compiler, const char *key, struct json_object *list,
                          int (*from_string)(const char *), unsigned *ret) {
    size_t n = json_object_array_length(list);
    unsigned bits = 0;

    for (size_t i = 0; i < n; i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        const char *text = value_string(compiler, key, item);
        int bit = text ? from_string(text) : 0;
        if (bit < 0)
            compile_fault(compiler, document_value_location(item),
                          "\"%s\" does not know the word " QUOTED "; see dmaownd-policy(5).", key,
                          text);
        else
            bits |= (unsigned)bit;
    }
    *ret = bits;
}

static int compile_modes(struct compiler *compiler, const char *key, struct json_object *value) {
    if (value_list(compiler, key, value) > 0)
        compile_words(compiler, key, value, policy_mode_from_string, &compiler->rule->modes);
    return 0;
}

static int compile_lifetimes(struct compiler *compiler, const char *key,
                             struct json_object *value) {
    if (value_list(compiler, key, value) > 0)
        compile_words(compiler, key, value, policy_lifetime_from_string,
                      &compiler->rule->lifetimes);
    return 0;
}

/* The one list that may be empty: it then asks for nothing, not even for "isolated". */
static int compile_require(struct compiler *compiler, const char *key, struct json_object *value) {
    bool empty =
        json_object_is_type(value, json_type_array) && json_object_array_length(value) == 0;

    if (empty || value_list(compiler, key, value) > 0)
        compile_words(compiler, key, value, policy_require_from_string,
                      &compiler->rule->require);
    return 0;
}

static int compile_max_ttl(struct compiler *compiler, const char *key, struct json_object *value) {
    int64_t number;

    if (value_number(compiler, key, value, 1, UINT32_MAX, &number))
        compiler->rule->max_ttl = (uint32_t)number;
    return 0;
}

static int compile_max_leases(struct compiler *compiler, const char *key,
                              struct json_object *value) {
    int64_t number;

    if (value_number(compiler, key, value, 1, LEASES_MAX, &number))
        compiler->rule->max_leases = (uint32_t)number;
    return 0;
}

static void compile_switch(struct compiler *compiler, const char *key, struct json_object *value,
                           bool *ret) {
    if (value_is(compiler, key, value, json_type_boolean))
        *ret = json_object_get_boolean(value);
}

static int compile_detach(struct compiler *compiler, const char *key, struct json_object *value) {
    compile_switch(compiler, key, value, &compiler->rule->detach);
    return 0;
}

static int compile_reserve(struct compiler *compiler, const char *key, struct json_object *value) {
    compile_switch(compiler, key, value, &compiler->rule->reserve);
    return 0;
}

static int compile_reattach_unreset(struct compiler *compiler, const char *key,
                                    struct json_object *value) {
    compile_switch(compiler, key, value, &compiler->rule->reattach_unreset);
    return 0;
}

/* Letters, digits and what else the caller lists; bounded. */
static bool is_token(const char *text, const char *others, size_t limit) {
    if (!isalnum((unsigned char)*text) || strlen(text) > limit)
        return false;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && !strchr(others, *text))
            return false;
    return true;
}

static int compile_vfio_driver(struct compiler *compiler, const char *key,
                               struct json_object *value) {
    const char *text = value_string(compiler, key, value);

    if (!text)
        return 0;
    if (!is_token(text, "_-", MODULE_NAME_MAX)) {
        compile_fault(compiler, document_value_location(value),
                      "\"%s\": " QUOTED " cannot be the name of a driver; write one such as "
                      "\"vfio-pci\".", key, text);
        return 0;
    }
    compiler->rule->vfio_driver = policy_copy_string(compiler->policy, text);
    return compiler->rule->vfio_driver ? 0 : -ENOMEM;
}

static int compile_delegate(struct compiler *compiler, const char *key,
                            struct json_object *value) {
    bool incomplete;

    return compile_users(compiler, key, value, &compiler->rule->delegates,
                         &compiler->rule->n_delegates, &incomplete);
}

static const struct {
    const char *key;
    bool term; /* of a grant: means nothing in a deny rule */
    int (*compile)(struct compiler *compiler, const char *key, struct json_object *value);
} keys[RULE_KEYS] = {
    { "name", false, ignore_key },
    { "effect", false, ignore_key },
    { "match", false, ignore_key },
    { "subjects", false, ignore_key },
    { "modes", true, compile_modes },
    { "lifetimes", true, compile_lifetimes },
    { "max_ttl", true, compile_max_ttl },
    { "max_leases", true, compile_max_leases },
    { "detach", true, compile_detach },
    { "reserve", true, compile_reserve },
    { "reattach_unreset", true, compile_reattach_unreset },
    { "vfio_driver", true, compile_vfio_driver },
    { "delegate", true, compile_delegate },
    { "require", true, compile_require },
};

void rule_keys_list(const char *ret_known[RULE_KEYS + 1]) {
    for (size_t i = 0; i < RULE_KEYS; i++)
        ret_known[i] = keys[i].key;
    ret_known[RULE_KEYS] = NULL;
}

static int compile_key(struct compiler *compiler, const char *key, struct json_object *value) {
    const char *known[RULE_KEYS + 1];

    rule_keys_list(known);
    if (!key_is_known(compiler, "a rule", key, value, known))
        return 0;
    for (size_t i = 0; i < ELEMENTS_OF(keys); i++) {
        if (!string_equal(keys[i].key, key))
            continue;
        if (keys[i].term && compiler->rule->effect == POLICY_DENY) {
            compile_fault(compiler, document_key_location(value),
                          "\"%s\" is a term of a grant, and a deny rule grants nothing; remove it "
                          "(a deny rule always denies everything).", key);
            return 0;
        }
        return keys[i].compile(compiler, key, value);
    }
    return 0;
}

static bool rule_name_is_good(const char *text) {
    return is_token(text, "._-", POLICY_NAME_MAX);
}

static int compile_name(struct compiler *compiler, struct json_object *object) {
    struct policy_rule *rule = compiler->rule;
    struct json_object *value;

    if (!json_object_object_get_ex(object, "name", &value)) {
        _cleanup_(freep) char *name = string_format("%s:%u:%u", compiler->file, rule->line,
                                                        rule->column);
        rule->name = name ? policy_copy_string(compiler->policy, name) : NULL;
        return rule->name ? 0 : -ENOMEM;
    }
    const char *text = value_string(compiler, "name", value);
    if (!text || !rule_name_is_good(text)) {
        if (text)
            compile_fault(compiler, document_value_location(value),
                          QUOTED " is no name for a rule; use up to %d letters, digits, '.', '_' "
                          "and '-', and begin with a letter or digit.", text, POLICY_NAME_MAX);
        text = "";
    }
    (void)snprintf(compiler->rule_name, sizeof(compiler->rule_name), "%s", text);
    rule->name = policy_copy_string(compiler->policy, text);
    return rule->name ? 0 : -ENOMEM;
}

static void compile_effect(struct compiler *compiler, struct json_object *object) {
    struct json_object *value;

    if (!json_object_object_get_ex(object, "effect", &value)) {
        compile_fault(compiler, document_value_location(object),
                      "\"effect\" is missing; say \"allow\" or \"deny\".");
        compiler->rule->effect = POLICY_ALLOW; /* so that its terms are checked */
        return;
    }
    const char *text = value_string(compiler, "effect", value);
    compiler->rule->effect = string_equal(text, "deny") ? POLICY_DENY : POLICY_ALLOW;
    if (text && !string_equal(text, "deny") && !string_equal(text, "allow"))
        compile_fault(compiler, document_value_location(value),
                      "\"effect\" must be \"allow\" or \"deny\", not " QUOTED ".", text);
}

static void set_defaults(struct policy_rule *rule) {
    if (rule->effect == POLICY_DENY)
        return;
    rule->modes = POLICY_MODE_ALL;
    rule->lifetimes = POLICY_LIFETIME_ALL;
    rule->require = POLICY_REQUIRE_ISOLATED;
}

static int compile_who_and_what(struct compiler *compiler, struct json_object *object) {
    struct json_object *match, *subjects = NULL;

    (void)json_object_object_get_ex(object, "subjects", &subjects);
    int r = compile_subjects(compiler, subjects);
    if (r < 0)
        return r;
    if (json_object_object_get_ex(object, "match", &match))
        return compile_match(compiler, match);
    compile_fault(compiler, document_value_location(object),
                  "\"match\" is missing; say which devices the rule is about, or {} for every "
                  "device.");
    return 0;
}

int compile_rule(struct compiler *compiler, struct json_object *object) {
    struct location at = document_value_location(object);
    struct policy_rule *rule = compiler->rule;

    *rule = (struct policy_rule){ .file = compiler->file, .line = at.line, .column = at.column };
    compiler->rule_name[0] = 0;
    if (!value_is(compiler, "an entry of rules", object, json_type_object))
        return 0;
    int r = compile_name(compiler, object);
    if (r < 0)
        return r;
    compile_effect(compiler, object);
    set_defaults(rule);
    r = compile_who_and_what(compiler, object);
    json_object_object_foreach(object, key, value) {
        if (r >= 0)
            r = compile_key(compiler, key, value);
    }
    return r;
}
