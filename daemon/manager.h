/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one place that knows both the model and the outside. It turns what the kernel says into the
 * model, the model and the policy into verdicts, verdicts into leases, and tells the audit trail
 * and one listener (the bus) what changed. Everything happens on one loop; nothing here blocks. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ev.h>

#include "kernel/features.h"
#include "kernel/node.h"
#include "kernel/uevent.h"
#include "manager-claim.h"
#include "model/detachment.h"
#include "model/lease.h"
#include "model/model.h"
#include "model/verdict.h"
#include "policy/policy.h"
#include "record/audit.h"
#include "record/state.h"
#include "util/clock.h"
#include "util/worker.h"

/* What the listener is told. publish comes once a loop turn with changes: the model's lists of
 * changes are read in it. */
struct manager_listener {
    void (*publish)(void *userdata);
    void (*lease_added)(struct lease *lease, void *userdata);
    void (*lease_changed)(struct lease *lease, void *userdata);
    /* It lives with something else; unit: what it lived with before, or "". */
    void (*lease_lifetime_changed)(const struct lease *lease, const char *unit, void *userdata);
    void (*lease_revoking)(const struct lease *lease, uint64_t seconds, void *userdata);
    void (*lease_ended)(struct lease *lease, void *userdata);
    void (*conflict)(const struct group *group, const char *device, const char *driver,
                     const char *text, void *userdata);
    /* A switch of drivers has ended: OUTCOME_OK, or why it did not come about. */
    void (*switched)(uint64_t id, enum outcome outcome, const char *text, void *userdata);
    /* Has the service manager load a module; manager_module_loaded follows. A negative errno: not even
     * asked. */
    int (*load_module)(const char *module, uint64_t id, void *userdata);
    void (*policy_reloaded)(bool ok, const char *text, void *userdata);
};

struct manager_options {
    const char *config_directory;
    const char *sysfs_directory;
    const char *state_directory;
    bool foreground;
};

struct drain;
struct guard;
struct manager_survey;
struct reservation;
struct usage;
struct transaction;
struct keeper;
struct policy_load;
struct stale;

struct manager {
    struct ev_loop *loop;
    struct manager_options options;
    int sysfs;

    struct model model;
    struct lease_book leases;
    struct policy *policy; /* NULL until one was good */
    uint64_t policy_generation;
    struct policy_load *policy_load; /* a load under way */
    bool policy_load_again;
    bool reloading; /* the service manager waits to hear of it */
    struct verdict_host host;
    enum kernel_model kernel_model;
    struct worker *symbols; /* reads kallsyms */

    struct stale *stale; /* what events say is to be read again */
    struct keeper *keepers; /* what leases live with, by lease */
    int keepers_ended;      /* epoll of their fds */
    struct drain *drains;   /* what is under way for leases that drain, by lease */
    struct detachment *detachments;   /* what was moved, by id */
    struct transaction *transactions; /* what is being moved, by id */
    struct reservation *reservations; /* looks at groups that policy keeps for userspace */
    struct manager_cleaning *cleanings; /* resets between two users */
    struct worker *vfs_worker; /* keeps host drivers from VFs that policy reserves */
    struct guard *guards; /* looks at devices that joined a group */
    struct usage *usage;  /* NULL before manager_start_usage */
    unsigned lost_leases; /* whose state could not be read at the start */
    bool lost;           /* … and something could not be noted */

    struct audit *audit;
    struct state *state;
    struct uevent_monitor *uevents;
    struct node_watch *nodes;
    ev_io uevent_input, node_input, keeper_input;
    ev_timer tick, deadline, drain, reserve;
    ev_prepare turn;
    bool changed;     /* something that no list of changes shows */
    bool tick_passed; /* since the service manager was last told that all is well */

    const struct manager_listener *listener;
    void *listener_data;
};

/* Opens everything and reads the kernel's state: monitor first, scan second. Leases of this boot
 * are loaded, not yet judged. 0 or a negative errno, and then a line in the log says why. */
