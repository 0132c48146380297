/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Network interfaces, in a network namespace of the test's own; only what sysfs says of them is made
 * up. A kernel need not have every kind of interface, but one of each list. */
#include "usage-fixture.h"

#include <dlfcn.h>
#include <net/if.h>
#include <sched.h>

#include <linux/nexthop.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/route.h>

static struct nl_sock *rt;
static bool refused; /* a netlink socket to the code under test */
static int nic;      /* index of eth0 */

/* In place of libnl's. */
int nl_connect(struct nl_sock *socket, int protocol) {
    int (*real)(struct nl_sock *, int) = dlsym(RTLD_NEXT, "nl_connect");

    return refused ? -NLE_PERM : real(socket, protocol);
}

/* ---- Helpers */

/* Adds an interface of the first kind that the kernel knows, on top of another one if that is not
 * 0, and takes it up. Its index. */
static int add_link(const char *name, const char *const *kinds, int lower) {
    int r = -1;

    for (; r < 0 && *kinds; kinds++) {
        struct rtnl_link *link = rtnl_link_alloc();
        ck_assert_int_eq(rtnl_link_set_type(link, *kinds), 0);
        rtnl_link_set_name(link, name);
        rtnl_link_set_flags(link, IFF_UP);
        if (lower)
            rtnl_link_set_link(link, lower);
        r = rtnl_link_add(rt, link, NLM_F_CREATE | NLM_F_EXCL);
        rtnl_link_put(link);
    }
    ck_assert_msg(r == 0, "%s can not be made: %s", name, nl_geterror(r));
    return (int)if_nametoindex(name);
}

static const char *const plain[] = {"dummy", "ifb", "bridge", NULL};

static struct nl_addr *address_of(const char *text) {
    struct nl_addr *address;

    ck_assert_int_eq(nl_addr_parse(text, AF_UNSPEC, &address), 0);
    return address;
}

static void add_address(const char *text) {
    struct rtnl_addr *entry = rtnl_addr_alloc();
    struct nl_addr *address = address_of(text);

    rtnl_addr_set_ifindex(entry, nic);
    ck_assert_int_eq(rtnl_addr_set_local(entry, address), 0);
    int r = rtnl_addr_add(rt, entry, 0);
    ck_assert_msg(r == 0, "%s: %s", text, nl_geterror(r));
    nl_addr_put(address);
    rtnl_addr_put(entry);
}

static void add_next_hop(struct rtnl_route *route, int ifindex) {
    struct rtnl_nexthop *hop = rtnl_route_nh_alloc();

    rtnl_route_nh_set_ifindex(hop, ifindex);
    rtnl_route_add_nexthop(route, hop);
}

/* other: index of a second way, or 0. */
static void add_route(const char *to, uint32_t table, int type, int protocol, int other) {
    struct rtnl_route *route = rtnl_route_alloc();
    struct nl_addr *address = address_of(to);
    bool is_ipv4 = nl_addr_get_family(address) == AF_INET;

    rtnl_route_set_family(route, (uint8_t)nl_addr_get_family(address));
    ck_assert_int_eq(rtnl_route_set_dst(route, address), 0);
    rtnl_route_set_table(route, table);
    ck_assert_int_eq(rtnl_route_set_type(route, (uint8_t)type), 0);
    rtnl_route_set_protocol(route, (uint8_t)protocol);
    rtnl_route_set_scope(route, is_ipv4 ? type == RTN_LOCAL ? RT_SCOPE_HOST : RT_SCOPE_LINK
                                        : RT_SCOPE_UNIVERSE);
    add_next_hop(route, nic);
    if (other)
        add_next_hop(route, other);
    int r = rtnl_route_add(rt, route, NLM_F_CREATE);
    ck_assert_msg(r == 0, "%s: %s", to, nl_geterror(r));
    nl_addr_put(address);
    rtnl_route_put(route);
}

