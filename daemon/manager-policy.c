/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loading the policy. Looking names up in the user database can block, so it takes two passes: a
 * worker loads the policy to learn its names and looks them up; the daemon loads it with those
 * answers. A policy that is faulty never replaces a good one. */
#include "manager.h"

#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include <systemd/sd-daemon.h>

#include "util/fd.h"
#include "util/hash.h"
#include "util/string.h"

struct known_name {
    uint32_t id;
    UT_hash_handle hh;
    char text[]; /* "u:alice" or "g:dmaown" */
};

struct policy_load {
    struct manager *manager;
    struct worker *worker;
    struct known_name *names;
};

/* ---- in the worker */

struct name_writer {
    struct policy_names system;
    int output;
};

static int write_name(struct name_writer *writer, char kind, const char *name, uint32_t id) {
    _cleanup_(freep) char *line = string_format("%u %c:%s\n", id, kind, name);

    return line ? fd_write_all(writer->output, line, strlen(line)) : -ENOMEM;
}

static int write_user(void *userdata, const char *name, uid_t *ret) {
    struct name_writer *writer = userdata;
    int r = writer->system.user(writer->system.userdata, name, ret);

    return r < 0 ? r : write_name(writer, 'u', name, *ret);
}

static int write_group(void *userdata, const char *name, gid_t *ret) {
    struct name_writer *writer = userdata;
    int r = writer->system.group(writer->system.userdata, name, ret);

    return r < 0 ? r : write_name(writer, 'g', name, *ret);
}

static int look_names_up(int output, void *userdata) {
    const struct policy_load *load = userdata;
    struct name_writer writer = {.output = output};
    struct policy_names names = {.user = write_user, .group = write_group, .userdata = &writer};
    struct policy *policy = NULL;

    policy_names_system(&writer.system, false);
    int r = policy_load(load->manager->options.config_directory, &names, &policy, NULL);
    return r < 0 ? r : 0;
}

/* ---- in the daemon */

static void forget_load(struct policy_load *load) {
    struct known_name *name, *next;

    HASH_ITER(hh, load->names, name, next) {
        HASH_DEL(load->names, name);
        free(name);
    }
    free(load);
}

static int remember_name(struct policy_load *load, uint32_t id, const char *text) {
    struct known_name *name;

    HASH_FIND_STR(load->names, text, name);
    if (name)
        return 0;
    name = calloc(1, sizeof(*name) + strlen(text) + 1);
    if (!name)
        return -ENOMEM;
    name->id = id;
    strcpy(name->text, text);
    HASH_ADD_STR(load->names, text, name);
    if (name->hh.tbl)
        return 0;
    free(name);
    return -ENOMEM;
}

static int read_names(struct policy_load *load, const char *output) {
    _cleanup_(freep) char *copy = strdup(output);
    char *rest = copy, *line;

    if (!copy)
        return -ENOMEM;
    while ((line = strsep(&rest, "\n")) && *line) {
        char *text = strchr(line, ' ');
        uint32_t id;
        if (!text)
            return -EBADMSG;
        *text++ = 0;
        int r = parse_u32(line, &id);
        if (r >= 0)
            r = remember_name(load, id, text);
        if (r < 0)
            return r;
    }
    return 0;
}

static int known_id(const struct policy_load *load, char kind, const char *name, uint32_t *ret) {
    _cleanup_(freep) char *text = string_format("%c:%s", kind, name);
    struct known_name *known = NULL;

    if (text)
        HASH_FIND_STR(load->names, text, known);
    if (!known)
        return -ENOENT;
    *ret = known->id;
    return 0;
}

static int known_user(void *userdata, const char *name, uid_t *ret) {
    return known_id(userdata, 'u', name, ret);
}

static int known_group(void *userdata, const char *name, gid_t *ret) {
    return known_id(userdata, 'g', name, ret);
}

static void log_report(const struct policy_report *report) {
    for (size_t i = 0; i < report->n_messages; i++) {
        const struct policy_message *message = &report->messages[i];
        _cleanup_(freep) char *text = policy_message_format(message);
        log_message(message->severity == POLICY_ERROR ? LOG_ERR : LOG_WARNING, "%s", text ?: "");
    }
}

static void record_policy(struct manager *manager, bool ok, const char *text) {
    audit_write(manager->audit,
                &(struct audit_event){.kind = ok ? AUDIT_POLICY_LOADED : AUDIT_POLICY_REJECTED,
                                      .message = text,
                                      .uid = AUDIT_UID_NONE,
                                      .claimant_uid = AUDIT_UID_NONE});
    if (manager->listener)
        manager->listener->policy_reloaded(ok, text, manager->listener_data);
}

/* Members that the new policy would not give to the lease's claimant. */
static bool lease_is_allowed(struct manager *manager, const struct lease *lease) {
    struct group *groups[CLAIM_GROUPS_MAX];
    struct claim claim = manager_claim_of(manager, lease, groups);
    struct verdict_request request = manager_request(manager, &claim);

    return reason_outcome(verdict_first_reason(&request)) != OUTCOME_POLICY_DENIED;
}

