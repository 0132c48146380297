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
static bool read_node(int fds, const char *fd, struct opener_node *ret) {
    struct statx status;

    if (statx(fds, fd, AT_STATX_DONT_SYNC, STATX_TYPE, &status) < 0 ||
        (!S_ISCHR(status.stx_mode) && !S_ISBLK(status.stx_mode)))
        return false;
    ret->number = makedev(status.stx_rdev_major, status.stx_rdev_minor);
    ret->is_block = S_ISBLK(status.stx_mode);
    return true;
}

static bool is_wanted_node(const struct search *search, int fds, const char *fd) {
    struct opener_node node;

    if (!read_node(fds, fd, &node) || node.is_block)
        return false;
    for (size_t i = 0; i < search->n_devices; i++)
        if (search->devices[i] == node.number)
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
static int read_name(int process, char *ret, size_t size) {
    ssize_t length = link_read(process, "exe", ret, size);

    return length >= 0 ? 0 : (int)attribute_read(process, "comm", ret, size);
}

static char *name_of(int process) {
    char name[PATH_MAX];

    return read_name(process, name, sizeof(name)) < 0 ? NULL : text_escape(name);
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

/* ---- Pairs of node and process */

struct pairs {
    const struct opener_node *nodes;
    size_t n;
    pid_t *told; /* the last process that was told for each node */
    opener_handler *found;
    void *userdata;
};

static int tell(const struct pairs *pairs, size_t place, pid_t pid, int process) {
    _cleanup_(freep) char *unit = NULL;
    char name[PATH_MAX];

    if (read_name(process, name, sizeof(name)) < 0)
        return 0; /* it has ended */
    if (sd_pid_get_unit(pid, &unit) < 0)
        unit = NULL;
    const struct opener opener = {.place = place, .pid = pid, .name = name, .unit = unit};
    return pairs->found(&opener, pairs->userdata);
}

static int tell_fd(const struct pairs *pairs, pid_t pid, int process, int fds, const char *fd) {
    struct opener_node node;
    int r = 0;

    if (!read_node(fds, fd, &node))
        return 0;
    for (size_t i = 0; r >= 0 && i < pairs->n; i++) {
        bool is_it = pairs->nodes[i].number == node.number &&
                     pairs->nodes[i].is_block == node.is_block && pairs->told[i] != pid;
        if (!is_it || is_path_only(process, fd))
            continue;
        pairs->told[i] = pid;
        r = tell(pairs, i, pid, process);
    }
    return r;
}

static int tell_process(const struct pairs *pairs, int proc, const char *name) {
    _cleanup_(closedirp) DIR *fds = NULL;
    char target[PATH_MAX];
    struct dirent *entry;
    uint32_t pid;
    int r = 0;

    if (parse_u32(name, &pid) < 0 || (pid_t)pid == getpid() || (pid_t)pid == getppid())
        return 0;
    _cleanup_(fd_closep) int process = fd_open_directory(proc, name);
    if (process < 0 || directory_open(process, "fd", &fds) < 0)
        return 0;
    while (r >= 0 && (entry = directory_next(fds)))
        if (link_read(dirfd(fds), entry->d_name, target, sizeof(target)) >= 0 &&
            string_after(target, "/dev/"))
            r = tell_fd(pairs, (pid_t)pid, process, dirfd(fds), entry->d_name);
    return r;
}

int openers_find(const char *proc, const struct opener_node *nodes, size_t n_nodes,
                 opener_handler *found, void *userdata) {
    _cleanup_(freep) pid_t *told = calloc(n_nodes + 1, sizeof(*told));
    const struct pairs pairs = {
        .nodes = nodes, .n = n_nodes, .told = told, .found = found, .userdata = userdata};
    _cleanup_(closedirp) DIR *directory = NULL;
    struct dirent *entry;
    int r = told ? directory_open(AT_FDCWD, proc, &directory) : -ENOMEM;

    while (r >= 0 && (entry = directory_next(directory)))
        r = tell_process(&pairs, dirfd(directory), entry->d_name);
    return r < 0 ? r : 0;
}

/* ---- The answer as text */

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
