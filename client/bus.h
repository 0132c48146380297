/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calls to dmaownd. A function that returns an exit status has printed the message that belongs to
 * it, unless it is STATUS_DONE. */

#include <stdbool.h>

#include <json-c/json.h>
#include <systemd/sd-bus.h>

#include "client/caller.h"
#include "client/verb.h"
#include "util/cleanup.h"

#define DEVICE_INTERFACE "org.dmaownd1.Device"

/* Prints "dmaownctl: VERB: TEXT", escaped, and returns status. */
enum exit_status client_fail(const struct client *client, enum exit_status status,
                             const char *format, ...) _printf_(3, 4);
/* The same for a call that ended with error (or, if that is not set, -r). */
enum exit_status client_fail_call(const struct client *client, const sd_bus_error *error, int r);
/* The same for a reply that is not what the interface promises. */
enum exit_status client_fail_reply(const struct client *client, int r);
enum exit_status client_fail_memory(const struct client *client);

enum exit_status client_connect(struct client *client);
void client_disconnect(struct client *client);

/* A call to the manager object, to be filled and passed to call_send(). privileged: the bus may ask
 * polkit to ask a human. *ret is the caller's. */
enum exit_status call_new(struct client *client, const char *method, bool privileged,
                          sd_bus_message **ret);
/* Sends, waits; ret_reply may be NULL. */
enum exit_status call_send(struct client *client, sd_bus_message *call, sd_bus_message **ret_reply);
/* How long to wait for the answer to a call that the daemon may take so many seconds longer for, in µs. */
uint64_t call_timeout(uint64_t seconds);
/* The same for a call that the daemon may take so many seconds longer for, on purpose. */
enum exit_status call_send_late(struct client *client, sd_bus_message *call, uint64_t seconds,
                                sd_bus_message **ret_reply);
/* A call without arguments or reply. */
enum exit_status call_plain(struct client *client, const char *method);

/* All properties of an interface, as a JSON object with keys like property_name, and "object". */
enum exit_status object_read(struct client *client, const char *path, const char *interface,
                             json_object **ret);
/* GetManagedObjects: path, interface, properties (keys like property_name). */
enum exit_status objects_read(struct client *client, json_object **ret);
/* Properties of one object out of objects_read() (may be NULL), or from the daemon if it is not
 * there. *ret is the caller's. */
enum exit_status objects_find(struct client *client, json_object *objects, const char *path,
                              const char *interface, json_object **ret);
/* All of one interface, as an array sorted by id. */
enum exit_status objects_select(struct client *client, json_object *objects, const char *interface,
                                json_object **ret);