static void net_set_up(void) {
    usage_set_up();
    ck_assert_int_eq(unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET), 0);
    refused = false;
    rt = nl_socket_alloc();
    ck_assert_int_eq(nl_connect(rt, NETLINK_ROUTE), 0);
    nic = add_link("eth0", plain, 0);
    add_netdev(NIC "/virtio0/net/eth0", (unsigned)nic);
    tree_folder(&sys, NIC "/virtio0/net/eth0/queues");
}

static void net_tear_down(void) {
    nl_socket_free(rt);
    usage_tear_down();
}

/* ---- Addresses */

/* Up, with what the kernel gives it by itself. */
START_TEST(test_unused) {
    expect_free(NIC);
    expect_free(DISK);
}
END_TEST

START_TEST(test_address) {
    static const char *const cases[][2] = {
        {"10.0.2.15/24", "address|eth0 has the address 10.0.2.15/24"},
        {"2001:db8::5/64", "address|eth0 has the address 2001:db8::5/64"},
        {"fd00::1/128", "address|eth0 has the address fd00::1"},
        {"169.253.0.1/16", "address|eth0 has the address 169.253.0.1/16"},
    };

    add_address(cases[_i][0]);
    expect(NIC, cases[_i][1]);
}
END_TEST

START_TEST(test_link_local) {
    add_address("169.254.7.8/16");
    add_address("fe80::7:8/64");
    expect_free(NIC);
    add_address("10.0.2.15/24");
    add_address("10.0.3.15/24");
    expect(NIC, "address|eth0 has the address 10.0.2.15/24");
}
END_TEST

/* ---- Routes */

static const struct {
    const char *to;
    uint32_t table;
    int type, protocol;
    const char *expected; /* NULL: it does not count */
} routes[] = {
    {"0.0.0.0/0", RT_TABLE_MAIN, RTN_UNICAST, RTPROT_STATIC, "route|eth0 carries the default route"},
    {"::/0", RT_TABLE_MAIN, RTN_UNICAST, RTPROT_RA, "route|eth0 carries the default route of IPv6"},
    {"0.0.0.0/0", RT_TABLE_MAIN, RTN_UNICAST, RTPROT_KERNEL, "route|eth0 carries the default route"},
    {"10.1.0.0/16", 1000, RTN_UNICAST, RTPROT_STATIC, "route|eth0 carries the route to 10.1.0.0/16"},
    {"10.1.0.0/16", 100, RTN_UNICAST, RTPROT_BOOT, "route|eth0 carries the route to 10.1.0.0/16"},
    {"2001:db8:1::/48", 1000, RTN_UNICAST, RTPROT_STATIC,
     "route|eth0 carries the route to 2001:db8:1::/48"},
    {"169.254.0.0/16", RT_TABLE_MAIN, RTN_UNICAST, RTPROT_BOOT, NULL},
    {"fe80::/64", RT_TABLE_MAIN, RTN_UNICAST, RTPROT_BOOT, NULL},
    {"10.2.0.0/16", RT_TABLE_MAIN, RTN_UNICAST, RTPROT_KERNEL, NULL},
    {"10.3.0.1/32", RT_TABLE_LOCAL, RTN_LOCAL, RTPROT_KERNEL, NULL},
    {"10.3.0.1/32", 1000, RTN_LOCAL, RTPROT_STATIC, NULL},
    {"ff00::/8", RT_TABLE_MAIN, RTN_MULTICAST, RTPROT_STATIC, NULL},
};

START_TEST(test_route) {
    add_route(routes[_i].to, routes[_i].table, routes[_i].type, routes[_i].protocol, 0);
    if (routes[_i].expected)
        expect(NIC, routes[_i].expected);
    else
        expect_free(NIC);
}
END_TEST

/* The default route is named rather than another one. */
START_TEST(test_default_first) {
    add_route("10.1.0.0/16", RT_TABLE_MAIN, RTN_UNICAST, RTPROT_STATIC, 0);
    add_route("0.0.0.0/0", 200, RTN_UNICAST, RTPROT_STATIC, 0);
    expect(NIC, "route|eth0 carries the default route");
}
END_TEST

