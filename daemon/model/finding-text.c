/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sentences of the findings: what stands in the way, and the way out. */
#include <stdio.h>

#include "model/survey.h"
#include "model/verdict.h"
#include "util/string.h"

static const char *subject_of(const struct finding *finding, char *buffer, size_t size) {
    if (finding->device && finding->group)
        snprintf(buffer, size, "Device %.200s in group %u", finding->device->name,
                 finding->group->id);
    else if (finding->device)
        snprintf(buffer, size, "Device %.200s", finding->device->name);
    else if (finding->group)
        snprintf(buffer, size, "Group %u", finding->group->id);
    else
        snprintf(buffer, size, "The claim");
    return buffer;
}

static char *policy_text(const struct finding *finding, const struct verdict_request *request,
                         const char *subject) {
    const char *rule = finding->rule ? finding->rule->name : "";
    unsigned uid = request->caller.uid, holder = request->holder.uid;

    switch (finding->reason) {
    case REASON_POLICY_DENIED:
        return string_format("%s is denied to uid %u by rule \"%s\".", subject, uid, rule);
    case REASON_NO_RULE:
        return string_format("%s is allowed to uid %u by no rule of the policy; a rule that "
                             "matches it is needed.",
                             subject, uid);
    case REASON_MODE_DENIED:
        return string_format("Rule \"%s\" does not allow mode %s.", rule,
                             policy_mode_to_string(request->mode));
    case REASON_LIFETIME_DENIED:
        if (finding->rule->max_ttl && request->ttl > finding->rule->max_ttl)
            return string_format("Rule \"%s\" allows a ttl of at most %u seconds.", rule,
                                 finding->rule->max_ttl);
        if (!request->lifetime)
            return string_format("Rule \"%s\" and the others leave no lifetime in common.", rule);
        return string_format("Rule \"%s\" does not allow lifetime %s; ask for another one.", rule,
                             policy_lifetime_to_string(request->lifetime));
    case REASON_DELEGATE_DENIED:
        return string_format("%s can not be claimed by uid %u for uid %u: rule \"%s\" %s.", subject,
                             uid, holder, rule,
                             finding->rule->effect == POLICY_DENY
                                 ? "denies it to that user"
                                 : "does not name that user under \"delegate\"");
    default:
        return string_format("%s: driver switching is not allowed by rule \"%s\".", subject, rule);
    }
}

static char *draining_text(const struct lease *lease, const struct verdict_request *request,
                           const char *subject) {
    bool visible = lease_is_visible_to(lease, request->caller.uid);
    _cleanup_(freep) char *openers = visible ? strings_join(lease->openers, ", ") : NULL;

    bool several = visible && strings_length(lease->openers) > 1;

    return string_format("%s was released by uid %u, but %s still %s it open; it is free when that "
                         "is closed.",
                         subject, lease->holder, openers && *openers ? openers : "somebody",
                         several ? "have" : "has");
}

/* Many callers share one uid (libvirt and container runtimes root's): what each calls its lease tells them
 * apart. The record, and what a program of root tells another user, has nobody else's comment. */
static char *leased_text(const struct lease *lease, const struct verdict_request *request,
                         const char *subject) {
    bool shown = !request->on_record && lease->claimant == request->caller.uid;
    const char *comment = shown ? lease->comment : "";
    bool said = comment && *comment;

    return string_format("%s is owned by uid %u (lease %llu%s%s%s); it is free when that lease ends.",
                         subject, lease->holder, (unsigned long long)lease->id, said ? ", \"" : "",
                         said ? comment : "", said ? "\"" : "");
}

static char *owner_text(const struct finding *finding, const struct verdict_request *request,
                        const char *subject) {
    const struct lease *lease = finding->group ? finding->group->lease : NULL;

    switch (finding->reason) {
    case REASON_SWITCHING:
        return string_format("%s is being moved between the kernel and userspace right now; try "
                             "again soon, or with the option wait.",
                             subject);
    case REASON_DRAINING:
        return draining_text(lease, request, subject);
    case REASON_LEASED:
        return leased_text(lease, request, subject);
    default:
        return string_format("%s is open in a process that did not get it from dmaownd; close "
                             "that first (lsof /dev/vfio/%u).",
                             subject, finding->group->id);
    }
}

