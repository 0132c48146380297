/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The object `subjects` of a rule, and every other place that names users. */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/compile.h"
#include "util/hash.h"
#include "util/string.h"

#define USER_NAME_MAX 256
#define ID_INVALID UINT32_MAX /* (uid_t) -1 stands for "no user" in the kernel's interfaces */

const char *const subject_keys[] = { "users", "groups", "units", NULL };

/* What the resolver said of one name. */
struct name {
    UT_hash_handle hh;
    int r;
    uint32_t id;
    char key[]; /* "user NAME" or "group NAME" */
};

enum database {
    USERS,
    GROUPS,
};

static const char *const database_words[] = { [USERS] = "user", [GROUPS] = "group" };

void compiler_done(struct compiler *compiler) {
    struct name *name, *next;

    HASH_ITER(hh, compiler->names, name, next) {
        HASH_DEL(compiler->names, name);
        free(name);
    }
}

static int resolver_ask(const struct policy_names *resolver, enum database database,
                        const char *text, uint32_t *ret) {
    int (*ask)(void *, const char *, uint32_t *) =
        database == USERS ? resolver->user : resolver->group;

    return ask ? ask(resolver->userdata, text, ret) : -ENOENT;
}

/* Each name is asked for once. Returns 0 or -ENOMEM; *ret says what the resolver said. */
static int name_find(struct compiler *compiler, enum database database, const char *text,
                     struct name **ret) {
    _cleanup_(freep) char *key = string_format("%s %s", database_words[database], text);
    struct name *name;

    if (!key)
        return -ENOMEM;
    HASH_FIND_STR(compiler->names, key, name);
    if (!name) {
        name = calloc(1, sizeof(*name) + strlen(key) + 1);
        if (!name)
            return -ENOMEM;
        strcpy(name->key, key);
        name->id = ID_INVALID;
        name->r = resolver_ask(compiler->resolver, database, text, &name->id);
        HASH_ADD_STR(compiler->names, key, name);
        if (!name->hh.tbl) {
            free(name);
            return -ENOMEM;
        }
    }
    *ret = name;
    return 0;
}

static void name_unknown(struct compiler *compiler, enum database database, const char *text,
                         int error, struct location at) {
    bool fatal = compiler->resolver->strict || compiler->rule->effect == POLICY_DENY;

    (fatal ? compile_fault : compile_warn)(
        compiler, at, "The %s " QUOTED " %s; %s.", database_words[database], text,
        error == -ENOENT ? "is unknown on this machine" : "could not be looked up",
        fatal ? "create it, or correct the name"
              : "it is left out of the rule until the policy is loaded again");
}

static bool name_is_possible(const char *text) {
    return strlen(text) <= USER_NAME_MAX && *text != '-' && !strpbrk(text, ":/,");
}

/* Returns 1 with an id, 0 if the name gives none (noted), or -ENOMEM. */
static int id_from_name(struct compiler *compiler, enum database database, const char *text,
                        struct location at, uint32_t *ret) {
    struct name *name;

    if (!name_is_possible(text)) {
        compile_fault(compiler, at, QUOTED " cannot be the name of a %s; correct it.", text,
                      database_words[database]);
        return 0;
    }
    int r = name_find(compiler, database, text, &name);
    if (r < 0)
        return r;
    if (name->r < 0 || name->id == ID_INVALID) {
        name_unknown(compiler, database, text, name->r < 0 ? name->r : -ENOENT, at);
        return 0;
    }
    *ret = name->id;
    return 1;
}

/* A number, as such or in a string. Returns 1 or 0, as above. */
static int id_from_number(struct compiler *compiler, enum database database, const char *text,
                          struct location at, uint32_t *ret) {
    uint32_t id;

    if (parse_u32(text, &id) < 0 || id == ID_INVALID) {
        compile_fault(compiler, at, QUOTED " is not the number of a %s; write one from 0 to "
                      "4294967294.", text, database_words[database]);
        return 0;
    }
    *ret = id;
    return 1;
}

static int compile_id_item(struct compiler *compiler, enum database database, const char *key,
                           struct json_object *value, uint32_t *ret) {
    struct location at = document_value_location(value);

    if (json_object_is_type(value, json_type_int))
        return id_from_number(compiler, database, json_object_get_string(value), at, ret);
    if (!json_object_is_type(value, json_type_string)) {
        compile_fault(compiler, at, "\"%s\" must be a list of names and numbers.", key);
        return 0;
    }
    const char *text = value_string(compiler, key, value);
    if (!text)
        return 0;
    if (strspn(text, "0123456789") == strlen(text))
        return id_from_number(compiler, database, text, at, ret);
    return id_from_name(compiler, database, text, at, ret);
}