int manager_new(struct ev_loop *loop, const struct manager_options *options, struct manager **ret);
struct manager *manager_free(struct manager *manager);
DEFINE_CLEANUP(struct manager *, manager_free)

/* Takes in every event that waits, so that a judgement stands on all that the kernel has said. */
void manager_catch_up(struct manager *manager);
/* KERNEL_MODEL_NONE while there is no group. */
enum kernel_model manager_kernel_model(const struct manager *manager);
/* Reads the kernel's symbols and caches what they say for this boot; runs outside of the sandbox
 * that hides them from the daemon. */
int manager_probe_kernel(const char *state_directory);

/* ---- facts (manager-facts.c) */

/* Reads everything again and takes the difference into the model. */
int manager_scan(struct manager *manager);
/* Reads one group's members, node and facts again. The group may be gone afterwards. */
int manager_refresh_group(struct manager *manager, uint32_t id);
/* Reads one device again, and the group that it is in. *ret is NULL if it is gone. */
int manager_refresh_device(struct manager *manager, const char *path, struct device **ret);
/* Reads the nodes of a group and of its members' cdevs again. */
void manager_refresh_node(struct manager *manager, struct group *group);
/* Reads which devices each group has, and those that are new or moved. */
int manager_refresh_members(struct manager *manager);
/* Notes what an event makes stale; manager_reread_stale then reads it again and settles. */
void manager_handle_uevent(const struct uevent *event, void *userdata);
void manager_reread_stale(struct manager *manager);
void manager_handle_node_event(enum node_event event, uint32_t id, const char *vfio_device,
                               void *userdata);

/* ---- the device tree (manager-tree.c) */

/* Reads what the firmware says, if there is a tree. 0 or -ENOMEM; what is wrong with it is logged. */
int manager_read_tree(struct manager *manager);
/* For a device that is new: its node and what ids its DMA carries. node is room for the former. */
int manager_read_node(struct manager *manager, struct device_facts *facts, char *node, size_t size);

/* ---- what follows from changes (manager-watch.c) */

/* Ends, conflicts and repairs that follow from what changed in the model. To be called after facts
 * were taken in and before anybody is judged by them. */
void manager_settle(struct manager *manager);
/* The shared node /dev/iommu is open to whoever holds a cdev by path. */
void manager_check_iommu_node(struct manager *manager);
/* A driver that the kernel said it bound: recorded even if it is gone when sysfs is read. */
void manager_note_bind(struct manager *manager, struct device *device, const char *driver);

/* ---- users without a lease (manager-foreign.c) */

/* Records that userspace has the group, and that nobody was granted it; each time it was opened once. */
void manager_report_foreign(struct manager *manager, struct group *group);
/* Finds those who opened a copy of a node. manager_settle reports them. */
void manager_look_for_foreign(struct manager *manager);
/* How often a device is enabled: vfio-pci has it so while it is open (manager-hygiene.c). */
unsigned manager_count_enabled(const struct manager *manager, const struct device *device);

/* ---- leases (manager-leases.c) */

/* What VFIO demands of devices that are not PCI, where the claim is about such: an administrator may have
 * changed it. Whoever asks for all groups gets what was read at the last tick. */
void manager_read_demands(struct manager *manager, const struct claim *claim);

/* The request that a claim makes to the verdict; borrowed from claim and manager. */
struct verdict_request manager_request(struct manager *manager, const struct claim *claim);

/* Reads the facts of the claim's groups again, judges, asks the kernel, and grants: state first,
 * then access. OUTCOME_OK with *ret_lease (the book's) and fds, which are the caller's to pass on and
 * close; another outcome with refusal filled; or a negative errno: -EAGAIN if udev is still at work
 * on a node, or a reset is needed first (call again soon). A refusal is recorded. The groups of claim
 * may be freed by it. */
int manager_claim(struct manager *manager, struct claim *claim, struct lease **ret_lease,
                  struct lease_fds *fds, struct refusal *refusal);
