/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the hook reads out of the XML of a domain. */

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/libvirt/domain.h"
#include "client/libvirt/qemu-user.h"
#include "util/string.h"

#define UUID "5b2f9c1e-8a47-4f0d-9a6b-3c1d2e4f5a6b"
#define HEAD "<domain type='kvm' id='1'><name>vm</name><uuid>" UUID "</uuid>"
#define DOMAIN(devices) HEAD "<devices>" devices "</devices></domain>"
#define ADDRESS(bus, slot, function)                                                               \
    "<address domain='0x0000' bus='" bus "' slot='" slot "' function='" function "'/>"
#define SOURCE(bus, slot, function) "<source>" ADDRESS(bus, slot, function) "</source>"
#define HOSTDEV(inside) "<hostdev mode='subsystem' type='pci' managed='yes'>" inside "</hostdev>"
/* Where the guest sees it, which is of no concern. */
#define GUEST                                                                                      \
    "<alias name='hostdev0'/>"                                                                     \
    "<address type='pci' domain='0x0000' bus='0x09' slot='0x00' function='0x0'/>"
#define MDEV "c2177883-F1BB-47f0-914d-32a22e3a8804"

static struct domain domain;
static char *problem;

static void teardown(void) {
    domain_clear(&domain);
    free(problem);
    problem = NULL;
}

static int parse(const char *xml) {
    teardown();
    /* A copy without a byte behind it, so that reading one is seen. */
    size_t size = strlen(xml);
    char *exact = malloc(size ? size : 1);
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, xml, size);
    int r = domain_parse(exact, size, &domain, &problem);
    free(exact);
    ck_assert_int_eq(r == -EBADMSG, problem != NULL);
    ck_assert(r == 0 || (!domain.name && !domain.uuid && !domain.user && !domain.targets));
    return r;
}

static void expect_targets(const char *xml, const char *targets) {
    int r = parse(xml);
    ck_assert_msg(r == 0, "%s: %s", xml, problem ? problem : strerror(-r));
    char *joined = strings_join(domain.targets, " ");
    ck_assert_str_eq(joined, targets);
    free(joined);
}

static void expect_problem(const char *xml, const char *sentence) {
    ck_assert_int_eq(parse(xml), -EBADMSG);
    ck_assert_msg(strstr(problem, sentence), "%s: not in: %s", sentence, problem);
    ck_assert_uint_lt(strlen(problem), 400);
}

START_TEST(test_plain) {
    expect_targets(HEAD "</domain>", "");
    ck_assert_ptr_null(domain.targets);
    ck_assert_str_eq(domain.name, "vm");
    ck_assert_str_eq(domain.uuid, UUID);
    ck_assert_ptr_null(domain.user);
    expect_targets(DOMAIN("<emulator>/bin/qemu</emulator><disk type='file'><source file='/a'/></disk>"), "");
}
END_TEST

