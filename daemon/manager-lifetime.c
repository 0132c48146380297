/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Another lifetime for a lease that is there: handed over to a process that did not run yet when it was
 * claimed, or kept beyond the one that claimed it. State first: after a crash it is the one or the other. */
#include "manager.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "util/string.h"

struct kept {
    unsigned lifetime;
    pid_t pid;
    uint64_t start;
    char *unit;
};

/* The lease has what kept had, and the other way round. */
static void exchange(struct lease *lease, struct kept *kept) {
    struct kept old = {lease->lifetime, lease->kept_pid, lease->kept_start, lease->kept_unit};

    lease->lifetime = kept->lifetime;
    lease->kept_pid = kept->pid;
    lease->kept_start = kept->start;
    lease->kept_unit = kept->unit;
    *kept = old;
}

static bool is_same(const struct lease *lease, const struct claim *terms) {
    return lease->lifetime == terms->lifetime && lease->kept_pid == terms->kept_pid &&
           lease->kept_start == terms->kept_start &&
           string_equal(lease->kept_unit ?: "", terms->kept_unit ?: "");
}

/* The rules as they are now, for whom the lease was granted to. */
static enum outcome judge(struct manager *manager, const struct lease *lease, const struct claim *terms,
                          struct refusal *refusal) {
    _cleanup_(verdict_done) struct verdict verdict = {0};
    struct group *groups[CLAIM_GROUPS_MAX];
    struct claim claim = manager_claim_of(manager, lease, groups);

    /* The claimant may be in another unit now, or in none. */
    if (terms->caller.uid == lease->claimant)
        claim.caller = terms->caller;
    if (lease->holder == lease->claimant)
        claim.holder = claim.caller;
    claim.lifetime = terms->lifetime;
    claim.pid = terms->pid;
    claim.unit = terms->unit;
    claim.sender = terms->sender;
    struct verdict_request request = manager_request(manager, &claim);
    verdict_reach(&request, &verdict);
    if (reason_outcome(verdict.first) != OUTCOME_POLICY_DENIED)
        return OUTCOME_OK;
    return manager_refuse_by_verdict(manager, &claim, &request, &verdict, refusal);
}

static enum outcome refuse_failed(struct refusal *refusal, const struct lease *lease, int error) {
    if (error == -EUSERS)
        return refuse(refusal, OUTCOME_QUOTA_EXCEEDED,
                      "%d leases live with an fd or a process, the most that can be kept; release one.",
                      KEEPERS_MAX);
    return refuse(refusal, OUTCOME_NOT_VIABLE,
                  "Lease %llu keeps its lifetime, the new one can not be noted: %s.",
                  (unsigned long long)lease->id, strerror(-error));
}

/* kept is what it had before when this returns 0. */
static int change(struct manager *manager, struct lease *lease, struct kept *kept, int pidfd) {
    exchange(lease, kept);
    int r = state_save(manager->state, lease);
    if (r >= 0)
        r = manager_keep_instead(manager, lease, kept->lifetime, pidfd);
    if (r >= 0)
        return 0;
    exchange(lease, kept);
    manager_save_lease(manager, lease);
    return r;
}

static char *describe(unsigned lifetime, pid_t pid, const char *unit) {
    if (lifetime == POLICY_LIFETIME_PROCESS)
        return string_format("process %d", pid);
    if (lifetime == POLICY_LIFETIME_UNIT)
        return string_format("unit %s", unit);
    return strdup(policy_lifetime_to_string(lifetime));
}

static void record_change(struct manager *manager, const struct lease *lease, const struct kept *before,
                          uid_t by) {
    _cleanup_(freep) char *old = describe(before->lifetime, before->pid, before->unit);
    _cleanup_(freep) char *new = describe(lease->lifetime, lease->kept_pid, lease->kept_unit);
    char groups[256];

    lease_describe_groups(lease, groups, sizeof(groups));
    _cleanup_(freep) char *message =
        string_format("%s: the lifetime of lease %llu of uid %u is %s (before: %s), by uid %u.", groups,
                      (unsigned long long)lease->id, lease->holder, new ?: "another", old ?: "another", by);
    manager_record_lease(manager, AUDIT_LIFETIME, lease, NULL, message);
}

enum outcome manager_set_lifetime(struct manager *manager, struct lease *lease, const struct claim *terms,
                                  struct refusal *refusal) {
    struct kept kept = {terms->lifetime, terms->kept_pid, terms->kept_start, NULL};

    if (lease->state != LEASE_ACTIVE)
        return refuse(refusal, OUTCOME_NO_SUCH_LEASE, "Lease %llu has ended; its groups are draining.",
                      (unsigned long long)lease->id);
    if (is_same(lease, terms))
        return OUTCOME_OK;
    enum outcome outcome = judge(manager, lease, terms, refusal);
    if (outcome != OUTCOME_OK)
        return outcome;
    kept.unit = strdup(terms->kept_unit ?: "");
    int r = kept.unit ? change(manager, lease, &kept, terms->pidfd) : -ENOMEM;
    if (r >= 0) {
        lease->policy_stale = false; /* it was judged just now */
        record_change(manager, lease, &kept, terms->caller.uid);
        if (manager->listener)
            manager->listener->lease_lifetime_changed(lease, kept.unit ?: "", manager->listener_data);
    } else {
        outcome = refuse_failed(refusal, lease, r);
    }
    free(kept.unit);
    return outcome;
}
