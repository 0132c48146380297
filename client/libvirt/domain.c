/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/libvirt/domain.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "util/cleanup.h"
#include "util/string.h"

#define UUID_LENGTH 36

/* More of a text that is wrong is not read by anyone. */
#define SHOWN "%.100s"

static void xml_freep(xmlChar **text) {
    if (*text)
        xmlFree(*text);
}

static void xml_parserp(xmlParserCtxtPtr *parser) {
    if (*parser)
        xmlFreeParserCtxt(*parser);
}

static void xml_documentp(xmlDocPtr *document) {
    if (*document)
        xmlFreeDoc(*document);
}

_printf_(2, 3) static int refuse(char **ret_problem, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    int length = vasprintf(ret_problem, format, arguments);
    va_end(arguments);
    if (length < 0)
        *ret_problem = NULL;
    return length < 0 ? -ENOMEM : -EBADMSG;
}

/* ---- elements and attributes ------------------------------------------------------------------ */

static bool is_element(const xmlNode *node, const char *name) {
    return node->type == XML_ELEMENT_NODE && !node->ns && strcmp((const char *)node->name, name) == 0;
}

static xmlNode *next_element(xmlNode *node, const char *name) {
    while (node && !is_element(node, name))
        node = node->next;
    return node;
}

static xmlNode *child(const xmlNode *node, const char *name) {
    return node ? next_element(node->children, name) : NULL;
}

static bool attribute_is(const xmlNode *node, const char *name, const char *value) {
    _cleanup_(xml_freep) xmlChar *text = node ? xmlGetNoNsProp(node, (const xmlChar *)name) : NULL;

    return text && strcmp((const char *)text, value) == 0;
}

/* *ret is the caller's, NULL without such an element. */
static int read_text(const xmlNode *parent, const char *name, char **ret) {
    const xmlNode *node = child(parent, name);
    _cleanup_(xml_freep) xmlChar *text = node ? xmlNodeGetContent(node) : NULL;

    *ret = NULL;
    if (!node)
        return 0;
    return text && (*ret = strdup((const char *)text)) ? 0 : -ENOMEM;
}

/* ---- addresses -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint32_t max;
    bool needed;
} pci_parts[] = {
    {"domain", UINT32_MAX, false},
    {"bus", 0xff, true},
    {"slot", 0x1f, true},
    {"function", 7, false},
};

static int read_part(const xmlNode *address, size_t i, const char *what, uint32_t *ret, char **ret_problem) {
    _cleanup_(xml_freep) xmlChar *value = xmlGetNoNsProp(address, (const xmlChar *)pci_parts[i].name);
    const char *text = (const char *)value;

    *ret = 0;
    if (!text && !pci_parts[i].needed)
        return 0;
    if (!text)
        return refuse(ret_problem, "The PCI address of a host device (<%s>) has no %s.", what,
                      pci_parts[i].name);
    if ((parse_hex32(text, ret) < 0 && parse_u32(text, ret) < 0) || *ret > pci_parts[i].max)
        return refuse(ret_problem,
                      "In the PCI address of a host device (<%s>), '" SHOWN "' is no %s: that is a number up "
                      "to 0x%x.",
                      what, text, pci_parts[i].name, pci_parts[i].max);
    return 0;
}

static int add_target(struct domain *domain, const char *target, char **ret_problem) {
    if (strings_contain(domain->targets, target))
        return 0;
    if (strings_length(domain->targets) == DOMAIN_TARGETS_MAX)
        return refuse(ret_problem,
                      "The domain has more than %d host devices, the most that dmaownd grants together.",
                      DOMAIN_TARGETS_MAX);
    return strings_append(&domain->targets, target);
}

static int add_pci(struct domain *domain, const xmlNode *address, const char *what, char **ret_problem) {
    uint32_t part[ELEMENTS_OF(pci_parts)];
    char target[64];

    for (size_t i = 0; i < ELEMENTS_OF(pci_parts); i++) {
        int r = read_part(address, i, what, &part[i], ret_problem);
        if (r < 0)
            return r;
    }
    snprintf(target, sizeof(target), "pci/%04x:%02x:%02x.%x", part[0], part[1], part[2], part[3]);
    return add_target(domain, target, ret_problem);
}

/* Lower-cases it. */
static bool is_uuid(char *text) {
    size_t i;

    for (i = 0; text[i]; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
            return false;
        text[i] = (char)tolower((unsigned char)text[i]);
    }
    return i == UUID_LENGTH;
}

