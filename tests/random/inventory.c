/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host that sequences play on, and its policies. */
#include "sequence.h"

#include <stdio.h>
#include <string.h>

#define PCI(address) .name = address, .path = "devices/pci0000:40/" address, .bus = BUS_PCI
#define ETHERNET 0x020000

const struct place places[N_PLACES] = {
    {PCI("0000:40:00.0"), .class = ETHERNET, .reset = "flr bus"},
    {PCI("0000:40:00.1"), .class = ETHERNET, .reset = "flr bus"},
    {PCI("0000:40:01.0"), .class = ETHERNET, .reset = "pm bus"},
    {PCI("0000:40:02.0"), .class = 0x060400, .reset = ""}, /* a bridge */
    {PCI("0000:40:03.0"), .class = 0x060400, .reset = ""},
    {PCI("0000:40:04.0"), .class = 0x010802, .reset = "af_flr pm"},
    {PCI("0000:40:05.0"), .class = ETHERNET, .reset = "device_specific"},
    {PCI("0000:40:06.0"), .class = ETHERNET, .reset = "flr"},
    {.name = "cdx-00:00", .path = "devices/platform/cdx-00:00", .bus = BUS_CDX},
    {.name = "fff60000.ethernet", .path = "devices/platform/fff60000.ethernet", .bus = BUS_PLATFORM},
};

const char *const bus_names[N_BUSES] = {"pci", "cdx", "platform"};

const char *const driver_names[N_BUSES][N_DRIVERS] = {
    [BUS_PCI] = {[DRIVER_VFIO] = "vfio-pci",
                 [DRIVER_VARIANT] = "mlx5_vfio_pci",
                 [DRIVER_STUB] = "pci-stub",
                 [DRIVER_PORT] = "pcieport",
                 [DRIVER_HOST] = "e1000e",
                 [DRIVER_UIO] = "uio_pci_generic"},
    [BUS_CDX] = {[DRIVER_VFIO] = "vfio-cdx", [DRIVER_HOST] = "cdx-host"},
    [BUS_PLATFORM] = {[DRIVER_VFIO] = "vfio-platform",
                      [DRIVER_HOST] = "calxedaxgmac",
                      [DRIVER_UIO] = "uio_pdrv_genirq"},
};

const char *const user_names[N_USERS] = {"root", "alice", "bob", "nobody"};
const uint32_t user_ids[N_USERS] = {0, 1001, 1002, 65534};
const enum user slot_users[N_SLOTS] = {USER_ROOT, USER_ALICE, USER_ALICE,
                                       USER_BOB,  USER_BOB,   USER_NOBODY};

#define ROOT (1u << USER_ROOT)
#define ALICE (1u << USER_ALICE)
#define BOB (1u << USER_BOB)
#define NOBODY (1u << USER_NOBODY)
#define PLACE(n) (1u << (n))
#define PCI_PLACES 0xff
#define OTHER_PLACES 0x300

const struct rules policies[N_POLICIES] = {
    {.leases_per_uid = 0},
    /* The common case. */
    {{{.name = "nics", .places = PCI_PLACES, .users = ALICE | BOB},
      {.name = "soc", .places = OTHER_PLACES, .users = ROOT, .dmaown = true}},
     .leases_per_uid = 2},
    /* Exceptions before the rule. */
    {{{.name = "not-00.1", .deny = true, .places = PLACE(1)},
      {.name = "not-bob", .deny = true, .places = PLACE(7) | PLACE(9), .users = BOB},
      {.name = "all", .places = ALL_PLACES, .users = ALICE | BOB, .delegates = BOB | NOBODY,
       .max_leases = 2}}},
    /* By the driver; terms. */
    {{{.name = "vfio", .places = ALL_PLACES, .driver = DRIVER_VFIO, .users = ALICE | ROOT,
       .lifetimes = LIFETIME_PERSISTENT | LIFETIME_FD, .max_ttl = 500},
      {.name = "reset", .places = ALL_PLACES, .users = ALICE | BOB | NOBODY, .reset = true,
       .max_ttl = 2000}},
     .leases_per_uid = 1},
    /* Rules that have little in common. */
    {{{.name = "path", .places = PLACE(0) | PLACE(1) | PLACE(5), .users = ALICE | BOB,
       .modes = MODE_PATH, .lifetimes = LIFETIME_CONNECTION, .max_leases = 1},
      {.name = "fd", .places = PLACE(2) | PLACE(7), .users = ALICE, .modes = MODE_FD},
      {.name = "persistent", .places = ALL_PLACES, .users = ALICE | BOB,
       .lifetimes = LIFETIME_PERSISTENT, .delegates = ALICE}}},
    /* A deny rule against everyone behind the rule leaves its delegate alone. */
    {{{.name = "wide", .places = ALL_PLACES, .users = ROOT | ALICE, .delegates = BOB | NOBODY},
      {.name = "nobody-else", .deny = true, .places = ALL_PLACES}}},
    /* One against the delegate does not. */
    {{{.name = "wide", .places = ALL_PLACES, .users = ROOT | ALICE, .delegates = BOB | NOBODY},
      {.name = "not-bob", .deny = true, .places = PCI_PLACES, .users = BOB},
      {.name = "bob", .places = ALL_PLACES, .users = BOB}},
     .leases_per_uid = 4},
    {.leases_per_uid = 0},
};

