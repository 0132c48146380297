/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The device tree of the machine, where it has one. */
#include "manager.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "kernel/devicetree.h"
#include "model/device-streams.h"
#include "util/string.h"

static void report_mistakes(const struct device_tree *tree) {
    for (size_t i = 0; tree && i < tree->n_mistakes; i++)
        log_message(LOG_WARNING, "Device tree, node %s: %s", tree->mistakes[i].node,
                    tree->mistakes[i].text);
}

int manager_read_tree(struct manager *manager) {
    _cleanup_(freep) char *text = NULL;
    struct device_tree *tree = NULL;
    int r = devicetree_read_live(manager->sysfs, &tree, &text);
    bool is_unreadable = r < 0 && r != -ENOENT;

    if (is_unreadable)
        log_message(LOG_ERR,
                    "The device tree can not be read (%s), so which groups are isolated is not known: a "
                    "rule has to leave \"isolated\" out of its \"require\" for devices that are in it.",
                    text ?: strerror(-r));
    if (!manager->model.tree)
        report_mistakes(tree);
    return model_set_tree(&manager->model, tree, is_unreadable);
}

int manager_read_node(struct manager *manager, struct device_facts *facts, char *node, size_t size) {
    const struct model *model = &manager->model;

    if ((!model->tree && !model->tree_is_unreadable) || model_device(model, facts->path))
        return 0;
    int r = devicetree_place_device(manager->sysfs, facts, node, size);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    if (facts->names_iommus && model->tree && !device_tree_master(model->tree, node))
        log_message(LOG_WARNING, "Node %s of device %s is not in the device tree that was booted with, so "
                                 "whether it is isolated is not known.",
                    node, path_basename(facts->path));
    return 0;
}
