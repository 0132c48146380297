/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which VFIO driver a device can be given, and what has to be loaded for it. Reads module files: only
 * for worker processes, which write lines of text that the manager parses. Loads and binds nothing.
 * Source: Linux drivers/vfio (aliases vfio_pci: since 5.15). */

#include <limits.h>
#include <stddef.h>

#include "kernel/modules.h"
#include "model/outcome.h"
#include "model/vfio-facts.h"

/* So many drivers are named for a device. */
#define VFIO_CANDIDATES_MAX 4

/* A device, by strings that are borrowed for the call. */
struct vfio_question {
    const char *path; /* below the sysfs root; for no more than to name the device */
    const char *bus;
    const char *modalias;   /* "pci:v…"; NULL or "" if it has none */
    const char *compatible; /* the first, or NULL: ACPI, where nothing in sysfs tells of a reset */
    const char *wanted;     /* the rule's vfio_driver, as driver or module, '-' and '_' alike; or NULL */
};

/* Writes for each question, which INDEX counts from 0, its drivers, best first:
 *     vfio TAB INDEX TAB DRIVER TAB MODULE TAB STATE
 * then, if vfio-platform or vfio-amba is the driver, what is known of the device's reset
 * (kernel/vfio-reset.h): "none", "handler" or "if-taken",
 *     reset TAB INDEX TAB WORD
 * and then, if none of them is loaded or loadable, or if the driver would refuse the device,
 *     problem TAB INDEX TAB REASON TAB TEXT
 * with the reason no-vfio-driver, or no-reset. TEXT says what is in the way and what to do.
 *
 * A rule that names a driver decides: no other is offered. Else the variants whose vfio_pci: alias
 * matches, the most exact first, and vfio-pci always last; or the one driver of the bus. DRIVER is the
 * folder below bus/…/drivers; for a module that is not loaded it is a guess, since drivers choose their
 * names: ask vfio_driver_find again after loading. MODULE has underscores. 0 or a negative errno of
 * writing or memory. */
int vfio_driver_write(int output, int sysfs, const struct vfio_question *questions, size_t n_questions);
/* The same with modules of another place and another kernel's release, for tests; both may be NULL. */
int vfio_driver_write_from(int output, int sysfs, const struct module_places *places, const char *release,
                           const struct vfio_question *questions, size_t n_questions);

/* Puts into ret the folder below bus/BUS/drivers of the driver that name, a driver or a module, means.
 * 1 if it is there; 0 if not, with what it will be called as far as can be known. -EINVAL if bus or name
 * can not be one. Reads sysfs only and does not block. */
int vfio_driver_find(int sysfs, const char *bus, const char *name, char ret[NAME_MAX + 1]);

struct vfio_line {
    size_t index;
    /* "vfio"; NULL in a problem. */
    const char *driver, *module;
    enum module_state state;
    /* "reset"; VFIO_RESET_UNKNOWN otherwise. */
    enum vfio_reset reset;
    /* "problem"; REASON_NONE and NULL otherwise. */
    enum reason reason;
    const char *text;
};

/* Reads one line of the answer, with or without its newline. 1: it was one, and *ret points into line;
 * 0: it begins with another word, and is as it was; -EBADMSG. */
int vfio_driver_parse(char *line, struct vfio_line *ret);
