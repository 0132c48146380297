/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fakekernel: runs a command on a kernel that never was.
 *
 * The server (this process, root) has the model and answers three parties: FUSE as /sys, fakectl on
 * /run/fakekernel/control, and the seccomp listener through which opens and ioctls of VFIO nodes come.
 * The command runs inside pid, mount, user, network, IPC and UTS namespaces, with a pid 1 of ours
 * (init.c) that stands for the service manager and the journal and starts the bus. uids 0 to 65535 are
 * themselves inside. The user namespace keeps the host's uevents out and the fake ones in. Nodes are
 * made by the server, on a tmpfs of the first user namespace, so that they open and hold ACLs.
 */
#include "control.h"
#include "fs.h"
#include "init.h"
#include "model.h"
#include "mounts.h"
#include "supervisor.h"
#include "uevent.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUS_CONFIG "/run/fakekernel/bus.conf"

struct options {
    const char *scenario, *tree, *bus_policy;
    bool no_bus, no_supervisor;
    char **command;
};

static const char USAGE[] =
    "usage: fakekernel [options] -- COMMAND...\n"
    "  --scenario FILE     devices to begin with\n"
    "  --bus-policy FILE   included in the bus configuration, if it exists\n"
    "  --no-bus            start no dbus-daemon\n"
    "  --no-supervisor     no VFIO; opens and ioctls cost what they cost\n"
    "  --tree DIRECTORY    show this plain tree as /sys (see mktree); nothing in it reacts\n";

static int parse(int argc, char **argv, struct options *options) {
    static const struct option known[] = {{"scenario", required_argument, NULL, 's'},
                                          {"bus-policy", required_argument, NULL, 'p'},
                                          {"no-bus", no_argument, NULL, 'b'},
                                          {"no-supervisor", no_argument, NULL, 'n'},
                                          {"tree", required_argument, NULL, 't'},
                                          {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "+", known, NULL)) != -1) {
        switch (c) {
        case 's': options->scenario = optarg; break;
        case 'p': options->bus_policy = optarg; break;
        case 'b': options->no_bus = true; break;
        case 'n': options->no_supervisor = true; break;
        case 't': options->tree = optarg; break;
        default: return -EINVAL;
        }
    }
    options->command = argv + optind;
    return *options->command ? 0 : -EINVAL;
}

static int send_fd(int channel, int fd) {
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {(char *) "f", 1};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof(control)};
    struct cmsghdr *passed = CMSG_FIRSTHDR(&header);

    passed->cmsg_level = SOL_SOCKET;
    passed->cmsg_type = SCM_RIGHTS;
    passed->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(passed), &fd, sizeof(fd));
    return sendmsg(channel, &header, 0) == 1 ? 0 : -errno;
}

static int receive_fd(int channel) {
    char control[CMSG_SPACE(sizeof(int))], byte;
    struct iovec part = {&byte, 1};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof(control)};
    struct cmsghdr *passed;
    int fd;

    if (recvmsg(channel, &header, MSG_CMSG_CLOEXEC) != 1)
        return -EPIPE;
    passed = CMSG_FIRSTHDR(&header);
    if (!passed)
        return -EPIPE;
    memcpy(&fd, CMSG_DATA(passed), sizeof(fd));
    return fd;
}

static bool wait_byte(int channel) {
    char byte;

    return read(channel, &byte, 1) == 1;
}

static void loopback_up(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    ioctl(fd, SIOCSIFFLAGS, &request);
    close(fd);
}

static int die(const char *what) {
    fprintf(stderr, "fakekernel: %s: %s\n", what, strerror(errno));
    return 125;
}