static int add_mdev(struct domain *domain, const xmlNode *address, char **ret_problem) {
    _cleanup_(xml_freep) xmlChar *uuid = xmlGetNoNsProp(address, (const xmlChar *)"uuid");
    char target[64];

    if (!uuid)
        return refuse(ret_problem, "The address of a mediated device (<hostdev>) has no uuid.");
    if (!is_uuid((char *)uuid))
        return refuse(ret_problem, "'" SHOWN "' is no UUID of a mediated device (<hostdev>).",
                      (const char *)uuid);
    snprintf(target, sizeof(target), "mdev/%s", (const char *)uuid);
    return add_target(domain, target, ret_problem);
}

/* ---- devices ---------------------------------------------------------------------------------- */

static int find_address(const xmlNode *device, const char *what, const xmlNode **ret, char **ret_problem) {
    *ret = child(child(device, "source"), "address");
    if (*ret)
        return 0;
    return refuse(ret_problem, "A host device (<%s>) has no <address> in its <source>.", what);
}

/* Assigned by something else than VFIO: by Xen, or by KVM itself, which Linux did before VFIO. */
static bool is_vfio(const xmlNode *device) {
    const xmlNode *driver = child(device, "driver");

    return !attribute_is(driver, "name", "xen") && !attribute_is(driver, "name", "kvm");
}

/* What is on USB or SCSI has no IOMMU group of its own. */
static int read_hostdev(struct domain *domain, const xmlNode *device, char **ret_problem) {
    bool pci = attribute_is(device, "type", "pci"), mdev = attribute_is(device, "type", "mdev");
    const xmlNode *address;

    if ((!pci && !mdev) || attribute_is(device, "mode", "capabilities") || (pci && !is_vfio(device)))
        return 0;
    int r = find_address(device, "hostdev", &address, ret_problem);
    if (r < 0)
        return r;
    return pci ? add_pci(domain, address, "hostdev", ret_problem) : add_mdev(domain, address, ret_problem);
}

static int read_interface(struct domain *domain, const xmlNode *device, char **ret_problem) {
    const xmlNode *address;

    if (!attribute_is(device, "type", "hostdev") || !is_vfio(device))
        return 0;
    int r = find_address(device, "interface", &address, ret_problem);
    if (r < 0 || attribute_is(address, "type", "usb"))
        return r;
    return add_pci(domain, address, "interface", ret_problem);
}