static char *kernel_text(const struct finding *finding, const char *subject) {
    const struct device *device = finding->device;

    if (finding->reason == REASON_UNSAFE_UIO)
        return string_format("%s is bound to %s, which lets userspace drive its DMA uncontained; "
                             "unbind it or bind it to a VFIO driver.",
                             subject, device->driver);
    return string_format("%s is held by the kernel driver %s; unbind it or bind it to a VFIO "
                         "driver.",
                         subject, device->driver);
}

/* What is missing, or open to others: the group's node, or the cdev of a device. */
static char *node_text(const struct finding *finding, const char *subject) {
    const struct device *device = finding->device;
    const char *folder = device ? "/dev/vfio/devices/" : "/dev/vfio/";
    char name[80];

    if (device)
        snprintf(name, sizeof(name), "%.64s", device->vfio_device ?: "");
    else
        snprintf(name, sizeof(name), "%u", finding->group->id);
    if (finding->reason == REASON_NODE_OPEN_TO_OTHERS)
        return string_format("%s has a node %s%s that others may open too; take owner, mode and "
                             "ACL back to root and 0600.",
                             subject, folder, name);
    if (device)
        return string_format("%s has no cdev in /dev/vfio/devices; this kernel may have none, and "
                             "interface \"group\" is to be used.",
                             subject);
    return string_format("%s has no node %s%s.", subject, folder, name);
}

/* By the device tree, the IOMMU can not tell this device from one outside of the group. */
static char *sharing_text(const struct finding *finding, const char *subject) {
    const struct device *other = finding->other;

    if (!other)
        return string_format("%s can not be shown to be isolated: the device tree can not be read, or lacks "
                             "a node that the kernel has (see dmaownd's log).",
                             subject);
    if (finding->reason == REASON_SPLIT)
        return string_format("%s shares a stream with device %s in group %u, by the device tree: whoever "
                             "has one group reaches the memory of the other; see dmaownctl audit-dt.",
                             subject, other->name, other->group->id);
    if (finding->reason == REASON_PENDING)
        return string_format("%s shares a stream with device %s, which has no group and no driver yet; "
                             "none is to take it meanwhile.",
                             subject, other->name);
    return string_format("%s shares a stream with device %s, which is in no group and which the kernel "
                         "driver %s drives: each reaches the memory of the other; unbind it first.",
                         subject, other->name, other->driver ?: "(unknown)");
}

/* Of a device: why it can not be moved to one. */
static char *driver_text(const struct finding *finding, const char *subject) {
    const struct survey *survey = finding->device ? finding->device->survey : NULL;

    if (survey && survey->problem_text)
        return string_format("%s can not go to a VFIO driver: %s.", subject, survey->problem_text);
    return string_format("%s has no device on a VFIO driver; bind one to vfio-pci, or have the "
                         "drivers switched (detach).",
                         subject);
}

static char *no_reset_text(const struct finding *finding, const char *subject) {
    const struct device *device = finding->device;

    if (device->survey && device->survey->problem == REASON_NO_RESET)
        return driver_text(finding, subject);
    if (!device->has_ids && device->compatible && device->compatible[0])
        return string_format("%s has no reset, which the policy requires: no module for vfio-reset:%s "
                             "is known of.",
                             subject, device->compatible[0]);
    return string_format("%s has no reset of its own, which the policy requires.", subject);
}

/* What a switch would take from the host. Paths, processes and commands are for root. */
static char *use_text(const struct finding *finding, const struct verdict_request *request,
                      const char *subject) {
    const struct device_use *use = finding->use;

    if (!use)
        return string_format("%s is a PF, and another user has a VF of it; release that first.",
                             subject);
    return string_format("%s: %s%s.", subject,
                         request->caller.uid == 0 ? use->text : use->public_text,
                         finding->reason == REASON_DATA_ON_DISK
                             ? ""
                             : "; the host needs it, free it first");
}