/* pid 1 of the new pid namespace, still in the first user namespace. */
static int inside(const struct options *options, int channel) {
    int fd;

    disk_close_loops();
    if (unshare(CLONE_NEWNS) < 0 || mounts_proc() < 0)
        return die("/proc");
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
        return die("unshare");
    if (write(channel, "m", 1) != 1 || !wait_byte(channel))
        return 125;
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return die("setresuid");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    loopback_up();
    if (sethostname("fakekernel", 10) < 0)
        return die("sethostname");
    fd = uevent_open();
    if (fd < 0 || send_fd(channel, fd) < 0)
        return die("uevents");
    close(fd);
    fd = options->no_supervisor ? open("/dev/null", O_RDONLY | O_CLOEXEC) : supervisor_filter();
    if (fd < 0 || send_fd(channel, fd) < 0 || !wait_byte(channel))
        return die("seccomp");
    close(fd);
    setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/run/dbus/system_bus_socket", 1);
    setenv("SYSTEMD_DEVICE_VERIFY_SYSFS", "0", 1);
    return init_run(options->command, options->no_bus ? NULL : BUS_CONFIG);
}

static int write_map(pid_t pid, const char *name) {
    char path[64];
    int fd, r;

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    r = fd < 0 || write(fd, "0 0 65536\n", 10) != 10 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return r;
}

static void *supervise(void *listener) {
    supervisor_run((int) (intptr_t) listener);
    return NULL;
}

static void *control(void *listener) {
    control_serve((int) (intptr_t) listener);
    return NULL;
}

static int serve(pid_t child, int channel, const struct options *options) {
    int listener, uevents, commands;
    pthread_t thread;

    if (!wait_byte(channel) || write_map(child, "uid_map") < 0 || write_map(child, "gid_map") < 0 ||
        write(channel, "m", 1) != 1)
        return -EPIPE;
    /* The mounts inside are a copy by now. Whatever a library looks for in /sys, the server must not
     * be its own client. */
    umount2("/sys", MNT_DETACH);
    uevents = receive_fd(channel);
    listener = receive_fd(channel);
    commands = control_listen("/run/fakekernel/control");
    if (uevents < 0 || listener < 0 || commands < 0)
        return -EPIPE;
    uevent_attach(uevents);
    if (!options->no_supervisor)
        pthread_create(&thread, NULL, supervise, (void *) (intptr_t) listener);
    pthread_create(&thread, NULL, control, (void *) (intptr_t) commands);
    if (!options->tree && fs_serve() < 0)
        return -EPIPE;
    return write(channel, "g", 1) == 1 ? 0 : -EPIPE;
}

/* The end of the channel is the end of the command: let go what hangs, or pid 1 cannot end. */
static int finish(pid_t child, int channel) {
    char byte;
    int status;

    while (read(channel, &byte, 1) > 0)
        ;
    control_release_all();
    if (waitpid(child, &status, 0) < 0)
        return 125;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int prepare(const struct options *options) {
    int r = mounts_prepare(options->tree);

    if (r < 0)
        return r;
    r = mounts_bus_config(BUS_CONFIG, options->bus_policy ? options->bus_policy : "/nonexistent");
    if (r < 0)
        return r;
    model_initialise();
    vfio_node_folder("/dev/vfio");
    return options->scenario ? control_file(options->scenario) : 0;
}

int main(int argc, char **argv) {
    struct options options = {0};
    int channel[2];
    pid_t child;

    if (parse(argc, argv, &options) < 0) {
        fputs(USAGE, stderr);
        return 2;
    }
    umask(022);
    /* Else malloc counts processors, in /sys, with the tree's lock held. */
    mallopt(M_ARENA_MAX, 8);
    if (prepare(&options) < 0)
        return 125;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) < 0)
        return die("socketpair");
    /* Not unshare(CLONE_NEWPID) and fork(): no thread can be made behind that. */
    child = (pid_t) syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) {
        close(channel[0]);
        _exit(inside(&options, channel[1]));
    }
    close(channel[1]);
    if (child < 0 || serve(child, channel[0], &options) < 0) {
        kill(child, SIGKILL);
        return die("start");
    }
    _exit(finish(child, channel[0]));
}
