/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls, and the requests that they make to the verdict. */
#include "subject.h"

#include <stdio.h>
#include <string.h>

#include "util/string.h"

static struct policy_subject user_subject(enum user user) {
    static const gid_t alice[] = {1001, DMAOWN_GID};

    return (struct policy_subject){.uid = user_ids[user],
                                   .gids = user == USER_ALICE ? alice : NULL,
                                   .n_gids = user == USER_ALICE ? 2 : 0};
}

static bool add_target(struct subject *subject, const char *target, struct subject_request *ret) {
    struct group *group;
    struct device *device;

    if (model_find_target(&subject->model, target, &group, &device) != TARGET_FOUND)
        return false;
    for (size_t i = 0; group && i < ret->request.n_groups; i++)
        if (ret->groups[i] == group)
            return true;
    if (group)
        ret->groups[ret->request.n_groups++] = group;
    else
        ret->groupless[ret->request.n_groupless++] = device;
    return true;
}

bool subject_request(struct subject *subject, const struct naive_query *query,
                     struct subject_request *ret) {
    char target[16];

    subject->host.has_iommu = subject->model.n_groups > 0;
    ret->request = (struct verdict_request){
        .host = &subject->host,
        .policy = subject->policy,
        .leases = &subject->book,
        .caller = user_subject(query->claimant),
        .holder = user_subject(query->holder),
        .mode = query->mode,
        .lifetime = query->lifetime,
        .ttl = query->ttl,
        .groups = ret->groups,
        .groupless = ret->groupless,
    };
    for (int i = 0; i < N_GROUPS; i++) {
        snprintf(target, sizeof(target), "%d", FIRST_GROUP + i);
        if (query->targets & 1u << i && !add_target(subject, target, ret))
            return false;
    }
    return query->place == NO_PLACE || add_target(subject, places[query->place].name, ret);
}

static const char *join_rules(const struct verdict *verdict, char *text, size_t size) {
    size_t used = 0;

    text[0] = 0;
    for (size_t i = 0; i < verdict->n_rules; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? "," : "",
                                 verdict->rules[i]->name);
    return text;
}

static struct lease *make_lease(struct subject *subject, const struct naive *kernel,
                                const struct event *event, const struct verdict_request *request,
                                const struct verdict *verdict) {
    struct lease *lease = lease_new(request->n_groups);
    uint64_t ttl = event->ttl ?: verdict->terms.max_ttl;
    char rules[256], key[16] = "", sender[32];

    if (event->key)
        snprintf(key, sizeof(key), "key-%u", event->key);
    snprintf(sender, sizeof(sender), ":%u.%u", event->slot, kernel->serials[event->slot]);
    lease->id = subject->next_id++;
    lease->claimant = request->caller.uid;
    lease->holder = request->holder.uid;
    lease->pid = 4711;
    lease->unit = strdup("");
    lease->sender = strdup(sender);
    lease->bus_id = strdup("0123456789abcdef");
    lease->rule = strdup(join_rules(verdict, rules, sizeof(rules)));
    lease->key = strdup(key);
    lease->comment = strdup("");
    lease->mode = event->mode;
    lease->lifetime = event->lifetime;
    lease->container = event->container;
    lease->since = 1;
    lease->expires = ttl ? (kernel->now + ttl) * 1000000 : 0;
    for (size_t i = 0; i < request->n_groups; i++) {
        lease->groups[i].id = request->groups[i]->id;
        for (struct device *at = request->groups[i]->members; at; at = at->next_member)
            (void)strings_append(&lease->groups[i].devices, at->path);
    }
    return lease;
}

/* Nobody is granted what a kernel driver has a part of, or what somebody else has. */
static void check_grant(struct subject *subject, const struct verdict_request *request) {
    for (size_t i = 0; i < request->n_groups; i++) {
        subject_must(subject, !request->groups[i]->lease, "a group is granted twice");
        for (struct device *at = request->groups[i]->members; at; at = at->next_member)
            subject_must(subject,
                         !at->driver || strstr(at->driver, "vfio") ||
                             strncmp(at->driver, "pci", 3) == 0,
                         "a group is granted beside a kernel driver");
    }
}

/* Which of several open groups is met first is nobody's business: the lowest, as the statement has it. */
static struct group *first_open(const struct naive *kernel, const struct verdict_request *request) {
    struct group *first = NULL;

    for (size_t i = 0; i < request->n_groups; i++) {
        struct group *group = request->groups[i];
        if (kernel->groups[group->id - FIRST_GROUP].opener >= 0 && (!first || group->id < first->id))
            first = group;
    }
    return first;
}

