/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The race of claim against bind on a kernel from 5.19 on, for every order of events.
 *
 * Two groups. The kernel counts host drivers of a group, or has a user's claim on it. An administrator
 * (or udev) binds and unbinds a host driver in each at any time. Two callers ask for both groups, in
 * opposite order, by path (an access list entry; the holder opens the node and claims by itself) or by
 * container (the daemon claims and passes the file descriptors). The daemon may crash before any step,
 * and starts again.
 *
 * Checked in every state (see the monitor) and at each answer:
 *   - no host driver and user's claim in one group: the kernel's own promise, which the rest stands on;
 *   - no two leases of one group, in memory or on disk;
 *   - nobody is inside a group, or let in, without a lease, or beside somebody else's active one;
 *   - by container, nothing is granted beside a host driver;
 *   - by path, a host driver that came after the check is reported as a conflict, as soon as the daemon
 *     has seen to what waits; the holder's claim fails then, for the kernel refuses it;
 *   - all or nothing; and each call is answered, or lost with the daemon: no end state but the proper.
 *
 * Everybody acts a bounded number of times, so every run ends; a call without an answer would show as
 * an invalid end state. Each of these words leaves out one thing, and must be found:
 *   MUTATE_KERNEL    the kernel binds beside a claim
 *   MUTATE_STATE     state is written after access is given
 *   MUTATE_DRAIN     a lease ends before its groups are closed
 *   MUTATE_SCAN      a daemon that starts reads sysfs before it listens to events
 *   MUTATE_ROLLBACK  a grant that fails half way is left as it is
 *   MUTATE_ANSWER    a refused call is not answered
 *   MUTATE_STATUS    by container, the daemon trusts its check and does not attach
 */

#ifndef BINDS
#define BINDS 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif

#define DAEMON 3 /* callers are 1 and 2 */

mtype = { NONE, ACTIVE, DRAINING };      /* leases */
mtype = { PATH, CONTAINER };             /* modes */
mtype = { IDLE, CLAIM, RELEASE };        /* calls */
mtype = { WAITING, GRANTED, REFUSED, DONE, LOST }; /* answers */

/* The kernel. */
bool counted[2];      /* a host driver is bound */
byte claimer[2];      /* who has the claim, 0: nobody */
byte opener[2];       /* who has the node open */
byte admitted[2];     /* whom the access list lets in */
bool listening;       /* the daemon has subscribed */
bool event[2];        /* a bind that it has not taken yet */

/* The daemon: on disk, in memory, and what it told. */
mtype disk[3] = NONE;
mtype lease[3] = NONE;
bool told[2];         /* of the binding that is there now */
bool idle;

/* The bus. */
mtype call[3] = IDLE, answer[3] = WAITING, mode[3] = PATH;

/* ---- The kernel's rules, each in one step ----------------------------------------------------- */

inline kernel_bind(g) {
    atomic {
        if
#ifndef MUTATE_KERNEL
        :: claimer[g] != 0 -> skip /* EBUSY */
#endif
        :: else ->
            counted[g] = true;
            told[g] = false;
            event[g] = listening
        fi
    }
}

inline kernel_claim(g, who, ok) {
    atomic {
        ok = !counted[g]; /* else EPERM */
        if
        :: ok -> claimer[g] = who
        :: else
        fi
    }
}

/* The last close ends the claim. */
inline kernel_close(g, who) {
    atomic {
        if
        :: opener[g] == who ->
            opener[g] = 0;
            if
            :: claimer[g] == who -> claimer[g] = 0
            :: else
            fi
        :: else
        fi
    }
}

/* ---- The administrator, or udev --------------------------------------------------------------- */

active proctype administrator() {
    byte acts = 0;

end:
    do
    :: atomic { acts < BINDS && !counted[0] -> acts++; kernel_bind(0) }
    :: atomic { acts < BINDS && !counted[1] -> acts++; kernel_bind(1) }
    :: atomic { acts < BINDS && counted[0] -> acts++; counted[0] = false; told[0] = false }
    :: atomic { acts < BINDS && counted[1] -> acts++; counted[1] = false; told[1] = false }
    od
}

/* ---- Callers, and the processes that hold what they got --------------------------------------- */

#define place_call(c, what) atomic { answer[c] = WAITING; call[c] = what }

proctype caller(byte c) {
    place_call(c, CLAIM);
    atomic {
        answer[c] != WAITING;
        if
        :: answer[c] == REFUSED -> goto done
        :: else /* also what was lost: there may be a lease */
        fi
    };
again:
    place_call(c, RELEASE);
    atomic {
        answer[c] != WAITING;
        if
        :: answer[c] == LOST -> goto again
        :: else
        fi
    };
done:
    skip
}

