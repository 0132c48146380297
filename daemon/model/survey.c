/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/survey.h"

#include <errno.h>
#include <stdlib.h>

#include "util/string.h"

struct survey *survey_new(void) {
    struct survey *survey = calloc(1, sizeof(*survey));

    if (survey)
        survey->vfs = survey->autoprobe = -1;
    return survey;
}

struct survey *survey_free(struct survey *survey) {
    if (!survey)
        return NULL;
    for (size_t i = 0; i < survey->n_uses; i++) {
        free(survey->uses[i].public_text);
        free(survey->uses[i].text);
    }
    for (size_t i = 0; i < survey->n_candidates; i++) {
        free(survey->candidates[i].driver);
        free(survey->candidates[i].module);
    }
    free(survey->problem_text);
    free(survey->override);
    free(survey);
    return NULL;
}

int survey_add_use(struct survey *survey, enum reason reason, const char *public_text,
                   const char *text) {
    struct device_use *use = &survey->uses[survey->n_uses];

    if (survey->n_uses == SURVEY_USES_MAX)
        return 0;
    *use = (struct device_use){reason, strdup(public_text), strdup(text)};
    survey->n_uses++;
    return use->public_text && use->text ? 0 : -ENOMEM;
}

int survey_add_candidate(struct survey *survey, const char *driver, const char *module, bool loaded) {
    struct vfio_candidate *candidate = &survey->candidates[survey->n_candidates];

    if (survey->n_candidates == SURVEY_CANDIDATES_MAX)
        return 0;
    *candidate = (struct vfio_candidate){strdup(driver), strdup(module), loaded};
    survey->n_candidates++;
    return candidate->driver && candidate->module ? 0 : -ENOMEM;
}

void survey_keep_drivers(struct survey *newer, struct survey *older) {
    memcpy(newer->candidates, older->candidates, sizeof(newer->candidates));
    newer->n_candidates = older->n_candidates;
    newer->problem = older->problem;
    newer->problem_text = TAKE_POINTER(older->problem_text);
    newer->override = TAKE_POINTER(older->override);
    newer->vfio_reset = older->vfio_reset;
    newer->vfs = older->vfs;
    newer->autoprobe = older->autoprobe;
    newer->asked_for_drivers = older->asked_for_drivers;
    older->n_candidates = 0;
}

bool survey_uses_equal(const struct survey *one, const struct survey *other) {
    size_t n = one ? one->n_uses : 0;

    if (n != (other ? other->n_uses : 0))
        return false;
    for (size_t i = 0; i < n; i++)
        if (one->uses[i].reason != other->uses[i].reason ||
            !string_equal(one->uses[i].text, other->uses[i].text))
            return false;
    return true;
}
