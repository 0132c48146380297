/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A whole file, and what can only be judged when all files are read. */

#include "policy/compile.h"

#include <errno.h>
#include <stdlib.h>

#include "util/string.h"

const char *const document_keys[] = { "version", "limits", "rules", NULL };
const char *const limit_keys[] = { "leases_per_uid", "pending_per_uid", "targets_per_call", NULL };

static const uint32_t limits_max[] = { 65536, 1024, 1024 };

static uint32_t *limit_at(struct policy_limits *limits, size_t i) {
    uint32_t *fields[] = {
        &limits->leases_per_uid, &limits->pending_per_uid, &limits->targets_per_call,
    };

    return fields[i];
}

static void compile_limit(struct compiler *compiler, size_t i, struct json_object *value) {
    int64_t number;

    if (compiler->limit_files[i]) {
        compile_fault(compiler, document_key_location(value),
                      "The limit \"%s\" is set already at %s:%u:%u; keep one of the two.",
                      limit_keys[i], compiler->limit_files[i], compiler->limits[i].line,
                      compiler->limits[i].column);
        return;
    }
    compiler->limit_files[i] = compiler->file;
    compiler->limits[i] = document_key_location(value);
    if (value_number(compiler, limit_keys[i], value, 1, limits_max[i], &number))
        *limit_at(&compiler->policy->limits, i) = (uint32_t)number;
}

static void compile_limits(struct compiler *compiler, struct json_object *object) {
    if (!value_is(compiler, "limits", object, json_type_object))
        return;
    json_object_object_foreach(object, key, value) {
        if (!key_is_known(compiler, "\"limits\"", key, value, limit_keys))
            continue;
        for (size_t i = 0; limit_keys[i]; i++)
            if (string_equal(limit_keys[i], key))
                compile_limit(compiler, i, value);
    }
}

static int reserve_rules(struct policy *policy, size_t n) {
    if (policy->n_rules + n <= policy->rules_allocated)
        return 0;
    size_t wanted = policy->n_rules + n;
    struct policy_rule *rules = reallocarray(policy->rules, wanted, sizeof(*rules));
    if (!rules)
        return -ENOMEM;
    policy->rules = rules;
    policy->rules_allocated = wanted;
    return 0;
}

static int compile_rules(struct compiler *compiler, struct json_object *list) {
    struct policy *policy = compiler->policy;

    if (!value_is(compiler, "rules", list, json_type_array))
        return 0;
    size_t n = json_object_array_length(list);
    if (policy->n_rules + n > POLICY_RULES_MAX) {
        compile_fault(compiler, document_value_location(list),
                      "The policy has more than %d rules; use lists and patterns to need fewer.",
                      POLICY_RULES_MAX);
        return 0;
    }
    int r = reserve_rules(policy, n);
    for (size_t i = 0; r >= 0 && i < n; i++) {
        compiler->rule = &policy->rules[policy->n_rules];
        r = compile_rule(compiler, json_object_array_get_idx(list, i));
        compiler->rule->index = policy->n_rules++;
    }
    compiler->rule_name[0] = 0;
    return r;
}

static void compile_version(struct compiler *compiler, struct json_object *root) {
    struct json_object *value;

    if (!json_object_object_get_ex(root, "version", &value)) {
        compile_fault(compiler, document_value_location(root),
                      "\"version\" is missing; add \"version\": 1.");
        return;
    }
    if (!value_is(compiler, "version", value, json_type_int))
        return;
    if (json_object_get_int64(value) != 1)
        compile_fault(compiler, document_value_location(value),
                      "\"version\" is %s, but this dmaownd knows version 1 only.",
                      json_object_get_string(value));
}

static int compile_document(struct compiler *compiler, struct json_object *root) {
    struct json_object *value;
    int r = 0;

    if (!json_object_is_type(root, json_type_object)) {
        compile_fault(compiler, document_value_location(root),
                      "A policy is an object, {\"version\": 1, \"rules\": []}.");
        return 0;
    }
    compile_version(compiler, root);
    json_object_object_foreach(root, key, unchecked)
        (void)key_is_known(compiler, "a policy", key, unchecked, document_keys);
    if (json_object_object_get_ex(root, "limits", &value))
        compile_limits(compiler, value);
    if (json_object_object_get_ex(root, "rules", &value))
        r = compile_rules(compiler, value);
    return r;
}

int compile_file(struct compiler *compiler, const char *file, const char *data, size_t size) {
    _cleanup_(json_object_putp) struct json_object *root = NULL;
    size_t first = compiler->report->n_messages;

    compiler->file = policy_copy_string(compiler->policy, file);
    if (!compiler->file)
        return -ENOMEM;
    int r = document_parse(file, data, size, compiler->report, &root);
    if (r == 0)
        r = compile_document(compiler, root);
    report_sort(compiler->report, first);
    return r < 0 ? r : 0;
}

static struct location rule_location(const struct policy_rule *rule) {
    return (struct location){ rule->line, rule->column };
}

static bool check_name(struct compiler *compiler, const struct policy_rule *rule,
                       const struct policy_rule *earlier) {
    if (!rule->name || !*rule->name || !string_equal(rule->name, earlier->name))
        return true;
    report_add(compiler->report, POLICY_ERROR, rule->file, rule_location(rule),
               "Rule \"%s\": an earlier rule at %s:%u:%u has the same name, but the log and "
               "max_leases tell rules apart by name; rename one.", rule->name, earlier->file,
               earlier->line, earlier->column);
    return false;
}

static bool rule_covers(const struct policy_rule *outer, const struct policy_rule *inner) {
    return match_covers(outer->match, inner->match) && subjects_cover(outer, inner);
}

static bool check_reach(struct compiler *compiler, const struct policy_rule *rule,
                        const struct policy_rule *earlier) {
    if (rule->subjects->incomplete || !rule_covers(earlier, rule))
        return true;
    if (rule->reserve && !earlier->reserve && earlier->effect == POLICY_ALLOW) {
        report_add(compiler->report, POLICY_WARNING, rule->file, rule_location(rule),
                   "Rule \"%s\": only its \"reserve\" counts, because rule \"%s\" at %s:%u:%u stands "
                   "before it with the same or a wider match and subjects, and decides claims.",
                   rule->name, earlier->name, earlier->file, earlier->line, earlier->column);
        return true;
    }
    report_add(compiler->report, POLICY_ERROR, rule->file, rule_location(rule),
               "Rule \"%s\": it can never apply, because rule \"%s\" at %s:%u:%u stands before it "
               "with the same or a wider match and subjects; move it up or remove it.",
               rule->name, earlier->name, earlier->file, earlier->line, earlier->column);
    return false;
}

void compile_finish(struct compiler *compiler, bool sound) {
    const struct policy_rule *rules = compiler->policy->rules;

    for (size_t i = 1; i < compiler->policy->n_rules; i++)
        for (size_t j = 0; j < i; j++)
            if (!check_name(compiler, &rules[i], &rules[j]) ||
                (sound && !check_reach(compiler, &rules[i], &rules[j])))
                break;
}
