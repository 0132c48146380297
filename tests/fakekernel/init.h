/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * pid 1 inside: runs the command and the services, reaps, and keeps what is sent to the journal in
 * /run/fakekernel/journal (one FIELD=value a line, an empty line behind each entry). With bus_config
 * a dbus-daemon is started first. Returns the command's exit status, or 128 + its signal.
 */
int init_run(char **command, const char *bus_config);
