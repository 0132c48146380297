/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "caller.h"
#include "killer.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LEASE PATH "/lease/"
#define GROUP PATH "/group/"
#define ALICE 1001

bool says(bool good, const char *where, const char *format, ...) {
    va_list arguments;

    if (good)
        return true;
    printf("%s: ", where);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    return false;
}

/* ---- the service manager's stand-in */

static int ask(const char *path, const char *words, int length, char *answer, size_t size) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char *newline;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t used = 0;
    ssize_t n;

    strcpy(address.sun_path, path);
    if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
        write(fd, words, (size_t) length) != length)
        return -errno;
    shutdown(fd, SHUT_WR);
    while (used + 1 < size && (n = read(fd, answer + used, size - used - 1)) > 0)
        used += (size_t) n;
    close(fd);
    answer[used] = '\0';
    newline = strchr(answer, '\n');
    length = atoi(answer);
    if (newline)
        memmove(answer, newline + 1, strlen(newline));
    return length;
}

int manager_ask(const char *verb, char *answer, size_t size) {
    char words[64];
    int length = snprintf(words, sizeof(words), "service%c%s%cdmaownd", 0, verb, 0) + 1;

    return ask("/run/fakekernel/manager", words, length, answer, size);
}

int kernel_ask(const char *verb, const char *word, char *answer, size_t size) {
    char words[64];
    int length = snprintf(words, sizeof(words), "%s", verb) + 1;

    if (word)
        length += snprintf(words + length, sizeof(words) - (size_t) length, "%s", word) + 1;
    return ask("/run/fakekernel/control", words, length, answer, size);
}

int daemon_pid(void) {
    char answer[8192];
    int pid = 0;

    return manager_ask("status", answer, sizeof(answer)) == 0 &&
                   sscanf(answer, "active %d", &pid) == 1
               ? pid
               : -ESRCH;
}

static void look_at_store(struct seen *seen) {
    char answer[8192], *save = NULL;

    if (manager_ask("status", answer, sizeof(answer)) != 0)
        return;
    for (char *line = strtok_r(answer, "\n", &save); line && seen->n_stored < 16;
         line = strtok_r(NULL, "\n", &save))
        if (sscanf(line, "fd %63s", seen->stored[seen->n_stored]) == 1)
            seen->n_stored++;
}

/* ---- the daemon */

static int read_text(sd_bus_message *m, char *to, size_t size) {
    const char *text = "";
    int r = sd_bus_message_read(m, "v", "s", &text);

    snprintf(to, size, "%s", text);
    return r;
}

static int read_groups(sd_bus_message *m, struct seen_lease *lease) {
    const char *path;
    int r = sd_bus_message_enter_container(m, 'v', "ao");

    if (r >= 0)
        r = sd_bus_message_enter_container(m, 'a', "o");
    while (r >= 0 && (r = sd_bus_message_read(m, "o", &path)) > 0 && lease->n_groups < 8)
        lease->groups[lease->n_groups++] = (unsigned) atoi(path + strlen(GROUP));
    if (r >= 0)
        r = sd_bus_message_exit_container(m);
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_property(sd_bus_message *m, struct seen_lease *lease, const char *name) {
    if (strcmp(name, "Groups") == 0)
        return read_groups(m, lease);
    if (strcmp(name, "State") == 0)
        return read_text(m, lease->state, sizeof(lease->state));
    if (strcmp(name, "Mode") == 0)
        return read_text(m, lease->mode, sizeof(lease->mode));
    if (strcmp(name, "Lifetime") == 0)
        return read_text(m, lease->lifetime, sizeof(lease->lifetime));
    if (strcmp(name, "Interface") == 0)
        return read_text(m, lease->interface, sizeof(lease->interface));
    if (strcmp(name, "Pid") == 0)
        return sd_bus_message_read(m, "v", "u", &lease->pid);
    return sd_bus_message_skip(m, "v");
}

static int read_interfaces(sd_bus_message *m, struct seen_lease *lease) {
    const char *name;
    int r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");

    while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
        r = sd_bus_message_read(m, "s", &name);
        if (r < 0 || strcmp(name, NAME ".Lease") != 0) {
            r = r < 0 ? r : sd_bus_message_skip(m, "a{sv}");
        } else {
            r = sd_bus_message_enter_container(m, 'a', "{sv}");
            while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &name);
                r = r < 0 ? r : read_property(m, lease, name);
                r = r < 0 ? r : sd_bus_message_exit_container(m);
            }
            r = r < 0 ? r : sd_bus_message_exit_container(m);
        }
        r = r < 0 ? r : sd_bus_message_exit_container(m);
    }
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_objects(sd_bus_message *m, struct seen *seen) {
    const char *path;
    int r = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");

    while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
        struct seen_lease ignored, *lease = &ignored;

        r = sd_bus_message_read(m, "o", &path);
        if (r >= 0 && strncmp(path, LEASE, strlen(LEASE)) == 0 && seen->n_leases < 16)
            lease = &seen->leases[seen->n_leases++];
        *lease = (struct seen_lease){.n_groups = 0};
        snprintf(lease->path, sizeof(lease->path), "%s", path);
        r = r < 0 ? r : read_interfaces(m, lease);
        r = r < 0 ? r : sd_bus_message_exit_container(m);
    }
    return r;
}

