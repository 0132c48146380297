/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A line is "node PID UNIT EXE" or "device PID UNIT EXE", with "-" for no unit. Only the last can
 * hold a space, and what could break a line is escaped. */
#include "kernel/openers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <systemd/sd-login.h>

#include "util/fd.h"
#include "util/string.h"

#define VFIO_DEVICE_LINK "anon_inode:[vfio-device]"
#define FDINFO_MAX 65536

static const char *proc_folder = "/proc";

void openers_use_folder(const char *proc) {
    proc_folder = proc;
}

enum opened {
    OPENED_NONE,
    OPENED_VFIO_DEVICE, /* some device, of which no number is known */
    OPENED_NODE,
};

struct search {
    const dev_t *devices;
    size_t n_devices;
    int output;
    unsigned n_nodes; /* processes that were written */
    pid_t with_device[OPENERS_MAX];
    unsigned n_with_device;
};

/* What it says of a file that a user's file system serves is not asked for: that could take for
 * ever, and a link's text proves nothing of where its file is. */
static bool is_wanted_node(const struct search *search, int fds, const char *fd) {
    struct statx status;

    if (statx(fds, fd, AT_STATX_DONT_SYNC, STATX_TYPE, &status) < 0 || !S_ISCHR(status.stx_mode))
        return false;
    dev_t number = makedev(status.stx_rdev_major, status.stx_rdev_minor);
    for (size_t i = 0; i < search->n_devices; i++)
        if (search->devices[i] == number)
            return true;
    return false;
}

/* The fd only names the node. When in doubt it does not: the process is then named for nothing. */
static bool is_path_only(int process, const char *fd) {
    _cleanup_(freep) char *text = NULL;
    char path[64];
    unsigned flags;

    snprintf(path, sizeof(path), "fdinfo/%.20s", fd);
    if (file_read(process, path, FDINFO_MAX, &text, NULL) < 0)
        return false;
    const char *line = strstr(text, "flags:\t");
    return line && sscanf(line, "flags:\t%o", &flags) == 1 && (flags & O_PATH);
}

static enum opened look_at_fd(const struct search *search, int process, int fds, const char *fd) {
    char target[PATH_MAX];

    if (link_read(fds, fd, target, sizeof(target)) < 0)
        return OPENED_NONE;
    if (string_equal(target, VFIO_DEVICE_LINK))
        return OPENED_VFIO_DEVICE;
    if (!string_after(target, "/dev/") && !strstr(target, "vfio") && !strstr(target, "iommu"))
        return OPENED_NONE;
    return is_wanted_node(search, fds, fd) && !is_path_only(process, fd) ? OPENED_NODE
                                                                         : OPENED_NONE;
}

/* OPENED_NONE also for a process that has ended, or whose fds this one may not see. */
static enum opened look_at_process(const struct search *search, int process) {
    _cleanup_(closedirp) DIR *fds = NULL;
    enum opened found = OPENED_NONE;
    struct dirent *entry;

    if (directory_open(process, "fd", &fds) < 0)
        return OPENED_NONE;
    while (found != OPENED_NODE && (entry = directory_next(fds))) {
        enum opened opened = look_at_fd(search, process, dirfd(fds), entry->d_name);
        if (opened > found)
            found = opened;
    }
    return found;
}

/* Its program; for want of that what it calls itself. */
static char *name_of(int process) {
    char name[PATH_MAX];

    if (link_read(process, "exe", name, sizeof(name)) < 0 &&
        attribute_read(process, "comm", name, sizeof(name)) < 0)
        return NULL;
    return text_escape(name);
}

static char *unit_of(pid_t pid) {
    _cleanup_(freep) char *unit = NULL;

    if (sd_pid_get_unit(pid, &unit) < 0 || !*unit || strpbrk(unit, " \n"))
        return strdup("-");
    return text_escape(unit);
}

