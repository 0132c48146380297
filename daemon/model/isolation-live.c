/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sets against the groups that a running kernel formed. */
#include <errno.h>
#include <inttypes.h>

#include "model/device.h"
#include "model/isolation-internal.h"
#include "util/cleanup.h"

static bool has_group(const struct isolation_member *member) {
    return member->group != GROUP_NONE;
}

static bool has_running_driver(const struct isolation_member *member) {
    return member->role == ROLE_KERNEL || member->role == ROLE_USER;
}

static bool runs_without_group(const struct isolation_member *member) {
    return !has_group(member) && has_running_driver(member);
}

static bool waits_for_group(const struct isolation_member *member) {
    return !has_group(member) && !has_running_driver(member);
}

static bool is_beside_running(const struct isolation_member *member) {
    return !runs_without_group(member);
}

static size_t count(const struct isolation_check *check, const struct isolation_set *set,
                    member_test *wanted) {
    size_t n = 0;

    for (size_t i = 0; i < set->n_members; i++)
        n += wanted(&check->members[set->members[i]]);
    return n;
}

static void write_group(FILE *file, const struct isolation_member *member) {
    if (has_group(member))
        fprintf(file, " in group %" PRId64, member->group);
    else if (has_running_driver(member))
        fprintf(file, " (driver %s)", member->driver ?: "unknown");
}

/* A finding with its members and the streams that the set shares, in order; and its sentence. */
static struct isolation_finding *begin(struct isolation_check *check, size_t set, enum reason kind,
                                       enum isolation_level level, member_test *wanted,
                                       struct sentence *sentence) {
    struct isolation_finding *finding = isolation_add(check, kind, level);

    if (!finding || finding_add_members(finding, check, &check->isolation->sets[set], wanted) < 0 ||
        finding_add_shared(finding, check, set) < 0 || sentence_begin(sentence) < 0)
        return NULL;
    finding_sort(finding, check->members);
    return finding;
}

/* ---- More than one group ---------------------------------------------------------------------- */

static bool is_split(const struct isolation_check *check, const struct isolation_set *set) {
    int64_t first = GROUP_NONE;

    for (size_t i = 0; i < set->n_members; i++) {
        int64_t group = check->members[set->members[i]].group;
        if (group != GROUP_NONE && first != GROUP_NONE && group != first)
            return true;
        if (group != GROUP_NONE)
            first = group;
    }
    return false;
}

static int find_split(struct isolation_check *check, size_t set) {
    _cleanup_(sentence_done) struct sentence sentence = {0};
    struct isolation_finding *finding =
        begin(check, set, REASON_SPLIT, ISOLATION_CRITICAL, has_group, &sentence);

    if (!finding)
        return -ENOMEM;
    write_members(sentence.file, finding, check->members, NULL, write_group);
    fputs(" are not told apart by the IOMMU (", sentence.file);
    write_streams(sentence.file, finding);
    fputs("): whoever gets one of these groups can reach the memory that the owner of another one "
          "uses.",
          sentence.file);
    return sentence_end(&sentence, finding);
}

/* ---- A driver without a group ----------------------------------------------------------------- */

static void write_half(FILE *file, const struct isolation_check *check,
                       const struct isolation_finding *finding, size_t n_beside) {
    size_t n = write_members(file, finding, check->members, runs_without_group, write_group);

    fprintf(file, n == 1 ? " runs without a group on " : " run without a group on ");
    write_streams(file, finding);
    if (n_beside == 0) {
        fputs(", which they share: nothing keeps their DMA apart.", file);
        return;
    }
    fputs(", which ", file);
    write_members(file, finding, check->members, is_beside_running, write_group);
    fprintf(file,
            "%s too: whoever gets %s can reach the memory that %s, and the other way round.",
            n_beside == 1 ? " uses" : " use", n_beside == 1 ? "that one" : "one of those",
            n == 1 ? "the first one uses" : "the first ones use");
}

static int find_half(struct isolation_check *check, size_t index) {
    const struct isolation_set *set = &check->isolation->sets[index];
    _cleanup_(sentence_done) struct sentence sentence = {0};
    enum isolation_level level = set->n_members > 1 ? ISOLATION_CRITICAL : ISOLATION_WARNING;
    struct isolation_finding *finding = begin(check, index, REASON_HALF, level, NULL, &sentence);

    if (!finding)
        return -ENOMEM;
    if (set->n_members > 1) {
        write_half(sentence.file, check, finding, count(check, set, is_beside_running));
    } else {
        write_members(sentence.file, finding, check->members, NULL, write_group);
        fputs(" runs without a group although its node names ", sentence.file);
        write_streams(sentence.file, finding);
        fputs(": its DMA is not translated, so that it can reach all of memory.", sentence.file);
    }
    return sentence_end(&sentence, finding);
}

/* ---- No group yet ----------------------------------------------------------------------------- */

static int find_pending(struct isolation_check *check, size_t set) {
    _cleanup_(sentence_done) struct sentence sentence = {0};
    struct isolation_finding *finding =
        begin(check, set, REASON_PENDING, ISOLATION_INFO, waits_for_group, &sentence);

    if (!finding)
        return -ENOMEM;
    size_t n = write_members(sentence.file, finding, check->members, NULL, NULL);
    fputs(n == 1 ? " has no group yet; one forms, or is joined, when a driver first probes it ("
                 : " have no group yet; one forms, or is joined, when a driver first probes them (",
          sentence.file);
    write_streams(sentence.file, finding);
    fputs(").", sentence.file);
    return sentence_end(&sentence, finding);
}

int isolation_compare_groups(struct isolation_check *check) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < check->isolation->n_sets; i++) {
        const struct isolation_set *set = &check->isolation->sets[i];
        if (is_split(check, set))
            r = find_split(check, i);
        if (r == 0 && count(check, set, runs_without_group) > 0)
            r = find_half(check, i);
        if (r == 0 && count(check, set, waits_for_group) > 0)
            r = find_pending(check, i);
    }
    return r;
}
