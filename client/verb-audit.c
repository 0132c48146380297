/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "client/audit.h"
#include "client/audit-print.h"
#include "client/bus.h"
#include "client/json.h"
#include "util/fd.h"
#include "util/string.h"

/* How this verb ends: whoever runs it in a build wants 1 to mean findings, and nothing else. */
#define STATUS_FINDINGS STATUS_ERROR
#define STATUS_FAILED STATUS_USAGE

/* One run over any number of trees. */
struct run {
    struct client *client;
    enum isolation_level level;
    bool sets, dot;
    bool many; /* files were named in a way that can mean several */
    bool found, failed;
    size_t n_trees, n_unclean, n_levels[ISOLATION_CRITICAL + 1], n_mistakes;
};

/* ---- One tree -------------------------------------------------------------------------------- */

/* A mistake of the tree counts as a warning: what it meant to say is not in the sets. */
static void run_count(struct run *run, json_object *document) {
    json_object *findings = json_member(document, "findings");
    size_t n_mistakes = json_length(json_member(document, "mistakes"));

    run->n_trees++;
    run->n_mistakes += n_mistakes;
    run->n_unclean += json_length(findings) + n_mistakes > 0;
    if (n_mistakes > 0 && run->level <= ISOLATION_WARNING)
        run->found = true;
    for (size_t i = 0; i < json_length(findings); i++) {
        /* One of a newer daemon is taken for the worst. */
        enum isolation_level level = ISOLATION_CRITICAL;
        (void)isolation_level_from_string(
            json_text(json_object_array_get_idx(findings, i), "level"), &level);
        run->n_levels[level]++;
        run->found = run->found || level >= run->level;
    }
}

static enum exit_status run_show(struct run *run, const struct audit *audit, json_object *document) {
    const char *file = json_text(document, "file");

    run_count(run, document);
    if (run->dot)
        return audit_print_dot(audit, *file ? file : "this machine") < 0
                   ? client_fail_memory(run->client)
                   : STATUS_DONE;
    if (!run->client->json)
        return audit_print(run->client, document, run->sets, run->many);
    /* One line each, so that it is the same whether one file is named or a thousand. */
    return json_print(document, true) < 0 ? client_fail_memory(run->client) : STATUS_DONE;
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* Says what is wrong with a file, in the JSON too; the others are still looked at. */
static enum exit_status run_refuse(struct run *run, const char *path, const char *text) {
    _cleanup_(json_putp) json_object *document = NULL;

    run->failed = true;
    (void)client_fail(run->client, STATUS_FAILED, "%s: %s", path, text);
    if (!run->client->json)
        return STATUS_DONE;
    if (audit_empty_json(path, &document) < 0 || json_set_text(document, "error", text) < 0 ||
        json_print(document, true) < 0)
        return client_fail_memory(run->client);
    return STATUS_DONE;
}

static enum exit_status run_file(struct run *run, const char *path) {
    _cleanup_(audit_done) struct audit audit = {0};
    _cleanup_(json_putp) json_object *document = NULL;
    _cleanup_(freep) char *text = NULL;
    int r = audit_file(path, &audit, &text);

