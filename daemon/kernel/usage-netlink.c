/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Links and addresses are few, and are read into libnl's caches. Routes can be a million, so each is
 * looked at and forgotten. */
#include "kernel/usage-internal.h"

#include <errno.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/nexthop.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/rtnl.h>

#include "util/string.h"

#define DUMP_ATTEMPTS 5

struct dump {
    struct usage_netdev *netdevs;
    size_t n;
    int error;
};

static void socket_freep(struct nl_sock **socket) {
    if (*socket)
        nl_socket_free(*socket);
}

static void cache_freep(struct nl_cache **cache) {
    if (*cache)
        nl_cache_free(*cache);
}

/* libnl's errors as those of the system. */
static int from_libnl(int error) {
    switch (error < 0 ? -error : error) {
    case 0:
        return 0;
    case NLE_NOMEM:
        return -ENOMEM;
    case NLE_PERM:
    case NLE_NOACCESS:
        return -EPERM;
    case NLE_OPNOTSUPP:
    case NLE_AF_NOSUPPORT:
    case NLE_PROTO_MISMATCH:
        return -EOPNOTSUPP;
    case NLE_INVAL:
        return -EINVAL;
    default:
        return -EIO;
    }
}

static struct usage_netdev *find(const struct dump *dump, unsigned ifindex) {
    for (size_t i = 0; i < dump->n; i++)
        if (dump->netdevs[i].ifindex == ifindex)
            return &dump->netdevs[i];
    return NULL;
}

/* Takes text for *place if that is empty. */
static int fill(char **place, char *text) {
    if (!text)
        return -ENOMEM;
    if (*place)
        free(text);
    else
        *place = text;
    return 0;
}

/* ---- Links */

static const char *kind_of(struct rtnl_link *link) {
    return rtnl_link_get_type(link) ?: "device";
}

/* The link is a port of another one. */
static int note_master(struct dump *dump, struct nl_cache *links, struct rtnl_link *link) {
    int master = rtnl_link_get_master(link);
    struct usage_netdev *netdev = find(dump, (unsigned)rtnl_link_get_ifindex(link));

    if (!netdev || master <= 0)
        return 0;
    struct rtnl_link *above = rtnl_link_get(links, master);
    if (!above)
        return fill(&netdev->upper, strdup("is a port of another device"));
    int r = fill(&netdev->upper, string_format("is a port of %s (%s)", rtnl_link_get_name(above),
                                               kind_of(above)));
    rtnl_link_put(above);
    return r;
}

/* The link stands on another one of this network namespace: vlan, macvlan, ipvlan, macsec, … */
static int note_lower(struct dump *dump, struct rtnl_link *link) {
    int lower = rtnl_link_get_link(link), elsewhere;

    if (lower <= 0 || lower == rtnl_link_get_ifindex(link) ||
        rtnl_link_get_link_netnsid(link, &elsewhere) == 0)
        return 0;
    struct usage_netdev *netdev = find(dump, (unsigned)lower);
    if (!netdev)
        return 0;
    return fill(&netdev->upper,
                string_format("carries %s (%s)", rtnl_link_get_name(link), kind_of(link)));
}

static int read_links(struct nl_sock *socket, struct dump *dump) {
    _cleanup_(cache_freep) struct nl_cache *links = NULL;
    int r = from_libnl(rtnl_link_alloc_cache(socket, AF_UNSPEC, &links));

    if (r < 0)
        return r;
    for (struct nl_object *at = nl_cache_get_first(links); r >= 0 && at; at = nl_cache_get_next(at)) {
        r = note_master(dump, links, (struct rtnl_link *)at);
        if (r >= 0)
            r = note_lower(dump, (struct rtnl_link *)at);
    }
    return r;
}

/* ---- Addresses */

