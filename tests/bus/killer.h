/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

/* killer-look.c: what there is, asked of the daemon, the nodes and the service manager's stand-in. */
struct seen_lease {
    char path[64], state[16], mode[16], lifetime[16], interface[16];
    unsigned pid;
    unsigned groups[8];
    int n_groups;
};

struct seen {
    struct seen_lease leases[16];
    int n_leases;
    char stored[16][64]; /* names in the fd store */
    int n_stored;
};

/* 0 or negative errno, reported on stdout. */
int look(sd_bus *bus, struct seen *ret);
/* Whether what is seen is sound; each complaint goes to stdout, with `where` before it. */
bool is_sound(const struct seen *seen, const char *where);
bool says(bool good, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* uid in the access list of the node, 0 if there is none. */
unsigned node_user(const char *path);
bool group_node_is_open_to(unsigned group, unsigned uid);
/* Of the stand-in for the service manager: its answer's text; the errno it gave, or negative. */
int manager_ask(const char *verb, char *answer, size_t size);
/* Of the fake kernel: what fakectl VERB [WORD] prints. */
int kernel_ask(const char *verb, const char *word, char *answer, size_t size);
int daemon_pid(void);

/* killer.c: what the caller, alice, knows of what it asked for last. */
struct asked {
    bool called, answered, failed;
};
extern struct asked asked;
extern sd_bus *alice;
/* Sends a call of the manager with these targets. 0 or negative errno. */
int send_targets(const char *member, int n_targets, char *const *targets, int n_options,
                 char *const *options);
struct trace;
/* Until there is an answer and the daemon is dead or has nothing more to do; trace may be NULL. */
int follow(struct trace *trace);
bool start_daemon(const char *where);

/* killer-switch.c. A claim detaches, and reattaches at its end. 1: there is no such point; 0; -EBADE for
 * complaints, -EIO when nothing goes any more. */
enum switched { SWITCHED_AWAY, SWITCHED_BACK, SWITCHED_CLAIM };
int try_switch_point(enum switched what, unsigned point, unsigned *ret_calls, const char *where);

/* killer-trace.c: stops the daemon at its system calls. */
struct trace {
    int pid;
    unsigned calls; /* entered since trace_arm() */
    unsigned kill_at;
    bool armed, dead, waits; /* waits: in epoll_wait() */
};

/* Attaches, and returns when the daemon waits for something to do. 0 or negative errno. */
int trace_begin(struct trace *trace, int pid);
/* Counts from now on, and kills at the entry of that call (from 1); 0: never. */
void trace_arm(struct trace *trace, unsigned kill_at);
/* Serves stops without waiting for one. */
void trace_serve(struct trace *trace);
/* Readable when there is something to serve. */
int trace_fd(void);
/* Lets it run on. */
void trace_end(struct trace *trace);