static const struct {
    const char *xml, *targets;
} devices[] = {
    {HOSTDEV(SOURCE("0x00", "0x05", "0x0") GUEST), "pci/0000:00:05.0"},
    {"<hostdev mode='subsystem' type='pci' managed='no'>" SOURCE("0x00", "0x05", "0x0") "</hostdev>",
     "pci/0000:00:05.0"},
    {"<hostdev type='pci'>" SOURCE("0x00", "0x05", "0x0") "</hostdev>", "pci/0000:00:05.0"},
    {HOSTDEV("<driver name='vfio'/>" SOURCE("0x00", "0x05", "0x0")), "pci/0000:00:05.0"},
    {HOSTDEV("<driver name='kvm'/>" SOURCE("0x00", "0x05", "0x0")), ""},
    {HOSTDEV("<driver name='xen'/>" SOURCE("0x00", "0x05", "0x0")), ""},
    {HOSTDEV(SOURCE("0xff", "0x1f", "0x7")), "pci/0000:ff:1f.7"},
    {HOSTDEV(SOURCE("10", "31", "1")), "pci/0000:0a:1f.1"},
    {HOSTDEV("<source><address domain='0x10000' bus='0xe0' slot='0x06' function='0x0'/></source>"),
     "pci/10000:e0:06.0"},
    {HOSTDEV("<source><address bus='0x01' slot='0x02'/></source>"), "pci/0000:01:02.0"},
    {HOSTDEV("<source><address type='pci' domain='0x0000' bus='0x01' slot='0x02' function='0x3' "
             "multifunction='on'/></source>"),
     "pci/0000:01:02.3"},
    {HOSTDEV(SOURCE("0x02", "0x00", "0x0")) HOSTDEV(SOURCE("0x02", "0x00", "0x1")),
     "pci/0000:02:00.0 pci/0000:02:00.1"},
    {HOSTDEV(SOURCE("0x02", "0x00", "0x0")) HOSTDEV(SOURCE("2", "0", "0")), "pci/0000:02:00.0"},
    {"<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='" MDEV
     "'/></source></hostdev>",
     "mdev/c2177883-f1bb-47f0-914d-32a22e3a8804"},
    {"<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product id='0xbeef'/></source>"
     "</hostdev>",
     ""},
    {"<hostdev mode='subsystem' type='usb'><source><address bus='1' device='2'/></source></hostdev>", ""},
    {"<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host0'/><address bus='0' target='0' "
     "unit='0'/></source></hostdev>",
     ""},
    {"<hostdev mode='subsystem' type='scsi_host'><source protocol='vhost' wwpn='naa.1'/></hostdev>", ""},
    {"<hostdev mode='capabilities' type='misc'><source><char>/dev/a</char></source></hostdev>", ""},
    {"<interface type='hostdev' managed='yes'><mac address='52:54:00:00:00:01'/><source><address type='pci' "
     "domain='0x0000' bus='0x03' slot='0x10' function='0x2'/></source>" GUEST "</interface>",
     "pci/0000:03:10.2"},
    {"<interface type='hostdev'><driver name='vfio'/>" SOURCE("0x03", "0x10", "0x2") "</interface>",
     "pci/0000:03:10.2"},
    {"<interface type='hostdev'><source><address type='usb' bus='0' device='2'/></source></interface>", ""},
    {"<interface type='network'><source network='default'/></interface>", ""},
    {"<interface type='bridge'><source bridge='br0'/>" GUEST "</interface>", ""},
    {"<disk type='nvme' device='disk'><driver name='qemu' type='raw'/><source type='pci' managed='yes' "
     "namespace='1'>" ADDRESS("0x01", "0x00", "0x0") "</source><target dev='vda'/></disk>",
     "pci/0000:01:00.0"},
    {"<disk type='file'><source file='/a'/><backingStore type='file'><source file='/b'/><backingStore "
     "type='nvme'><source type='pci' namespace='1'>" ADDRESS("0x01", "0x00", "0x0") "</source></backingStore>"
     "</backingStore></disk>",
     "pci/0000:01:00.0"},
    {"<disk type='block'><source dev='/dev/sda'/>" GUEST "</disk>", ""},
    {"<x:hostdev xmlns:x='urn:x' type='pci'/>", ""},
    {"<metadata><hostdev type='pci'/></metadata>", ""},
};

START_TEST(test_devices) {
    _cleanup_(freep) char *xml = string_format(DOMAIN("%s"), devices[_i].xml);

    ck_assert_ptr_nonnull(xml);
    expect_targets(xml, devices[_i].targets);
}
END_TEST

