/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a look at a device found, as the model keeps it. */
#include "model/survey.h"

#include "model-fixture.h"

static struct survey *survey;

static void start(void) {
    set_up();
    survey = survey_new();
    ck_assert_ptr_nonnull(survey);
}

static void end(void) {
    survey_free(survey);
    tear_down();
}

/* Nothing was asked: nothing is known. */
START_TEST(test_new) {
    ck_assert_uint_eq(survey->n_uses, 0);
    ck_assert_uint_eq(survey->n_candidates, 0);
    ck_assert_int_eq(survey->problem, REASON_NONE);
    ck_assert_int_eq(survey->vfs, -1);
    ck_assert_int_eq(survey->autoprobe, -1);
    ck_assert_ptr_null(survey->override);
    ck_assert(!survey->asked_for_drivers);
    ck_assert_ptr_null(survey_free(NULL));
}
END_TEST

/* Texts are copies; what is beyond the limit is dropped. */
START_TEST(test_uses) {
    char text[] = "nvme0n1p2 is mounted on /";

    for (int i = 0; i < SURVEY_USES_MAX + 3; i++) {
        text[4] = (char)('0' + i % 10);
        ck_assert_int_eq(survey_add_use(survey, REASON_MOUNTED, "it is mounted", text), 0);
    }
    ck_assert_uint_eq(survey->n_uses, SURVEY_USES_MAX);
    ck_assert_str_eq(survey->uses[0].text, "nvme0n1p2 is mounted on /");
    ck_assert_str_eq(survey->uses[3].text, "nvme3n1p2 is mounted on /");
    ck_assert_str_eq(survey->uses[3].public_text, "it is mounted");
    ck_assert_int_eq(survey->uses[3].reason, REASON_MOUNTED);
}
END_TEST

START_TEST(test_candidates) {
    static const char *const drivers[] = {"a", "b", "c", "d", "e"};

    for (size_t i = 0; i < ELEMENTS_OF(drivers); i++)
        ck_assert_int_eq(survey_add_candidate(survey, drivers[i], "m", i == 0), 0);
    ck_assert_uint_eq(survey->n_candidates, SURVEY_CANDIDATES_MAX);
    ck_assert_str_eq(survey->candidates[0].driver, "a");
    ck_assert(survey->candidates[0].loaded);
    ck_assert(!survey->candidates[3].loaded);
    ck_assert_str_eq(survey->candidates[3].driver, "d");
}
END_TEST

static struct survey *make_full(void) {
    struct survey *full = survey_new();

    ck_assert_int_eq(survey_add_use(full, REASON_ADDRESS, "old", "old"), 0);
    ck_assert_int_eq(survey_add_candidate(full, "vfio-pci", "vfio_pci", true), 0);
    full->problem = REASON_NO_VFIO_DRIVER;
    full->problem_text = strdup("module vfio_pci is blacklisted");
    full->override = strdup("igb");
    full->vfs = 4;
    full->autoprobe = 1;
    full->asked_for_drivers = true;
    return full;
}

/* A look at uses alone forgets nothing of what an earlier one found of drivers. */
START_TEST(test_keep_drivers) {
    struct survey *older = make_full();

    ck_assert_int_eq(survey_add_use(survey, REASON_MOUNTED, "new", "new"), 0);
    survey_keep_drivers(survey, older);
    survey_free(older);
    ck_assert_uint_eq(survey->n_uses, 1);
    ck_assert_str_eq(survey->uses[0].text, "new");
    ck_assert_uint_eq(survey->n_candidates, 1);
    ck_assert_str_eq(survey->candidates[0].module, "vfio_pci");
    ck_assert_int_eq(survey->problem, REASON_NO_VFIO_DRIVER);
    ck_assert_str_eq(survey->problem_text, "module vfio_pci is blacklisted");
    ck_assert_str_eq(survey->override, "igb");
    ck_assert_int_eq(survey->vfs, 4);
    ck_assert_int_eq(survey->autoprobe, 1);
    ck_assert(survey->asked_for_drivers);
}
END_TEST

START_TEST(test_uses_equal) {
    _cleanup_(survey_freep) struct survey *other = survey_new();

    ck_assert(survey_uses_equal(NULL, NULL));
    ck_assert(survey_uses_equal(survey, NULL));
    ck_assert_int_eq(survey_add_use(survey, REASON_ROUTE, "p", "eth0 has a route"), 0);
    ck_assert(!survey_uses_equal(survey, NULL));
    ck_assert(!survey_uses_equal(NULL, survey));
    ck_assert(!survey_uses_equal(survey, other));
    ck_assert_int_eq(survey_add_use(other, REASON_ADDRESS, "p", "eth0 has a route"), 0);
    ck_assert(!survey_uses_equal(survey, other));
    other->uses[0].reason = REASON_ROUTE;
    ck_assert(survey_uses_equal(survey, other));
    ck_assert_int_eq(survey_add_use(other, REASON_ROUTE, "p", "eth0 has another route"), 0);
    ck_assert(!survey_uses_equal(survey, other));
}
END_TEST

/* UsedBy changes only with what it says. */
START_TEST(test_model) {
    struct device *device = put_nic(&model, PCI("05.0"), "e1000e", 7);
    struct survey *same = survey_new();

    model_forget_changes(&model);
    model_take_survey(&model, device, survey); /* found nothing, like the look that never was */
    survey = NULL;
    ck_assert_uint_eq(changes_of(device), 0);
    ck_assert_int_eq(survey_add_use(same, REASON_ROUTE, "p", "t"), 0);
    model_take_survey(&model, device, same);
    ck_assert_uint_eq(changes_of(device), DEVICE_USES);
    model_forget_changes(&model);
    same = survey_new();
    ck_assert_int_eq(survey_add_use(same, REASON_ROUTE, "p", "t"), 0);
    model_take_survey(&model, device, same);
    ck_assert_uint_eq(changes_of(device), 0);
    ck_assert_ptr_eq(device->survey, same);
    /* A new reading of the device keeps it. */
    put_nic(&model, PCI("05.0"), "e1000e", 7);
    ck_assert_ptr_eq(device->survey, same);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("survey");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, start, end);
    tcase_add_test(all, test_new);
    tcase_add_test(all, test_uses);
    tcase_add_test(all, test_candidates);
    tcase_add_test(all, test_keep_drivers);
    tcase_add_test(all, test_uses_equal);
    tcase_add_test(all, test_model);
    suite_add_tcase(suite, all);
    return model_main(suite);
}
