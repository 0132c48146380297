/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/oci/state.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <json-c/json.h>

#include "client/json.h"
#include "util/string.h"

#define JSON_DEPTH_MAX 64

#define ID_CHARACTERS                                                                              \
    "abcdefghijklmnopqrstuvwxyz"                                                                   \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"                                                                   \
    "0123456789_+-."

/* Wider numbers are no device's, and makedev() would cut them off. */
#define MAJOR_MAX 0xfff
#define MINOR_MAX 0xfffff

static int problem(const char **ret_problem, const char *sentence) {
    *ret_problem = sentence;
    return -EBADMSG;
}

static void json_tokener_freep(json_tokener **tokener) {
    if (*tokener)
        json_tokener_free(*tokener);
}

/* One object and nothing behind it. *ret is the caller's. */
static int object_parse(const char *text, size_t size, json_object **ret) {
    _cleanup_(json_tokener_freep) json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
    _cleanup_(json_putp) json_object *object = NULL;

    if (!tokener)
        return -ENOMEM;
    if (size == 0 || size > INT_MAX || memchr(text, 0, size))
        return -EBADMSG;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    object = json_tokener_parse_ex(tokener, text, (int)size);
    if (json_tokener_get_error(tokener) != json_tokener_success ||
        json_tokener_get_parse_end(tokener) != size || !json_object_is_type(object, json_type_object))
        return -EBADMSG;
    *ret = TAKE_POINTER(object);
    return 0;
}

/* A member that is text without a NUL in it; borrowed. NULL otherwise. */
static const char *text_member(json_object *object, const char *key) {
    json_object *member = json_member(object, key);

    if (!json_object_is_type(member, json_type_string))
        return NULL;
    const char *text = json_object_get_string(member);
    return strlen(text) == (size_t)json_object_get_string_len(member) ? text : NULL;
}

/* A member that is a whole number from 0 to max. */
static int number_member(json_object *object, const char *key, int64_t max, int64_t *ret) {
    json_object *member = json_member(object, key);
    int64_t number = json_object_get_int64(member);

    if (!json_object_is_type(member, json_type_int) || number < 0 || number > max)
        return -EINVAL;
    *ret = number;
    return 0;
}

static bool id_is_valid(const char *id) {
    size_t length = strlen(id);

    return length > 0 && length <= OCI_ID_LENGTH_MAX && strspn(id, ID_CHARACTERS) == length;
}

/* ---- State ------------------------------------------------------------------------------------ */

static int state_read(json_object *object, struct oci_state *ret, const char **ret_problem) {
    const char *id = text_member(object, "id"), *bundle = text_member(object, "bundle");
    int64_t pid = 0;

    if (!id || !id_is_valid(id))
        return problem(ret_problem, "its \"id\" is not the id of a container: up to 200 letters, digits, and "
                                    "\"_\", \"+\", \"-\", \".\"");
    if (!bundle || *bundle != '/')
        return problem(ret_problem, "its \"bundle\" is not an absolute path");
    /* The runtime leaves it out, or says 0, when there is no process. */
    if (json_member(object, "pid") && number_member(object, "pid", INT_MAX, &pid) < 0)
        return problem(ret_problem, "its \"pid\" is not the number of a process");
    struct oci_state state = {.id = strdup(id), .bundle = strdup(bundle), .pid = (pid_t)pid};
    if (!state.id || !state.bundle) {
        oci_state_done(&state);
        return -ENOMEM;
    }
    *ret = state;
    return 0;
}

int oci_state_parse(const char *text, size_t size, struct oci_state *ret, const char **ret_problem) {
    _cleanup_(json_putp) json_object *object = NULL;

    if (size > OCI_STATE_SIZE_MAX)
        return problem(ret_problem, "it is longer than 1 MiB");
    int r = object_parse(text, size, &object);
    if (r == -EBADMSG)
        return problem(ret_problem, "it is not a JSON object");
    return r < 0 ? r : state_read(object, ret, ret_problem);
}

void oci_state_done(struct oci_state *state) {
    free(state->id);
    free(state->bundle);
}

/* ---- Configuration ---------------------------------------------------------------------------- */

static int node_read(json_object *node, dev_t *ret, const char **ret_problem) {
    const char *type = text_member(node, "type");
    int64_t major, minor;

    /* "u" is the same, unbuffered. */
    if (!string_equal(type, "c") && !string_equal(type, "u"))
        return problem(ret_problem, "the node is not a character device there");
    if (number_member(node, "major", MAJOR_MAX, &major) < 0 ||
        number_member(node, "minor", MINOR_MAX, &minor) < 0)
        return problem(ret_problem, "the node has no device number there");
    *ret = makedev((unsigned)major, (unsigned)minor);
    return 0;
}

/* Two devices of one group put the group's node there twice. */
static int nodes_find(json_object *nodes, const char *path, dev_t *ret, const char **ret_problem) {
    size_t found = 0;
    dev_t first = 0, device;

    for (size_t i = 0; i < json_length(nodes); i++) {
        json_object *node = json_object_array_get_idx(nodes, i);
        if (!string_equal(text_member(node, "path"), path))
            continue;
        int r = node_read(node, &device, ret_problem);
        if (r < 0)
            return r;
        if (found > 0 && device != first)
            return problem(ret_problem, "the node stands there twice, for two devices");
        first = device;
        found++;
    }
    if (found == 0)
        return -ENOENT;
    *ret = first;
    return 0;
}

int oci_config_find_node(const char *text, size_t size, const char *path, dev_t *ret,
                         const char **ret_problem) {
    _cleanup_(json_putp) json_object *object = NULL;

    if (size > OCI_CONFIG_SIZE_MAX)
        return problem(ret_problem, "it is longer than 16 MiB");
    int r = object_parse(text, size, &object);
    if (r == -EBADMSG)
        return problem(ret_problem, "it is not a JSON object");
    if (r < 0)
        return r;
    return nodes_find(json_member(json_member(object, "linux"), "devices"), path, ret, ret_problem);
}