    if (r < 0)
        return run_refuse(run, path, text ? text : strerror(-r));
    if (audit_to_json(&audit, path, &document) < 0)
        return client_fail_memory(run->client);
    return run_show(run, &audit, document);
}

static int compare_entries(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static inline void fts_closep(FTS **tree) {
    if (*tree)
        fts_close(*tree);
}

static bool is_blob(const FTSENT *entry) {
    return entry->fts_namelen > 4 && strcmp(entry->fts_name + entry->fts_namelen - 4, ".dtb") == 0;
}

/* A file, whatever its name; or all .dtb files of a folder, in the order of their names. */
static enum exit_status run_path(struct run *run, const char *path) {
    char *const paths[] = {(char *)path, NULL};
    _cleanup_(fts_closep) FTS *tree = fts_open(paths, FTS_LOGICAL | FTS_NOCHDIR, compare_entries);
    enum exit_status status = STATUS_DONE;
    FTSENT *entry;
    size_t n = 0;

    if (!tree)
        return client_fail_memory(run->client);
    while (status == STATUS_DONE && (entry = fts_read(tree))) {
        bool folder = entry->fts_info == FTS_D || entry->fts_info == FTS_DP;
        if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS) {
            n++;
            status = run_refuse(run, entry->fts_path, strerror(entry->fts_errno));
        } else if (!folder && (entry->fts_level == 0 || is_blob(entry))) {
            n++;
            status = run_file(run, entry->fts_path);
        }
    }
    if (status == STATUS_DONE && n == 0)
        status = run_refuse(run, path, "there is no .dtb file in this folder");
    return status;
}

/* Each value of --fdt, and each word, which a shell makes of "--fdt *.dtb". */
/* A folder can have several. */
static size_t path_count(const char *path) {
    struct stat status;

    return stat(path, &status) == 0 && S_ISDIR(status.st_mode) ? 2 : 1;
}

static size_t files_count(const struct arguments *arguments) {
    size_t n = 0;

    for (size_t i = 0; i < arguments->n_words; i++)
        n += path_count(arguments->words[i]);
    for (size_t i = 0; i < arguments->n_values; i++)
        if (strcmp(arguments->values[i].name, "fdt") == 0)
            n += path_count(arguments->values[i].value);
    return n;
}

static enum exit_status run_files(struct run *run, const struct arguments *arguments) {
    enum exit_status status = STATUS_DONE;

    for (size_t i = 0; status == STATUS_DONE && i < arguments->n_values; i++)
        if (strcmp(arguments->values[i].name, "fdt") == 0)
            status = run_path(run, arguments->values[i].value);
    for (size_t i = 0; status == STATUS_DONE && i < arguments->n_words; i++)
        status = run_path(run, arguments->words[i]);
    if (status == STATUS_DONE && run->many && !run->client->json && !run->dot)
        printf("%zu tree%s: %zu critical, %zu warning, %zu info, %zu mistakes, in %zu of them\n",
               run->n_trees, run->n_trees == 1 ? "" : "s", run->n_levels[ISOLATION_CRITICAL],
               run->n_levels[ISOLATION_WARNING], run->n_levels[ISOLATION_INFO], run->n_mistakes,
               run->n_unclean);
    return status;
}

/* ---- This machine ---------------------------------------------------------------------------- */

/* AuditDeviceTree: findings with the keys that audit_to_json() has. */
static enum exit_status ask_daemon(struct client *client, json_object **ret) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    _cleanup_(json_putp) json_object *findings = NULL;
    enum exit_status status = call_new(client, "AuditDeviceTree", false, &call);

    if (status == STATUS_DONE)
        status = call_send(client, call, &reply);
    if (status != STATUS_DONE)
        return status;
    int r = json_from_message(reply, &findings);
    if (r >= 0 && !json_object_is_type(findings, json_type_array))
        r = -EBADMSG;
    if (r < 0)
        return client_fail_reply(client, r);
    *ret = TAKE_POINTER(findings);
    return STATUS_DONE;
}

/* What the daemon says takes the place of what was found here. */
static enum exit_status live_ask(struct run *run, json_object *document) {
    json_object *findings = NULL;
    enum exit_status status = ask_daemon(run->client, &findings);

    if (status == STATUS_UNREACHABLE) {
        fprintf(stderr, "dmaownctl: audit-dt: judging without the daemon\n");
        return STATUS_DONE;
    }
    if (status == STATUS_DONE && (json_set(document, "findings", findings) < 0 ||
                                  json_set_text(document, "judged_by", "dmaownd") < 0))
        return client_fail_memory(run->client);
    return status;
}

static enum exit_status live_show(struct run *run, const struct audit *audit, bool has_tree,
                                  json_object *document) {
    if (json_set(document, "device_tree", json_object_new_boolean(has_tree)) < 0)
        return client_fail_memory(run->client);
    if (!has_tree && !run->client->json && !run->dot &&
        json_length(json_member(document, "findings")) == 0) {
        printf("this machine has no device tree, so there is nothing to compare its groups with\n");
        return STATUS_DONE;
    }
    return run_show(run, audit, document);
}

static enum exit_status run_live(struct run *run, const char *root, bool local) {
    _cleanup_(fd_closep) int sysfs = fd_open_directory(AT_FDCWD, root ? root : "/sys");
    _cleanup_(audit_done) struct audit audit = {0};
    _cleanup_(json_putp) json_object *document = NULL;
    _cleanup_(freep) char *text = NULL;