static struct naive_answer grant(struct subject *subject, const struct naive *kernel,
                                 const struct event *event, const struct verdict_request *request,
                                 const struct verdict *verdict) {
    struct group *open = first_open(kernel, request);

    if (open) {
        model_set_open(&subject->model, open, true);
        return (struct naive_answer){.error = "ForeignOwner"};
    }
    check_grant(subject, request);
    struct lease *lease = make_lease(subject, kernel, event, request, verdict);
    if (!subject_must(subject, lease_book_add(&subject->book, lease) == 0, "an id is taken")) {
        lease_free(lease);
        return (struct naive_answer){.error = ""};
    }
    for (size_t i = 0; i < request->n_groups; i++) {
        model_set_lease(&subject->model, request->groups[i], lease);
        if (event->mode == MODE_FD)
            model_set_open(&subject->model, request->groups[i], true);
    }
    return (struct naive_answer){.error = "", .lease = (unsigned)lease->id};
}

static struct naive_answer retry(const struct lease *lease, const struct naive *kernel,
                                 const struct event *event,
                                 const struct verdict_request *request) {
    bool fd = event->mode == MODE_FD, open = false, counted = false;
    size_t n = 0;

    for (size_t i = 0; i < request->n_groups; i++) {
        n += request->groups[i]->lease == lease;
        open = open || kernel->groups[request->groups[i]->id - FIRST_GROUP].opener >= 0;
        counted = counted || group_has_role(request->groups[i], ROLE_KERNEL);
    }
    if (n != request->n_groups || n != lease->n_groups || request->n_groupless ||
        lease->holder != request->holder.uid || lease->mode != event->mode ||
        lease->lifetime != event->lifetime || lease->container != event->container)
        return (struct naive_answer){.error = "InvalidOption"};
    if ((fd || event->lifetime == LIFETIME_FD) &&
        reason_outcome(verdict_first_reason(request)) == OUTCOME_POLICY_DENIED)
        return (struct naive_answer){.error = "PolicyDenied"};
    if (fd && open)
        return (struct naive_answer){.error = "Busy"};
    if (fd && counted && event->container)
        return (struct naive_answer){.error = "NotViable"};
    return (struct naive_answer){.error = "", .lease = (unsigned)lease->id, .same = true};
}

static struct naive_answer claim(struct subject *subject, const struct naive *kernel,
                                 const struct event *event) {
    struct naive_query query = {
        .claimant = slot_users[event->slot],
        .holder = (enum user)event->holder,
        .mode = event->mode,
        .lifetime = event->lifetime,
        .ttl = event->ttl,
        .targets = event->targets,
        .place = event->place,
    };
    _cleanup_(verdict_done) struct verdict verdict = {0};
    struct subject_request words;
    char key[16] = "";

    if (event->ttl == TTL_BAD || (event->mode == MODE_FD && query.holder != query.claimant))
        return (struct naive_answer){.error = "InvalidOption"};
    if (!subject_request(subject, &query, &words))
        return (struct naive_answer){.error = "NoSuchTarget"};
    if (event->key)
        snprintf(key, sizeof(key), "key-%u", event->key);
    const struct lease *lease =
        lease_book_find_key(&subject->book, words.request.caller.uid, key);
    if (lease)
        return retry(lease, kernel, event, &words.request);
    verdict_reach(&words.request, &verdict);
    if (verdict.grantable)
        return grant(subject, kernel, event, &words.request, &verdict);
    return (struct naive_answer){
        .error = strrchr(outcome_error_name(reason_outcome(verdict.first)), '.') + 1};
}

static struct naive_answer release(struct subject *subject, const struct naive *kernel,
                                   const struct event *event) {
    struct lease *lease =
        lease_book_find(&subject->book, naive_pick_lease(kernel, event->argument));
    enum user user = slot_users[event->slot];
    bool revoke = event->kind == EVENT_REVOKE;

    if (revoke && user != USER_ROOT)
        return (struct naive_answer){.error = "AccessDenied"};
    if (!lease)
        return (struct naive_answer){.error = "NoSuchLease"};
    if (lease->claimant != user_ids[user] && user != USER_ROOT)
        return (struct naive_answer){.error = "NotHolder"};
    uint64_t id = lease->id;
    subject_end_lease(lease, revoke ? LEASE_END_REVOKED : LEASE_END_RELEASED);
    subject_follow_up(subject, kernel);
    return (struct naive_answer){
        .error = revoke && lease_book_find(&subject->book, id) ? "Busy" : ""};
}

struct naive_answer subject_call(struct subject *subject, const struct naive *kernel,
                                 const struct event *event) {
    subject_go_up(subject, kernel);
    if (event->kind == EVENT_CLAIM)
        return claim(subject, kernel, event);
    if (event->kind != EVENT_RELOAD)
        return release(subject, kernel, event);
    if (slot_users[event->slot] != USER_ROOT)
        return (struct naive_answer){.error = "AccessDenied"};
    subject->policy_file = event->argument;
    if (!subject->policies[event->argument])
        return (struct naive_answer){.error = "PolicyInvalid"};
    subject->policy = subject->policies[event->argument];
    return (struct naive_answer){.error = ""};
}