/* Tries whether those who were met with a group of the claim open, and not seen, have it open still. */
void manager_reconsider_openers(struct manager *manager, const struct claim *claim);
/* Refuses a claim by the verdict's first finding, on record. */
enum outcome manager_refuse_by_verdict(struct manager *manager, const struct claim *claim,
                                       const struct verdict_request *request,
                                       const struct verdict *verdict, struct refusal *refusal);

/* ---- a claim that was sent again (manager-repeat.c) */

/* The lease that the claimant was granted under the claim's key before, or NULL; *ret_same: for the
 * same groups and on the same terms. */
struct lease *manager_find_repeated(struct manager *manager, const struct claim *claim,
                                    bool *ret_same);
/* Such a claim gets fds once more, and policy, by its first reason, no longer allows it. */
bool manager_repeat_is_denied(const struct claim *claim, enum reason first);
/* The fds of a lease once more, for a claim that was sent again and is judged by policy again. */
int manager_claim_again(struct manager *manager, const struct claim *claim,
                        const struct lease *lease, struct lease_fds *fds, struct refusal *refusal);

/* One `ended`, `granted`, `recovered` … entry about a lease (manager-leases.c). */
void manager_record_lease(struct manager *manager, enum audit_kind kind, const struct lease *lease,
                          const char *reason, const char *message);
void manager_record_denial(struct manager *manager, const struct claim *claim, enum reason reason,
                           const char *rule, const char *message);
/* A lease as the claim asks for and the verdict allows; no one else's yet. NULL: out of memory. */
struct lease *manager_make_lease(const struct claim *claim, const struct verdict *verdict);

/* A claim for what the lease has, by its claimant; borrowed from the lease. groups: room for
 * CLAIM_GROUPS_MAX. */
struct claim manager_claim_of(const struct manager *manager, const struct lease *lease,
                              struct group **groups);

/* Gives the lease the lifetime of terms (with its pidfd, kept_pid, kept_start, kept_unit; and who asks for
 * it) if the policy in force would allow it to the lease's claimant (manager-lifetime.c). OUTCOME_OK, or
 * another outcome with refusal filled: then the lease is as it was. */
enum outcome manager_set_lifetime(struct manager *manager, struct lease *lease, const struct claim *terms,
                                  struct refusal *refusal);

/* ---- nodes and fds of a lease (manager-access.c) */

/* The next device of the lease's group that is still its own; *at begins as group->devices. NULL at
 * the end. */
struct device *manager_next_device(const struct manager *manager, const struct lease *lease,
                                   const struct lease_group *group, char ***at);
/* The shared node /dev/iommu, for leases of mode path and interface cdev. */
int manager_give_iommu_node(struct manager *manager, const struct lease *lease);
bool manager_iommu_node_is_in_order(struct manager *manager, const struct lease *lease);
/* Takes the user's entry away unless an active lease of theirs needs it. */
int manager_withdraw_iommu_node(struct manager *manager, uid_t user);

/* Mode path: an entry for the holder in the ACL of every node. */
int manager_give_access(struct manager *manager, const struct lease *lease);
/* Writes the entries of one group's nodes anew. */
int manager_restore_access(struct manager *manager, const struct lease *lease, uint32_t group);
/* Takes the holder's access away from every node. False: not from all; draining tries again. */
bool manager_withdraw_access(struct manager *manager, struct lease *lease);
/* The nodes of the group are open to the holder as the lease says, and to nobody else. */
bool manager_access_is_in_order(const struct group *group);
/* Mode fd: opens what the lease is for. Errors as of node_open; -E2BIG: more than a reply can
 * carry. *ret_node names, for a sentence, what failed (borrowed, valid until the next call). */
int manager_open_lease(struct manager *manager, const struct lease *lease, bool container,
                       struct lease_fds *fds, const char **ret_node);
/* How many fds manager_open_lease would open. */
size_t manager_count_fds(const struct verdict_request *request, bool container);
int lease_fds_add(struct lease_fds *fds, int fd, const char *format, ...) _printf_(3, 4);

/* ---- what a lease lives with (manager-keepers.c) */

