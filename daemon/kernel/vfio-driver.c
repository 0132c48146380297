/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/vfio-driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>

#include "kernel/vfio-reset.h"
#include "util/fd.h"
#include "util/string.h"

#define CATCH_ALL "vfio_pci"

/* Modules whose driver is called like them with '-'. Most variants are called like their module. */
static const struct {
    const char *bus, *module;
} generic[] = {
    {"pci", CATCH_ALL},
    {"platform", "vfio_platform"},
    {"amba", "vfio_amba"},
    {"fsl-mc", "vfio_fsl_mc"},
};

/* ---- Names */

static bool is_name(const char *name) {
    return *name && strlen(name) <= NAME_MAX && !strchr(name, '/') && text_is_printable(name) &&
           !string_equal(name, ".") && !string_equal(name, "..");
}

static void replace(char *text, char from, char to) {
    for (; *text; text++)
        if (*text == from)
            *text = to;
}

static bool driver_exists(int sysfs, const char *bus, const char *driver) {
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "bus/%s/drivers/%s", bus, driver);
    return faccessat(sysfs, path, F_OK, 0) == 0;
}

/* A loaded module's folder has a link BUS:DRIVER for each driver of its own. */
static bool find_by_module(int sysfs, const char *bus, const char *module, char ret[NAME_MAX + 1]) {
    _cleanup_(closedirp) DIR *drivers = NULL;
    char path[PATH_MAX];
    struct dirent *entry;

    snprintf(path, sizeof(path), "module/%s/drivers", module);
    if (directory_open(sysfs, path, &drivers) < 0)
        return false;
    while ((entry = directory_next(drivers))) {
        const char *rest = string_after(entry->d_name, bus);
        if (rest && *rest == ':' && is_name(rest + 1)) {
            strcpy(ret, rest + 1);
            return true;
        }
    }
    return false;
}

static bool is_generic(const char *module) {
    for (size_t i = 0; i < ELEMENTS_OF(generic); i++)
        if (string_equal(module, generic[i].module))
            return true;
    return false;
}

int vfio_driver_find(int sysfs, const char *bus, const char *name, char ret[NAME_MAX + 1]) {
    char module[NAME_MAX + 1], dashed[NAME_MAX + 1];

    if (!is_name(bus) || !is_name(name))
        return -EINVAL;
    strcpy(module, name);
    replace(module, '-', '_');
    strcpy(dashed, name);
    replace(dashed, '_', '-');
    const char *const spellings[] = {name, module, dashed};
    for (size_t i = 0; i < ELEMENTS_OF(spellings); i++)
        if (driver_exists(sysfs, bus, spellings[i])) {
            strcpy(ret, spellings[i]);
            return 1;
        }
    if (find_by_module(sysfs, bus, module, ret))
        return 1;
    strcpy(ret, is_generic(module) ? dashed : name);
    return 0;
}

/* What a driver that is there belongs to: a built-in one has no link. */
static void find_module(int sysfs, const char *bus, const char *driver, char ret[NAME_MAX + 1]) {
    char path[PATH_MAX], target[PATH_MAX];

    snprintf(path, sizeof(path), "bus/%s/drivers/%s/module", bus, driver);
    if (link_read(sysfs, path, target, sizeof(target)) > 0 && is_name(path_basename(target)))
        strcpy(ret, path_basename(target));
}

/* ---- Lines */

struct answer {
    int output, sysfs;
    struct modules *modules;
    const char *release;
    size_t index;
    const struct vfio_question *question;
    bool usable;       /* some driver is */
    char **in_the_way; /* why not, a clause for each that is not */
};

static int write_line(const struct answer *answer, char *line) {
    return line ? fd_write_all(answer->output, line, strlen(line)) : -ENOMEM;
}

static int write_problem(const struct answer *answer, enum reason reason, const char *text) {
    _cleanup_(freep) char *escaped = text ? text_escape(text) : NULL;

    if (!escaped)
        return -ENOMEM;
    _cleanup_(freep) char *line = string_format("problem\t%zu\t%s\t%s\n", answer->index,
                                                reason_to_string(reason), escaped);
    return write_line(answer, line);
}

