/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a container's state, as its configuration, and as what stands in a specification: nothing
 * breaks, an id is one that can be a lease's key, and a specification is JSON. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/json.h"
#include "client/oci/cdi.h"
#include "client/oci/state.h"
#include "util/string.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void read_state(const char *text, size_t size) {
    struct oci_state state = {0};
    const char *problem = NULL;

    if (oci_state_parse(text, size, &state, &problem) < 0) {
        EXPECT(!state.id && !state.bundle && problem);
        return;
    }
    EXPECT(strlen(state.id) > 0 && strlen(state.id) <= OCI_ID_LENGTH_MAX);
    EXPECT(!strpbrk(state.id, "/: \n\\") && text_is_printable(state.id));
    EXPECT(state.bundle[0] == '/' && state.pid >= 0);
    oci_state_done(&state);
}

static void read_config(const char *text, size_t size) {
    const char *problem = NULL;
    dev_t node = 0;
    int r = oci_config_find_node(text, size, "/dev/vfio/7", &node, &problem);

    EXPECT(r == 0 || node == 0);
    EXPECT(r == 0 || problem || memmem(text, size, "{", 1));
}

/* Each line is a device. */
static void write_specification(char *text) {
    _cleanup_(json_putp) json_object *findings = json_object_new_array(), *document = NULL;
    _cleanup_(cdi_done) struct cdi cdi = {0};
    _cleanup_(freep) char *written = NULL;
    char *at = NULL;

    for (char *line = strtok_r(text, "\n", &at); line; line = strtok_r(NULL, "\n", &at)) {
        json_object *finding = json_object_new_object();
        EXPECT(finding && json_set(finding, "group", json_object_new_int(7)) == 0);
        EXPECT(json_set_text(finding, "reason", "user-driver") == 0);
        EXPECT(json_set_text(finding, "device", line) == 0 && json_append(findings, finding) == 0);
    }
    EXPECT(cdi_add_group(&cdi, 7, "/dev/vfio/7", "", findings) == 0);
    EXPECT(cdi_format(&cdi, "/hook", &written) == 0);
    if (!written)
        return;
    document = json_tokener_parse(written);
    EXPECT(json_length(json_member(document, "devices")) > 0 &&
           json_length(json_member(document, "devices")) <= cdi.n_devices);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_(freep) char *text = strndup((const char *)data, size);

    EXPECT(text);
    read_state((const char *)data, size);
    read_config((const char *)data, size);
    write_specification(text);
    return 0;
}