    if (sysfs < 0)
        return client_fail(run->client, STATUS_FAILED, "%s: %s", root ? root : "/sys", strerror(-sysfs));
    int r = audit_live(sysfs, &audit, &text);
    bool has_tree = r != -ENOENT;
    if (r < 0 && has_tree)
        return client_fail(run->client, STATUS_FAILED, "the device tree of %s: %s", root ? root : "/sys",
                           text ? text : strerror(-r));
    r = has_tree ? audit_to_json(&audit, NULL, &document) : audit_empty_json(NULL, &document);
    if (r < 0 || json_set_text(document, "judged_by", "dmaownctl") < 0)
        return client_fail_memory(run->client);
    enum exit_status status = local ? STATUS_DONE : live_ask(run, document);
    return status == STATUS_DONE ? live_show(run, &audit, has_tree, document) : status;
}

/* ---- The verb -------------------------------------------------------------------------------- */

static enum exit_status check_options(const struct client *client, const struct arguments *arguments) {
    bool live_only = arguments_value(arguments, "local") || arguments_value(arguments, "sysfs");
    bool sets = arguments_value(arguments, "sets"), dot = arguments_value(arguments, "dot");

    if (live_only && files_count(arguments) > 0)
        return client_fail(client, STATUS_USAGE, "--local and --sysfs are for a machine, not for files");
    if (dot && (sets || client->json))
        return client_fail(client, STATUS_USAGE, "--dot stands for itself, without --sets or --json");
    if (dot && files_count(arguments) > 1)
        return client_fail(client, STATUS_USAGE, "--dot draws one tree: name one file");
    return STATUS_DONE;
}

static enum exit_status audit_run(struct client *client, const struct arguments *arguments) {
    const char *level = arguments_value(arguments, "level");
    struct run run = {
        .client = client,
        .level = ISOLATION_WARNING,
        .sets = arguments_value(arguments, "sets"),
        .dot = arguments_value(arguments, "dot"),
        .many = files_count(arguments) > 1,
    };
    const char *root = arguments_value(arguments, "sysfs");

    if (level && isolation_level_from_string(level, &run.level) < 0)
        return client_fail(client, STATUS_USAGE, "the level is info, warning or critical, not '%s'", level);
    enum exit_status status = check_options(client, arguments);
    if (status == STATUS_DONE && files_count(arguments) > 0)
        status = run_files(&run, arguments);
    else if (status == STATUS_DONE)
        status = run_live(&run, root, root || arguments_value(arguments, "local"));
    /* main() says why. */
    bool written = fflush(stdout) == 0 && !ferror(stdout);
    if (status != STATUS_DONE || run.failed || !written)
        return STATUS_FAILED;
    return run.found ? STATUS_FINDINGS : STATUS_DONE;
}

static const struct verb_option audit_options[] = {
    {"fdt", 'f', "FILE", "this .dtb, or all of a folder; repeatable"},
    {"level", 0, "LEVEL", "info, warning (default), critical: ends with 1"},
    {"sets", 's', NULL, "show what each IOMMU cannot tell apart, too"},
    {"dot", 0, NULL, "draw IOMMUs, sets and masters for Graphviz"},
    {"local", 0, NULL, "judge this machine without dmaownd"},
    {"sysfs", 0, "DIR", "the machine whose /sys this is, without dmaownd"},
    {NULL},
};

const struct verb verb_audit = {
    .name = "audit-dt",
    .synopsis = "[FILE...]",
    .summary = "Finds groups that only look isolated, by the device tree",
    .help = "Compares the streams that a device tree gives to the masters of DMA with the\n"
            "IOMMU groups: on this machine those that the kernel has formed, in a file those\n"
            "that Linux would form. Files are read on any machine and need no daemon. With\n"
            "--json, one line for each tree: {\"sets\": [...], \"findings\": [...]}.\n"
            "A machine without a device tree has no findings.\n"
            "Exit status: 0 clean, 1 findings at the level or above it, 2 any error.\n",
    .options = audit_options,
    .json = true,
    .max_words = VERB_ARGUMENTS_MAX,
    .run = audit_run,
};
