/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/bus.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/json.h"
#include "util/string.h"

/* A claim answers within 20 s or rolls back; polkit may wait for a human. */
#define CALL_TIMEOUT_USEC (120 * UINT64_C(1000000))

/* More than that of a message is not read by anyone. */
#define MESSAGE_LENGTH_MAX 4096

enum exit_status client_fail(const struct client *client, enum exit_status status,
                             const char *format, ...) {
    char text[MESSAGE_LENGTH_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    _cleanup_(freep) char *escaped = text_escape(text);
    fprintf(stderr, "dmaownctl: %s%s%s\n", client->verb ? client->verb : "",
            client->verb ? ": " : "", escaped ? escaped : "out of memory");
    return status;
}

enum exit_status client_fail_call(const struct client *client, const sd_bus_error *error, int r) {
    bool gone = r == -ENOTCONN || r == -ECONNRESET || r == -EPIPE || r == -ETIMEDOUT;
    _cleanup_(freep) char *text = caller_sentence(error, r);

    if (sd_bus_error_is_set(error))
        return client_fail(client, exit_status_from_error(error->name), "%s", text ?: "out of memory");
    return client_fail(client, gone ? STATUS_UNREACHABLE : STATUS_ERROR, "%s", text ?: "out of memory");
}

enum exit_status client_fail_reply(const struct client *client, int r) {
    return client_fail(client, STATUS_ERROR, "dmaownd sent an answer that cannot be read: %s",
                       strerror(-r));
}

enum exit_status client_fail_memory(const struct client *client) {
    return client_fail(client, STATUS_ERROR, "out of memory");
}

static int open_address(const char *address, sd_bus **ret) {
    sd_bus *bus = NULL;
    int r = sd_bus_new(&bus);

    if (r >= 0)
        r = sd_bus_set_address(bus, address);
    if (r >= 0)
        r = sd_bus_set_bus_client(bus, true);
    if (r >= 0)
        r = sd_bus_start(bus);
    if (r < 0) {
        sd_bus_unref(bus);
        return r;
    }
    *ret = bus;
    return 0;
}

enum exit_status client_connect(struct client *client) {
    int r = client->address ? open_address(client->address, &client->bus)
                            : sd_bus_open_system(&client->bus);

    if (r < 0)
        return client_fail(client, STATUS_UNREACHABLE, "%s cannot be reached: %s",
                           client->address ? client->address : "the system bus", strerror(-r));
    (void)sd_bus_set_method_call_timeout(client->bus, CALL_TIMEOUT_USEC);
    return STATUS_DONE;
}

void client_disconnect(struct client *client) {
    client->bus = sd_bus_flush_close_unref(client->bus);
}

enum exit_status call_new(struct client *client, const char *method, bool privileged,
                          sd_bus_message **ret) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    enum exit_status status = client->bus ? STATUS_DONE : client_connect(client);

    if (status != STATUS_DONE)
        return status;
    int r = sd_bus_message_new_method_call(client->bus, &call, DAEMON_NAME, DAEMON_PATH,
                                           MANAGER_INTERFACE, method);
    if (r >= 0 && privileged)
        r = sd_bus_message_set_allow_interactive_authorization(call, true);
    if (r < 0)
        return client_fail(client, STATUS_ERROR, "%s", strerror(-r));
    *ret = TAKE_POINTER(call);
    return STATUS_DONE;
}

enum exit_status call_send(struct client *client, sd_bus_message *call,
                           sd_bus_message **ret_reply) {
    return call_send_late(client, call, 0, ret_reply);
}

uint64_t call_timeout(uint64_t seconds) {
    uint64_t timeout;

    if (__builtin_mul_overflow(seconds, UINT64_C(1000000), &timeout) ||
        __builtin_add_overflow(timeout, CALL_TIMEOUT_USEC, &timeout))
        return UINT64_MAX;
    return timeout;
}