static char *not_reset_text(const struct finding *finding, const char *subject) {
    return string_format("%s was open to uid %u and %s since, so it may still be running; %s a rule "
                         "with \"reattach_unreset\" lets it go on as it is.",
                         subject, finding->device->soiled_by,
                         finding->device->reset_failed ? "could not be reset" : "has no reset",
                         finding->blocks ? "power it off and on, or" : "here,");
}

/* device: the member by which the kernel judges, or NULL for the machine as a whole. */
static char *interrupts_text(const struct finding *finding, const struct verdict_request *request,
                             const char *subject) {
    bool cdev = verdict_interface(request) == LEASE_INTERFACE_CDEV;

    if (!finding->device)
        return string_format("%s needs interrupt remapping, which is off.", subject);
    if (finding->blocks)
        return string_format("%s has no interrupts that are isolated (no msi-parent in the device tree), and "
                             "the policy requires interrupt-remapping.",
                             subject);
    return string_format("%s has no interrupts that are isolated (no msi-parent in the device tree), so %s "
                         "will fail with EPERM: set the parameter allow_unsafe_interrupts of module %s, if "
                         "users of VFIO may raise any interrupt of this host by a write to memory.",
                         subject, cdev ? "the bind to an iommufd" : "VFIO_SET_IOMMU",
                         cdev ? "iommufd" : "vfio_iommu_type1");
}

static char *viability_text(const struct finding *finding, const struct verdict_request *request,
                            const char *subject) {
    switch (finding->reason) {
    case REASON_NO_GROUP:
        return string_format("%s has no IOMMU group, or none yet.", subject);
    case REASON_NO_VFIO_DRIVER:
        return driver_text(finding, subject);
    case REASON_NO_NODE:
    case REASON_NODE_OPEN_TO_OTHERS:
        return node_text(finding, subject);
    case REASON_KERNEL_DISAGREES:
        return string_format("%s is not viable by the kernel's own account, though no driver is "
                             "seen that holds it; see the kernel's log.",
                             subject);
    case REASON_DIRECT_REGION:
        return string_format("%s has memory that the firmware maps through (a direct reserved "
                             "region); it can not be given away.",
                             subject);
    case REASON_NO_IOMMU:
        return string_format("%s is not behind an IOMMU; switch it on in firmware and kernel.",
                             subject);
    case REASON_NOT_ENFORCED:
        return string_format("%s is on bus %s, where the kernel does not keep drivers and users "
                             "apart.",
                             subject, finding->device->bus);
    case REASON_OLD_KERNEL:
        return string_format("%s can not be given away safely on this kernel: it is older than "
                             "5.19.",
                             subject);
    case REASON_SPLIT:
    case REASON_HALF:
        return sharing_text(finding, subject);
    case REASON_PF_OWNED:
        return string_format("%s is a VF, and another user has its PF; release that first.", subject);
    case REASON_NOT_RESET:
        return not_reset_text(finding, subject);
    case REASON_NO_RESET:
        return no_reset_text(finding, subject);
    default:
        return interrupts_text(finding, request, subject);
    }
}

static char *quota_text(const struct finding *finding, const struct verdict_request *request) {
    unsigned uid = request->caller.uid;

    if (finding->rule)
        return string_format("Uid %u has %u leases under rule \"%s\", the most that it allows; "
                             "release one.",
                             uid, finding->rule->max_leases, finding->rule->name);
    return string_format("Uid %u has %u leases, the most that the policy allows; release one.", uid,
                         policy_limits(request->policy)->leases_per_uid);
}

/* What the device tree says of the device alone. */
static char *tree_text(enum reason reason, const char *subject) {
    switch (reason) {
    case REASON_TWO_IOMMUS:
        return string_format("%s is behind two IOMMUs, by the device tree; the kernel may put it on one "
                             "of them only.",
                             subject);
    case REASON_DISABLED_IOMMU:
        return string_format("%s names an IOMMU that is disabled in the device tree.", subject);
    case REASON_MAP_OVERLAP:
        return string_format("%s is behind an iommu-map of the device tree that overlaps with itself or "
                             "with others.",
                             subject);
    default:
        return string_format("%s names no IOMMU in the device tree, though others do.", subject);
    }
}

