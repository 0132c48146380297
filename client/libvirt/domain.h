/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a domain of libvirt wants of dmaownd, out of the XML that libvirt gives its hooks. Nothing but the
 * text is read: no entity, no file, no network. */

#include <stddef.h>

/* Larger than any domain; what is larger is refused. */
#define DOMAIN_XML_MAX (16 << 20)

/* As many as dmaownd takes in one call, unless its policy has another limit. */
#define DOMAIN_TARGETS_MAX 64

/* As much as dmaownd takes of a comment, in bytes. */
#define DOMAIN_COMMENT_MAX 256

struct domain {
    char *name;     /* any text without '/' */
    char *uuid;     /* in lower case */
    char *user;     /* whom QEMU is to run as, "+64055" or "libvirt-qemu"; NULL: that is left to libvirt */
    char **targets; /* targets of a claim, each once, as "pci/0000:00:05.0"; NULL: none */
};

/* Fills *ret, which domain_clear() empties. -EBADMSG: *ret_problem is a sentence, the caller's. -ENOMEM. */
int domain_parse(const char *xml, size_t size, struct domain *ret, char **ret_problem);
void domain_clear(struct domain *domain);

/* The key of the domain's lease, and the comment for people, printable and short enough. The caller's; NULL
 * when out of memory. */
char *domain_key(const struct domain *domain);
char *domain_comment(const struct domain *domain);