/* More leases that live with an fd or a process are not granted: the fd store has no room. */
#define KEEPERS_MAX 4096

/* Lifetimes fd and process: from now on the lease ends with what claim names, also after a restart.
 * For lifetime fd the fd of which every copy keeps the lease goes into fds. 0, -EUSERS: there are
 * KEEPERS_MAX. */
int manager_keep(struct manager *manager, struct lease *lease, int pidfd, struct lease_fds *fds);
/* The same for a lease that has another lifetime from now on: process with this pidfd, unit or persistent.
 * What it lived with before does not end it any more. On failure that is as it was. */
int manager_keep_instead(struct manager *manager, const struct lease *lease, unsigned before, int pidfd);
void manager_stop_keeping(struct manager *manager, const struct lease *lease);
/* Another copy of the fd that keeps the lease. */
int manager_copy_keeper(struct manager *manager, const struct lease *lease, struct lease_fds *fds);
/* What the service manager kept: back to its lease, or closed and reported. */
void manager_recover_keepers(struct manager *manager);
/* True if the recovered lease has lost what it lives with; why goes to *ret. */
bool manager_keeper_is_lost(struct manager *manager, struct lease *lease, enum lease_end *ret);
/* Ends leases whose keeper has ended by now. */
void manager_check_keepers(struct manager *manager);
int manager_start_keepers(struct manager *manager);
void manager_free_keepers(struct manager *manager);

/* ---- taking back (manager-endings.c) */

/* What it has become goes to disk; if that fails it is tried again with every attempt to drain. */
void manager_save_lease(struct manager *manager, struct lease *lease);
/* For a lease that ends (or never began): waits until its access is gone and it has drained. */
void manager_start_draining(struct manager *manager, struct lease *lease, enum lease_end end);
/* For a lease that drains: it may have ended, and been freed, afterwards. */
void manager_go_on_draining(struct manager *manager, struct lease *lease);
/* Takes access away; the lease ends when nobody has its groups open any more, which may be at once:
 * then it is freed. No other lease is. */
void manager_end_lease(struct manager *manager, struct lease *lease, enum lease_end end);
/* Ends the connection leases of a name that left the bus. */
void manager_sender_gone(struct manager *manager, const char *sender, const char *bus_id);
/* Opens the node for an instant: see node_ask_kernel. */
int manager_ask_kernel(struct manager *manager, uint32_t id);
/* Tries whether draining leases have drained. */
void manager_try_draining(struct manager *manager);
/* Ends the leases whose time is over. */
void manager_end_overdue(struct manager *manager);
void manager_arm_deadline(struct manager *manager);
/* Ends the leases that live with a unit. */
void manager_unit_stopped(struct manager *manager, const char *unit);
/* Tells everybody that the lease will be taken in so many seconds, and then takes it. */
void manager_revoke(struct manager *manager, struct lease *lease, uint64_t seconds, bool unbind);
/* Nobody has it any more: the groups can be granted again. Frees the lease. */
void manager_finish_lease(struct manager *manager, struct lease *lease);

/* ---- what a draining lease waits for (manager-drain.c) */

/* True when the lease has drained. What is needed for that is under way otherwise: looking who has
 * its nodes open, unbinding, binding again, in workers; manager_try_draining follows. */
bool manager_drain(struct manager *manager, struct lease *lease);
/* Something was closed: the next look who has what open comes soon. */
void manager_look_soon(struct manager *manager);
/* Why the VFIO drivers of a draining lease could not be taken away: a negative errno, or 0. */
int manager_drain_error(const struct manager *manager, const struct lease *lease);
void manager_stop_draining(struct manager *manager, const struct lease *lease);
void manager_free_drains(struct manager *manager);

/* ---- a look that may block (manager-survey.c) */

/* Looks what the host needs these devices for and, with drivers_for, which VFIO drivers there are for
 * that subject. The model has the answer when done is called, with 0 or a negative errno. */
