/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/denials.h"

/* The user's account, opened if there is none yet. */
static struct denials_of_user *find_user(struct denials *denials, uid_t uid, uint64_t now) {
    for (size_t i = 0; i < denials->n_users; i++)
        if (denials->users[i].uid == uid)
            return &denials->users[i];
    if (denials->n_users >= DENIALS_USERS_MAX && uid != DENIALS_OTHERS)
        return find_user(denials, DENIALS_OTHERS, now);
    struct denials_of_user *user = &denials->users[denials->n_users++];
    *user = (struct denials_of_user){.uid = uid, .start = now};
    return user;
}

bool denials_count(struct denials *denials, uid_t uid, uint64_t now) {
    struct denials_of_user *user = find_user(denials, uid, now);

    /* A window that has passed starts again, unless a summary of it is still to come. */
    if (now - user->start >= DENIALS_WINDOW && user->beyond == 0)
        *user = (struct denials_of_user){.uid = user->uid, .start = now};
    if (user->recorded == DENIALS_BUDGET) {
        user->beyond++;
        return false;
    }
    user->recorded++;
    return true;
}

void denials_flush(struct denials *denials, uint64_t now, denials_summary *summary,
                   void *userdata) {
    for (size_t i = 0; i < denials->n_users;) {
        struct denials_of_user user = denials->users[i];
        if (now - user.start < DENIALS_WINDOW) {
            i++;
            continue;
        }
        denials->users[i] = denials->users[--denials->n_users];
        if (user.beyond > 0)
            summary(user.uid, user.beyond, userdata);
    }
}