/* What every interface that is up gives itself, or finds without anybody's help. */
static bool is_link_local(int family, const void *address) {
    const unsigned char *bytes = address;

    if (family == AF_INET)
        return bytes[0] == 169 && bytes[1] == 254;
    return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

static size_t size_of(int family) {
    return family == AF_INET ? sizeof(struct in_addr)
                             : family == AF_INET6 ? sizeof(struct in6_addr) : 0;
}

static int note_address(struct dump *dump, struct rtnl_addr *entry) {
    struct usage_netdev *netdev = find(dump, (unsigned)rtnl_addr_get_ifindex(entry));
    struct nl_addr *address = rtnl_addr_get_local(entry);
    char text[128];

    if (!netdev || !address)
        return 0;
    int family = nl_addr_get_family(address);
    size_t size = size_of(family);
    if (size == 0 || nl_addr_get_len(address) < size ||
        is_link_local(family, nl_addr_get_binary_addr(address)))
        return 0;
    nl_addr2str(address, text, sizeof(text));
    return fill(&netdev->address, strdup(text));
}

static int read_addresses(struct nl_sock *socket, struct dump *dump) {
    _cleanup_(cache_freep) struct nl_cache *addresses = NULL;
    int r = from_libnl(rtnl_addr_alloc_cache(socket, &addresses));

    if (r < 0)
        return r;
    for (struct nl_object *at = nl_cache_get_first(addresses); r >= 0 && at;
         at = nl_cache_get_next(at))
        r = note_address(dump, (struct rtnl_addr *)at);
    return r;
}

/* ---- Routes */

static char *describe_route(const struct rtmsg *route, struct nlattr *const *attributes) {
    char text[INET6_ADDRSTRLEN + 8];
    struct nlattr *to = attributes[RTA_DST];

    if (route->rtm_dst_len == 0)
        return strdup(route->rtm_family == AF_INET6 ? "the default route of IPv6"
                                                    : "the default route");
    if (!to || (size_t)nla_len(to) < size_of(route->rtm_family) ||
        !inet_ntop(route->rtm_family, nla_data(to), text, INET6_ADDRSTRLEN))
        return strdup("a route");
    return string_format("the route to %s/%u", text, route->rtm_dst_len);
}

static void note_route(struct dump *dump, unsigned ifindex, const struct rtmsg *route,
                       struct nlattr *const *attributes) {
    struct usage_netdev *netdev = find(dump, ifindex);
    bool is_default = route->rtm_dst_len == 0;

    if (!netdev || (netdev->route && (netdev->is_default_route || !is_default)))
        return;
    char *text = describe_route(route, attributes);
    if (!text) {
        dump->error = -ENOMEM;
        return;
    }
    free(netdev->route);
    netdev->route = text;
    netdev->is_default_route = is_default;
}

/* Neither made by the kernel for an address, for multicast or for link-local traffic, nor by a
 * network manager for the latter (169.254.0.0/16). All tables but `local` count. */
static bool is_of_interest(const struct rtmsg *route, struct nlattr *const *attributes) {
    uint32_t table = attributes[RTA_TABLE] ? nla_get_u32(attributes[RTA_TABLE]) : route->rtm_table;
    struct nlattr *to = attributes[RTA_DST];
    size_t size = size_of(route->rtm_family);

    if (route->rtm_type != RTN_UNICAST || table == RT_TABLE_LOCAL || route->rtm_flags & RTM_F_CLONED)
        return false;
    if (route->rtm_dst_len == 0)
        return true;
    if (route->rtm_protocol == RTPROT_KERNEL)
        return false;
    return !to || size == 0 || (size_t)nla_len(to) < size ||
           !is_link_local(route->rtm_family, nla_data(to));
}

static void note_next_hops(struct dump *dump, const struct rtmsg *route,
                           struct nlattr *const *attributes) {
    struct nlattr *list = attributes[RTA_MULTIPATH];
    struct rtnexthop *hop = list ? nla_data(list) : NULL;
    int left = list ? nla_len(list) : 0;

    /* RTNH_OK reads before it compares. */
    while (left >= (int)sizeof(*hop) && RTNH_OK(hop, left)) {
        note_route(dump, (unsigned)hop->rtnh_ifindex, route, attributes);
        left -= (int)RTNH_ALIGN(hop->rtnh_len);
        hop = RTNH_NEXT(hop);
    }
}

static int on_route(struct nl_msg *message, void *userdata) {
    struct nlattr *attributes[RTA_MAX + 1];
    struct dump *dump = userdata;
    struct nlmsghdr *header = nlmsg_hdr(message);

    if (header->nlmsg_type != RTM_NEWROUTE)
        return NL_SKIP;
    if (nlmsg_parse(header, sizeof(struct rtmsg), attributes, RTA_MAX, NULL) < 0) {
        dump->error = -EBADMSG;
        return NL_SKIP;
    }
    const struct rtmsg *route = nlmsg_data(header);
    if (!is_of_interest(route, attributes))
        return NL_OK;
    if (attributes[RTA_OIF])
        note_route(dump, nla_get_u32(attributes[RTA_OIF]), route, attributes);
    note_next_hops(dump, route, attributes);
    return NL_OK;
}

/* Routes may name these by number alone. */
static int on_next_hop(struct nl_msg *message, void *userdata) {
    struct nlattr *attributes[NHA_MAX + 1];
    struct dump *dump = userdata;
    struct nlmsghdr *header = nlmsg_hdr(message);

    if (header->nlmsg_type != RTM_NEWNEXTHOP)
        return NL_SKIP;
    if (nlmsg_parse(header, sizeof(struct nhmsg), attributes, NHA_MAX, NULL) < 0) {
        dump->error = -EBADMSG;
        return NL_SKIP;
    }
    struct usage_netdev *netdev =
        attributes[NHA_OIF] ? find(dump, nla_get_u32(attributes[NHA_OIF])) : NULL;
    if (netdev && !netdev->route && attributes[NHA_ID]) {
        netdev->route = string_format("next hop %u", nla_get_u32(attributes[NHA_ID]));
        if (!netdev->route)
            dump->error = -ENOMEM;
    }
    return NL_OK;
}

/* A dump that the kernel could not give in one piece is asked for again. */
static int dump_all(struct nl_sock *socket, int what, int family, nl_recvmsg_msg_cb_t found,
                    struct dump *dump) {
    int r = -NLE_DUMP_INTR;

    nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, found, dump);
    for (int i = 0; i < DUMP_ATTEMPTS && r == -NLE_DUMP_INTR; i++) {
        r = nl_rtgen_request(socket, what, family, NLM_F_DUMP);
        if (r >= 0)
            r = nl_recvmsgs_default(socket);
    }
    return r < 0 ? from_libnl(r) : dump->error;
}

