/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The manager of manager-fixture.h over the tree of kernel-fixture.h: group N has one device, on a
 * driver that the test names, and drivers can really be switched. */

#include "manager-fixture.h"

#include "kernel-fixture.h"
#include "manager-switch.h"
#include "model/survey.h"

/* A file that is there, and not a write that the kernel sees. */
static inline void put_file(const char *path, const char *text) {
    bool plays = kernel_plays;

    kernel_plays = false;
    tree_file(&tree, path, text);
    kernel_plays = plays;
}

static inline void make_driver(const char *name) {
    static const char *const attributes[] = {"bind", "unbind"};

    for (size_t i = 0; i < ELEMENTS_OF(attributes); i++) {
        _cleanup_(freep) char *path = string_format("bus/pci/drivers/%s/%s", name, attributes[i]);
        put_file(path, "");
    }
}

static inline const char *name_of(uint32_t id) {
    return path_basename(device_path(id));
}

/* A NIC; "" for no driver. The kernel's own choice is the driver native. */
static inline void put_on(uint32_t id, const char *driver, const char *native) {
    put_file(below_device(id, "modalias"), "pci:v00008086d000010D3sv00008086sd0000A01Fbc02sc00i00\n");
    put_file(below_device(id, "driver_override"), "(null)\n");
    put_file(below_device(id, "native"), native);
    kernel_set_driver(name_of(id), driver);
}

static inline void set_up_switch(void) {
    set_up_outside();
    heard[0] = switched_text[0] = 0;
    load_error = 0;
    put_file("bus/pci/drivers_probe", "");
    make_driver("e1000e");
    make_driver("vfio-pci");
    kernel_start(&tree);
    kernel_plays = false; /* until the tree is whole */
}

static inline void start_switch(void) {
    kernel_plays = true;
    ck_assert_int_eq(start_manager(), 0);
}

static inline void tear_down_switch(void) {
    kernel_plays = false;
    tear_down_outside();
}

static inline struct device *device_of(uint32_t id) {
    return model_device(&manager->model, device_path(id));
}

static inline void assert_driver(uint32_t id, const char *driver) {
    ck_assert_str_eq(kernel_driver(&tree, name_of(id)), driver);
}

static inline void assert_override(uint32_t id, const char *text) {
    char found[64];

    ck_assert_int_ge(attribute_read(tree.fd, below_device(id, "driver_override"), found, sizeof(found)),
                     0);
    ck_assert_str_eq(strcmp(found, "(null)") == 0 ? "" : found, text);
}

/* What a look at the device would have found. */
static inline struct survey *look_at(uint32_t id, const char *driver, const char *module, bool loaded) {
    struct survey *survey = survey_new();

    survey->override = strdup("");
    survey->asked_for_drivers = true;
    ck_assert_int_eq(survey_add_candidate(survey, driver, module, loaded), 0);
    model_take_survey(&manager->model, device_of(id), survey);
    return survey;
}

/* A record with one member, the caller's. */
static inline struct detachment *make_detachment(uint64_t id, uint32_t device,
                                                 enum detachment_state state) {
    struct detachment *detachment = detachment_new(2);

    detachment->id = id;
    detachment->uid = 1000;
    detachment->state = state;
    detachment->members[detachment->n_members++] = (struct detachment_member){
        .path = strdup(device_path(device)),
        .bus = strdup("pci"),
        .group = device,
        .move = MOVE_TO_USER,
        .driver = strdup("e1000e"),
        .override = strdup(""),
        .target = strdup("vfio-pci"),
        .vfs = -1,
        .autoprobe = -1,
    };
    return detachment;
}

/* On disk, as a daemon before left it. */
static inline void leave_record(struct detachment *detachment) {
    _cleanup_(state_closep) struct state *state = NULL;
    char boot_id[37];

    ck_assert_int_eq(boot_id_read(boot_id), 0);
    ck_assert_int_eq(state_open(state_folder, boot_id, &state), 0);
    ck_assert_int_eq(state_save_detachment(state, detachment), 0);
    detachment_free(detachment);
}

static inline bool record_says(uint64_t id, const char *text) {
    _cleanup_(freep) char *found = NULL;
    char path[64];

    snprintf(path, sizeof(path), "state/switch-%u.json", (unsigned)id);
    return file_read(tree.fd, path, 65536, &found, NULL) >= 0 && strstr(found, text);
}

static inline bool record_exists(uint64_t id) {
    return record_says(id, "{");
}
