/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A claim that was sent again, with the key of a lease: the caller did not hear the answer. */
#include "manager.h"

#include <errno.h>
#include <string.h>

#include "util/string.h"

static bool has_same_groups(const struct lease *lease, const struct claim *claim) {
    size_t n = 0;

    for (size_t i = 0; i < claim->n_groups; i++)
        n += claim->groups[i]->lease == lease;
    return n == claim->n_groups && n == lease->n_groups && !claim->n_groupless;
}

static bool has_same_terms(const struct lease *lease, const struct claim *claim) {
    return lease->holder == claim->holder.uid && lease->mode == claim->mode &&
           lease->lifetime == claim->lifetime && lease->container == claim->container &&
           (claim->interface == LEASE_INTERFACE_DEFAULT || claim->interface == lease->interface) &&
           lease->kept_pid == claim->kept_pid &&
           string_equal(lease->kept_unit ?: "", claim->kept_unit ?: "");
}

struct lease *manager_find_repeated(struct manager *manager, const struct claim *claim,
                                    bool *ret_same) {
    struct lease *lease =
        lease_book_find_key(&manager->leases, claim->caller.uid, claim->key);

    if (lease)
        *ret_same = has_same_groups(lease, claim) && has_same_terms(lease, claim);
    return lease;
}

static bool passes_fds(const struct claim *claim) {
    return claim->mode == POLICY_MODE_FD || claim->lifetime == POLICY_LIFETIME_FD;
}

bool manager_repeat_is_denied(const struct claim *claim, enum reason first) {
    return passes_fds(claim) && reason_outcome(first) == OUTCOME_POLICY_DENIED;
}

/* Fds are access given anew: policy may have changed, and the caller may be in another unit. */
static enum outcome judge_again(struct manager *manager, const struct claim *claim,
                                struct refusal *refusal) {
    struct verdict_request request = manager_request(manager, claim);
    _cleanup_(verdict_done) struct verdict verdict = {0};

    verdict_reach(&request, &verdict);
    if (!manager_repeat_is_denied(claim, verdict.first))
        return OUTCOME_OK;
    return manager_refuse_by_verdict(manager, claim, &request, &verdict, refusal);
}

static enum outcome refuse_again(struct refusal *refusal, const struct lease *lease,
                                 const char *node, int error) {
    if (error == -EBUSY)
        return refuse(refusal, OUTCOME_BUSY,
                      "The fds of lease %llu were passed already, and %s is still open; they can "
                      "be passed again when that is closed.",
                      (unsigned long long)lease->id, node);
    return refuse(refusal, OUTCOME_NOT_VIABLE, "The fds of lease %llu can not be opened again: %s.",
                  (unsigned long long)lease->id, strerror(-error));
}

int manager_claim_again(struct manager *manager, const struct claim *claim,
                        const struct lease *lease, struct lease_fds *fds, struct refusal *refusal) {
    const char *node = NULL;
    int r = judge_again(manager, claim, refusal);

    if (r != OUTCOME_OK)
        return r;
    if (lease->mode == POLICY_MODE_FD)
        r = manager_open_lease(manager, lease, claim->container, fds, &node);
    if (r >= 0 && lease->lifetime == POLICY_LIFETIME_FD)
        r = manager_copy_keeper(manager, lease, fds);
    if (r >= 0)
        return OUTCOME_OK;
    lease_fds_done(fds);
    return refuse_again(refusal, lease, node, r);
}
