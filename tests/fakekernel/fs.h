/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Mounts the tree at a folder, multithreaded, so that a write that hangs blocks nobody else; returns
 * 0 or negative errno. fs_serve() starts the threads, after the last fork.
 */
int fs_mount(const char *folder);
int fs_serve(void);