enum exit_status call_send_late(struct client *client, sd_bus_message *call, uint64_t seconds,
                                sd_bus_message **ret_reply) {
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = sd_bus_call(client->bus, call, call_timeout(seconds), &error, ret_reply);

    return r < 0 ? client_fail_call(client, &error, r) : STATUS_DONE;
}

enum exit_status call_plain(struct client *client, const char *method) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    enum exit_status status = call_new(client, method, true, &call);

    return status == STATUS_DONE ? call_send(client, call, NULL) : status;
}

/* Calls a standard interface and turns the first value of the reply into JSON. */
static enum exit_status read_value(struct client *client, sd_bus_message *call,
                                   json_object **ret) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    enum exit_status status = call_send(client, call, &reply);

    if (status != STATUS_DONE)
        return status;
    int r = json_from_message(reply, ret);
    return r < 0 ? client_fail_reply(client, r) : STATUS_DONE;
}

enum exit_status object_read(struct client *client, const char *path, const char *interface,
                             json_object **ret) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    _cleanup_(json_putp) json_object *properties = NULL;
    enum exit_status status = client->bus ? STATUS_DONE : client_connect(client);

    if (status != STATUS_DONE)
        return status;
    int r = sd_bus_message_new_method_call(client->bus, &call, DAEMON_NAME, path,
                                           "org.freedesktop.DBus.Properties", "GetAll");
    if (r >= 0)
        r = sd_bus_message_append(call, "s", interface);
    if (r < 0)
        return client_fail_reply(client, r);
    status = read_value(client, call, &properties);
    if (status != STATUS_DONE)
        return status;
    if (!json_object_is_type(properties, json_type_object))
        return client_fail_reply(client, -EBADMSG);
    if (json_set_text(properties, "object", path) < 0)
        return client_fail_memory(client);
    *ret = TAKE_POINTER(properties);
    return STATUS_DONE;
}

enum exit_status objects_read(struct client *client, json_object **ret) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    _cleanup_(json_putp) json_object *objects = NULL;
    enum exit_status status = client->bus ? STATUS_DONE : client_connect(client);

    if (status != STATUS_DONE)
        return status;
    int r = sd_bus_message_new_method_call(client->bus, &call, DAEMON_NAME, DAEMON_PATH,
                                           "org.freedesktop.DBus.ObjectManager",
                                           "GetManagedObjects");
    if (r < 0)
        return client_fail(client, STATUS_ERROR, "%s", strerror(-r));
    status = read_value(client, call, &objects);
    if (status != STATUS_DONE)
        return status;
    if (!json_object_is_type(objects, json_type_object))
        return client_fail_reply(client, -EBADMSG);
    *ret = TAKE_POINTER(objects);
    return STATUS_DONE;
}

enum exit_status objects_find(struct client *client, json_object *objects, const char *path,
                              const char *interface, json_object **ret) {
    json_object *found = json_member(json_member(objects, path), interface);

    if (!json_object_is_type(found, json_type_object))
        return object_read(client, path, interface, ret);
    if (json_set_text(found, "object", path) < 0)
        return client_fail_memory(client);
    *ret = json_object_get(found);
    return STATUS_DONE;
}

enum exit_status objects_select(struct client *client, json_object *objects, const char *interface,
                                json_object **ret) {
    _cleanup_(json_putp) json_object *selected = json_object_new_array();

    if (!selected)
        return client_fail_memory(client);
    json_object_object_foreach(objects, path, interfaces) {
        json_object *properties = json_member(interfaces, interface);
        if (!json_object_is_type(properties, json_type_object))
            continue;
        if (json_set_text(properties, "object", path) < 0 ||
            json_object_array_add(selected, json_object_get(properties)) < 0)
            return client_fail_memory(client);
    }
    json_sort_by_id(selected);
    *ret = TAKE_POINTER(selected);
    return STATUS_DONE;
}
