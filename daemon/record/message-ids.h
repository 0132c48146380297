/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The kinds of audit entries: X(kind, DMAOWND_EVENT, PRIORITY, MESSAGE_ID). Each MESSAGE_ID has an
 * entry in systemd/dmaownd.catalog. An id stays with its meaning for ever.
 *
 * journald limits the rate by unit and class of priority, and notice and info are one class. What
 * callers can cause at will (a denial, an opener that was not granted) is a warning, and nothing
 * else is, so that a flood of it can not push out a grant (notice) or a conflict (err). */

#include <syslog.h>

#define AUDIT_KINDS(X)                                                                             \
    X(AUDIT_STARTED, "started", LOG_NOTICE, "c500ac5744064612822d1c428ada53e6")                    \
    X(AUDIT_GRANTED, "granted", LOG_NOTICE, "8d5c8ba86f124f1fa74e4deff27f2173")                    \
    X(AUDIT_DENIED, "denied", LOG_WARNING, "a69fbe29e9ba4a16b443592d5a24288e")                     \
    X(AUDIT_ENDED, "ended", LOG_NOTICE, "0b2a0fcd3e8345cebf5676dc201a2859")                        \
    X(AUDIT_CONFLICT, "conflict", LOG_ERR, "22917cee123a41929b14328221d023cc")                     \
    X(AUDIT_DETACHED, "detached", LOG_NOTICE, "d096edfec7934fa1aa28d6759e41ff46")                  \
    X(AUDIT_REATTACHED, "reattached", LOG_NOTICE, "2f1025c867fa4337957e0e0ffd9b898d")              \
    X(AUDIT_SWITCH_FAILED, "switch-failed", LOG_ERR, "f2291e5db94a49529352bff9dcda8879")           \
    X(AUDIT_POLICY_LOADED, "policy-loaded", LOG_NOTICE, "1c0fa763762b48bcb5651a83bcdf8bfe")        \
    X(AUDIT_POLICY_REJECTED, "policy-rejected", LOG_ERR, "3ef59a88db0349d687d5474e6374b3bb")       \
    X(AUDIT_FOREIGN, "foreign", LOG_WARNING, "c4cbe3924bd944ecade90c1864c39800")                   \
    X(AUDIT_RECOVERED, "recovered", LOG_NOTICE, "fc493612f2774f4686e6b246d53d4802")                \
    X(AUDIT_LIFETIME, "lifetime", LOG_NOTICE, "1c21903dda7a4e07b7bb06d854c4d895")
