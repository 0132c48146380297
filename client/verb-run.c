/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/bus.h"
#include "client/claim.h"
#include "client/json.h"
#include "client/listen-fds.h"
#include "client/table.h"
#include "client/text.h"
#include "util/string.h"

/* ---- The user -------------------------------------------------------------------------------- */

/* Whom the command runs as; name is NULL if it stays the caller. */
struct run_user {
    uid_t uid;
    gid_t gid;
    char *name, *home;
};

static void run_user_done(struct run_user *user) {
    free(user->name);
    free(user->home);
}

static enum exit_status run_user_read(const struct client *client,
                                      const struct arguments *arguments, struct run_user *ret) {
    const char *text = arguments_value(arguments, "user");
    uid_t uid;

    if (!text)
        return STATUS_DONE;
    if (geteuid() != 0)
        return client_fail(client, STATUS_DENIED, "only root can run a command as another user");
    /* A number without an entry has no groups, home or name. */
    struct passwd *entry = user_parse(text, &uid) == 0 ? getpwuid(uid) : NULL;
    if (!entry)
        return client_fail(client, STATUS_USAGE, "there is no user '%s'", text);
    *ret = (struct run_user){
        .uid = entry->pw_uid,
        .gid = entry->pw_gid,
        .name = strdup(entry->pw_name),
        .home = strdup(entry->pw_dir),
    };
    return ret->name && ret->home ? STATUS_DONE : client_fail_memory(client);
}

/* In mode path, access goes to the user who will need it. */
static enum exit_status run_user_hold(const struct client *client, const struct run_user *user,
                                      struct call_options *options) {
    if (!user->name || user->uid == geteuid() || call_options_say(options, "mode", "fd") ||
        call_options_find(options, "uid"))
        return STATUS_DONE;
    return call_options_set_uid(client, options, user->uid);
}

/* HOME, USER and LOGNAME as "runuser -u" sets them: root's names stay the caller's. */
static enum exit_status run_user_become(const struct client *client, const struct run_user *user) {
    if (!user->name)
        return STATUS_DONE;
    if (initgroups(user->name, user->gid) < 0 || setgid(user->gid) < 0 || setuid(user->uid) < 0)
        return client_fail(client, STATUS_ERROR, "cannot become the user '%s': %s", user->name,
                           strerror(errno));
    if (setenv("HOME", user->home, 1) < 0 ||
        (user->uid != 0 &&
         (setenv("USER", user->name, 1) < 0 || setenv("LOGNAME", user->name, 1) < 0)))
        return client_fail_memory(client);
    return STATUS_DONE;
}

/* ---- The lease ------------------------------------------------------------------------------- */

/* The numbers of the groups with spaces between; the caller's, NULL when out of memory. */
static char *groups_join(json_object *groups) {
    char *joined = strdup("");

    for (size_t i = 0; joined && i < json_length(groups); i++) {
        _cleanup_(freep) char *number = object_value_format(json_object_array_get_idx(groups, i));
        char *longer = number ? string_format("%s%s%s", joined, i ? " " : "", number) : NULL;
        free(joined);
        joined = longer;
    }
    return joined;
}

static enum exit_status lease_export(struct client *client, const char *path) {
    _cleanup_(json_putp) json_object *lease = NULL;
    enum exit_status status = object_read(client, path, LEASE_INTERFACE, &lease);

    if (status != STATUS_DONE)
        return status;
    _cleanup_(freep) char *groups = groups_join(json_member(lease, "groups"));
    if (!groups || setenv("DMAOWND_LEASE", path_basename(path), 1) < 0 ||
        setenv("DMAOWND_GROUPS", groups, 1) < 0)
        return client_fail_memory(client);
    return STATUS_DONE;
}

/* Claims, and leaves what the command shall have in ret and in the environment. */
static enum exit_status run_claim(struct client *client, const struct arguments *arguments,
                                  const struct call_options *options, struct listen_fds *ret) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    const char *path;
    enum exit_status status = claim_call_new(client, arguments, options, &call);

    if (status == STATUS_DONE)
        status = call_send_late(client, call, call_options_wait(options), &reply);
    if (status != STATUS_DONE)
        return status;
    int r = sd_bus_message_read(reply, "o", &path);
    if (r >= 0)
        r = listen_fds_read(reply, ret);
    if (r < 0)
        return client_fail_reply(client, r);
    status = lease_export(client, path);
    if (status == STATUS_DONE && listen_fds_set_environment(ret) < 0)
        status = client_fail_memory(client);
    return status;
}

/* ---- The command ----------------------------------------------------------------------------- */

/* Comes back only if it failed. */
static enum exit_status execute(const struct client *client, char **command,
                                struct listen_fds *fds) {
    int r = listen_fds_place(fds);

    if (r < 0)
        return client_fail(client, STATUS_ERROR, "file descriptors cannot be passed: %s",
                           strerror(-r));
    (void)execvp(command[0], command);
    return client_fail(client, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE,
                       "'%s' cannot be executed: %s", command[0], strerror(errno));
}

static enum exit_status run_run(struct client *client, const struct arguments *arguments) {
    _cleanup_(call_options_done) struct call_options options = {0};
    _cleanup_(listen_fds_done) struct listen_fds fds = {0};
    _cleanup_(run_user_done) struct run_user user = {0};
    enum exit_status status = claim_options_read(client, arguments, "fd", &options);

    if (status == STATUS_DONE)
        status = run_user_read(client, arguments, &user);
    if (status == STATUS_DONE)
        status = run_user_hold(client, &user, &options);
    if (status == STATUS_DONE)
        status = run_claim(client, arguments, &options, &fds);
    client_disconnect(client);
    if (status == STATUS_DONE)
        status = run_user_become(client, &user);
    return status == STATUS_DONE ? execute(client, arguments->command, &fds) : status;
}

static const struct verb_option run_options[] = {
    CLAIM_OPTIONS,
    LEASE_OPTIONS,
    {"user", 'u', "USER", "run as this user, who also gets access"},
    {NULL},
};

const struct verb verb_run = {
    .name = "run",
    .synopsis = "TARGET... -- COMMAND [ARGUMENT]...",
    .summary = "Claims groups and runs a command that holds them",
    .help = "Claims as 'dmaownctl claim' does and becomes the command, whose pid, signals and\n"
            "status are its own. The lease ends when the command and every process that it\n"
            "gave the file descriptor of the lease to are gone. Descriptors are passed by the\n"
            "LISTEN_FDS convention: lease, and in mode fd container, iommufd, group-7,\n"
            "device-0000_00_05.0; all others above 2 are closed. DMAOWND_LEASE and\n"
            "DMAOWND_GROUPS say what was granted. A command that was not found ends with 127,\n"
            "one that cannot be executed with 126. --user is for root.\n",
    .options = run_options,
    .command = true,
    .min_words = 1,
    .max_words = VERB_ARGUMENTS_MAX,
    .run = run_run,
};
