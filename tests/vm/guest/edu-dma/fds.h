/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where edu-dma has its fds from, and where it puts them. Each function prints a line a step and
 * returns whether all was done. */
#pragma once
#include <stdbool.h>

/* -1 where there is none. */
struct fds {
    int group, container, device, iommufd, lease;
};

/* "ok: WHAT", or "failed: WHAT: ERRNO"; report_data() is for what sets no errno. Returns good. */
bool report(bool good, const char *what);
bool report_data(bool good, const char *what);

/* From LISTEN_FDS and LISTEN_FDNAMES; of several devices the one with this name. */
bool fds_from_environment(struct fds *fds, const char *device);
/* Claims the target on the system bus with these options, NAME=TEXT, NAME:=NUMBER, NAME?=0|1, and
 * stays connected. */
bool fds_from_claim(struct fds *fds, const char *device, const char *target, char **options);
/* Opens the group's node, or the device's node and /dev/iommu. */
bool fds_from_nodes(struct fds *fds, const char *group, const char *device);

/* Executes the command with the fds in LISTEN_FDS; returns only when that fails. */
void fds_hand_on(const struct fds *fds, const char *device, char **command);
/* Puts the device into the queue of a socket, so that as far as /proc tells nobody has it open;
 * and takes it out again. */
bool fds_hide_device(struct fds *fds);
bool fds_find_device(struct fds *fds);
