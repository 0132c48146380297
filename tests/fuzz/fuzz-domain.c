/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as the XML of a domain: it is refused with a sentence, or what is read of it can be claimed. The
 * same bytes as a qemu.conf give a user or none. */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/libvirt/domain.h"
#include "client/libvirt/qemu-user.h"
#include "util/cleanup.h"
#include "util/string.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PROBLEM_MAX 1024

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void check_target(const char *target) {
    const char *name = string_after(target, "pci/");

    if (!name)
        name = string_after(target, "mdev/");
    EXPECT(name && *name);
    EXPECT(strspn(name, "0123456789abcdef:.-") == strlen(name));
}

static void check_domain(const struct domain *domain) {
    _cleanup_(freep) char *key = domain_key(domain), *comment = domain_comment(domain);

    EXPECT(*domain->name && !strchr(domain->name, '/'));
    EXPECT(strlen(domain->uuid) == 36);
    EXPECT(!domain->user || *domain->user);
    EXPECT(key && strlen(key) < 64);
    EXPECT(comment && strlen(comment) <= DOMAIN_COMMENT_MAX && text_is_printable(comment));
    EXPECT(strings_length(domain->targets) <= DOMAIN_TARGETS_MAX);
    for (char **target = domain->targets; target && *target; target++)
        check_target(*target);
}

static void check_configuration(const uint8_t *data, size_t size) {
    _cleanup_(freep) char *text = strndup((const char *)data, size), *user = NULL;

    EXPECT(text && qemu_conf_user(text, &user) == 0);
    EXPECT(!user || (*user && !strchr(user, '\n')));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct domain domain = {0};
    _cleanup_(freep) char *problem = NULL;
    int r = domain_parse((const char *)data, size, &domain, &problem);

    EXPECT(r == 0 || r == -EBADMSG);
    if (r == 0)
        check_domain(&domain);
    else
        EXPECT(problem && *problem && strlen(problem) < PROBLEM_MAX);
    domain_clear(&domain);
    check_configuration(data, size);
    return 0;
}