static int add_clause(struct answer *answer, const char *module, enum module_state state) {
    const char *why = state == MODULE_BLACKLISTED
                          ? "is blacklisted (in modprobe.d or on the kernel's command line): allow it there, "
                            "or load it by hand"
                          : "is not there for the running kernel: install what has it";
    _cleanup_(freep) char *clause = string_format("module %s %s", module, why);

    return clause ? strings_append(&answer->in_the_way, clause) : -ENOMEM;
}

/* name: of a driver or a module. */
static int write_candidate(struct answer *answer, const char *name) {
    char driver[NAME_MAX + 1], module[NAME_MAX + 1];
    const char *bus = answer->question->bus;
    int there = vfio_driver_find(answer->sysfs, bus, name, driver);

    if (there < 0)
        return 0;
    strcpy(module, name);
    replace(module, '-', '_');
    if (there)
        find_module(answer->sysfs, bus, driver, module);
    enum module_state state = there ? MODULE_LOADED : modules_state(answer->modules, module);
    if (state == MODULE_LOADED || state == MODULE_LOADABLE)
        answer->usable = true;
    else if (add_clause(answer, module, state) < 0)
        return -ENOMEM;
    _cleanup_(freep) char *line = string_format("vfio\t%zu\t%s\t%s\t%s\n", answer->index, driver, module,
                                                module_state_to_string(state));
    return write_line(answer, line);
}

/* ---- Reset of platform devices */

static const char *const reset_words[VFIO_RESET_MAX] = {
    [VFIO_RESET_NONE] = "none",
    [VFIO_RESET_HANDLER] = "handler",
    [VFIO_RESET_IF_TAKEN] = "if-taken",
};

/* Only of the two drivers that share handlers. */
static int write_reset(const struct answer *answer, const char *driver) {
    const char *compatible = answer->question->compatible;
    enum vfio_reset reset;
    int refused = vfio_reset_find(answer->sysfs, answer->modules, answer->release, driver, compatible,
                                  &reset);

    if (refused < 0)
        return refused;
    _cleanup_(freep) char *line = string_format("reset\t%zu\t%s\n", answer->index, reset_words[reset]);
    int r = write_line(answer, line);
    if (r < 0 || !refused)
        return r;
    _cleanup_(freep) char *text = vfio_reset_advice(answer->sysfs, answer->release, driver, compatible);
    return write_problem(answer, REASON_NO_RESET, text);
}

/* ---- One device */

static int write_variants(struct answer *answer) {
    const char *modalias = answer->question->modalias;
    _cleanup_(strings_freep) char **variants = NULL;

    if (!modalias || !string_after(modalias, "pci:"))
        return 0;
    _cleanup_(freep) char *alias = string_format("vfio_%s", modalias);
    int r = alias ? modules_find(answer->modules, alias, CATCH_ALL, &variants) : -ENOMEM;
    size_t n = strings_length(variants);
    for (size_t i = 0; r >= 0 && i < n && i < VFIO_CANDIDATES_MAX - 1; i++)
        r = write_candidate(answer, variants[i]);
    return r;
}

static const char *module_of_bus(const char *bus) {
    for (size_t i = 0; i < ELEMENTS_OF(generic); i++)
        if (string_equal(bus, generic[i].bus))
            return generic[i].module;
    return NULL;
}

/* Why there is no driver at all. */
static int write_no_driver(const struct answer *answer) {
    const struct vfio_question *question = answer->question;
    _cleanup_(freep) char *text =
        answer->in_the_way ? strings_join(answer->in_the_way, "; ")
        : question->wanted
            ? string_format("\"%s\", the rule's vfio_driver, is no driver's name", question->wanted)
            : string_format("there is no VFIO driver for devices on the bus %s: name one as vfio_driver in "
                            "the rule, if this kernel has it",
                            question->bus);

    return write_problem(answer, REASON_NO_VFIO_DRIVER, text);
}

