/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Revoke answers late: when the lease has ended, or when it is clear that somebody still has its
 * groups open, and who. */
#include "bus/claim.h"

#include <errno.h>
#include <string.h>

#include "bus/options.h"
#include "util/string.h"

/* How long the look for openers may take, and how long a holder has to answer the kernel's request. */
#define LOOK_SECONDS 5.
#define UNBIND_SECONDS 10.

static int answer_open(struct call *call, const struct lease *lease) {
    _cleanup_(freep) char *openers = strings_join(lease->openers, ", ");

    int error = manager_drain_error(call->bus->manager, lease);

    if (error < 0)
        return call_fail(call, OUTCOME_BUSY,
                         "Access of lease %llu was taken back, but a VFIO driver could not be "
                         "unbound: %s; it is tried again.",
                         (unsigned long long)lease->id, strerror(-error));
    return call_fail(call, OUTCOME_BUSY,
                     "Access of lease %llu was taken back, but %s still has it open%s; it drains "
                     "until that is closed.",
                     (unsigned long long)lease->id,
                     openers && *openers ? openers : "a process that can not be named",
                     lease->unbind ? ", though its VFIO drivers are being unbound"
                                   : " (with unbind, the kernel asks it to let go)");
}

/* The lease was revoked: what has become of it. */
static int follow(struct call *call) {
    const struct lease *lease =
        lease_book_find(&call->bus->manager->leases, call->revoked_lease);

    if (!lease) {
        int r = sd_bus_reply_method_return(call->message, NULL);
        return r < 0 ? r : CALL_DONE;
    }
    if (lease->state == LEASE_ACTIVE)
        return call_wait_for_lease(call, 0);
    bool seen = !lease->unbind && lease->openers;
    if (seen || call->time_is_over)
        return answer_open(call, lease);
    return call_wait_for_lease(call, lease->unbind ? UNBIND_SECONDS : LOOK_SECONDS);
}

int run_revoke(struct call *call) {
    _cleanup_(refusal_done) struct refusal refusal = {0};
    struct revoke_options options;
    const char *path;

    if (call->revoked_lease)
        return follow(call);
    int r = sd_bus_message_read(call->message, "o", &path);
    if (r >= 0)
        r = revoke_options_read(call->message, &options, &refusal);
    if (r != OUTCOME_OK)
        return r < 0 ? r : call_fail(call, refusal.outcome, "%s", refusal.text ?: "");
    r = call_require_privilege(call, OUTCOME_ACCESS_DENIED);
    if (r != CALL_PROCEEDS)
        return r;
    struct lease *lease = bus_find_lease(call->bus->manager, path);
    if (!lease)
        return call_fail(call, OUTCOME_NO_SUCH_LEASE, "There is no such lease; it has ended.");
    /* Before anything is done: a call that can not be followed does nothing. */
    r = call_wait_for_lease(call, 0);
    if (r != CALL_WAITS)
        return r;
    uint64_t id = lease->id;
    manager_revoke(call->bus->manager, lease, options.timeout, options.unbind);
    call->revoked_lease = id;
    return follow(call);
}