static void mark_stale_leases(struct manager *manager) {
    for (struct lease *lease = manager->leases.leases; lease; lease = lease->by_id.next) {
        bool stale = lease->state == LEASE_ACTIVE && !lease_is_allowed(manager, lease);
        if (stale == lease->policy_stale)
            continue;
        lease->policy_stale = stale;
        if (stale)
            log_message(LOG_WARNING,
                        "Lease %llu of uid %u stays, but the new policy would not grant it.",
                        (unsigned long long)lease->id, lease->holder);
        if (manager->listener)
            manager->listener->lease_changed(lease, manager->listener_data);
    }
}

static void take_policy(struct manager *manager, struct policy *policy, size_t n_warnings) {
    policy_free(manager->policy);
    manager->policy = policy;
    manager->policy_generation++;
    mark_stale_leases(manager);
    _cleanup_(freep) char *text = string_format(
        "Policy loaded: %zu rules, %zu warnings, generation %llu.", policy_rule_count(policy),
        n_warnings, (unsigned long long)manager->policy_generation);
    record_policy(manager, true, text ?: "Policy loaded.");
    manager_reserve_anew(manager);
}

static void reject_policy(struct manager *manager, const struct policy_report *report) {
    const struct policy_message *error = policy_report_first_error(report);
    _cleanup_(freep) char *first = error ? policy_message_format(error) : NULL;
    _cleanup_(freep) char *text = string_format(
        "Policy rejected, %s: %s",
        manager->policy ? "the old one stays" : "nothing is allowed until it is mended",
        first ?: "it could not be read");

    record_policy(manager, false, text ?: "Policy rejected.");
}

static bool has_main_file(const struct policy *policy) {
    for (const char *const *file = policy_files(policy); *file; file++)
        if (string_equal(path_basename(*file), "policy.json") && !strstr(*file, "/policy.d/"))
            return true;
    return false;
}

/* A policy that is to allow nothing says so in its file; one that is gone was lost. A file of
 * policy.d may go, as long as another one is left. */
static bool policy_vanished(const struct manager *manager, const struct policy *policy) {
    if (!manager->policy)
        return false;
    return (has_main_file(manager->policy) && !has_main_file(policy)) ||
           (*policy_files(manager->policy) && !*policy_files(policy));
}

static void reject_vanished(struct manager *manager) {
    _cleanup_(freep) char *text = string_format(
        "Policy rejected, the old one stays: %s/policy.json is gone; to allow nothing, write one "
        "without rules.",
        manager->options.config_directory);

    record_policy(manager, false, text ?: "Policy rejected.");
}

static void load_with_names(struct manager *manager, struct policy_load *load) {
    struct policy_names names = {.user = known_user, .group = known_group, .userdata = load};
    _cleanup_(policy_report_done) struct policy_report report = {0};
    struct policy *policy = NULL;
    int r = policy_load(manager->options.config_directory, &names, &policy, &report);

    log_report(&report);
    if (r == 0 && policy_vanished(manager, policy)) {
        policy_free(policy);
        reject_vanished(manager);
    } else if (r == 0)
        take_policy(manager, policy, report.n_warnings);
    else
        reject_policy(manager, &report);
}

/* Without the user database every name would look unknown, and be dropped. */
static void reject_unnamed(struct manager *manager, int error) {
    _cleanup_(freep) char *text = string_format(
        "Policy rejected, %s: the names in it could not be looked up: %s.",
        manager->policy ? "the old one stays" : "nothing is allowed until they are",
        strerror(-error));

    record_policy(manager, false, text ?: "Policy rejected.");
}

static void on_names(int result, const char *output, size_t size, void *userdata) {
    struct policy_load *load = userdata;
    struct manager *manager = load->manager;

    manager->policy_load = NULL;
    if (result >= 0)
        result = read_names(load, output);
    if (result >= 0)
        load_with_names(manager, load);
    else
        reject_unnamed(manager, result);
    forget_load(load);
    if (manager->policy_load_again) {
        manager->policy_load_again = false;
        int r = manager_load_policy(manager);
        if (r < 0)
            reject_unnamed(manager, r);
    } else if (manager->reloading) {
        manager->reloading = false;
        (void)sd_notify(false, "READY=1");
    }
}

int manager_load_policy(struct manager *manager) {
    if (manager->policy_load) {
        manager->policy_load_again = true;
        return 0;
    }
    struct policy_load *load = calloc(1, sizeof(*load));
    if (!load)
        return -ENOMEM;
    load->manager = manager;
    int r = worker_start(manager->loop, look_names_up, on_names, load, &load->worker);
    if (r < 0) {
        free(load);
        return r;
    }
    manager->policy_load = load;
    return 0;
}

void manager_cancel_policy_load(struct manager *manager) {
    if (!manager->policy_load)
        return;
    worker_free(manager->policy_load->worker);
    forget_load(manager->policy_load);
    manager->policy_load = NULL;
}