/* The disk itself, or one that it is layered upon, is an NVMe controller that QEMU drives. */
static int read_disk(struct domain *domain, const xmlNode *device, char **ret_problem) {
    const xmlNode *address;

    for (; device; device = child(device, "backingStore")) {
        if (!attribute_is(device, "type", "nvme"))
            continue;
        int r = find_address(device, "disk", &address, ret_problem);
        if (r >= 0)
            r = add_pci(domain, address, "disk", ret_problem);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_devices(struct domain *domain, const xmlNode *devices, char **ret_problem) {
    int r = 0;

    for (const xmlNode *device = devices->children; r >= 0 && device; device = device->next) {
        if (is_element(device, "hostdev"))
            r = read_hostdev(domain, device, ret_problem);
        else if (is_element(device, "interface"))
            r = read_interface(domain, device, ret_problem);
        else if (is_element(device, "disk"))
            r = read_disk(domain, device, ret_problem);
    }
    return r;
}

/* ---- the domain ------------------------------------------------------------------------------- */

static int read_name(struct domain *domain, const xmlNode *root, char **ret_problem) {
    int r = read_text(root, "name", &domain->name);

    if (r < 0)
        return r;
    if (!domain->name || !*domain->name)
        return refuse(ret_problem, "The domain has no name.");
    if (strchr(domain->name, '/'))
        return refuse(ret_problem, "'" SHOWN "' is no name of a domain: it has a slash.", domain->name);
    return 0;
}

static int read_uuid(struct domain *domain, const xmlNode *root, char **ret_problem) {
    int r = read_text(root, "uuid", &domain->uuid);

    if (r < 0)
        return r;
    if (!domain->uuid)
        return refuse(ret_problem, "The domain has no UUID.");
    if (!is_uuid(domain->uuid))
        return refuse(ret_problem, "'" SHOWN "' is no UUID of a domain.", domain->uuid);
    return 0;
}

/* A label for the owner of the process, "+64055:+64055" or "libvirt-qemu:kvm", is of the user first. */
static int read_user(struct domain *domain, const xmlNode *root) {
    xmlNode *label = child(root, "seclabel");
    int r = 0;

    for (; label && r >= 0 && !domain->user; label = next_element(label->next, "seclabel")) {
        if (!attribute_is(label, "model", "dac"))
            continue;
        r = read_text(label, "label", &domain->user);
        if (r < 0 || !domain->user)
            continue;
        domain->user[strcspn(domain->user, ":")] = 0;
        if (!*domain->user)
            domain->user = (free(domain->user), NULL);
    }
    return r;
}

static int read_domain(struct domain *domain, const xmlNode *root, char **ret_problem) {
    if (!root || !is_element(root, "domain"))
        return refuse(ret_problem, "What libvirt gave is the XML of '" SHOWN "' and not of a domain.",
                      root ? (const char *)root->name : "");
    int r = read_name(domain, root, ret_problem);
    if (r >= 0)
        r = read_uuid(domain, root, ret_problem);
    if (r >= 0)
        r = read_user(domain, root);
    for (xmlNode *devices = child(root, "devices"); r >= 0 && devices;
         devices = next_element(devices->next, "devices"))
        r = read_devices(domain, devices, ret_problem);
    return r;
}

/* ---- the document ----------------------------------------------------------------------------- */

/* libvirt writes none. Entities, which could make much out of little or name files, come only with one; it
 * has not been read yet. */
static void on_doctype(void *context, const xmlChar *name, const xmlChar *external, const xmlChar *system) {
    xmlParserCtxtPtr parser = context;

    *(bool *)parser->_private = true;
    xmlStopParser(parser);
}

static int refuse_document(xmlParserCtxtPtr parser, bool doctype, char **ret_problem) {
    const xmlError *error = xmlCtxtGetLastError(parser);

    if (doctype)
        return refuse(ret_problem, "The XML of the domain has a document type declaration, which libvirt "
                                   "does not write.");
    if (error && error->code == XML_ERR_NO_MEMORY)
        return -ENOMEM;
    const char *message = error && error->message ? error->message : "it is no XML";
    _cleanup_(freep) char *first_line = strndup(message, strcspn(message, "\n"));
    if (!first_line)
        return -ENOMEM;
    return refuse(ret_problem, "The XML of the domain cannot be read: line %d: " SHOWN ".",
                  error ? error->line : 1, first_line);
}

int domain_parse(const char *xml, size_t size, struct domain *ret, char **ret_problem) {
    _cleanup_(xml_parserp) xmlParserCtxtPtr parser = NULL;
    _cleanup_(xml_documentp) xmlDocPtr document = NULL;
    struct domain domain = {0};
    bool doctype = false;

    if (size == 0)
        return refuse(ret_problem, "libvirt gave no XML of the domain.");
    if (size > DOMAIN_XML_MAX)
        return refuse(ret_problem, "The XML of the domain is larger than %d MiB.", DOMAIN_XML_MAX >> 20);
    parser = xmlNewParserCtxt();
    if (!parser)
        return -ENOMEM;
    parser->_private = &doctype;
    parser->sax->internalSubset = on_doctype;
    document = xmlCtxtReadMemory(parser, xml, (int)size, NULL, NULL,
                                 XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    /* Stopped at its declaration, it may pass for a document. */
    if (!document || doctype)
        return refuse_document(parser, doctype, ret_problem);
    int r = read_domain(&domain, xmlDocGetRootElement(document), ret_problem);
    if (r < 0) {
        domain_clear(&domain);
        return r;
    }
    *ret = domain;
    return 0;
}

void domain_clear(struct domain *domain) {
    free(domain->name);
    free(domain->uuid);
    free(domain->user);
    strings_free(domain->targets);
    *domain = (struct domain){0};
}

char *domain_key(const struct domain *domain) {
    return string_format("libvirt:%s", domain->uuid);
}

char *domain_comment(const struct domain *domain) {
    static const char prefix[] = "libvirt domain ";
    _cleanup_(freep) char *name = text_escape(domain->name);
    size_t room = DOMAIN_COMMENT_MAX - strlen(prefix) - 1 - strlen(domain->uuid);

    if (!name)
        return NULL;
    if (strlen(name) > room) {
        /* Not in the middle of a character. */
        while ((name[room] & 0xc0) == 0x80)
            room--;
        name[room] = 0;
    }
    return string_format("%s%s %s", prefix, name, domain->uuid);
}
