/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Not a test: a stand-in for dmaownd on a private bus, with a fixed small world, for the tests of
 * dmaownctl. test-client-daemon ADDRESS [keep]; says "ready" when its name is taken. A target steers
 * the answers: "error:NAME" gives that error, "reason:NAME" that reason from Explain, "echo" an error
 * that tells the options that were sent, "never" no answer to a claim. Reload sends one of every
 * signal. */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "test-client-daemon.h"
#include "util/cleanup.h"
#include "util/string.h"

#define DEVICE(name) ROOT "/device/pci_2f0000_3a00_3a05_2e" name

struct device {
    const char *path, *name, *driver, *role;
    uint32_t class;
};

static struct device devices[] = {
    {DEVICE("0"), "0000:00:05.0", "vfio-pci", "user", 0x020000},
    {DEVICE("1"), "0000:00:05.1", "e1000e", "kernel", 0x020000},
    /* A name that would control a terminal. */
    {DEVICE("2"), "0000:00:05.2", "evil\033[31m", "kernel", 0x020000},
};

struct group {
    const char *path;
    uint32_t id;
    const char *owner, *verdict, *lease;
    size_t first, n_devices;
};

static struct group groups[] = {
    {ROOT "/group/7", 7, "kernel", "kernel-driver", "/", 0, 2},
    {ROOT "/group/12", 12, "user", "leased", ROOT "/lease/3", 2, 1},
};

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    const struct device *device = userdata;

    if (strcmp(property, "Name") == 0)
        return sd_bus_message_append(reply, "s", device->name);
    if (strcmp(property, "Driver") == 0)
        return sd_bus_message_append(reply, "s", device->driver);
    if (strcmp(property, "Role") == 0)
        return sd_bus_message_append(reply, "s", device->role);
    if (strcmp(property, "Bus") == 0)
        return sd_bus_message_append(reply, "s", "pci");
    if (strcmp(property, "SysfsPath") == 0)
        return sd_bus_message_append(reply, "s", "/sys/devices/pci0000:00/none");
    if (strcmp(property, "Modalias") == 0)
        return sd_bus_message_append(
            reply, "s", "pci:v00008086d000010D3sv00001AF4sd00001100bc02sc00i00");
    return sd_bus_message_append(reply, "s", "");
}

static int get_number(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    const struct device *device = userdata;

    if (strcmp(property, "Class") == 0)
        return sd_bus_message_append(reply, "u", device->class);
    return sd_bus_message_append(reply, "u", strcmp(property, "Vendor") == 0 ? 0x8086u : 0x10d3u);
}

/* One use with a comma of its own. */
static int get_used_by(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    const struct device *device = userdata;

    if (strcmp(device->name, "0000:00:05.1") != 0)
        return sd_bus_message_append(reply, "as", 0);
    return sd_bus_message_append(reply, "as", 2, "eth0 has the address 10.0.2.15/24, and a route",
                                 "nvme0n1 is mounted");
}

static int get_texts(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    return sd_bus_message_append(reply, "as", 1,
                                 strcmp(property, "PolicyFiles") == 0 ? "/etc/p.json" : "flr");
}

