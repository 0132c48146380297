/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/exit-status.h"

#include <stddef.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/string.h"

#define OURS "org.dmaownd1.Error."
#define BUS "org.freedesktop.DBus.Error."

static const struct {
    const char *name;
    enum exit_status status;
} errors[] = {
    {OURS "InvalidOption", STATUS_USAGE},
    {OURS "NoSuchTarget", STATUS_NO_SUCH},
    {OURS "PolicyDenied", STATUS_DENIED},
    {OURS "Busy", STATUS_OWNED},
    {OURS "AlreadyOwned", STATUS_OWNED},
    {OURS "ForeignOwner", STATUS_OWNED},
    {OURS "DeviceInUse", STATUS_NOT_VIABLE},
    {OURS "KernelHeld", STATUS_NOT_VIABLE},
    {OURS "NotViable", STATUS_NOT_VIABLE},
    {OURS "QuotaExceeded", STATUS_OWNED},
    {OURS "NoSuchLease", STATUS_NO_SUCH},
    {OURS "NotHolder", STATUS_DENIED},
    {OURS "PolicyInvalid", STATUS_ERROR},
    {OURS "SwitchFailed", STATUS_NOT_VIABLE},
    {BUS "AccessDenied", STATUS_DENIED},
    {BUS "AuthFailed", STATUS_DENIED},
    {BUS "InteractiveAuthorizationRequired", STATUS_DENIED},
    {BUS "InvalidArgs", STATUS_USAGE},
    {BUS "InvalidSignature", STATUS_USAGE},
    {BUS "LimitsExceeded", STATUS_OWNED},
    {BUS "UnknownObject", STATUS_NO_SUCH},
    {BUS "ServiceUnknown", STATUS_UNREACHABLE},
    {BUS "NameHasNoOwner", STATUS_UNREACHABLE},
    {BUS "NoReply", STATUS_UNREACHABLE},
    {BUS "NoServer", STATUS_UNREACHABLE},
    {BUS "Disconnected", STATUS_UNREACHABLE},
    {BUS "Timeout", STATUS_UNREACHABLE},
    {BUS "TimedOut", STATUS_UNREACHABLE},
    {"org.freedesktop.systemd1.NoSuchUnit", STATUS_UNREACHABLE},
    {"org.freedesktop.systemd1.UnitMasked", STATUS_UNREACHABLE},
};

/* The reasons of each error that a claim can end with, as the API lists them. */
static const struct {
    const char *error;
    const char *reasons[20];
} reasons_of[] = {
    {OURS "PolicyDenied",
     {"policy-denied", "no-rule", "mode-denied", "lifetime-denied", "delegate-denied",
      "detach-denied"}},
    {OURS "Busy", {"switching", "draining"}},
    {OURS "AlreadyOwned", {"leased"}},
    {OURS "ForeignOwner", {"open-elsewhere"}},
    {OURS "DeviceInUse",
     {"mounted", "swap", "held", "address", "route", "enslaved", "netdev-elsewhere",
      "boot-display", "console", "open-node", "vfs-in-use"}},
    {OURS "KernelHeld", {"kernel-driver", "unsafe-uio"}},
    {OURS "NotViable",
     {"no-group", "no-vfio-driver", "no-node", "node-open-to-others", "kernel-disagrees",
      "direct-region", "no-iommu", "not-enforced", "old-kernel", "no-reset", "not-reset",
      "no-interrupt-remapping", "split", "half", "pf-owned"}},
    {OURS "QuotaExceeded", {"quota"}},
};

enum exit_status exit_status_from_error(const char *name) {
    if (!name)
        return STATUS_ERROR;
    for (size_t i = 0; i < ELEMENTS_OF(errors); i++)
        if (strcmp(errors[i].name, name) == 0)
            return errors[i].status;
    /* Spawn.*: the bus could not start the daemon. */
    return string_after(name, BUS "Spawn.") ? STATUS_UNREACHABLE : STATUS_ERROR;
}

/* The error that a reason belongs to, or NULL. */
static const char *error_of_reason(const char *reason) {
    for (size_t i = 0; i < ELEMENTS_OF(reasons_of); i++)
        for (const char *const *known = reasons_of[i].reasons; *known; known++)
            if (strcmp(*known, reason) == 0)
                return reasons_of[i].error;
    return NULL;
}

bool reason_is_use(const char *reason) {
    return string_equal(error_of_reason(reason), OURS "DeviceInUse");
}

enum exit_status exit_status_from_reason(const char *reason) {
    if (!*reason)
        return STATUS_DONE;
    return exit_status_from_error(error_of_reason(reason));
}