/* Opens one of the nodes as soon as it is let in, and claims; or gets both open files with the answer.
 * Closes when it likes, or stays. */
inline enter(g) {
    atomic { admitted[g] == c && opener[g] == 0 -> opener[g] = c };
    atomic {
        kernel_claim(g, c, entered);
        entered = false
    }
}

proctype holder(byte c) {
    bool entered;

end:
    if
    :: enter(0)
    :: enter(1)
    :: opener[0] == c && mode[c] == CONTAINER
    fi;
    atomic { kernel_close(0, c); kernel_close(1, c) }
}

/* ---- The daemon ------------------------------------------------------------------------------- */

byte caller_now, first, second, crashes;
bool ok;

/* The daemon takes a step, or crashes before it. */
#define STEP(what)                                                                                 \
    atomic {                                                                                       \
        if                                                                                         \
        :: crashes < CRASHES -> crashes++; goto dead                                               \
        :: true                                                                                    \
        fi;                                                                                        \
        what                                                                                       \
    }

/* A bind beside an owner is reported, even if it is over by now. */
inline take_event(g) {
    if
    :: event[g] ->
        event[g] = false;
        if
        :: lease[1] != NONE || lease[2] != NONE -> told[g] = true
        :: else
        fi
    :: else
    fi
}

inline reply(c, what) {
    call[c] = IDLE;
    answer[c] = what
}

/* Nothing of a refused claim is left. */
inline refuse(c) {
#ifndef MUTATE_ANSWER
    assert(lease[c] == NONE && disk[c] == NONE);
    assert(admitted[0] != c && admitted[1] != c);
    assert(opener[0] != DAEMON && opener[1] != DAEMON);
    reply(c, REFUSED)
#else
    call[c] = IDLE
#endif
}

/* VFIO_GROUP_GET_STATUS on the node, opened for an instant. */
inline ask_kernel(g) {
    ok = ok && opener[g] == 0 && !counted[g]
}

/* Opens the node and attaches it to a container: the kernel's claim. */
inline attach(g) {
    ok = ok && opener[g] == 0;
#ifndef MUTATE_STATUS
    ok = ok && !counted[g];
#endif
    if
    :: ok -> opener[g] = DAEMON; claimer[g] = (counted[g] -> 0 : DAEMON)
    :: else
    fi
}

inline roll_back(c) {
#ifndef MUTATE_ROLLBACK
    kernel_close(0, DAEMON);
    kernel_close(1, DAEMON);
#endif
    disk[c] = NONE
}

/* The answer carries the open files; by then the daemon has no copy. */
inline pass(c) {
    assert(!counted[0] && !counted[1]);
    assert(opener[0] == DAEMON && opener[1] == DAEMON);
    opener[0] = c;
    opener[1] = c;
    claimer[0] = (claimer[0] == DAEMON -> c : claimer[0]);
    claimer[1] = (claimer[1] == DAEMON -> c : claimer[1]);
    reply(c, GRANTED)
}

inline give_access(g, c) {
    if
    :: mode[c] == PATH -> admitted[g] = c
    :: else -> attach(g)
    fi
}

inline grant(c) {
#ifndef MUTATE_STATE
    STEP(disk[c] = ACTIVE);
#endif
    STEP(give_access(first, c));
    STEP(give_access(second, c));
#ifdef MUTATE_STATE
    STEP(disk[c] = ACTIVE);
#endif
    if
    :: !ok ->
        STEP(roll_back(c));
        STEP(refuse(c))
    :: ok && mode[c] == PATH -> STEP(lease[c] = ACTIVE; reply(c, GRANTED))
    :: ok && mode[c] == CONTAINER -> STEP(lease[c] = ACTIVE; pass(c))
    fi
}

/* Reads the facts again, judges, asks the kernel, grants. */
inline serve_claim(c) {
    STEP(take_event(first); take_event(second));
    STEP(ok = !counted[first] && lease[1] == NONE && lease[2] == NONE);
    STEP(ok = ok && !counted[second]);
    STEP(ask_kernel(first));
    STEP(ask_kernel(second));
    if
    :: ok -> grant(c)
    :: else -> STEP(refuse(c))
    fi
}

inline withdraw(g, c) {
    admitted[g] = (admitted[g] == c -> 0 : admitted[g])
}

inline serve_release(c) {
    if
    :: lease[c] == ACTIVE ->
        STEP(disk[c] = DRAINING; lease[c] = DRAINING);
        STEP(withdraw(0, c));
        STEP(withdraw(1, c))
    :: else
    fi;
    STEP(reply(c, DONE))
}

