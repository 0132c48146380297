/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A look at devices that may block: what the host needs them for, which VFIO drivers there are, what
 * stands in driver_override. One worker asks, the answer goes into the model. */
#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "kernel/driver-switch.h"
#include "kernel/usage.h"
#include "kernel/vfio-driver.h"
#include "model/survey.h"
#include "util/fd.h"
#include "util/string.h"

struct manager_survey {
    struct manager *manager;
    struct worker *worker;
    bool with_drivers;
    size_t n;
    const char **paths; /* of the questions */
    char **drivers;     /* that had the devices when they were looked at; NULL for none */
    struct vfio_question *questions; /* copies of what the model said */
    struct survey **answers;
    manager_surveyed *done;
    void *userdata;
};

/* ---- in the worker */

static int write_number(int output, int sysfs, size_t index, const char *path, const char *word,
                        const char *attribute) {
    char name[PATH_MAX], text[24];
    uint32_t number;

    if ((size_t)snprintf(name, sizeof(name), "%s/%s", path, attribute) >= sizeof(name))
        return -ENAMETOOLONG;
    if (attribute_read(sysfs, name, text, sizeof(text)) < 0 || parse_u32(text, &number) < 0)
        return 0;
    _cleanup_(freep) char *line = string_format("%s\t%zu\t%u\n", word, index, number);
    return line ? fd_write_all(output, line, strlen(line)) : -ENOMEM;
}

static int write_override(int output, int sysfs, size_t index, const char *path) {
    char override[NAME_MAX + 2];
    int r = driver_override_read(sysfs, path, override);

    if (r <= 0)
        return r;
    _cleanup_(freep) char *text = text_escape(override);
    _cleanup_(freep) char *line =
        text ? string_format("override\t%zu\t%s\n", index, text) : NULL;
    return line ? fd_write_all(output, line, strlen(line)) : -ENOMEM;
}

static int write_drivers(int output, int sysfs, const struct manager_survey *survey) {
    int r = vfio_driver_write(output, sysfs, survey->questions, survey->n);

    for (size_t i = 0; r >= 0 && i < survey->n; i++) {
        r = write_override(output, sysfs, i, survey->paths[i]);
        if (r == -ENOENT || r == -ENODEV)
            r = 0; /* it went: the switch finds out */
        if (r >= 0)
            r = write_number(output, sysfs, i, survey->paths[i], "vfs", "sriov_numvfs");
        if (r >= 0)
            r = write_number(output, sysfs, i, survey->paths[i], "autoprobe",
                             "sriov_drivers_autoprobe");
    }
    return r;
}

static int ask(int output, void *userdata) {
    const struct manager_survey *survey = userdata;
    _cleanup_(fd_closep) int sysfs =
        fd_open_directory(AT_FDCWD, survey->manager->options.sysfs_directory);

    if (sysfs < 0)
        return sysfs;
    int r = usage_write(output, sysfs, survey->paths, survey->n);
    return r < 0 || !survey->with_drivers ? r : write_drivers(output, sysfs, survey);
}

/* ---- in the daemon */

static int take_vfio_line(const struct vfio_line *line, struct survey *answer) {
    bool usable = line->state == MODULE_LOADED || line->state == MODULE_LOADABLE;

    if (line->reset) {
        answer->vfio_reset = line->reset;
        return 0;
    }
    if (line->driver)
        return usable ? survey_add_candidate(answer, line->driver, line->module,
                                             line->state == MODULE_LOADED)
                      : 0;
    free(answer->problem_text);
    answer->problem = line->reason;
    answer->problem_text = strdup(line->text);
    return answer->problem_text ? 0 : -ENOMEM;
}

/* "override TAB INDEX TAB TEXT", and numbers alike. */
static int take_own_line(struct manager_survey *survey, char *line) {
    char *word = strsep(&line, "\t"), *number = strsep(&line, "\t");
    uint32_t index, value = 0;

    if (!line || parse_u32(number, &index) < 0 || index >= survey->n)
        return -EBADMSG;
    struct survey *answer = survey->answers[index];
    if (string_equal(word, "override")) {
        free(answer->override);
        answer->override = strdup(line);
        return answer->override ? 0 : -ENOMEM;
    }
    if (parse_u32(line, &value) < 0 || value > INT_MAX)
        return -EBADMSG;
    if (string_equal(word, "vfs"))
        answer->vfs = (int)value;
    else if (string_equal(word, "autoprobe"))
        answer->autoprobe = (int)value;
    else
        return -EBADMSG;
    return 0;
}

static int take_line(struct manager_survey *survey, char *line) {
    struct usage_line usage;
    struct vfio_line vfio;
    int r = usage_parse(line, &usage);

    if (r > 0)
        return usage.index < survey->n
                   ? survey_add_use(survey->answers[usage.index], usage.reason, usage.public_text,
                                    usage.text)
                   : -EBADMSG;
    if (r == 0)
        r = vfio_driver_parse(line, &vfio);
    if (r > 0)
        return vfio.index < survey->n ? take_vfio_line(&vfio, survey->answers[vfio.index])
                                      : -EBADMSG;
    return r < 0 ? r : take_own_line(survey, line);
}