typedef void manager_surveyed(int result, void *userdata);
int manager_survey(struct manager *manager, struct device *const *devices, size_t n_devices,
                   const struct policy_subject *drivers_for, manager_surveyed *done,
                   void *userdata, struct manager_survey **ret);
/* Gives up on it: done is not called. */
struct manager_survey *manager_survey_free(struct manager_survey *survey);

/* Who has the nodes of the claim's groups open (manager-holders.c): done gets "process 812 (…), …", or ""
 * where that can not be seen. */
typedef void manager_openers_found(const char *names, void *userdata);
struct manager_openers;
int manager_find_openers(struct manager *manager, const struct claim *claim,
                         manager_openers_found *done, void *userdata,
                         struct manager_openers **ret);
struct manager_openers *manager_openers_free(struct manager_openers *openers);

/* Has UsedBy looked at soon (manager-usage.c). */
void manager_look_at_usage(struct manager *manager);
int manager_start_usage(struct manager *manager);
void manager_free_usage(struct manager *manager);

/* ---- groups that policy keeps for userspace (manager-reserve.c) */

/* Soon detaches those that were not looked at yet; anew: all at once, since the policy is another one. */
void manager_reserve(struct manager *manager);
void manager_reserve_anew(struct manager *manager);
/* Takes over what was given to VFIO at boot. */
void manager_adopt_reserved(struct manager *manager);
void manager_free_reservations(struct manager *manager);

/* ---- the guard (manager-guard.c) */

/* Pins the device if it has joined a group that userspace has, or shares a stream with one. */
void manager_guard(struct manager *manager, struct device *device);
/* The same for those outside of the group that share a stream with it. */
void manager_guard_peers(struct manager *manager, const struct group *group);
/* The group that the record's device is pinned for goes back. True if another group on its streams is
 * userspace's: from now on it is pinned for that one, and stays. */
bool manager_pass_on_pin(struct manager *manager, struct detachment *detachment);
/* A lease of the group has ended: what was pinned beside it is not any more. */
void manager_end_guard(struct manager *manager, const struct group *group);
/* What failed is tried again, with the tick. */
void manager_guard_again(struct manager *manager);
void manager_free_guards(struct manager *manager);

/* ---- switching drivers (manager-detach.c, manager-reattach.c, manager-switch.c) */

/* Records that one call may concern. */
#define DETACHMENTS_MAX 128

/* A member of the claim's groups has to move before they can be granted. */
bool manager_needs_detach(const struct claim *claim);
/* What would move, by the last look; with all, also what stays (MOVE_STAYS). *ret is the caller's. */
int manager_plan_detach(const struct claim *claim, bool all, struct detachment **ret);
/* Starts to move the claim's groups, which the verdict allows under these rules. OUTCOME_OK with *ret_id,
 * of which the listener hears (0: nothing is to be moved); an outcome with refusal filled, and then
 * nothing was touched; or a negative errno. The end may come before this returns. pending: a daemon that
 * ends before manager_confirm_detach has it undone. */
int manager_detach(struct manager *manager, const struct claim *claim, const char *rule,
                   bool pending, uint64_t *ret_id, struct refusal *refusal);
/* What was moved with pending is its caller's now: from here on it outlives the daemon. */
void manager_confirm_detach(struct manager *manager, const struct claim *claim);
/* What is being moved goes back; why completes the sentence "Step … of device …" or "The switch of
 * drivers". What went wrong first is returned, the caller's; NULL if it has ended. */
char *manager_undo_detach(struct manager *manager, uint64_t id, const char *why);
void manager_module_loaded(struct manager *manager, uint64_t id, const char *module, int error);
/* The records of the claim's groups. */
size_t manager_find_detachments(const struct manager *manager, const struct claim *claim,
                                struct detachment *ret[static DETACHMENTS_MAX]);
/* Starts to give the members back. unreset: also what could not be reset. 0, and the listener hears of
 * detachment->id; -EBUSY: on its way already; or another errno. The record may be gone afterwards. */
int manager_reattach(struct manager *manager, struct detachment *detachment, enum way_back way,
                     bool unreset);