START_TEST(test_multipath) {
    int other = add_link("eth1", plain, 0);

    add_netdev(DISK "/net/eth1", (unsigned)other);
    add_route("10.1.0.0/16", RT_TABLE_MAIN, RTN_UNICAST, RTPROT_STATIC, other);
    expect(NIC, "route|eth0 carries the route to 10.1.0.0/16");
    expect(DISK, "route|eth1 carries the route to 10.1.0.0/16");
}
END_TEST

START_TEST(test_next_hop) {
    struct nl_msg *message = nlmsg_alloc_simple(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_ACK);
    struct nhmsg header = {.nh_family = AF_INET};

    ck_assert_int_eq(nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO), 0);
    nla_put_u32(message, NHA_ID, 5);
    nla_put_u32(message, NHA_OIF, (uint32_t)nic);
    ck_assert_int_eq(nl_send_sync(rt, message), 0);
    expect(NIC, "route|eth0 carries next hop 5");
}
END_TEST

/* ---- Other interfaces */

START_TEST(test_port) {
    static const char *const kinds[] = {"bridge", NULL};
    int bridge = add_link("br0", kinds, 0), port = nic;

    /* A bridge is no port of a bridge; the name does not matter. */
    if (rtnl_link_enslave_ifindex(rt, bridge, port) < 0) {
        static const char *const pair[] = {"veth", NULL};
        port = add_link("veth8", pair, 0);
        ck_assert_int_eq(rtnl_link_enslave_ifindex(rt, bridge, port), 0);
    }
    tree_unlink(&sys, NIC "/virtio0/net/eth0/ifindex");
    tree_unlink(&sys, NIC "/virtio0/net/eth0/subsystem");
    add_netdev(NIC "/virtio0/net/eth0", (unsigned)port);
    ask(NIC);
    ck_assert_uint_eq(count_lines(), 1);
    has("enslaved|eth0 is a port of br0 (bridge)");
}
END_TEST

START_TEST(test_upper) {
    static const char *const kinds[] = {"macvlan", "ipvlan", NULL};

    int upper = add_link("eth0.5", kinds, nic);
    ask(NIC);
    ck_assert_uint_eq(count_lines(), 1);
    ck_assert_ptr_nonnull(strstr(answer, "use\t0\tenslaved\teth0 carries eth0.5 ("));
    /* It is in use by nobody itself. */
    add_netdev(DISK "/net/eth0.5", (unsigned)upper);
    expect_free(DISK);
}
END_TEST

/* ---- Elsewhere, and nowhere */

START_TEST(test_elsewhere) {
    tree_folder(&sys, DISK "/net");
    expect(DISK, "netdev-elsewhere|its network interface is in another network namespace");
    tree_folder(&sys, DISK "/virtio3/net");
    expect_lines(DISK, 2);
}
END_TEST

START_TEST(test_gone) {
    add_netdev(DISK "/net/eth7", 77777);
    expect_free(DISK);
}
END_TEST

START_TEST(test_unknown) {
    refused = true;
    expect(NIC, "address|what eth0 is used for could not be found out: Operation not permitted");
    expect_free(DISK);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("usage-net");
    TCase *tests = tree_case("net");

    tcase_add_checked_fixture(tests, net_set_up, net_tear_down);
    tcase_add_test(tests, test_unused);
    tcase_add_loop_test(tests, test_address, 0, 4);
    tcase_add_test(tests, test_link_local);
    tcase_add_loop_test(tests, test_route, 0, ELEMENTS_OF(routes));
    tcase_add_test(tests, test_default_first);
    tcase_add_test(tests, test_multipath);
    tcase_add_test(tests, test_next_hop);
    tcase_add_test(tests, test_port);
    tcase_add_test(tests, test_upper);
    tcase_add_test(tests, test_elsewhere);
    tcase_add_test(tests, test_gone);
    tcase_add_test(tests, test_unknown);
    suite_add_tcase(suite, tests);
    return tree_main(suite);
}