static int take_answer(struct manager_survey *survey, const char *output) {
    _cleanup_(freep) char *copy = strdup(output);
    char *rest = copy, *line;
    int r = copy ? 0 : -ENOMEM;

    while (r >= 0 && (line = strsep(&rest, "\n")))
        if (*line)
            r = take_line(survey, line);
    return r;
}

/* To the devices that are there still. What a look at uses alone did not ask is kept. */
static void spread_answers(struct manager_survey *survey) {
    struct model *model = &survey->manager->model;

    for (size_t i = 0; i < survey->n; i++) {
        struct device *device = model_device(model, survey->paths[i]);
        survey->answers[i]->asked_for_drivers = survey->with_drivers;
        if (device && !string_equal(device->driver, survey->drivers[i]))
            device = NULL; /* it was about another driver's device */
        if (device && !survey->with_drivers && device->survey)
            survey_keep_drivers(survey->answers[i], device->survey);
        if (device)
            model_take_survey(model, device, TAKE_POINTER(survey->answers[i]));
    }
}

static void on_answer(int result, const char *output, size_t size, void *userdata) {
    struct manager_survey *survey = userdata;
    manager_surveyed *done = survey->done;
    void *data = survey->userdata;

    survey->worker = NULL;
    if (result >= 0)
        result = take_answer(survey, output);
    if (result >= 0)
        spread_answers(survey);
    else
        log_message(LOG_WARNING, "What %s%s is used for can not be seen: %s.",
                    path_basename(survey->paths[0]), survey->n > 1 ? " (and others)" : "",
                    strerror(-result));
    manager_survey_free(survey);
    done(result < 0 ? result : 0, data);
}

struct manager_survey *manager_survey_free(struct manager_survey *survey) {
    if (!survey)
        return NULL;
    worker_free(survey->worker);
    for (size_t i = 0; i < survey->n; i++) {
        const struct vfio_question *question = &survey->questions[i];
        free((char *)survey->paths[i]);
        free(survey->drivers[i]);
        free((char *)question->bus);
        free((char *)question->modalias);
        free((char *)question->compatible);
        free((char *)question->wanted);
        survey_free(survey->answers[i]);
    }
    free(survey->paths);
    free(survey->drivers);
    free(survey->questions);
    free(survey->answers);
    free(survey);
    return NULL;
}
DEFINE_CLEANUP(struct manager_survey *, manager_survey_free)

static char *copy_or_null(const char *text) {
    return text ? strdup(text) : NULL;
}

/* What the rule that decides for this subject wants. */
static const char *wanted_driver(const struct manager *manager, const struct device *device,
                                 const struct policy_subject *subject) {
    struct policy_device view = verdict_policy_view(device);
    const struct policy_rule *rule = NULL;

    if (manager->policy && subject)
        rule = policy_decide(manager->policy, &view, subject);
    if (manager->policy && (!rule || rule->effect == POLICY_DENY))
        rule = policy_reserves(manager->policy, &view); /* whoever it is kept for */
    return rule ? rule->vfio_driver : NULL;
}

static int add_question(struct manager_survey *survey, const struct device *device,
                        const struct policy_subject *subject) {
    struct vfio_question *question = &survey->questions[survey->n];

    survey->paths[survey->n] = strdup(device->path);
    survey->drivers[survey->n] = copy_or_null(device->driver);
    survey->answers[survey->n] = survey_new();
    *question = (struct vfio_question){
        .path = survey->paths[survey->n],
        .bus = strdup(device->bus),
        .modalias = strdup(device->modalias),
        .compatible = copy_or_null(device->compatible ? device->compatible[0] : NULL),
        .wanted = copy_or_null(wanted_driver(survey->manager, device, subject)),
    };
    survey->n++;
    return question->path && question->bus && question->modalias && survey->answers[survey->n - 1]
               ? 0
               : -ENOMEM;
}

int manager_survey(struct manager *manager, struct device *const *devices, size_t n_devices,
                   const struct policy_subject *drivers_for, manager_surveyed *done,
                   void *userdata, struct manager_survey **ret) {
    _cleanup_(manager_survey_freep) struct manager_survey *survey = calloc(1, sizeof(*survey));
    int r = 0;

    if (!survey)
        return -ENOMEM;
    survey->manager = manager;
    survey->with_drivers = drivers_for != NULL;
    survey->done = done;
    survey->userdata = userdata;
    survey->paths = calloc(n_devices, sizeof(*survey->paths));
    survey->drivers = calloc(n_devices, sizeof(*survey->drivers));
    survey->questions = calloc(n_devices, sizeof(*survey->questions));
    survey->answers = calloc(n_devices, sizeof(*survey->answers));
    if (!survey->paths || !survey->drivers || !survey->questions || !survey->answers)
        return -ENOMEM;
    for (size_t i = 0; r >= 0 && i < n_devices; i++)
        r = add_question(survey, devices[i], drivers_for);
    if (r >= 0)
        r = worker_start(manager->loop, ask, on_answer, survey, &survey->worker);
    if (r >= 0)
        *ret = TAKE_POINTER(survey);
    return r;
}