static const struct {
    const char *xml, *sentence;
} wrong[] = {
    {DOMAIN(HOSTDEV("")), "A host device (<hostdev>) has no <address> in its <source>."},
    {DOMAIN(HOSTDEV("<source/>")), "A host device (<hostdev>) has no <address>"},
    {DOMAIN(HOSTDEV(GUEST)), "A host device (<hostdev>) has no <address>"},
    {DOMAIN("<interface type='hostdev'/>"), "A host device (<interface>) has no <address>"},
    {DOMAIN("<disk type='nvme'><source type='pci'/></disk>"), "A host device (<disk>) has no <address>"},
    {DOMAIN(HOSTDEV("<source><address slot='1'/></source>")), "(<hostdev>) has no bus."},
    {DOMAIN(HOSTDEV("<source><address bus='1'/></source>")), "(<hostdev>) has no slot."},
    {DOMAIN(HOSTDEV(SOURCE("0x100", "0", "0"))), "'0x100' is no bus: that is a number up to 0xff."},
    {DOMAIN(HOSTDEV(SOURCE("0", "0x20", "0"))), "'0x20' is no slot: that is a number up to 0x1f."},
    {DOMAIN(HOSTDEV(SOURCE("0", "0", "8"))), "'8' is no function: that is a number up to 0x7."},
    {DOMAIN(HOSTDEV(SOURCE("", "0", "0"))), "'' is no bus"},
    {DOMAIN(HOSTDEV(SOURCE("-1", "0", "0"))), "'-1' is no bus"},
    {DOMAIN(HOSTDEV(SOURCE("+1", "0", "0"))), "'+1' is no bus"},
    {DOMAIN(HOSTDEV(SOURCE("0x", "0", "0"))), "'0x' is no bus"},
    {DOMAIN(HOSTDEV(SOURCE("1 ", "0", "0"))), "'1 ' is no bus"},
    {DOMAIN(HOSTDEV(SOURCE("0x1/../..", "0", "0"))), "'0x1/../..' is no bus"},
    {DOMAIN(HOSTDEV(SOURCE("4294967296", "0", "0"))), "'4294967296' is no bus"},
    {DOMAIN(HOSTDEV("<source><address domain='0x100000000' bus='0' slot='0'/></source>")), "is no domain"},
    {DOMAIN("<hostdev type='mdev'><source><address/></source></hostdev>"), "has no uuid."},
    {DOMAIN("<hostdev type='mdev'><source><address uuid='../../x'/></source></hostdev>"),
     "'../../x' is no UUID of a mediated device"},
    {"<domain><uuid>" UUID "</uuid></domain>", "The domain has no name."},
    {"<domain><name/><uuid>" UUID "</uuid></domain>", "The domain has no name."},
    {"<domain><name>../a</name><uuid>" UUID "</uuid></domain>", "'../a' is no name of a domain"},
    {"<domain><name>a</name></domain>", "The domain has no UUID."},
    {"<domain><name>a</name><uuid/></domain>", "'' is no UUID of a domain."},
    {"<domain><name>a</name><uuid>" UUID "0</uuid></domain>", "is no UUID of a domain."},
    {"<network><name>a</name></network>", "XML of 'network' and not of a domain."},
    {"<d:domain xmlns:d='urn:d'/>", "and not of a domain."},
    {"", "libvirt gave no XML of the domain."},
    {" ", "The XML of the domain cannot be read: line "},
    {"no XML", "The XML of the domain cannot be read: line 1: "},
    {"{\"name\": \"vm\"}", "The XML of the domain cannot be read: line 1: "},
    {"<domain><name>a</name>", "The XML of the domain cannot be read: line 1: "},
    {"<domain>\n<name>a\n</uuid></domain>", "The XML of the domain cannot be read: line 3: "},
    {"<domain><name>\xff</name></domain>", "The XML of the domain cannot be read: line 1: "},
    {"<domain><name>&unknown;</name></domain>", "The XML of the domain cannot be read: line 1: "},
    {"<domain/><domain/>", "The XML of the domain cannot be read: line 1: "},
    {"<!DOCTYPE domain><domain/>", "document type declaration"},
    {"<!DOCTYPE d [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>"
     "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;'><!ENTITY e '&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;'>"
     "<!ENTITY f '&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;'><!ENTITY g '&f;&f;&f;&f;&f;&f;&f;&f;&f;&f;'>"
     "<!ENTITY h '&g;&g;&g;&g;&g;&g;&g;&g;&g;&g;'><!ENTITY i '&h;&h;&h;&h;&h;&h;&h;&h;&h;&h;'>]>"
     "<domain><name>&i;</name></domain>",
     "document type declaration"},
    {"<!DOCTYPE d [<!ENTITY a SYSTEM 'file:///etc/shadow'>]><domain><name>&a;</name></domain>",
     "document type declaration"},
    {"<!DOCTYPE d SYSTEM 'http://127.0.0.1:1/d.dtd'><domain/>", "document type declaration"},
    {"<!DOCTYPE d [<!ENTITY % p SYSTEM 'file:///dev/zero'> %p;]><domain/>", "document type declaration"},
};

START_TEST(test_wrong) {
    expect_problem(wrong[_i].xml, wrong[_i].sentence);
}
END_TEST

/* As many as text is repeated, between head and tail. */
static char *repeat(const char *head, const char *text, size_t n, const char *tail) {
    size_t length = strlen(text);
    char *xml = malloc(strlen(head) + n * length + strlen(tail) + 1), *at = xml;

    ck_assert_ptr_nonnull(xml);
    at = stpcpy(at, head);
    for (size_t i = 0; i < n; i++)
        at = stpcpy(at, text);
    strcpy(at, tail);
    return xml;
}