static const sd_bus_vtable device_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Name", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Bus", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("SysfsPath", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Modalias", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Driver", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Role", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Vendor", "u", get_number, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Product", "u", get_number, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Class", "u", get_number, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("UsedBy", "as", get_used_by, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("ResetMethods", "as", get_texts, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_VTABLE_END,
};

static int get_devices(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    const struct group *group = userdata;
    int r = sd_bus_message_open_container(reply, 'a', "o");

    for (size_t i = 0; r >= 0 && i < group->n_devices; i++)
        r = sd_bus_message_append(reply, "o", devices[group->first + i].path);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_blockers(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    return sd_bus_message_append(reply, "a(ss)", 1, "0000:00:05.1", "e1000e");
}

static int get_lease(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    const struct group *group = userdata;

    return sd_bus_message_append(reply, "o", group->lease);
}

static const sd_bus_vtable group_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Id", "u", NULL, offsetof(struct group, id), SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Owner", "s", NULL, offsetof(struct group, owner),
                    SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Devices", "ao", get_devices, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Blockers", "a(ss)", get_blockers, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Lease", "o", get_lease, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_VTABLE_END,
};

/* ---- The manager --------------------------------------------------------------------------- */

static int list_groups(sd_bus_message *call, void *userdata, sd_bus_error *error) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r = sd_bus_message_new_method_return(call, &reply);

    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(ussuso)");
    for (size_t i = ELEMENTS_OF(groups); r >= 0 && i > 0; i--) {
        const struct group *group = &groups[i - 1];
        r = sd_bus_message_append(reply, "(ussuso)", group->id, group->owner, group->verdict,
                                  (uint32_t)group->n_devices, "", group->path);
    }
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_message_send(reply);
}

int steer(const char *target, sd_bus_error *error) {
    const char *name = string_after(target, "error:");
    _cleanup_(freep) char *full =
        name ? string_format("%s%s", strchr(name, '.') ? "" : "org.dmaownd1.Error.", name) : NULL;

    return full ? sd_bus_error_setf(error, full, "This is %s.\nAnd \033[1mmore.", name) : 0;
}

static int find_group(sd_bus_message *call, void *userdata, sd_bus_error *error) {
    const char *target;
    int r = sd_bus_message_read(call, "s", &target);

    if (r >= 0)
        r = steer(target, error);
    if (r < 0)
        return r;
    if (strcmp(target, "7") == 0 || strcmp(target, "0000:00:05.0") == 0)
        return sd_bus_reply_method_return(call, "o", groups[0].path);
    if (strcmp(target, "12") == 0)
        return sd_bus_reply_method_return(call, "o", groups[1].path);
    return steer("error:NoSuchTarget", error);
}

int read_option(sd_bus_message *call, struct option *ret) {
    struct option option = {0};
    int r = sd_bus_message_enter_container(call, 'e', "sv");

    if (r <= 0)
        return r;
    r = sd_bus_message_read_basic(call, 's', &option.name);
    if (r >= 0)
        r = sd_bus_message_peek_type(call, NULL, &option.signature);
    if (r >= 0)
        r = sd_bus_message_enter_container(call, 'v', option.signature);
    if (r >= 0 && strcmp(option.signature, "s") == 0)
        r = sd_bus_message_read_basic(call, 's', &option.text);
    else if (r >= 0)
        r = sd_bus_message_read_basic(call, option.signature[0], &option.number);
    if (r >= 0)
        r = sd_bus_message_exit_container(call);
    if (r >= 0)
        r = sd_bus_message_exit_container(call);
    if (r < 0)
        return r;
    *ret = option;
    return 1;
}

int echo(sd_bus_message *call, const char *name, sd_bus_error *error) {
    _cleanup_(freep) char *text = strdup("");
    struct option option;
    int r = sd_bus_message_enter_container(call, 'a', "{sv}");

    while (r >= 0 && (r = read_option(call, &option)) > 0) {
        char *longer = option.text
                           ? string_format("%s%s=s:%s ", text, option.name, option.text)
                           : string_format("%s%s=%s:%llu ", text, option.name, option.signature,
                                           (unsigned long long)option.number);
        free(text);
        text = longer;
    }
    return r < 0 ? r : sd_bus_error_setf(error, name, "%s", text);
}

int read_targets(sd_bus_message *call, struct targets *ret, sd_bus_error *error) {
    int r = sd_bus_message_enter_container(call, 'a', "s");

    ret->n_words = 0;
    while (r >= 0 && ret->n_words < TARGETS_MAX &&
           (r = sd_bus_message_read_basic(call, 's', &ret->words[ret->n_words])) > 0)
        ret->n_words++;
    if (r >= 0)
        r = sd_bus_message_exit_container(call);
    if (r < 0 || ret->n_words == 0)
        return r < 0 ? r : -EINVAL;
    if (strcmp(ret->words[0], "echo") == 0)
        return echo(call, "org.dmaownd1.Error.InvalidOption", error);
    return steer(ret->words[0], error);
}

/* Group 7 is in use, which only a detach minds. */
static int find_use(sd_bus_message *call, const struct targets *targets, const char **ret) {
    struct option option;
    int r = sd_bus_message_enter_container(call, 'a', "{sv}");

    while (r >= 0 && (r = read_option(call, &option)) > 0)
        if (strcmp(option.name, "detach") == 0 && option.number &&
            strcmp(targets->words[0], "7") == 0)
            *ret = "address";
    return r;
}

static int explain(sd_bus_message *call, void *userdata, sd_bus_error *error) {
    struct targets targets;
    int r = read_targets(call, &targets, error);

    if (r < 0)
        return r;
    const char *reason = string_after(targets.words[0], "reason:");
    r = find_use(call, &targets, &reason);
    if (r < 0)
        return r;
    return sd_bus_reply_method_return(
        call, "bsaa{sv}", !reason, reason ? reason : "", 1, 6, "group", "u", 7u, "device", "s",
        "0000:00:05.1", "reason", "s", reason ? reason : "free", "driver", "s", "e1000e", "blocks",
        "b", reason != NULL, "text", "s", "Device 0000:00:05.1 speaks.");
}

/* Says which of the two it was. */
static int carry_out(sd_bus_message *call, void *userdata, sd_bus_error *error) {
    struct targets targets;
    int r = read_targets(call, &targets, error);

    if (r < 0)
        return r;
    printf("%s\n", sd_bus_message_get_member(call));
    (void)fflush(stdout);
    return sd_bus_reply_method_return(call, NULL);
}

/* Two steps, or none for "idle". */
static int plan(sd_bus_message *call, void *userdata, sd_bus_error *error) {
    struct targets targets;
    bool detach = strcmp(sd_bus_message_get_member(call), "PlanDetach") == 0;
    int r = read_targets(call, &targets, error);

    if (r < 0)
        return r;
    if (strcmp(targets.words[0], "idle") == 0)
        return sd_bus_reply_method_return(call, "aa{sv}", 0);
    return sd_bus_reply_method_return(
        call, "aa{sv}", 2, 5, "device", "s", "0000:00:05.0", "step", "s", "stay", "from", "s",
        "vfio-pci", "to", "s", "vfio-pci", "text", "s", "It stays.", 5, "device", "s",
        "0000:00:05.1", "step", "s", detach ? "unbind" : "bind", "from", "s",
        detach ? "e1000e" : "", "to", "s", detach ? "" : "e1000e", "text", "s",
        "Driver \033[31m moves.");
}

static int reload(sd_bus_message *call, void *userdata, sd_bus_error *error) {
    sd_bus *bus = sd_bus_message_get_bus(call);
    const char *interface = "org.dmaownd1.Manager";

    devices[1].driver = "";
    devices[1].role = "free";
    (void)sd_bus_emit_properties_changed(bus, devices[1].path, "org.dmaownd1.Device", "Driver",
                                         "Role", NULL);
    groups[0].owner = "none";
    (void)sd_bus_emit_properties_changed(bus, groups[0].path, "org.dmaownd1.Group", "Owner",
                                         "Devices", NULL);
    (void)sd_bus_emit_signal(bus, ROOT, interface, "LeaseGranted", "oauu", ROOT "/lease/4", 2, 7, 8,
                             0u);
    (void)sd_bus_emit_signal(bus, ROOT, interface, "LeaseRevoking", "ot", ROOT "/lease/4",
                             UINT64_C(30));
    (void)sd_bus_emit_signal(bus, ROOT, interface, "LeaseEnded", "oaus", ROOT "/lease/4", 1, 7,
                             "released");
    (void)sd_bus_emit_signal(bus, ROOT, interface, "Conflict", "usss", 7u, "0000:00:05.1",
                             "evil\033[31m", "Bound beside\nthe owner.");
    (void)sd_bus_emit_object_removed(bus, devices[2].path);
    (void)sd_bus_emit_object_added(bus, devices[2].path);
    (void)sd_bus_emit_signal(bus, ROOT, interface, "PolicyReloaded", "tbs", UINT64_C(2), 0,
                             "p.json:1:1: bad");
    return sd_bus_reply_method_return(call, NULL);
}

static int rescan(sd_bus_message *call, void *userdata, sd_bus_error *error) {
    return steer("error:org.freedesktop.DBus.Error.AccessDenied", error);
}

static int get_manager(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    if (strcmp(property, "Version") == 0)
        return sd_bus_message_append(reply, "s", "0.1");
    if (strcmp(property, "KernelModel") == 0)
        return sd_bus_message_append(reply, "s", "claim");
    if (strcmp(property, "PolicyGeneration") == 0)
        return sd_bus_message_append(reply, "t", UINT64_C(1));
    return sd_bus_message_append(reply, "u", strcmp(property, "GroupCount") == 0 ? 2u : 1u);
}

/* One finding, with text that would control a terminal. */
static int audit(sd_bus_message *call, void *userdata, sd_bus_error *error) {
    return sd_bus_reply_method_return(
        call, "aa{sv}", 1, 6, "kind", "s", "split", "level", "s", "critical", "nodes", "as", 2, "/a",
        "/b", "devices", "as", 2, "platform/1.evil", "platform/2.b", "groups", "au", 2, 7u, 12u, "text",
        "s", "These\033[31m are one.");
}

static const sd_bus_vtable manager_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("ListGroups", "", "a(ussuso)", list_groups, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("FindGroup", "s", "o", find_group, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Explain", "asa{sv}", "bsaa{sv}", explain, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Claim", "asa{sv}", "oa{sh}", leases_claim, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Detach", "asa{sv}", "", carry_out, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Reattach", "asa{sv}", "", carry_out, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("PlanDetach", "asa{sv}", "aa{sv}", plan, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("PlanReattach", "asa{sv}", "aa{sv}", plan, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Release", "o", "", leases_release, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Revoke", "oa{sv}", "", leases_revoke, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("AuditDeviceTree", "", "aa{sv}", audit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Reload", "", "", reload, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Rescan", "", "", rescan, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_PROPERTY("Version", "s", get_manager, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("KernelModel", "s", get_manager, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("PolicyGeneration", "t", get_manager, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("PolicyFiles", "as", get_texts, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("GroupCount", "u", get_manager, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("LeaseCount", "u", get_manager, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_VTABLE_END,
};

/* ---- Start --------------------------------------------------------------------------------- */

static int add_objects(sd_bus *bus, bool keep) {
    int r = sd_bus_add_object_manager(bus, NULL, ROOT);

    if (r >= 0)
        r = sd_bus_add_object_vtable(bus, NULL, ROOT, "org.dmaownd1.Manager", manager_vtable, NULL);
    for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(devices); i++)
        r = sd_bus_add_object_vtable(bus, NULL, devices[i].path, "org.dmaownd1.Device",
                                     device_vtable, &devices[i]);
    for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(groups); i++)
        r = sd_bus_add_object_vtable(bus, NULL, groups[i].path, "org.dmaownd1.Group", group_vtable,
                                     &groups[i]);
    return r < 0 ? r : leases_add(bus, keep);
}

static int connect_to(const char *address, sd_bus **ret) {
    sd_bus *bus = NULL;
    int r = sd_bus_new(&bus);

    if (r >= 0)
        r = sd_bus_set_address(bus, address);
    if (r >= 0)
        r = sd_bus_set_bus_client(bus, true);
    if (r >= 0)
        r = sd_bus_negotiate_fds(bus, true);
    if (r >= 0)
        r = sd_bus_set_exit_on_disconnect(bus, true);
    if (r >= 0)
        r = sd_bus_start(bus);
    *ret = bus;
    return r;
}

static int serve(const char *address, bool keep) {
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
    int r = sd_event_default(&event);

    if (r >= 0)
        r = connect_to(address, &bus);
    if (r >= 0)
        r = sd_bus_attach_event(bus, event, 0);
    if (r >= 0)
        r = add_objects(bus, keep);
    if (r >= 0)
        r = sd_bus_request_name(bus, "org.dmaownd1", 0);
    if (r < 0)
        return r;
    puts("ready");
    (void)fflush(stdout);
    return sd_event_loop(event);
}

int main(int argc, char **argv) {
    if (argc != 2 && !(argc == 3 && strcmp(argv[2], "keep") == 0))
        return 2;
    int r = serve(argv[1], argc == 3);
    if (r < 0)
        fprintf(stderr, "test-client-daemon: %s\n", strerror(-r));
    return r < 0;
}
