/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdio.h>

/*
 * The commands by which a scenario and fakectl change the fake kernel; HELP in control.c lists them.
 * Words are not quoted: a value holds no space. Both take tree_lock. 0 or negative errno; what a
 * command has to say goes to answer.
 */
int control_execute(int argc, char **argv, FILE *answer);
/* One command a line, # begins a comment. An error is reported with its line, and ends it. */
int control_file(const char *path);
/* Lets go everything that was made to hang. */
void control_release_all(void);
/* Answers fakectl on a listening socket; for a thread of its own. */
void control_serve(int listener);
/* A listening socket at path; fd or negative errno. */
int control_listen(const char *path);

/* Splits in place at blanks; returns the number of words, at most size - 1. */
int control_split(char *line, char **words, int size);