/* Access is gone, and nobody is inside any more. */
#ifdef MUTATE_DRAIN
#define HAS_DRAINED(c) (lease[c] == DRAINING)
#else
#define HAS_DRAINED(c) (lease[c] == DRAINING && opener[0] != c && opener[1] != c)
#endif

inline finish(c) {
    lease[c] = NONE;
    disk[c] = NONE
}

inline listen() {
    listening = true;
    event[0] = false;
    event[1] = false
}

/* Sysfs shows a host driver beside a lease. */
inline scan(g) {
    if
    :: counted[g] && (lease[1] != NONE || lease[2] != NONE) -> told[g] = true
    :: else
    fi
}

/* Access as the lease says. */
inline restore(g, c) {
    if
    :: lease[c] == ACTIVE && mode[c] == PATH -> admitted[g] = c
    :: lease[c] == DRAINING -> withdraw(g, c)
    :: else
    fi
}

inline start() {
#ifndef MUTATE_SCAN
    STEP(lease[1] = disk[1]; lease[2] = disk[2]; listen());
#else
    STEP(lease[1] = disk[1]; lease[2] = disk[2]);
#endif
    STEP(scan(0));
    STEP(scan(1));
#ifdef MUTATE_SCAN
    STEP(listen());
#endif
    STEP(restore(0, 1); restore(0, 2));
    STEP(restore(1, 1); restore(1, 2))
}

/* What a step needed means nothing behind it. */
inline rest() {
    idle = true;
    ok = false;
    first = 0;
    second = 0;
    caller_now = 0
}

inline lose(c) {
    if
    :: call[c] != IDLE -> reply(c, LOST)
    :: else
    fi
}

/* Files of the daemon are closed, what is in memory is gone, callers that wait are told. */
inline die() {
    kernel_close(0, DAEMON);
    kernel_close(1, DAEMON);
    listening = false;
    event[0] = false;
    event[1] = false;
    lease[1] = NONE;
    lease[2] = NONE;
    lose(1);
    lose(2);
    rest();
    idle = false
}

#define begin_claim(c) idle = false; caller_now = c; first = c - 1; second = 2 - c

active proctype daemon() {
life:
    start();
    atomic { rest() };
end:
    do
    :: crashes < CRASHES -> crashes++; goto dead
    :: atomic { event[0] -> take_event(0) }
    :: atomic { event[1] -> take_event(1) }
    :: atomic { call[1] == CLAIM -> begin_claim(1) };
        serve_claim(caller_now);
        atomic { rest() }
    :: atomic { call[2] == CLAIM -> begin_claim(2) };
        serve_claim(caller_now);
        atomic { rest() }
    :: atomic { call[1] == RELEASE -> idle = false };
        serve_release(1);
        atomic { rest() }
    :: atomic { call[2] == RELEASE -> idle = false };
        serve_release(2);
        atomic { rest() }
    :: atomic { HAS_DRAINED(1) -> finish(1) }
    :: atomic { HAS_DRAINED(2) -> finish(2) }
    od;
dead:
    atomic { die(); goto life }
}

/* ---- What must never be ----------------------------------------------------------------------- */

#define BESIDE(g) (counted[g] && claimer[g] != 0)
#define TWO_LEASES ((disk[1] != NONE && disk[2] != NONE) || (lease[1] != NONE && lease[2] != NONE))
#define STRANGER(g, c) (opener[g] == c && disk[c] == NONE)
#define LET_IN(g, c) (admitted[g] == c && disk[c] == NONE)
#define UNTOLD(g)                                                                                  \
    (idle && listening && !event[g] && counted[g] && !told[g] &&                         \
     (lease[1] != NONE || lease[2] != NONE))

active proctype monitor() {
end:
    atomic {
        if
        :: BESIDE(0) || BESIDE(1) -> assert(false) /* a host driver beside a user's claim */
        :: TWO_LEASES -> assert(false) /* two leases of one group */
        :: STRANGER(0, 1) || STRANGER(0, 2) || STRANGER(1, 1) || STRANGER(1, 2) ->
            assert(false) /* somebody is inside without a lease */
        :: LET_IN(0, 1) || LET_IN(0, 2) || LET_IN(1, 1) || LET_IN(1, 2) ->
            assert(false) /* somebody is let in without a lease */
        :: UNTOLD(0) || UNTOLD(1) -> assert(false) /* a host driver beside a lease, and nobody was told */
        fi
    }
}

init {
    atomic {
        if
        :: mode[1] = PATH; mode[2] = PATH
        :: mode[1] = PATH; mode[2] = CONTAINER /* the other way round is its mirror */
        :: mode[1] = CONTAINER; mode[2] = CONTAINER
        fi;
        run caller(1);
        run caller(2);
        run holder(1);
        run holder(2)
    }
}
