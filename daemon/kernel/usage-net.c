/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/usage-internal.h"

#include <errno.h>
#include <stdlib.h>

#include "util/string.h"

static void clear(struct usage_netdev *netdev) {
    free(netdev->address);
    free(netdev->route);
    free(netdev->upper);
}

static int say(struct usage_survey *survey, const struct usage_part *part, enum reason reason,
               const char *verb, const char *what) {
    if (!what)
        return 0;
    return usage_say_all(survey, part->device, reason,
                         string_format("%s %s%s", path_basename(part->path), verb, what));
}

static int judge_netdev(struct usage_survey *survey, const struct usage_part *part,
                        const struct usage_netdev *netdev) {
    int r = say(survey, part, REASON_ADDRESS, "has the address ", netdev->address);

    if (r >= 0)
        r = say(survey, part, REASON_ROUTE, "carries ", netdev->route);
    return r < 0 ? r : say(survey, part, REASON_ENSLAVED, "", netdev->upper);
}

static int judge_unknown(struct usage_survey *survey, const struct usage_part *part, int error) {
    _cleanup_(freep) char *what = string_format("what %s is used for", path_basename(part->path));

    return what ? usage_say_unknown(survey, part->device, REASON_ADDRESS, what, error) : -ENOMEM;
}

/* The kernel leaves the folder while a network interface stands in it, and shows that to its own
 * network namespace only. */
static int judge_empty(struct usage_survey *survey, const struct usage_part *part) {
    return usage_say_all(survey, part->device, REASON_NETDEV_ELSEWHERE,
                         strdup("its network interface is in another network namespace"));
}

static int judge_all(struct usage_survey *survey, struct usage_netdev *netdevs, size_t n) {
    int error = n > 0 ? usage_netlink_read(netdevs, n) : 0, r = 0;
    size_t next = 0;

    if (error == -ENOMEM)
        return error;
    for (size_t i = 0; r >= 0 && i < survey->n_parts; i++) {
        const struct usage_part *part = &survey->parts[i];
        if (part->kind == USAGE_EMPTY_NET)
            r = judge_empty(survey, part);
        else if (part->kind == USAGE_NETDEV && error < 0)
            r = judge_unknown(survey, part, error);
        else if (part->kind == USAGE_NETDEV)
            r = judge_netdev(survey, part, &netdevs[next++]);
    }
    return r;
}

int usage_judge_netdevs(struct usage_survey *survey) {
    struct usage_netdev *netdevs = calloc(survey->n_parts + 1, sizeof(*netdevs));
    size_t n = 0;

    if (!netdevs)
        return -ENOMEM;
    for (size_t i = 0; i < survey->n_parts; i++)
        if (survey->parts[i].kind == USAGE_NETDEV)
            netdevs[n++].ifindex = survey->parts[i].ifindex;
    int r = judge_all(survey, netdevs, n);
    for (size_t i = 0; i < n; i++)
        clear(&netdevs[i]);
    free(netdevs);
    return r;
}