/* ---- Its text */

struct text {
    char *at;
    size_t left;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *text, const char *format, ...) {
    __builtin_va_list arguments;

    __builtin_va_start(arguments, format);
    int n = vsnprintf(text->at, text->left, format, arguments);
    __builtin_va_end(arguments);
    if (n < 0 || (size_t)n >= text->left)
        __builtin_trap();
    text->at += n;
    text->left -= (size_t)n;
}

/* ", "KEY": ["a", "b"]" of the names whose bits are set; nothing for none. */
static void put_list(struct text *text, const char *key, unsigned bits, const char *const *names,
                     unsigned n) {
    const char *comma = "";

    if (!bits)
        return;
    put(text, ", \"%s\": [", key);
    for (unsigned i = 0; i < n; i++)
        if (bits & 1u << i) {
            put(text, "%s\"%s\"", comma, names[i]);
            comma = ", ";
        }
    put(text, "]");
}

static void put_match(struct text *text, const struct rule *rule) {
    const char *names[N_PLACES];
    const char *comma = "";

    put(text, ", \"match\": {");
    if (rule->driver) {
        put(text, "\"driver\": \"%s\"", driver_names[BUS_PCI][rule->driver]);
        comma = ", ";
    }
    for (unsigned i = 0; i < N_PLACES; i++)
        names[i] = places[i].name;
    if (rule->places != ALL_PLACES) {
        put(text, "%s\"name\": [", comma);
        for (unsigned i = 0, n = 0; i < N_PLACES; i++)
            if (rule->places & 1u << i)
                put(text, "%s\"%s\"", n++ ? ", " : "", names[i]);
        put(text, "]");
    }
    put(text, "}");
}

static void put_subjects(struct text *text, const struct rule *rule) {
    if (!rule->users && !rule->dmaown)
        return;
    put(text, ", \"subjects\": {\"users\": [");
    for (unsigned i = 0, n = 0; i < N_USERS; i++)
        if (rule->users & 1u << i)
            put(text, "%s\"%s\"", n++ ? ", " : "", user_names[i]);
    put(text, "]%s}", rule->dmaown ? ", \"groups\": [\"dmaown\"]" : "");
}

static void put_rule(struct text *text, const struct rule *rule) {
    static const char *const modes[] = {"path", "fd"};
    static const char *const lifetimes[] = {"connection", "fd", "process", "unit", "persistent"};

    put(text, "{\"name\": \"%s\", \"effect\": \"%s\"", rule->name, rule->deny ? "deny" : "allow");
    put_match(text, rule);
    put_subjects(text, rule);
    if (!rule->deny) {
        put_list(text, "modes", rule->modes, modes, 2);
        put_list(text, "lifetimes", rule->lifetimes, lifetimes, 5);
        put_list(text, "delegate", rule->delegates, user_names, N_USERS);
        if (rule->max_ttl)
            put(text, ", \"max_ttl\": %u", rule->max_ttl);
        if (rule->max_leases)
            put(text, ", \"max_leases\": %u", rule->max_leases);
        put(text, ", \"require\": [%s]", rule->reset ? "\"reset\"" : "");
    }
    put(text, "}");
}

void policy_write(unsigned policy, char *text, size_t size) {
    const struct rules *rules = &policies[policy];
    struct text to = {.at = text, .left = size};

    if (policy == POLICY_BAD) {
        put(&to, "{\"version\": 1, \"rules\": [}");
        return;
    }
    put(&to, "{\"version\": 1, \"rules\": [");
    for (unsigned i = 0; i < RULES_MAX && rules->rule[i].name; i++) {
        put(&to, i ? ",\n" : "\n");
        put_rule(&to, &rules->rule[i]);
    }
    put(&to, "]");
    if (rules->leases_per_uid)
        put(&to, ", \"limits\": {\"leases_per_uid\": %u}", rules->leases_per_uid);
    put(&to, "}\n");
}