/* Whether the claim's groups can be given back now; OUTCOME_OK, or an outcome with refusal filled. */
enum outcome manager_judge_reattach(struct manager *manager, const struct claim *claim,
                                    struct refusal *refusal);
/* Somebody has the group open, who may not have been heard of: its node is tried. */
bool manager_is_open(struct manager *manager, struct group *group);
/* The same for any group of the claim. */
bool manager_is_open_unseen(struct manager *manager, const struct claim *claim);
/* "process 812 (…)": who keeps a switch from going on, as far as is known; the caller's. For root. */
char *manager_describe_holders(const struct manager *manager, uint64_t id);
/* "Step unbind of device … from e1000": what a switch is at; the caller's, NULL if nothing hangs. */
char *manager_describe_switch(const struct manager *manager, uint64_t id);
/* ---- the way back of what a lease was granted (manager-return.c) */

/* Its way back is on disk before the lease is not any more. */
void manager_announce_return(struct manager *manager, const struct lease *lease);
/* The groups of an ended lease go back to their host drivers. */
void manager_give_back(struct manager *manager, const struct lease *lease);
/* What was to go back by now and is nobody's goes back. To be called when its time has come, and when
 * whoever had it may have gone. */
void manager_return_due(struct manager *manager);
/* Somebody is about to have the claim's groups: what is to go back soon does not while that takes. */
void manager_put_off_return(struct manager *manager, const struct claim *claim);
/* They were detached by themselves meanwhile, and stay. */
void manager_cancel_return(struct manager *manager, const struct claim *claim);
/* When that is next (boottime, µs); 0: never. */
uint64_t manager_next_return(const struct manager *manager);

/* Has the next daemon give the members back, if this one ends before manager_reattach. */
int manager_announce_reattach(struct manager *manager, struct detachment *detachment);
struct detachment *manager_find_detachment(const struct manager *manager, uint64_t id);
struct detachment *manager_detachment_of(const struct manager *manager,
                                         const struct device *device);
void manager_free_transactions(struct manager *manager);

/* ---- records of what was moved (manager-detachments.c) */

int manager_load_detachments(struct manager *manager);
/* Undoes or finishes what the end of a daemon cut short. */
void manager_recover_detachments(struct manager *manager);
/* The device changed: somebody else may have moved it. */
void manager_check_detached(struct manager *manager, struct device *device);
void manager_note_removed(struct manager *manager, const char *path);
void manager_free_detachments(struct manager *manager);
/* The model's devices know of their record. To be called when one was added or lost members. */
void manager_link_detachments(struct manager *manager);

/* ---- what former users left running (manager-hygiene.c) */

/* The devices of an ended lease that its holder had open. */
void manager_note_soiled(struct manager *manager, const struct lease *lease);
/* Notes which groups of the lease are open in a way that no event tells of: by a copy of a node. */
void manager_sample_opens(struct manager *manager, struct lease *lease);
void manager_note_clean(struct manager *manager, const char *path);
int manager_load_soiled(struct manager *manager);
/* Something has to be reset before the holder may have the claim's groups. */
bool manager_needs_cleaning(const struct claim *claim);
/* Resets it; done as of manager_survey. What failed is reset_failed then, and the verdict says so. */
struct manager_cleaning;
int manager_clean(struct manager *manager, const struct claim *claim, manager_surveyed *done,
                  void *userdata, struct manager_cleaning **ret);
/* Whoever asked has left: done is not called; the reset goes on, and the groups are nobody's meanwhile. */
void manager_abandon_cleaning(struct manager_cleaning *cleaning);
void manager_free_cleanings(struct manager *manager);

/* ---- recovery (manager-recovery.c) */

/* Places every lease that was loaded: back with its access, or ended with a record. */
void manager_recover(struct manager *manager);

/* ---- policy (manager-policy.c) */

/* Reads the policy; names are looked up in a worker. The listener hears the result. */
int manager_load_policy(struct manager *manager);
void manager_cancel_policy_load(struct manager *manager);