static char *many(unsigned n) {
    _cleanup_(freep) char *list = strdup("");

    for (unsigned i = 0; i < n; i++) {
        char *longer = string_format("%s" HOSTDEV(SOURCE("%u", "%u", "%u")), list, i / 256, i / 8 % 32,
                                     i % 8);
        free(list);
        list = longer;
        ck_assert_ptr_nonnull(list);
    }
    return string_format(DOMAIN("%s"), list);
}

START_TEST(test_limits) {
    char *xml = many(DOMAIN_TARGETS_MAX);
    ck_assert_int_eq(parse(xml), 0);
    ck_assert_uint_eq(strings_length(domain.targets), 64);
    free(xml);

    xml = many(DOMAIN_TARGETS_MAX + 1);
    expect_problem(xml, "The domain has more than 64 host devices");
    free(xml);

    /* The same one again is none more. */
    xml = repeat(HEAD "<devices>", HOSTDEV(SOURCE("1", "2", "3")), 1000, "</devices></domain>");
    expect_targets(xml, "pci/0000:01:02.3");
    free(xml);

    xml = repeat(HEAD, "<a>", 10000, "");
    expect_problem(xml, "cannot be read");
    free(xml);

    xml = repeat(HEAD "<!--", "0123456789abcdef", DOMAIN_XML_MAX / 16, "--></domain>");
    expect_problem(xml, "The XML of the domain is larger than 16 MiB.");
    free(xml);

    xml = repeat("<domain><name>", "0123456789abcdef", 1000, "/</name></domain>");
    expect_problem(xml, "is no name of a domain");
    free(xml);

    teardown();
    /* A NUL in the middle is no end. */
    static const char with_nul[] = HEAD "\0</domain>";
    ck_assert_int_eq(domain_parse(with_nul, sizeof(with_nul) - 1, &domain, &problem), -EBADMSG);
}
END_TEST

#define LABEL(model, label) "<seclabel type='dynamic' model='" model "' relabel='yes'>" label "</seclabel>"

static const struct {
    const char *labels, *user;
} labels[] = {
    {"", NULL},
    {LABEL("dac", "<label>+64055:+64055</label><imagelabel>+1:+1</imagelabel>"), "+64055"},
    {LABEL("dac", "<label>libvirt-qemu:kvm</label>"), "libvirt-qemu"},
    {LABEL("dac", "<label>alice</label>"), "alice"},
    {LABEL("dac", "<label>:kvm</label>"), NULL},
    {LABEL("dac", "<label/>"), NULL},
    {LABEL("dac", ""), NULL},
    {LABEL("apparmor", "<label>libvirt-1</label>"), NULL},
    {LABEL("apparmor", "<label>libvirt-1</label>") LABEL("dac", "<label>+1001:+1001</label>"), "+1001"},
    {LABEL("dac", "") LABEL("dac", "<label>+1001:+1001</label>"), "+1001"},
    {LABEL("dac", "<label>+1:+1</label>") LABEL("dac", "<label>+2:+2</label>"), "+1"},
    {"<seclabel type='none' model='dac'/>", NULL},
    {"<seclabel type='static' model='dac' relabel='no'><label>bob:users</label></seclabel>", "bob"},
};

START_TEST(test_user) {
    _cleanup_(freep) char *xml = string_format(HEAD "%s</domain>", labels[_i].labels);

    ck_assert_int_eq(parse(xml), 0);
    if (labels[_i].user)
        ck_assert_str_eq(domain.user, labels[_i].user);
    else
        ck_assert_ptr_null(domain.user);
}
END_TEST

static char *comment_of(const char *name) {
    _cleanup_(freep) char *xml = string_format("<domain><name>%s</name><uuid>%s</uuid></domain>", name,
                                               "5B2F9C1E-8A47-4F0D-9A6B-3C1D2E4F5A6B");

    ck_assert_int_eq(parse(xml), 0);
    char *comment = domain_comment(&domain);
    ck_assert_ptr_nonnull(comment);
    ck_assert(text_is_printable(comment));
    ck_assert_uint_le(strlen(comment), DOMAIN_COMMENT_MAX);
    return comment;
}

