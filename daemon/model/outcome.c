/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/outcome.h"

#include <errno.h>
#include <string.h>

#define ERROR(name) "org.dmaownd1.Error." name

static const char *const error_names[OUTCOME_MAX] = {
    [OUTCOME_OK] = "",
    [OUTCOME_INVALID_OPTION] = ERROR("InvalidOption"),
    [OUTCOME_NO_SUCH_TARGET] = ERROR("NoSuchTarget"),
    [OUTCOME_POLICY_DENIED] = ERROR("PolicyDenied"),
    [OUTCOME_BUSY] = ERROR("Busy"),
    [OUTCOME_ALREADY_OWNED] = ERROR("AlreadyOwned"),
    [OUTCOME_FOREIGN_OWNER] = ERROR("ForeignOwner"),
    [OUTCOME_DEVICE_IN_USE] = ERROR("DeviceInUse"),
    [OUTCOME_KERNEL_HELD] = ERROR("KernelHeld"),
    [OUTCOME_NOT_VIABLE] = ERROR("NotViable"),
    [OUTCOME_QUOTA_EXCEEDED] = ERROR("QuotaExceeded"),
    [OUTCOME_NO_SUCH_LEASE] = ERROR("NoSuchLease"),
    [OUTCOME_NOT_HOLDER] = ERROR("NotHolder"),
    [OUTCOME_POLICY_INVALID] = ERROR("PolicyInvalid"),
    [OUTCOME_SWITCH_FAILED] = ERROR("SwitchFailed"),
    [OUTCOME_NOT_SUPPORTED] = "org.freedesktop.DBus.Error.NotSupported",
    [OUTCOME_ACCESS_DENIED] = "org.freedesktop.DBus.Error.AccessDenied",
};

static const struct {
    const char *name;
    enum outcome outcome;
} reasons[REASON_MAX] = {
    [REASON_NONE] = {"", OUTCOME_OK},
    [REASON_POLICY_DENIED] = {"policy-denied", OUTCOME_POLICY_DENIED},
    [REASON_NO_RULE] = {"no-rule", OUTCOME_POLICY_DENIED},
    [REASON_MODE_DENIED] = {"mode-denied", OUTCOME_POLICY_DENIED},
    [REASON_LIFETIME_DENIED] = {"lifetime-denied", OUTCOME_POLICY_DENIED},
    [REASON_DELEGATE_DENIED] = {"delegate-denied", OUTCOME_POLICY_DENIED},
    [REASON_DETACH_DENIED] = {"detach-denied", OUTCOME_POLICY_DENIED},
    [REASON_SWITCHING] = {"switching", OUTCOME_BUSY},
    [REASON_DRAINING] = {"draining", OUTCOME_BUSY},
    [REASON_LEASED] = {"leased", OUTCOME_ALREADY_OWNED},
    [REASON_OPEN_ELSEWHERE] = {"open-elsewhere", OUTCOME_FOREIGN_OWNER},
    [REASON_MOUNTED] = {"mounted", OUTCOME_DEVICE_IN_USE},
    [REASON_SWAP] = {"swap", OUTCOME_DEVICE_IN_USE},
    [REASON_HELD] = {"held", OUTCOME_DEVICE_IN_USE},
    [REASON_ADDRESS] = {"address", OUTCOME_DEVICE_IN_USE},
    [REASON_ROUTE] = {"route", OUTCOME_DEVICE_IN_USE},
    [REASON_ENSLAVED] = {"enslaved", OUTCOME_DEVICE_IN_USE},
    [REASON_NETDEV_ELSEWHERE] = {"netdev-elsewhere", OUTCOME_DEVICE_IN_USE},
    [REASON_BOOT_DISPLAY] = {"boot-display", OUTCOME_DEVICE_IN_USE},
    [REASON_CONSOLE] = {"console", OUTCOME_DEVICE_IN_USE},
    [REASON_OPEN_NODE] = {"open-node", OUTCOME_DEVICE_IN_USE},
    [REASON_VFS_IN_USE] = {"vfs-in-use", OUTCOME_DEVICE_IN_USE},
    [REASON_KERNEL_DRIVER] = {"kernel-driver", OUTCOME_KERNEL_HELD},
    [REASON_UNSAFE_UIO] = {"unsafe-uio", OUTCOME_KERNEL_HELD},
    [REASON_NO_GROUP] = {"no-group", OUTCOME_NOT_VIABLE},
    [REASON_NO_VFIO_DRIVER] = {"no-vfio-driver", OUTCOME_NOT_VIABLE},
    [REASON_NO_NODE] = {"no-node", OUTCOME_NOT_VIABLE},
    [REASON_NODE_OPEN_TO_OTHERS] = {"node-open-to-others", OUTCOME_NOT_VIABLE},
    [REASON_KERNEL_DISAGREES] = {"kernel-disagrees", OUTCOME_NOT_VIABLE},
    [REASON_DIRECT_REGION] = {"direct-region", OUTCOME_NOT_VIABLE},
    [REASON_NO_IOMMU] = {"no-iommu", OUTCOME_NOT_VIABLE},
    [REASON_NOT_ENFORCED] = {"not-enforced", OUTCOME_NOT_VIABLE},
    [REASON_OLD_KERNEL] = {"old-kernel", OUTCOME_NOT_VIABLE},
    [REASON_NO_RESET] = {"no-reset", OUTCOME_NOT_VIABLE},
    [REASON_NOT_RESET] = {"not-reset", OUTCOME_NOT_VIABLE},
    [REASON_NO_INTERRUPT_REMAPPING] = {"no-interrupt-remapping", OUTCOME_NOT_VIABLE},
    [REASON_SPLIT] = {"split", OUTCOME_NOT_VIABLE},
    [REASON_HALF] = {"half", OUTCOME_NOT_VIABLE},
    [REASON_PF_OWNED] = {"pf-owned", OUTCOME_NOT_VIABLE},
    [REASON_QUOTA] = {"quota", OUTCOME_QUOTA_EXCEEDED},
    [REASON_FREE] = {"free", OUTCOME_OK},
    [REASON_USER_DRIVER] = {"user-driver", OUTCOME_OK},
    [REASON_PASSIVE] = {"passive", OUTCOME_OK},
    [REASON_PENDING] = {"pending", OUTCOME_OK},
    [REASON_DATA_ON_DISK] = {"data-on-disk", OUTCOME_OK},
    [REASON_RESET_SPANS_GROUPS] = {"reset-spans-groups", OUTCOME_OK},
    [REASON_TWO_IOMMUS] = {"two-iommus", OUTCOME_OK},
    [REASON_DISABLED_IOMMU] = {"disabled-iommu", OUTCOME_OK},
    [REASON_MAP_OVERLAP] = {"map-overlap", OUTCOME_OK},
    [REASON_NO_IOMMUS] = {"no-iommus", OUTCOME_OK},
};

const char *outcome_error_name(enum outcome outcome) {
    return error_names[outcome];
}

const char *reason_to_string(enum reason reason) {
    return reasons[reason].name;
}

int reason_from_string(const char *text, enum reason *ret) {
    for (enum reason reason = REASON_NONE + 1; reason < REASON_MAX; reason++)
        if (strcmp(reasons[reason].name, text) == 0) {
            *ret = reason;
            return 0;
        }
    return -EINVAL;
}

enum outcome reason_outcome(enum reason reason) {
    return reasons[reason].outcome;
}