/* 1; 0 if the process has ended; -ENOMEM, or that it could not be written. */
static int write_process(const struct search *search, const char *what, pid_t pid, int process) {
    _cleanup_(freep) char *name = name_of(process);
    _cleanup_(freep) char *unit = unit_of(pid);

    if (!name)
        return 0;
    if (!unit)
        return -ENOMEM;
    _cleanup_(freep) char *line = string_format("%s %d %s %s\n", what, pid, unit, name);
    if (!line)
        return -ENOMEM;
    int r = fd_write_all(search->output, line, strlen(line));
    return r < 0 ? r : 1;
}

static int search_process(struct search *search, int proc, const char *name) {
    uint32_t pid;

    if (parse_u32(name, &pid) < 0 || (pid_t)pid == getpid() || (pid_t)pid == getppid())
        return 0;
    _cleanup_(fd_closep) int process = fd_open_directory(proc, name);
    if (process < 0)
        return 0;
    enum opened opened = look_at_process(search, process);
    if (opened == OPENED_VFIO_DEVICE && search->n_with_device < OPENERS_MAX)
        search->with_device[search->n_with_device++] = (pid_t)pid;
    if (opened != OPENED_NODE)
        return 0;
    int r = write_process(search, "node", (pid_t)pid, process);
    if (r > 0)
        search->n_nodes++;
    return r;
}

static int write_with_device(struct search *search, int proc) {
    char name[16];
    int r = 0;

    for (unsigned i = 0; r >= 0 && i < search->n_with_device; i++) {
        snprintf(name, sizeof(name), "%d", search->with_device[i]);
        _cleanup_(fd_closep) int process = fd_open_directory(proc, name);
        if (process >= 0)
            r = write_process(search, "device", search->with_device[i], process);
    }
    return r;
}

int openers_write(int output, const dev_t *devices, size_t n_devices) {
    struct search search = {.devices = devices, .n_devices = n_devices, .output = output};
    _cleanup_(closedirp) DIR *proc = NULL;
    struct dirent *entry;
    int r = directory_open(AT_FDCWD, proc_folder, &proc);

    while (r >= 0 && search.n_nodes < OPENERS_MAX && (entry = directory_next(proc)))
        r = search_process(&search, dirfd(proc), entry->d_name);
    if (r >= 0 && search.n_nodes == 0)
        r = write_with_device(&search, dirfd(proc));
    return r < 0 ? r : 0;
}

/* Takes the text up to the next space. NULL at the end of the line. */
static char *take_word(char **line) {
    char *word = *line ? strsep(line, " ") : NULL;

    return word && *word && *line ? word : NULL;
}

static int read_line(char *line, char ***texts) {
    char *what = take_word(&line), *pid = take_word(&line), *unit = take_word(&line);
    bool has_unit = unit && !string_equal(unit, "-");
    uint32_t number;

    if (!unit || parse_u32(pid, &number) < 0)
        return -EBADMSG;
    bool only_device = string_equal(what, "device");
    if (!only_device && !string_equal(what, "node"))
        return -EBADMSG;
    _cleanup_(freep) char *text = string_format(
        "process %u (%s%s%s)%s", number, line, has_unit ? ", unit " : "", has_unit ? unit : "",
        only_device ? ", which has a VFIO device open" : "");
    return text ? strings_append(texts, text) : -ENOMEM;
}

int openers_read(const char *output, char ***ret_texts, bool *ret_certain) {
    _cleanup_(strings_freep) char **texts = NULL;
    _cleanup_(freep) char *copy = strdup(output);
    char *rest = copy, *line;
    int r = copy ? 0 : -ENOMEM;

    while (r >= 0 && (line = strsep(&rest, "\n")) && *line)
        r = rest ? read_line(line, &texts) : -EBADMSG;
    if (r < 0)
        return r;
    *ret_certain = string_after(output, "node ") != NULL;
    *ret_texts = TAKE_POINTER(texts);
    return 0;
}
