/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What must hold when the daemon was killed while it moved two groups, and was started again: soon
 * everything is as it was before or as it is afterwards; no override is left behind and no record of what
 * is not moved; who was told that it is done can rely on it; and if anything was written to the kernel,
 * there is an entry in the journal.
 */
#include "caller.h"
#include "killer.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE (10 * 1000) /* ms */
#define LOG "/run/fakekernel/dmaownd.log"
#define STATE "/run/dmaownd"
#define TEXT 4096

static char *targets[] = {(char *) "8", (char *) "9"};
static char before[TEXT], away[TEXT];

static int drivers(char *to) {
    return kernel_ask("drivers", NULL, to, TEXT);
}

/* Waits for the answer. */
static bool call_now(const char *member, const char *where) {
    int r = send_targets(member, 2, targets, 0, NULL);

    if (r >= 0)
        r = follow(NULL);
    return says(r >= 0 && !asked.failed, where, "%s does not work", member);
}

static bool learn(const char *where) {
    if (*before)
        return true;
    if (drivers(before) != 0 || !call_now("Detach", where) || drivers(away) != 0 ||
        !call_now("Reattach", where))
        return false;
    return says(strcmp(before, away) != 0, where, "nothing is moved");
}

static unsigned writes(void) {
    char text[64];

    return kernel_ask("writes", "count", text, sizeof(text)) == 0 ? (unsigned) atoi(text) : 0;
}

static unsigned entries(void) {
    static const char *const events[] = {"DMAOWND_EVENT=detached ", "DMAOWND_EVENT=reattached ",
                                         "DMAOWND_EVENT=switch-failed "};
    char line[4096];
    unsigned n = 0;
    FILE *file = fopen(LOG, "re");

    while (file && fgets(line, sizeof(line), file))
        for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++)
            n += strstr(line, events[i]) != NULL;
    if (file)
        fclose(file);
    return n;
}

static unsigned records(void) {
    struct dirent *entry;
    unsigned n = 0;
    DIR *folder = opendir(STATE);

    while (folder && (entry = readdir(folder)))
        n += strncmp(entry->d_name, "switch-", 7) == 0;
    if (folder)
        closedir(folder);
    return n;
}

/* The groups that the daemon moves now, as who may have them is told; -1 if it does not say. */
static int switching(void) {
    sd_bus_message *reply = NULL;
    const char *owner, *reason, *node, *path;
    uint32_t id, count;
    int n = 0, r;

    r = sd_bus_call_method(alice, NAME, PATH, MANAGER, "ListGroups", NULL, &reply, "");
    if (r >= 0)
        r = sd_bus_message_enter_container(reply, 'a', "(ussuso)");
    while (r >= 0 && (r = sd_bus_message_read(reply, "(ussuso)", &id, &owner, &reason, &count, &node,
                                              &path)) > 0)
        n += strcmp(reason, "switching") == 0;
    sd_bus_message_unref(reply);
    return r < 0 ? -1 : n;
}

/* The lines of a group's devices are those of the other text. */
static bool is_group_as(const char *text, const char *other, bool eight) {
    while (*text && *other) {
        size_t length = strcspn(text, "\n"), other_length = strcspn(other, "\n");
        bool is_eight = strncmp(text, "0000:00:08.0", strlen("0000:00:08.0")) != 0;

        if (is_eight == eight && (length != other_length || strncmp(text, other, length) != 0))
            return false;
        text += length + (text[length] != '\0');
        other += other_length + (other[other_length] != '\0');
    }
    return *text == *other;
}

/* How many groups are away, or -1 if one is neither there nor back. Each has a record of its own and may
 * come back alone. */
static int groups_away(const char *text) {
    int n = 0;

    for (int group = 0; group < 2; group++) {
        if (is_group_as(text, away, group))
            n++;
        else if (!is_group_as(text, before, group))
            return -1;
    }
    return n;
}

/* Each group that is away is on record, alone or, if the daemon was killed then, with the other. */
static bool is_on_record(int gone) {
    int n = (int) records();

    return gone >= 0 && n <= gone && (n > 0) == (gone > 0);
}

/* Until it has come to an end; what it is then is in text. What was read before the daemon said that nothing
 * moves may have moved since. */
static bool settle(char *text, const char *where) {
    char again[TEXT];

    for (int i = 0; i < PATIENCE / 10; i++) {
        if (drivers(text) != 0)
            return false;
        bool still = is_on_record(groups_away(text)) && switching() == 0;
        if (still && drivers(again) == 0 && strcmp(again, text) == 0)
            return true;
        usleep(10 * 1000);
    }
    return says(false, where, "neither there nor back, %u records:\n%s", records(), text);
}

static bool is_as_it_must(enum switched what, const struct seen *seen, const char *text,
                          const char *where) {
    static const int wanted[] = {2, 0, 2};
    bool told = asked.answered && !asked.failed;
    int gone = groups_away(text);
    bool good = says(!told || gone == wanted[what], where, "it was answered and is not done");

    if (what == SWITCHED_CLAIM)
        good &= says(seen->n_leases == gone / 2, where, "%d leases, and %d groups are away",
                     seen->n_leases, gone);
    return good & says(what == SWITCHED_BACK || gone != 1, where, "only one of the groups was moved");
}

/* Back to the beginning. */
static bool tidy(const struct seen *seen, char *text, const char *where) {
    for (int i = 0; i < seen->n_leases; i++)
        sd_bus_call_method(alice, NAME, PATH, MANAGER, "Release", NULL, NULL, "o", seen->leases[i].path);
    if (seen->n_leases == 0 && groups_away(text) > 0 && !call_now("Reattach", where))
        return false;
    for (int i = 0; i < PATIENCE / 10 && seen->n_leases; i++) {
        if (drivers(text) != 0 || groups_away(text) == 0)
            break;
        usleep(10 * 1000);
    }
    return settle(text, where) && says(groups_away(text) == 0, where, "it does not go back");
}

static int send_switch(enum switched what) {
    static char *options[] = {(char *) "lifetime=persistent", (char *) "detach=b:true",
                              (char *) "reattach=b:true"};

    if (what == SWITCHED_CLAIM)
        return send_targets("Claim", 2, targets, 3, options);
    return send_targets(what == SWITCHED_BACK ? "Reattach" : "Detach", 2, targets, 0, NULL);
}

int try_switch_point(enum switched what, unsigned point, unsigned *ret_calls, const char *where) {
    unsigned entries_before, written;
    char text[TEXT];
    struct trace trace;
    struct seen seen;
    bool good = true;
    int r;

    if (!learn(where) || (what == SWITCHED_BACK && !call_now("Detach", where)))
        return -EIO;
    kernel_ask("writes", "clear", text, sizeof(text));
    entries_before = entries();
    r = trace_begin(&trace, daemon_pid());
    trace_arm(&trace, point);
    if (r >= 0)
        r = send_switch(what);
    if (r >= 0)
        r = follow(&trace);
    good &= says(r >= 0, where, "it hangs: %s", strerror(-r));
    trace_end(&trace);
    *ret_calls = trace.calls;
    if (trace.dead && !start_daemon(where))
        return -EIO;
    if (!settle(text, where) || look(alice, &seen) < 0)
        return -EIO;
    written = writes();
    good &= is_as_it_must(what, &seen, text, where);
    good &= says(!written || entries() > entries_before, where,
                 "%u writes, and no entry in the journal", written);
    if (!tidy(&seen, text, where))
        return -EIO;
    return good ? !trace.dead : -EBADE;
}
