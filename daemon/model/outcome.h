/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The outcomes that a caller of the API can meet, and the reasons behind them: the one vocabulary
 * of ListGroups, Explain, errors and the journal. Both enums stand in the order of the contract:
 * when several hold, the first answers. */

enum outcome {
    OUTCOME_OK = 0,
    OUTCOME_INVALID_OPTION,
    OUTCOME_NO_SUCH_TARGET,
    OUTCOME_POLICY_DENIED,
    OUTCOME_BUSY,
    OUTCOME_ALREADY_OWNED,
    OUTCOME_FOREIGN_OWNER,
    OUTCOME_DEVICE_IN_USE,
    OUTCOME_KERNEL_HELD,
    OUTCOME_NOT_VIABLE,
    OUTCOME_QUOTA_EXCEEDED,
    OUTCOME_NO_SUCH_LEASE,
    OUTCOME_NOT_HOLDER,
    OUTCOME_POLICY_INVALID,
    OUTCOME_SWITCH_FAILED,
    OUTCOME_NOT_SUPPORTED,
    OUTCOME_ACCESS_DENIED,
    OUTCOME_MAX,
};

/* "org.dmaownd1.Error.KernelHeld"; the last two are org.freedesktop.DBus.Error names. */
const char *outcome_error_name(enum outcome outcome);

enum reason {
    REASON_NONE = 0,
    REASON_POLICY_DENIED,
    REASON_NO_RULE,
    REASON_MODE_DENIED,
    REASON_LIFETIME_DENIED,
    REASON_DELEGATE_DENIED,
    REASON_DETACH_DENIED,
    REASON_SWITCHING,
    REASON_DRAINING,
    REASON_LEASED,
    REASON_OPEN_ELSEWHERE,
    REASON_MOUNTED,
    REASON_SWAP,
    REASON_HELD,
    REASON_ADDRESS,
    REASON_ROUTE,
    REASON_ENSLAVED,
    REASON_NETDEV_ELSEWHERE,
    REASON_BOOT_DISPLAY,
    REASON_CONSOLE,
    REASON_OPEN_NODE,
    REASON_VFS_IN_USE,
    REASON_KERNEL_DRIVER,
    REASON_UNSAFE_UIO,
    REASON_NO_GROUP,
    REASON_NO_VFIO_DRIVER,
    REASON_NO_NODE,
    REASON_NODE_OPEN_TO_OTHERS,
    REASON_KERNEL_DISAGREES,
    REASON_DIRECT_REGION,
    REASON_NO_IOMMU,
    REASON_NOT_ENFORCED,
    REASON_OLD_KERNEL,
    REASON_NO_RESET,
    REASON_NOT_RESET,
    REASON_NO_INTERRUPT_REMAPPING,
    REASON_SPLIT,
    REASON_HALF,
    REASON_PF_OWNED,
    REASON_QUOTA,
    /* Information only. */
    REASON_FREE,
    REASON_USER_DRIVER,
    REASON_PASSIVE,
    REASON_PENDING,
    REASON_DATA_ON_DISK,
    REASON_RESET_SPANS_GROUPS,
    REASON_TWO_IOMMUS,
    REASON_DISABLED_IOMMU,
    REASON_MAP_OVERLAP,
    REASON_NO_IOMMUS,
    REASON_MAX,
};

/* "kernel-driver"; "" for REASON_NONE. */
const char *reason_to_string(enum reason reason);
/* 0, or -EINVAL for no reason's word. */
int reason_from_string(const char *text, enum reason *ret);
/* The error that a blocking finding of this reason makes; OUTCOME_OK for information. */
enum outcome reason_outcome(enum reason reason);
