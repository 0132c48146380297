/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A listening stand-in for journald's native socket; fd or negative errno. */
int journal_open(void);
/* Receives one entry and appends it to /run/fakekernel/journal. */
void journal_receive(int fd);
