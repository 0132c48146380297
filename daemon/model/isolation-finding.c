/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a finding is put together: members, specifiers, and the sentence. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/isolation-internal.h"
#include "util/cleanup.h"
#include "util/fd.h"
#include "util/string.h"

struct isolation_finding *isolation_add(struct isolation_check *check, enum reason kind,
                                        enum isolation_level level) {
    struct isolation *isolation = check->isolation;
    size_t n = isolation->n_findings;

    /* Room for twice as many at each power of two. */
    if ((n & (n - 1)) == 0) {
        struct isolation_finding *grown =
            reallocarray(isolation->findings, n ? n * 2 : 1, sizeof(*grown));
        if (!grown)
            return NULL;
        isolation->findings = grown;
    }
    isolation->findings[n] = (struct isolation_finding){.kind = kind, .level = level};
    isolation->n_findings++;
    return &isolation->findings[n];
}

int finding_add_member(struct isolation_finding *finding, size_t member) {
    size_t n = finding->n_members;

    if ((n & (n - 1)) == 0) {
        size_t *grown = reallocarray(finding->members, n ? n * 2 : 1, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        finding->members = grown;
    }
    finding->members[finding->n_members++] = member;
    return 0;
}

int finding_add_stream(struct isolation_finding *finding, const struct device_tree *tree,
                       const struct tree_stream *stream) {
    _cleanup_(freep) char *cells = tree_stream_text(stream);
    _cleanup_(freep) char *text =
        cells ? string_format("%s%s%s", tree->iommus[stream->iommu].node, *cells ? " " : "", cells)
              : NULL;

    if (!text)
        return -ENOMEM;
    return strings_append(&finding->specifiers, text);
}

int finding_add_members(struct isolation_finding *finding, const struct isolation_check *check,
                        const struct isolation_set *set, member_test *wanted) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < set->n_members; i++)
        if (!wanted || wanted(&check->members[set->members[i]]))
            r = finding_add_member(finding, set->members[i]);
    return r;
}

int finding_add_shared(struct isolation_finding *finding, const struct isolation_check *check,
                       size_t set) {
    bool alone = check->isolation->sets[set].n_members == 1;
    int r = 0;

    for (size_t i = check->set_begins[set]; r == 0 && i < check->set_begins[set + 1]; i++) {
        const struct stream_place *place = &check->joined.places[i];
        if (place->shared || alone)
            r = finding_add_stream(finding, check->tree, place->stream);
    }
    return r;
}

/* ---- Order ------------------------------------------------------------------------------------ */

static int compare_members(const void *one, const void *other, void *context) {
    const struct isolation_member *members = context;
    size_t a = *(const size_t *)one, b = *(const size_t *)other;
    int order = strcmp(members[a].master->node, members[b].master->node);

    if (order == 0)
        order = strcmp(members[a].device ?: "", members[b].device ?: "");
    return order ? order : (a > b) - (a < b);
}

static int compare_strings(const void *one, const void *other) {
    return strcmp(*(char *const *)one, *(char *const *)other);
}

static void sort_specifiers(char **specifiers) {
    size_t n = strings_length(specifiers), kept = 0;

    if (n == 0)
        return;
    qsort(specifiers, n, sizeof(*specifiers), compare_strings);
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && strcmp(specifiers[kept - 1], specifiers[i]) == 0)
            free(specifiers[i]);
        else
            specifiers[kept++] = specifiers[i];
    }
    specifiers[kept] = NULL;
}

void finding_sort(struct isolation_finding *finding, const struct isolation_member *members) {
    size_t kept = 0;

    if (finding->n_members > 0)
        qsort_r(finding->members, finding->n_members, sizeof(*finding->members), compare_members,
                (void *)members);
    for (size_t i = 0; i < finding->n_members; i++)
        if (kept == 0 || finding->members[kept - 1] != finding->members[i])
            finding->members[kept++] = finding->members[i];
    finding->n_members = kept;
    sort_specifiers(finding->specifiers);
}

/* ---- Sentences -------------------------------------------------------------------------------- */

const char *isolation_name(const struct isolation_member *member) {
    return member->is_function && member->device ? member->device : member->master->node;
}

void sentence_done(struct sentence *sentence) {
    fclosep(&sentence->file);
    free(sentence->text);
}

int sentence_begin(struct sentence *sentence) {
    sentence->file = open_memstream(&sentence->text, &sentence->size);
    return sentence->file ? 0 : -ENOMEM;
}

int sentence_end(struct sentence *sentence, struct isolation_finding *finding) {
    bool failed = ferror(sentence->file);

    if (fclose(TAKE_POINTER(sentence->file)) != 0 || failed)
        return -ENOMEM;
    finding->text = TAKE_POINTER(sentence->text);
    return 0;
}

bool list_goes_on(FILE *file, size_t index, size_t n) {
    /* One more is shown rather than counted. */
    bool cut = n > LIST_SHOWN_MAX + 1 && index == LIST_SHOWN_MAX;

    if (cut)
        fprintf(file, " and %zu more", n - index);
    else if (index > 0)
        fputs(index == n - 1 ? " and " : ", ", file);
    return !cut;
}

size_t write_members(FILE *file, const struct isolation_finding *finding,
                     const struct isolation_member *members, member_test *wanted,
                     member_writer *write) {
    size_t n = 0, index = 0;

    for (size_t i = 0; i < finding->n_members; i++)
        n += !wanted || wanted(&members[finding->members[i]]);
    for (size_t i = 0; i < finding->n_members; i++) {
        const struct isolation_member *member = &members[finding->members[i]];
        if (wanted && !wanted(member))
            continue;
        if (!list_goes_on(file, index++, n))
            break;
        fputs(isolation_name(member), file);
        if (write)
            write(file, member);
    }
    return n;
}

void write_streams(FILE *file, const struct isolation_finding *finding) {
    size_t n = strings_length(finding->specifiers);

    for (size_t i = 0; i < n && list_goes_on(file, i, n); i++) {
        const char *specifier = finding->specifiers[i], *space = strchr(specifier, ' ');
        if (space)
            fprintf(file, "stream %s of %.*s", space + 1, (int)(space - specifier), specifier);
        else
            fprintf(file, "IOMMU %s", specifier);
    }
}
