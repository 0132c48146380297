/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/claim.h"

#include <errno.h>
#include <stdio.h>

#include "client/bus.h"
#include "client/json.h"
#include "util/string.h"

enum exit_status claim_call_new(struct client *client, const struct arguments *arguments,
                                const struct call_options *options, sd_bus_message **ret) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    enum exit_status status = call_new(client, "Claim", false, &call);

    if (status == STATUS_DONE)
        status = call_options_append(client, arguments, options, call);
    if (status == STATUS_DONE)
        *ret = TAKE_POINTER(call);
    return status;
}

enum exit_status claim_options_read(const struct client *client, const struct arguments *arguments,
                                    const char *lifetime, struct call_options *ret) {
    enum exit_status status = call_options_read(client, arguments, lifetime, ret);

    if (status == STATUS_DONE && !call_options_say(ret, "lifetime", lifetime))
        return client_fail(client, STATUS_USAGE, "the lifetime of such a lease is '%s'", lifetime);
    return status;
}

enum exit_status claim_print(const struct client *client, const char *path) {
    _cleanup_(json_putp) json_object *lease = json_object_new_object();
    uint64_t id;

    if (!client->json) {
        _cleanup_(freep) char *escaped = text_escape(path);
        if (!escaped)
            return client_fail_memory(client);
        printf("%s\n", escaped);
        return STATUS_DONE;
    }
    if (parse_u64(path_basename(path), &id) < 0)
        return client_fail_reply(client, -EBADMSG);
    if (!lease || json_set(lease, "id", json_object_new_uint64(id)) < 0 ||
        json_set_text(lease, "object", path) < 0 || json_print(lease, false) < 0)
        return client_fail_memory(client);
    return STATUS_DONE;
}
