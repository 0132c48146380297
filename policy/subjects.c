/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Does a rule speak of a caller, and does one rule speak of everyone that another speaks of?
 *
 * Without users and groups an allow rule speaks of root alone and a deny rule of everyone. Units
 * only narrow that, since a unit is found through a pid, which can be reused. */

#include "policy/rule.h"

static bool user_is_named(const struct policy_subjects *subjects, uid_t uid) {
    for (size_t i = 0; i < subjects->n_users; i++)
        if (subjects->users[i] == uid)
            return true;
    return false;
}

static bool group_is_named(const struct policy_subjects *subjects, gid_t gid) {
    for (size_t i = 0; i < subjects->n_groups; i++)
        if (subjects->groups[i] == gid)
            return true;
    return false;
}

static bool who_holds(const struct policy_rule *rule, const struct policy_subject *subject) {
    const struct policy_subjects *subjects = rule->subjects;

    if (!subjects->named)
        return rule->effect == POLICY_DENY || subject->uid == 0;
    if (user_is_named(subjects, subject->uid))
        return true;
    for (size_t i = 0; i < subject->n_gids; i++)
        if (group_is_named(subjects, subject->gids[i]))
            return true;
    return false;
}

bool subjects_hold(const struct policy_rule *rule, const struct policy_subject *subject) {
    const struct policy_subjects *subjects = rule->subjects;

    if (!who_holds(rule, subject))
        return false;
    if (subjects->n_units == 0)
        return true;
    for (size_t i = 0; subject->unit && i < subjects->n_units; i++)
        if (pattern_matches(&subjects->units[i], subject->unit))
            return true;
    return false;
}

static bool users_cover(const struct policy_subjects *outer, const struct policy_subjects *inner) {
    for (size_t i = 0; i < inner->n_users; i++)
        if (!user_is_named(outer, inner->users[i]))
            return false;
    for (size_t i = 0; i < inner->n_groups; i++)
        if (!group_is_named(outer, inner->groups[i]))
            return false;
    return true;
}

static bool who_covers(const struct policy_rule *outer, const struct policy_rule *inner) {
    if (!outer->subjects->named && outer->effect == POLICY_DENY)
        return true;
    if (inner->subjects->named)
        return outer->subjects->named
                   ? users_cover(outer->subjects, inner->subjects)
                   : inner->subjects->n_groups == 0 && inner->subjects->n_users == 1 &&
                         inner->subjects->users[0] == 0;
    /* inner speaks of root, or of everyone */
    return inner->effect == POLICY_ALLOW &&
           (!outer->subjects->named || user_is_named(outer->subjects, 0));
}

static bool unit_is_covered(const struct policy_subjects *outer, const struct pattern *inner) {
    for (size_t i = 0; i < outer->n_units; i++)
        if (pattern_covers(&outer->units[i], inner))
            return true;
    return false;
}

bool subjects_cover(const struct policy_rule *outer, const struct policy_rule *inner) {
    if (!who_covers(outer, inner))
        return false;
    if (outer->subjects->n_units == 0)
        return true;
    for (size_t i = 0; i < inner->subjects->n_units; i++)
        if (!unit_is_covered(outer->subjects, &inner->subjects->units[i]))
            return false;
    return inner->subjects->n_units > 0;
}
