/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/event.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/bus.h"
#include "client/table.h"
#include "util/string.h"

const char *event_kind(const char *interface) {
    static const char *const kinds[][2] = {
        {GROUP_INTERFACE, "group"},
        {DEVICE_INTERFACE, "device"},
        {LEASE_INTERFACE, "lease"},
        {MANAGER_INTERFACE, "manager"},
    };

    for (size_t i = 0; i < ELEMENTS_OF(kinds); i++)
        if (strcmp(kinds[i][0], interface) == 0)
            return kinds[i][1];
    return NULL;
}

json_object *event_new(const char *name) {
    json_object *event = json_object_new_object();

    if (event && json_set_text(event, "event", name) < 0) {
        json_object_put(event);
        return NULL;
    }
    return event;
}

/* What people call the object: a number, or a device's name. */
static char *object_name(const char *path, json_object *properties) {
    _cleanup_(freep) char *label = NULL;
    const char *name = json_text(properties, "name");

    if (*name)
        return strdup(name);
    if (sd_bus_path_decode(path, DAEMON_PATH "/device", &label) > 0 && label)
        return strdup(path_basename(label));
    return strdup(path_basename(path));
}

int event_set_object(json_object *event, const char *path, const char *interface,
                     json_object *properties) {
    const char *kind = event_kind(interface);
    _cleanup_(freep) char *name = object_name(path, properties);

    if (!name || json_set_text(event, "kind", kind ? kind : interface) < 0 ||
        json_set_text(event, "name", name) < 0 || json_set_text(event, "object", path) < 0)
        return -ENOMEM;
    return 0;
}

/* A property's value in a line: "none" for what is not there, numbers for object paths. */
static char *property_format(const char *key, json_object *value) {
    _cleanup_(freep) char *text = NULL;

    if (strcmp(key, "lease") == 0 || strcmp(key, "group") == 0 || strcmp(key, "groups") == 0)
        text = object_value_format(value);
    else if (strcmp(key, "blockers") == 0)
        text = blockers_format(value);
    else
        text = value_format(value);
    if (text && strcmp(text, "-") == 0)
        return strdup("none");
    return TAKE_POINTER(text);
}

/* Names out of the object paths of devices. */
static json_object *device_names(json_object *paths) {
    json_object *names = json_object_new_array();

    for (size_t i = 0; names && i < json_length(paths); i++) {
        const char *path = json_object_get_string(json_object_array_get_idx(paths, i));
        _cleanup_(freep) char *name = path ? object_name(path, NULL) : NULL;
        json_object *text = name ? json_object_new_string(name) : NULL;
        if (!text || json_append(names, text) < 0) {
            json_object_put(names);
            return NULL;
        }
    }
    return names;
}

static int print_change(FILE *line, const char *separator, const char *key, json_object *before,
                        json_object *after) {
    _cleanup_(json_putp) json_object *names =
        strcmp(key, "devices") == 0 ? device_names(after) : json_object_get(after);
    _cleanup_(freep) char *new = property_format(key, names);
    _cleanup_(freep) char *old = before ? property_format(key, before) : NULL;
    static const char *const told_with_old[] = {"driver", "owner", "state", "lease", "group", NULL};

    if (!new || (before && !old))
        return -ENOMEM;
    fprintf(line, "%s", separator);
    for (const char *at = key; *at; at++)
        fputc(*at == '_' ? ' ' : *at, line);
    if (old && strcmp(old, new) != 0 && strings_contain((char *const *)told_with_old, key))
        fprintf(line, " %s -> %s", old, new);
    else
        fprintf(line, " %s", new);
    return 0;
}

static int print_changes(FILE *line, json_object *event) {
    /* The one that matters most stands first. */
    static const char *const first[] = {"driver", "owner", "state"};
    json_object *changes = json_member(event, "changes"), *before = json_member(event, "before");
    const char *separator = " ";
    int r = 0;

    for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(first); i++)
        if (json_member(changes, first[i])) {
            r = print_change(line, separator, first[i], json_member(before, first[i]),
                             json_member(changes, first[i]));
            separator = ", ";
        }
    json_object_object_foreach(changes, key, value) {
        if (r < 0 || strcmp(key, first[0]) == 0 || strcmp(key, first[1]) == 0 ||
            strcmp(key, first[2]) == 0)
            continue;
        r = print_change(line, separator, key, json_member(before, key), value);
        separator = ", ";
    }
    return r;
}

/* Text of a member, for the fixed lines. */
struct words {
    char *text[4];
};

