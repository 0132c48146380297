/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a policy: nothing breaks, every fault has a place inside the text, and what loads
 * answers questions the way that its rules say. */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"
#include "util/string.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

/* Half of all names are known. */
static int find(void *userdata, const char *name, uint32_t *ret) {
    if (name[0] & 1)
        return -ENOENT;
    *ret = (uint32_t)strlen(name);
    return 0;
}

static const char *const compatible[] = { "calxeda,hb-xgmac", "", NULL };

static const struct policy_device devices[] = {
    { .bus = "pci", .name = "0000:00:05.0", .path = "devices/pci0000:00/0000:00:05.0",
      .driver = "e1000e", .modalias = "pci:v00008086d000010D3", .has_ids = true, .vendor = 0x8086,
      .product = 0x10d3, .class = 0x020000, .numa_node = -1, .removable = "fixed" },
    { .bus = "platform", .name = "fff50000.ethernet", .path = "devices/platform/a", .modalias = "",
      .compatible = compatible, .numa_node = 1 },
    { .numa_node = -1 },
};

static void ask(const struct policy *policy) {
    static const gid_t gids[] = { 4, 901 };
    static const struct policy_subject subjects[] = {
        { .uid = 0 },
        { .uid = 4, .gids = gids, .n_gids = 2, .unit = "dpdk-1.service" },
        { .uid = UINT32_MAX - 1, .unit = "" },
    };
    struct policy_terms terms;

    for (size_t i = 0; i < ELEMENTS_OF(devices) * ELEMENTS_OF(subjects); i++) {
        const struct policy_device *device = &devices[i % ELEMENTS_OF(devices)];
        const struct policy_subject *subject = &subjects[i / ELEMENTS_OF(devices)];
        const struct policy_rule *rule = policy_decide(policy, device, subject);
        if (!rule)
            continue;
        EXPECT(policy_rule_at(policy, rule->index) == rule);
        EXPECT(policy_rule_find(policy, rule->name) == rule);
        policy_terms_init(&terms, 4);
        policy_terms_add(&terms, rule);
        EXPECT(rule->effect == POLICY_ALLOW || (terms.modes == 0 && terms.lifetimes == 0));
        EXPECT(rule->effect == POLICY_DENY || (terms.modes != 0 && terms.lifetimes != 0));
        EXPECT(policy_denies_holder(policy, device, subject, NULL) ==
               (rule->effect == POLICY_DENY ? rule : NULL));
    }
}

static unsigned count_lines(const uint8_t *data, size_t size) {
    unsigned lines = 1;

    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    return lines;
}

static void check_report(const struct policy_report *report, const uint8_t *data, size_t size) {
    unsigned lines = count_lines(data, size);

    EXPECT(report->n_messages <= POLICY_MESSAGES_MAX);
    EXPECT(report->n_errors + report->n_warnings >= report->n_messages);
    for (size_t i = 0; i < report->n_messages; i++) {
        const struct policy_message *message = &report->messages[i];
        EXPECT(message->line >= 1 && message->line <= lines);
        EXPECT(message->column >= 1 && message->column <= size + 1);
        EXPECT(text_is_printable(message->text));
    }
}

static int load(const uint8_t *data, size_t size, bool strict) {
    const struct policy_names names = { find, find, NULL, strict };
    struct policy_report report = { 0 };
    struct policy *policy = NULL;
    int r = policy_parse_buffer("input", data, size, &names, &policy, &report);

    EXPECT(r == 0 || r == POLICY_INVALID);
    EXPECT((r == POLICY_INVALID) == (report.n_errors > 0));
    EXPECT((r == 0) == (policy != NULL));
    check_report(&report, data, size);
    if (policy)
        ask(policy);
    policy_free(policy);
    policy_report_done(&report);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > POLICY_FILE_SIZE_MAX)
        return 0;
    if (load(data, size, true) == 0)
        EXPECT(load(data, size, false) == 0); /* what a check accepts, the daemon loads */
    else
        (void)load(data, size, false);
    return 0;
}
