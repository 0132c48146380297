/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/usage-internal.h"

#include <errno.h>
#include <stdlib.h>

#include "util/clock.h"
#include "util/fd.h"
#include "util/string.h"

static const char *proc_folder = "/proc", *dev_folder = "/dev";

void usage_use_folders(const char *proc, const char *dev) {
    proc_folder = proc;
    dev_folder = dev;
}

bool usage_is_gone(int error) {
    return error == -ENOENT || error == -ENODEV || error == -ENOTDIR || error == -ENXIO;
}

/* ---- Lines */

static int write_line(struct usage_survey *survey, size_t device, enum reason reason,
                      const char *public_text, const char *text) {
    _cleanup_(freep) char *escaped_public = text_escape(public_text);
    _cleanup_(freep) char *escaped = text_escape(text);

    if (!escaped_public || !escaped)
        return -ENOMEM;
    _cleanup_(freep) char *line = string_format("use\t%zu\t%s\t%s\t%s\n", device,
                                                reason_to_string(reason), escaped_public, escaped);
    return line ? fd_write_all(survey->output, line, strlen(line)) : -ENOMEM;
}

int usage_say(struct usage_survey *survey, size_t device, enum reason reason, char *public_text,
              char *text) {
    _cleanup_(freep) char *own_public = public_text, *own = text;
    struct usage_written *written = &survey->written[device];
    unsigned *count = reason_outcome(reason) == OUTCOME_OK ? &written->information : &written->uses;

    if (!own || !own_public)
        return -ENOMEM;
    if (*count > USAGE_LINES_MAX)
        return 0;
    if ((*count)++ < USAGE_LINES_MAX)
        return write_line(survey, device, reason, own_public, own);
    const char *more = reason_outcome(reason) == OUTCOME_OK ? "there is more on its disks"
                                                            : "the host uses it for more than this";
    return write_line(survey, device, reason, more, more);
}

int usage_say_all(struct usage_survey *survey, size_t device, enum reason reason, char *text) {
    char *copy = text ? strdup(text) : NULL;

    return usage_say(survey, device, reason, copy, text);
}

int usage_say_unknown(struct usage_survey *survey, size_t device, enum reason reason,
                      const char *what, int error) {
    return usage_say_all(survey, device, reason,
                         string_format("%s could not be found out: %s", what, strerror(-error)));
}

static char *take_field(char **rest) {
    return strsep(rest, "\t");
}

int usage_parse(char *line, struct usage_line *ret) {
    struct usage_line parsed;
    uint32_t index;

    if (!string_after(line, "use\t"))
        return 0;
    line[strcspn(line, "\n")] = 0;
    char *rest = line + strlen("use\t");
    const char *number = take_field(&rest), *reason = take_field(&rest);
    parsed.public_text = take_field(&rest);
    parsed.text = take_field(&rest);
    if (!parsed.text || rest || !*parsed.text || !*parsed.public_text ||
        parse_u32(number, &index) < 0 || reason_from_string(reason, &parsed.reason) < 0 ||
        !text_is_printable(parsed.text) || !text_is_printable(parsed.public_text))
        return -EBADMSG;
    parsed.index = index;
    *ret = parsed;
    return 1;
}

/* ---- All together */

static void free_parts(struct usage_survey *survey) {
    for (size_t i = 0; i < survey->n_parts; i++)
        free(survey->parts[i].path);
    free(survey->parts);
    free(survey->written);
}

static int survey_all(struct usage_survey *survey) {
    int r = 0;

    for (size_t i = 0; r >= 0 && i < survey->n_paths; i++)
        r = usage_walk(survey, i);
    /* In the order of the reasons. */
    if (r >= 0)
        r = usage_judge_disks(survey);
    if (r >= 0)
        r = usage_judge_netdevs(survey);
    if (r >= 0)
        r = usage_judge_functions(survey);
    return r < 0 ? r : usage_judge_nodes(survey);
}

int usage_write_host(int output, const struct usage_host *host, const char *const *paths,
                     size_t n_paths) {
    struct usage_survey survey = {
        .host = host, .output = output, .paths = paths, .n_paths = n_paths};

    survey.started = now_monotonic();
    survey.written = calloc(n_paths + 1, sizeof(*survey.written));
    if (!survey.written)
        return -ENOMEM;
    int r = survey_all(&survey);
    free_parts(&survey);
    return r < 0 ? r : 0;
}

int usage_write(int output, int sysfs, const char *const *paths, size_t n_paths) {
    const struct usage_host host = {
        .sysfs = sysfs, .proc = proc_folder, .dev = dev_folder, .open_disk = usage_open_disk};

    return usage_write_host(output, &host, paths, n_paths);
}