static void words_done(struct words *words) {
    for (size_t i = 0; i < ELEMENTS_OF(words->text); i++)
        free(words->text[i]);
}

static int words_read(struct words *words, json_object *event, const char *const *keys) {
    for (size_t i = 0; i < ELEMENTS_OF(words->text) && keys[i]; i++) {
        json_object *value = json_member(event, keys[i]);
        if (strcmp(keys[i], "object") == 0)
            words->text[i] = object_value_format(value);
        else if (strcmp(keys[i], "uid") == 0)
            words->text[i] = user_value_format(value);
        else
            words->text[i] = value_format(value);
        if (!words->text[i])
            return -ENOMEM;
    }
    return 0;
}

/* Each event's words, and what stands before, between and behind them. */
static const struct sentence {
    const char *event;
    const char *keys[5];
    const char *between[5];
} sentences[] = {
    {"lease-granted", {"object", "uid", "groups"}, {"lease ", ": granted to ", ", groups ", ""}},
    {"lease-revoking", {"object", "seconds"}, {"lease ", ": must end within ", " s"}},
    {"lease-ended", {"object", "reason", "groups"}, {"lease ", ": ended, ", ", groups ", ""}},
    {"conflict",
     {"group", "device", "driver", "text"},
     {"group ", ": conflict, device ", ", driver ", ": ", ""}},
    {"added", {"kind", "name"}, {"", " ", ": added"}},
    {"removed", {"kind", "name"}, {"", " ", ": removed"}},
    {"changed", {"kind", "name"}, {"", " ", ":"}},
    {"daemon-vanished", {NULL}, {"dmaownd is gone"}},
    {"daemon-appeared", {NULL}, {"dmaownd is there again"}},
};

static int print_sentence(FILE *line, const struct sentence *sentence, json_object *event) {
    _cleanup_(words_done) struct words words = {0};
    int r = words_read(&words, event, sentence->keys);

    if (r < 0)
        return r;
    for (size_t i = 0; i < ELEMENTS_OF(sentence->between) && sentence->between[i]; i++)
        fprintf(line, "%s%s", sentence->between[i],
                i < ELEMENTS_OF(words.text) && words.text[i] ? words.text[i] : "");
    return 0;
}

static int print_policy(FILE *line, json_object *event) {
    _cleanup_(freep) char *text = value_format(json_member(event, "text"));
    bool ok = json_truth(event, "ok");

    if (!text)
        return -ENOMEM;
    fprintf(line, "policy: %s, generation %llu%s%s", ok ? "reloaded" : "refused",
            (unsigned long long)json_number(event, "generation"),
            strcmp(text, "-") == 0 ? "" : ": ", strcmp(text, "-") == 0 ? "" : text);
    return 0;
}

static int print_event(FILE *line, json_object *event) {
    const char *name = json_text(event, "event");
    int r = strcmp(name, "policy-reloaded") == 0 ? print_policy(line, event) : 0;

    for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(sentences); i++)
        if (strcmp(sentences[i].event, name) == 0)
            r = print_sentence(line, &sentences[i], event);
    if (r >= 0 && strcmp(name, "changed") == 0)
        r = print_changes(line, event);
    json_object *properties = json_member(event, "properties");
    if (r >= 0 && json_member(properties, "driver"))
        r = print_change(line, ", ", "driver", NULL, json_member(properties, "driver"));
    if (r >= 0 && json_member(properties, "role"))
        r = print_change(line, ", ", "role", NULL, json_member(properties, "role"));
    if (r >= 0 && json_member(properties, "group"))
        r = print_change(line, ", ", "group", NULL, json_member(properties, "group"));
    return r;
}

/* Counts and files of the manager, and leases that come and go: their signals have said it. */
static bool event_is_echo(json_object *event) {
    const char *kind = json_text(event, "kind"), *name = json_text(event, "event");

    return strcmp(kind, "manager") == 0 ||
           (strcmp(kind, "lease") == 0 && strcmp(name, "changed") != 0);
}

int event_format(json_object *event, char **ret) {
    char *text = NULL;
    size_t size;

    if (event_is_echo(event)) {
        *ret = NULL;
        return 0;
    }
    FILE *line = open_memstream(&text, &size);
    if (!line)
        return -ENOMEM;
    int r = print_event(line, event);
    if (fclose(line) != 0)
        r = -ENOMEM;
    if (r < 0) {
        free(text);
        return r;
    }
    *ret = text;
    return 0;
}
