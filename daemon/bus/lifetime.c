/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SetLifetime and FindLease: for whoever claims before what is to hold the lease runs. */
#include <errno.h>

#include "bus/claim.h"
#include "bus/keeper.h"
#include "bus/question.h"

static int refuse_ended(struct call *call) {
    return call_fail(call, OUTCOME_NO_SUCH_LEASE, "There is no such lease; it has ended.");
}

static int read_terms(struct call *call, struct claim *ret) {
    _cleanup_(refusal_done) struct refusal refusal = {0};
    struct claim_options options;
    int r = sd_bus_message_rewind(call->message, true);

    if (r >= 0)
        r = lifetime_options_read(call->message, &options, &refusal);
    if (r != OUTCOME_OK)
        return call_refuse(call, r, &refusal);
    *ret = call_claim(call);
    ret->lifetime = options.lifetime;
    return call_take_keeper(call, &options, ret);
}

int call_set_lifetime(struct call *call, struct lease *lease) {
    _cleanup_(refusal_done) struct refusal refusal = {0};
    struct claim terms;

    if (!lease)
        return refuse_ended(call);
    if (lease->claimant != call->caller->uid) {
        int r = call_require_privilege(call, OUTCOME_NOT_HOLDER);
        if (r != CALL_PROCEEDS)
            return r;
    }
    int r = read_terms(call, &terms);
    if (r != CALL_PROCEEDS)
        return r;
    r = (int)manager_set_lifetime(call->bus->manager, lease, &terms, &refusal);
    if (r != OUTCOME_OK)
        return call_refuse(call, r, &refusal);
    r = sd_bus_reply_method_return(call->message, NULL);
    return r < 0 ? r : CALL_DONE;
}

int run_find_lease(struct call *call) {
    char path[BUS_PATH_MAX];
    const char *key;
    int r = sd_bus_message_read(call->message, "s", &key);

    if (r < 0)
        return r;
    const struct lease *lease = lease_book_find_key(&call->bus->manager->leases, call->caller->uid, key);
    if (!lease)
        return call_fail(call, OUTCOME_NO_SUCH_LEASE, "Uid %u has no active lease under this key.",
                         call->caller->uid);
    r = sd_bus_reply_method_return(call->message, "o", bus_lease_path(lease->id, path));
    return r < 0 ? r : CALL_DONE;
}