static int read_routes(struct nl_sock *socket, struct dump *dump) {
    static const int families[] = {AF_INET, AF_INET6, AF_MPLS};
    int r = 0;

    for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(families); i++) {
        r = dump_all(socket, RTM_GETROUTE, families[i], on_route, dump);
        /* A kernel without this family. */
        if (r == -EOPNOTSUPP && i > 0)
            r = 0;
    }
    return r;
}

/* A kernel before 5.3 knows none. */
static int read_next_hops(struct nl_sock *socket, struct dump *dump) {
    struct nl_msg *message = nlmsg_alloc_simple(RTM_GETNEXTHOP, NLM_F_DUMP);
    const struct nhmsg header = {.nh_family = AF_UNSPEC};
    int r = message ? nlmsg_append(message, (void *)&header, sizeof(header), NLMSG_ALIGNTO) : -NLE_NOMEM;

    nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, on_next_hop, dump);
    if (r >= 0)
        r = nl_send_auto(socket, message);
    nlmsg_free(message);
    if (r >= 0)
        r = nl_recvmsgs_default(socket);
    if (r == -NLE_OPNOTSUPP || r == -NLE_INVAL)
        return 0;
    /* One that came or went meanwhile belongs to a route that does too. */
    return r < 0 && r != -NLE_DUMP_INTR ? from_libnl(r) : dump->error;
}

int usage_netlink_read(struct usage_netdev *netdevs, size_t n) {
    _cleanup_(socket_freep) struct nl_sock *socket = nl_socket_alloc();
    struct dump dump = {.netdevs = netdevs, .n = n};

    if (!socket)
        return -ENOMEM;
    int r = from_libnl(nl_connect(socket, NETLINK_ROUTE));
    if (r >= 0)
        r = read_links(socket, &dump);
    if (r >= 0)
        r = read_addresses(socket, &dump);
    if (r >= 0)
        r = read_routes(socket, &dump);
    return r < 0 ? r : read_next_hops(socket, &dump);
}