static int compile_ids(struct compiler *compiler, enum database database, const char *key,
                       struct json_object *list, const uint32_t **ret, size_t *ret_n,
                       bool *ret_incomplete) {
    ssize_t n = value_list(compiler, key, list);

    if (n < 0)
        return 0;
    uint32_t *ids = policy_allocate(compiler->policy, (size_t)n, sizeof(*ids));
    if (!ids)
        return -ENOMEM;
    size_t used = 0;
    for (size_t i = 0; i < (size_t)n; i++) {
        int r = compile_id_item(compiler, database, key, json_object_array_get_idx(list, i),
                                &ids[used]);
        if (r < 0)
            return r;
        used += (size_t)r;
    }
    *ret = ids;
    *ret_n = used;
    if (used < (size_t)n)
        *ret_incomplete = true;
    return 0;
}

int compile_users(struct compiler *compiler, const char *key, struct json_object *list,
                  const uid_t **ret, size_t *ret_n, bool *ret_incomplete) {
    return compile_ids(compiler, USERS, key, list, ret, ret_n, ret_incomplete);
}

/* A caller runs in a service or a scope, or is started by one of the others. */
static bool unit_is_possible(const char *text) {
    static const char *const types[] = { ".service", ".scope", ".socket", ".mount", ".swap" };
    const char *dot = strrchr(text, '.');

    if (strpbrk(text, "/ "))
        return false;
    if (strpbrk(dot ? dot : text, "*?[\\"))
        return true;
    for (size_t i = 0; dot && i < ELEMENTS_OF(types); i++)
        if (string_equal(dot, types[i]))
            return true;
    return false;
}

static int compile_unit(struct compiler *compiler, struct json_object *value,
                        struct pattern *ret) {
    const char *text = value_string(compiler, "units", value);

    if (!text)
        return 0;
    const char *malformed = pattern_fault(text);
    if (malformed)
        compile_fault(compiler, document_value_location(value),
                      "\"units\": the pattern " QUOTED " has %s.", text, malformed);
    else if (!unit_is_possible(text))
        compile_fault(compiler, document_value_location(value),
                      "\"units\": no caller runs in a unit named " QUOTED "; write the whole name "
                      "of a service or a scope, such as \"dpdk-*.service\".", text);
    char *copy = policy_copy_string(compiler->policy, text);
    if (!copy)
        return -ENOMEM;
    *ret = pattern_make(copy);
    return 0;
}

static int compile_units(struct compiler *compiler, struct json_object *list,
                         struct policy_subjects *subjects) {
    ssize_t n = value_list(compiler, "units", list);
    int r = 0;

    if (n < 0)
        return 0;
    struct pattern *units = policy_allocate(compiler->policy, (size_t)n, sizeof(*units));
    if (!units)
        return -ENOMEM;
    for (size_t i = 0; r >= 0 && i < (size_t)n; i++) {
        units[i] = pattern_make_literal("");
        r = compile_unit(compiler, json_object_array_get_idx(list, i), &units[i]);
    }
    subjects->units = units;
    subjects->n_units = (size_t)n;
    compiler->policy->uses_units = true;
    return r;
}

static int compile_subject_key(struct compiler *compiler, const char *key,
                               struct json_object *value, struct policy_subjects *subjects) {
    if (!key_is_known(compiler, "\"subjects\"", key, value, subject_keys))
        return 0;
    if (string_equal(key, "units"))
        return compile_units(compiler, value, subjects);
    subjects->named = true;
    if (string_equal(key, "users"))
        return compile_ids(compiler, USERS, key, value, &subjects->users, &subjects->n_users,
                           &subjects->incomplete);
    return compile_ids(compiler, GROUPS, key, value, &subjects->groups, &subjects->n_groups,
                       &subjects->incomplete);
}

int compile_subjects(struct compiler *compiler, struct json_object *object) {
    struct policy_subjects *subjects = policy_allocate(compiler->policy, 1, sizeof(*subjects));
    int r = 0;

    if (!subjects)
        return -ENOMEM;
    compiler->rule->subjects = subjects;
    if (!object)
        return 0;
    if (!value_is(compiler, "subjects", object, json_type_object))
        return 0;
    if (json_object_object_length(object) == 0)
        compile_fault(compiler, document_value_location(object),
                      "\"subjects\" is empty; name users, groups or units, or leave it out, which "
                      "means root in an allow rule and everyone in a deny rule.");
    json_object_object_foreach(object, key, value) {
        if (r >= 0)
            r = compile_subject_key(compiler, key, value, subjects);
    }
    return r;
}
