/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From a parsed document to rules (private to the policy layer). The functions that compile
 * something note faults in the report, go on, and return 0; a negative errno stops everything. */

#include "policy/document.h"
#include "policy/rule.h"

struct name;

/* The keys that an object knows; the schema is compared with these lists. NULL terminated. */
extern const char *const document_keys[];
extern const char *const limit_keys[];
extern const char *const subject_keys[];
extern const char *const removable_words[];

#define RULE_KEYS 14
void rule_keys_list(const char *ret_known[RULE_KEYS + 1]);
void match_keys_list(const char *ret_known[MATCH_KEYS + 1]);

struct compiler {
    struct policy *policy;
    const struct policy_names *resolver;
    struct policy_report *report;
    struct name *names;         /* a hash of every name that was looked up */
    struct location limits[3];  /* where each limit was set */
    const char *limit_files[3]; /* and in which file; NULL: not yet */

    const char *file;           /* the file at hand, the policy's */
    char rule_name[POLICY_NAME_MAX + 1]; /* the rule at hand, "" outside of rules */
    struct policy_rule *rule;
};

void compiler_done(struct compiler *compiler);

/* Adds the rules of one file. data is NUL terminated behind size. */
int compile_file(struct compiler *compiler, const char *file, const char *data, size_t size);
/* Checks the rules of all files against each other. */
void compile_finish(struct compiler *compiler, bool sound);

/* One rule into compiler->rule. */
int compile_rule(struct compiler *compiler, struct json_object *object);
int compile_match(struct compiler *compiler, struct json_object *object);
int compile_subjects(struct compiler *compiler, struct json_object *object);
/* A list of users into uids of the policy. Returns 0 or -ENOMEM. */
int compile_users(struct compiler *compiler, const char *key, struct json_object *list,
                  const uid_t **ret, size_t *ret_n, bool *ret_incomplete);

/* ---- Reading values ------------------------------------------------------------------------ */

/* Notes an error or a warning, with the name of the rule at hand before the text. */
void compile_fault(struct compiler *compiler, struct location at, const char *format, ...)
    _printf_(3, 4);
void compile_warn(struct compiler *compiler, struct location at, const char *format, ...)
    _printf_(3, 4);

/* True if value has the type; else a fault that names the key. */
bool value_is(struct compiler *compiler, const char *key, struct json_object *value,
              enum json_type type);

/* A key that is not one of known: a fault that lists them. */
bool key_is_known(struct compiler *compiler, const char *what, const char *key,
                  struct json_object *value, const char *const *known);

/* A printable, non-empty string of bounded length; NULL after a fault. */
const char *value_string(struct compiler *compiler, const char *key, struct json_object *value);

/* A whole number from low to high; false after a fault. */
bool value_number(struct compiler *compiler, const char *key, struct json_object *value,
                  int64_t low, int64_t high, int64_t *ret);

/* How many items the list has; -1 after a fault: not a list, empty, or too long. */
ssize_t value_list(struct compiler *compiler, const char *key, struct json_object *value);