/* A driver or its module. */
static bool is_called(const char *name, const char *driver) {
    char dashed[NAME_MAX + 1];

    if (!name || strlen(name) > NAME_MAX)
        return false;
    strcpy(dashed, name);
    replace(dashed, '_', '-');
    return string_equal(dashed, driver);
}

static int write_answer(struct answer *answer) {
    const struct vfio_question *question = answer->question;
    const char *name = question->wanted ?: module_of_bus(question->bus);
    int r = string_equal(name, CATCH_ALL) && !question->wanted ? write_variants(answer) : 0;

    if (r >= 0 && name)
        r = write_candidate(answer, name);
    if (r >= 0 && !answer->usable)
        return write_no_driver(answer);
    if (r >= 0 && (is_called(name, "vfio-platform") || is_called(name, "vfio-amba")))
        r = write_reset(answer, is_called(name, "vfio-amba") ? "vfio-amba" : "vfio-platform");
    return r;
}

int vfio_driver_write_from(int output, int sysfs, const struct module_places *places, const char *release,
                           const struct vfio_question *questions, size_t n_questions) {
    _cleanup_(modules_freep) struct modules *modules = NULL;
    int r = modules_new(sysfs, places, &modules);

    for (size_t i = 0; r >= 0 && i < n_questions; i++) {
        struct answer answer = {.output = output, .sysfs = sysfs, .modules = modules, .release = release,
                                .index = i, .question = &questions[i]};
        r = write_answer(&answer);
        strings_free(answer.in_the_way);
    }
    return r;
}

int vfio_driver_write(int output, int sysfs, const struct vfio_question *questions, size_t n_questions) {
    return vfio_driver_write_from(output, sysfs, NULL, NULL, questions, n_questions);
}

/* ---- Reading it */

/* Splits line at its tabs into exactly n fields, none empty. */
static bool split(char *line, char **fields, size_t n) {
    line[strcspn(line, "\n")] = 0;
    for (size_t i = 0; i < n; i++) {
        fields[i] = strsep(&line, "\t");
        if (!fields[i] || !*fields[i])
            return false;
    }
    return !line;
}

static int parse_driver(char *line, struct vfio_line *ret) {
    enum module_state state;
    char *fields[5];
    uint32_t index;

    if (!split(line, fields, 5) || parse_u32(fields[1], &index) < 0 || !is_name(fields[2]) ||
        !is_name(fields[3]) || module_state_from_string(fields[4], &state) < 0)
        return -EBADMSG;
    *ret = (struct vfio_line){.index = index, .driver = fields[2], .module = fields[3], .state = state};
    return 1;
}

static int parse_problem(char *line, struct vfio_line *ret) {
    enum reason reason;
    char *fields[4];
    uint32_t index;

    if (!split(line, fields, 4) || parse_u32(fields[1], &index) < 0 ||
        reason_from_string(fields[2], &reason) < 0)
        return -EBADMSG;
    *ret = (struct vfio_line){.index = index, .reason = reason, .text = fields[3]};
    return 1;
}

static int parse_reset(char *line, struct vfio_line *ret) {
    char *fields[3];
    uint32_t index;

    if (!split(line, fields, 3) || parse_u32(fields[1], &index) < 0)
        return -EBADMSG;
    for (size_t i = 0; i < ELEMENTS_OF(reset_words); i++)
        if (string_equal(fields[2], reset_words[i])) {
            *ret = (struct vfio_line){.index = index, .reset = (enum vfio_reset)i};
            return 1;
        }
    return -EBADMSG;
}

int vfio_driver_parse(char *line, struct vfio_line *ret) {
    if (string_after(line, "vfio\t"))
        return parse_driver(line, ret);
    if (string_after(line, "reset\t"))
        return parse_reset(line, ret);
    return string_after(line, "problem\t") ? parse_problem(line, ret) : 0;
}