int look(sd_bus *bus, struct seen *ret) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;
    int r = sd_bus_call_method(bus, NAME, PATH, "org.freedesktop.DBus.ObjectManager",
                               "GetManagedObjects", &error, &reply, "");

    *ret = (struct seen){.n_leases = 0};
    if (r < 0)
        printf("the daemon does not answer: %s\n", error.message ? error.message : strerror(-r));
    else
        r = read_objects(reply, ret);
    look_at_store(ret);
    sd_bus_message_unref(reply);
    sd_bus_error_free(&error);
    return r < 0 ? r : 0;
}

/* ---- nodes and drivers */

unsigned node_user(const char *path) {
    struct {
        uint32_t version;
        struct {
            uint16_t tag, permissions;
            uint32_t id;
        } entries[16];
    } list;
    ssize_t n = getxattr(path, "system.posix_acl_access", &list, sizeof(list));

    for (size_t i = 0; n > 4 && i < ((size_t) n - 4) / sizeof(*list.entries); i++)
        if (list.entries[i].tag == 0x02) /* ACL_USER */
            return list.entries[i].id;
    return 0;
}

bool group_node_is_open_to(unsigned group, unsigned uid) {
    char path[64];

    snprintf(path, sizeof(path), "/dev/vfio/%u", group);
    return node_user(path) == uid;
}

static bool has_kernel_driver(unsigned group) {
    static const char *const harmless[] = {"vfio-pci", "pci-stub", "pcieport", ""};
    char path[PATH_MAX], target[PATH_MAX];
    struct dirent *device;
    bool found = false;
    DIR *folder;

    snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%u/devices", group);
    folder = opendir(path);
    while (folder && (device = readdir(folder))) {
        bool passive = *device->d_name == '.';

        snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%u/devices/%s/driver", group,
                 device->d_name);
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++)
            passive |= strcmp(strrchr(target, '/') ? strrchr(target, '/') + 1 : "", harmless[i]) == 0;
        found |= !passive;
    }
    if (folder)
        closedir(folder);
    return found;
}

/* ---- what must hold whenever the daemon says that it is ready */

static const struct seen_lease *lease_of_group(const struct seen *seen, unsigned group, int *ret_count) {
    const struct seen_lease *found = NULL;

    *ret_count = 0;
    for (int i = 0; i < seen->n_leases; i++)
        for (int g = 0; g < seen->leases[i].n_groups; g++)
            if (seen->leases[i].groups[g] == group) {
                found = &seen->leases[i];
                (*ret_count)++;
            }
    return found;
}

static bool group_is_sound(const struct seen *seen, unsigned group, const char *where) {
    int owners;
    const struct seen_lease *lease = lease_of_group(seen, group, &owners);
    bool active = lease && strcmp(lease->state, "active") == 0;
    bool path = active && strcmp(lease->mode, "path") == 0 && strcmp(lease->interface, "group") == 0;
    bool good = says(owners <= 1, where, "group %u has %d owners", group, owners);

    good &= says(!active || !has_kernel_driver(group), where,
                 "group %u is granted beside a kernel driver", group);
    return good & says(group_node_is_open_to(group, path ? ALICE : 0), where,
                       "node %u is%s open, its lease is %s %s", group, path ? " not" : "",
                       lease ? lease->mode : "-", lease ? lease->state : "none");
}

static bool store_is_sound(const struct seen *seen, const char *where) {
    bool good = true;

    for (int s = 0; s < seen->n_stored; s++) {
        bool found = false;

        for (int i = 0; i < seen->n_leases; i++)
            found |= strcmp(seen->leases[i].path + strlen(LEASE), seen->stored[s] + strlen("lease-")) == 0 &&
                     strcmp(seen->leases[i].state, "active") == 0;
        good &= says(found, where, "%s is stored and belongs to no lease", seen->stored[s]);
    }
    for (int i = 0; i < seen->n_leases; i++) {
        const struct seen_lease *lease = &seen->leases[i];
        bool wants = strcmp(lease->lifetime, "fd") == 0 || strcmp(lease->lifetime, "process") == 0;
        int found = 0;

        for (int s = 0; s < seen->n_stored; s++)
            found += strcmp(lease->path + strlen(LEASE), seen->stored[s] + strlen("lease-")) == 0;
        good &= says(strcmp(lease->state, "active") != 0 || found == wants, where,
                     "%s (%s) has %d descriptors in the store", lease->path, lease->lifetime, found);
    }
    return good;
}

bool is_sound(const struct seen *seen, const char *where) {
    bool good = store_is_sound(seen, where);

    for (unsigned group = 7; group <= 13; group++)
        good &= group_is_sound(seen, group, where);
    return good;
}