static char *pending_text(const struct finding *finding, const char *subject) {
    if (finding->other)
        return sharing_text(finding, subject);
    return string_format("%s has no IOMMU group yet: one forms when a driver first probes it, and is "
                         "judged then.",
                         subject);
}

static char *information_text(const struct finding *finding, const char *subject) {
    const char *driver = finding->device->driver;

    switch (finding->reason) {
    case REASON_PENDING:
        return pending_text(finding, subject);
    case REASON_TWO_IOMMUS:
    case REASON_DISABLED_IOMMU:
    case REASON_MAP_OVERLAP:
    case REASON_NO_IOMMUS:
        return tree_text(finding->reason, subject);
    case REASON_RESET_SPANS_GROUPS:
        return string_format("%s has no reset but that of its bus, which takes devices of other "
                             "groups along.",
                             subject);
    case REASON_USER_DRIVER:
        return string_format("%s is on the VFIO driver %s.", subject, driver ?: "(leaving)");
    case REASON_PASSIVE:
        if (driver)
            return string_format("%s is on %s, which coexists with a user.", subject, driver);
        return string_format("%s is a bridge without a driver.", subject);
    default:
        return string_format("%s has no driver; it comes with the group.", subject);
    }
}

static char *make_text(const struct finding *finding, const struct verdict_request *request) {
    char buffer[280];
    const char *subject = subject_of(finding, buffer, sizeof(buffer));

    switch (reason_outcome(finding->reason)) {
    case OUTCOME_POLICY_DENIED:
        return policy_text(finding, request, subject);
    case OUTCOME_BUSY:
    case OUTCOME_ALREADY_OWNED:
    case OUTCOME_FOREIGN_OWNER:
        return owner_text(finding, request, subject);
    case OUTCOME_DEVICE_IN_USE:
        return use_text(finding, request, subject);
    case OUTCOME_KERNEL_HELD:
        return kernel_text(finding, subject);
    case OUTCOME_NOT_VIABLE:
        return viability_text(finding, request, subject);
    case OUTCOME_QUOTA_EXCEEDED:
        return quota_text(finding, request);
    default:
        if (finding->use)
            return use_text(finding, request, subject);
        return information_text(finding, subject);
    }
}

/* Names come from sysfs as they are, and the sentence goes to a bus and to terminals. */
static char *make_printable(char *text) {
    if (!text || text_is_printable(text))
        return text;
    char *escaped = text_escape(text);
    free(text);
    return escaped;
}

char *finding_text(const struct finding *finding, const struct verdict_request *request) {
    return make_printable(make_text(finding, request));
}

/* ---- the refusal */

/* So many devices are named beside the first; Explain names them all. */
#define ALSO_HELD_MAX 8

static bool is_held(const struct finding *finding) {
    return finding->blocks && reason_outcome(finding->reason) == OUTCOME_KERNEL_HELD;
}

/* "54240000.dc (tegra-dc), 54340000.vic (tegra-vic) and 2 more"; "" if nothing but first is held. */
static char *list_others_held(const struct verdict *verdict, const struct finding *first) {
    char *list = strdup("");
    size_t n = 0;

    for (size_t i = 0; list && i < verdict->n_findings; i++) {
        const struct finding *finding = &verdict->findings[i];
        if (finding == first || !is_held(finding) || n++ >= ALSO_HELD_MAX)
            continue;
        char *longer = string_format("%s%s%s (%s)", list, *list ? ", " : "", finding->device->name,
                                     finding->device->driver);
        free(list);
        list = longer;
    }
    if (!list || n <= ALSO_HELD_MAX)
        return list;
    char *longer = string_format("%s and %zu more", list, n - ALSO_HELD_MAX);
    free(list);
    return longer;
}

char *verdict_text(const struct verdict *verdict, const struct verdict_request *request) {
    const struct finding *first = verdict_first_finding(verdict);

    if (!first)
        return NULL;
    _cleanup_(freep) char *text = finding_text(first, request);
    if (!text || !is_held(first))
        return TAKE_POINTER(text);
    _cleanup_(freep) char *others = list_others_held(verdict, first);
    if (!others || !*others)
        return others ? TAKE_POINTER(text) : NULL;
    return make_printable(string_format("%s Also held: %s.", text, others));
}
