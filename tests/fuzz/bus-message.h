/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Arguments of a call out of text, or out of bytes that need not be a message at all. */

#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

/* Appends an array of strings: those lines of text that begin with 't', without that. */
int append_targets(sd_bus_message *message, const char *text);

/* Appends an a{sv}: of each line "oNAME=TYPE:VALUE" one option. TYPE is any complete type, also one that
 * is refused; VALUE stands for each basic value in it. fds (two of them) are what a type h passes. */
int append_options(sd_bus_message *message, const char *text, const int fds[static 2]);

/* Writes a call of member to fd, with a good header, and body as it is. Negative errno if it did not
 * go out as a whole. */
int write_raw_call(int fd, const char *member, const char *signature, const void *body, size_t size);