static const struct {
    const char *name, *comment;
} names[] = {
    {"vm", "libvirt domain vm " UUID},
    {"two words", "libvirt domain two words " UUID},
    {"B\xc3\xbcro", "libvirt domain B\xc3\xbcro " UUID},
    {"B&#252;ro &lt;1&gt; &amp;", "libvirt domain B\xc3\xbcro <1> & " UUID},
    {"a&#10;b&#9;c&#127;d&#155;[31m", "libvirt domain a\\x0ab\\x09c\\x7fd\\xc2\\x9b[31m " UUID},
    {"a\\b", "libvirt domain a\\\\b " UUID},
};

START_TEST(test_comment) {
    _cleanup_(freep) char *comment = comment_of(names[_i].name);

    ck_assert_str_eq(comment, names[_i].comment);
}
END_TEST

/* At every length there are whole characters, and the UUID. */
START_TEST(test_comment_cut) {
    for (size_t length = 195; length < 215; length++) {
        _cleanup_(freep) char *letters = repeat("", "x", length, "\xf0\x9f\x92\xbe\xc3\xbc\xe2\x82\xac");
        _cleanup_(freep) char *comment = comment_of(letters);
        ck_assert_str_eq(comment + strlen(comment) - strlen(" " UUID), " " UUID);
        ck_assert_uint_gt(strlen(comment), DOMAIN_COMMENT_MAX - 5);
    }
}
END_TEST

START_TEST(test_key) {
    _cleanup_(freep) char *comment = comment_of("a"), *key = domain_key(&domain);
    ck_assert_ptr_nonnull(comment);
    ck_assert_str_eq(key, "libvirt:" UUID);
}
END_TEST

static const struct {
    const char *text, *user;
} configurations[] = {
    {"", NULL},
    {"#user = \"root\"\n", NULL},
    {"# Some\nuser = \"alice\"\ngroup = \"kvm\"\n", "alice"},
    {"  user=\"+107\" # why", "+107"},
    {"user\t=\t'bob'", "bob"},
    {"user = \"\"\nuser = \"bob\"", "bob"},
    {"user = \"one\"\nuser = \"two\"", "one"},
    {"user = alice\n", NULL},
    {"user = \"alice\n\"", NULL},
    {"user = \"", NULL},
    {"user", NULL},
    {"user =", NULL},
    {"user_of = \"alice\"\nusers = \"alice\"\nswtpm_user = \"tss\"\n", NULL},
    {"dynamic_ownership = 0\nuser = \"libvirt-qemu\"\r\n", "libvirt-qemu"},
};

START_TEST(test_configuration) {
    _cleanup_(freep) char *user = NULL;

    ck_assert_int_eq(qemu_conf_user(configurations[_i].text, &user), 0);
    if (configurations[_i].user)
        ck_assert_str_eq(user, configurations[_i].user);
    else
        ck_assert_ptr_null(user);
}
END_TEST

START_TEST(test_find_user) {
    uid_t uid = 1;

    ck_assert_int_eq(qemu_user_find("root", &uid), 0);
    ck_assert_uint_eq(uid, 0);
    ck_assert_int_eq(qemu_user_find("+64055", &uid), 0);
    ck_assert_uint_eq(uid, 64055);
    ck_assert_int_eq(qemu_user_find("1001", &uid), 0);
    ck_assert_uint_eq(uid, 1001);
    ck_assert_int_eq(qemu_user_find("no-such-user", &uid), -ENOENT);
    ck_assert_int_lt(qemu_user_find("+root", &uid), 0);
    ck_assert_int_lt(qemu_user_find("+", &uid), 0);
    ck_assert_int_lt(qemu_user_find("", &uid), 0);
    ck_assert_int_lt(qemu_user_find("4294967295", &uid), 0);
    ck_assert_int_lt(qemu_user_find("+4294967296", &uid), 0);
    /* There is always a root. */
    ck_assert_int_eq(qemu_user_find(NULL, &uid), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("domain");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, NULL, teardown);
    tcase_add_test(all, test_plain);
    tcase_add_loop_test(all, test_devices, 0, ELEMENTS_OF(devices));
    tcase_add_loop_test(all, test_wrong, 0, ELEMENTS_OF(wrong));
    tcase_add_test(all, test_limits);
    tcase_add_loop_test(all, test_user, 0, ELEMENTS_OF(labels));
    tcase_add_loop_test(all, test_comment, 0, ELEMENTS_OF(names));
    tcase_add_test(all, test_comment_cut);
    tcase_add_test(all, test_key);
    tcase_add_loop_test(all, test_configuration, 0, ELEMENTS_OF(configurations));
    tcase_add_test(all, test_find_user);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
