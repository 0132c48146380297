/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* json-c says what a text means, but neither where a value stands nor that a key came twice: of two
 * equal keys it keeps the place of the first and the value of the last. So the text, once json-c
 * has accepted it, is walked a second time side by side with the tree: keys come in the same order
 * in both, which makes a key that is not the tree's next one a duplicate. */

#include "policy/document.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/string.h"

struct place {
    struct location key, value;
};

struct walker {
    const char *at, *end;
    struct location here;
    const char *file;
    struct policy_report *report;
};

static void place_free(struct json_object *value, void *place) {
    free(place);
}

struct location document_value_location(struct json_object *value) {
    const struct place *place = value ? json_object_get_userdata(value) : NULL;

    return place ? place->value : (struct location){ 0 };
}

struct location document_key_location(struct json_object *value) {
    const struct place *place = value ? json_object_get_userdata(value) : NULL;

    return place ? place->key : (struct location){ 0 };
}

static void location_advance(struct location *here, char c) {
    if (c == '\n') {
        here->line++;
        here->column = 1;
    } else if (((unsigned char)c & 0xc0) != 0x80) {
        here->column++;
    }
}

static struct location location_of(const char *data, size_t offset) {
    struct location here = { 1, 1 };

    for (size_t i = 0; i < offset; i++)
        location_advance(&here, data[i]);
    return here;
}

static void step(struct walker *walker) {
    if (walker->at < walker->end)
        location_advance(&walker->here, *walker->at++);
}

static char peek(const struct walker *walker) {
    return walker->at < walker->end ? *walker->at : 0;
}

static void skip_space(struct walker *walker) {
    while (walker->at < walker->end && strchr(" \t\r\n", *walker->at))
        step(walker);
}

#define FAULT(walker, where, ...)                                                                  \
    report_add((walker)->report, POLICY_ERROR, (walker)->file, where, __VA_ARGS__)

/* Walks over a string and its quotes; faults are what json-c lets pass. */
static void walk_string(struct walker *walker) {
    struct location start = walker->here;
    char quote = peek(walker);

    if (quote != '"')
        FAULT(walker, start, "A string or key stands in single quotes; JSON knows only \"double\" "
              "ones.");
    step(walker);
    while (walker->at < walker->end && peek(walker) != quote) {
        if ((unsigned char)peek(walker) < 0x20)
            FAULT(walker, walker->here, "A string holds a raw control character (a line break or a "
                  "tab, for example); end the string before it or remove it.");
        if (peek(walker) == '\\') {
            if (walker->end - walker->at >= 6 && memcmp(walker->at, "\\u0000", 6) == 0)
                FAULT(walker, walker->here, "A string holds \\u0000, at which every name would "
                      "end; remove it.");
            step(walker);
        }
        step(walker);
    }
    step(walker);
}

/* A number, true, false, or what only json-c takes for JSON. */
static void walk_word(struct walker *walker) {
    struct location start = walker->here;
    const char *word = walker->at;

    while (walker->at < walker->end && !strchr(" \t\r\n,:[]{}\"'", *walker->at))
        step(walker);
    size_t length = (size_t)(walker->at - word);
    if (length == 4 && memcmp(word, "null", 4) == 0)
        FAULT(walker, start, "null is no value in a policy; leave the key out instead.");
    else if (memchr(word, 'N', length) || memchr(word, 'I', length))
        FAULT(walker, start, "%.*s is not JSON; write a number.", (int)length, word);
    if (walker->at == word)
        step(walker);
}

static int walk_value(struct walker *walker, struct json_object *value, struct location key);

/* Walks over a key; entry is the tree's next one. True if the text's key is that one. */
static bool walk_key(struct walker *walker, const struct lh_entry *entry) {
    const char *start = walker->at;
    struct location where = walker->here;

    walk_string(walker);
    size_t length = walker->at - start >= 2 ? (size_t)(walker->at - start) - 2 : 0;
    if (memchr(start, '\\', length + 1)) {
        FAULT(walker, where, "The key \"%.*s\" is written with a backslash; no key of a policy "
              "needs one, write it in plain letters.", (int)(length < 64 ? length : 64), start + 1);
        return entry != NULL;
    }
    const char *expected = entry ? lh_entry_k(entry) : NULL;
    if (expected && strlen(expected) == length && memcmp(expected, start + 1, length) == 0)
        return true;
    FAULT(walker, where, "The key \"%.*s\" is given twice in one object, and only one of the two "
          "would count; remove one.", (int)(length < 64 ? length : 64), start + 1);
    return false;
}

static int walk_object(struct walker *walker, struct json_object *object) {
    bool known = json_object_is_type(object, json_type_object);
    const struct lh_entry *entry = known ? json_object_get_object(object)->head : NULL;
    int r = 0;

    step(walker);
    skip_space(walker);
    while (r >= 0 && walker->at < walker->end && peek(walker) != '}') {
        struct location key = walker->here;
        bool next = walk_key(walker, entry);
        skip_space(walker);
        step(walker); /* the colon */
        r = walk_value(walker, next ? lh_entry_v(entry) : NULL, key);
        if (next)
            entry = entry->next;
        skip_space(walker);
        if (peek(walker) == ',')
            step(walker);
        skip_space(walker);
    }
    step(walker);
    return r;
}

static int walk_array(struct walker *walker, struct json_object *array) {
    bool known = json_object_is_type(array, json_type_array);
    struct location none = { 0 };
    int r = 0;

    step(walker);
    skip_space(walker);
    for (size_t i = 0; r >= 0 && walker->at < walker->end && peek(walker) != ']'; i++) {
        r = walk_value(walker, known ? json_object_array_get_idx(array, i) : NULL, none);
        skip_space(walker);
        if (peek(walker) == ',')
            step(walker);
        skip_space(walker);
    }
    step(walker);
    return r;
}

static int place_attach(struct json_object *value, struct location key, struct location here) {
    struct place *place = malloc(sizeof(*place));

    if (!place)
        return -ENOMEM;
    *place = (struct place){ .key = key.line ? key : here, .value = here };
    json_object_set_userdata(value, place, place_free);
    return 0;
}

/* value is NULL where the tree has nothing for the text: a duplicate's value, which is a fault. */
static int walk_value(struct walker *walker, struct json_object *value, struct location key) {
    skip_space(walker);
    if (value) {
        int r = place_attach(value, key, walker->here);
        if (r < 0)
            return r;
    }
    switch (peek(walker)) {
    case '{':
        return walk_object(walker, value);
    case '[':
        return walk_array(walker, value);
    case '"':
    case '\'':
        walk_string(walker);
        return 0;
    default:
        walk_word(walker);
        return 0;
    }
}

static void report_syntax(struct policy_report *report, const char *file, const char *data,
                          size_t size, struct json_tokener *tokener) {
    enum json_tokener_error error = json_tokener_get_error(tokener);
    size_t offset = json_tokener_get_parse_end(tokener);

    if (offset > size)
        offset = size;
    struct location at = location_of(data, offset);
    if (error == json_tokener_error_parse_eof)
        report_add(report, POLICY_ERROR, file, at, "The text ends before its last bracket or quote "
                   "is closed; complete it, or begin with {\"version\": 1, \"rules\": []}.");
    else if (error == json_tokener_error_depth)
        report_add(report, POLICY_ERROR, file, at, "Values are nested more than %d deep, which no "
                   "policy needs.", POLICY_DEPTH_MAX);
    else
        report_add(report, POLICY_ERROR, file, at, "This is not JSON: %s.",
                   json_tokener_error_desc(error));
}

static int tree_parse(const char *file, const char *data, size_t size,
                      struct policy_report *report, struct json_object **ret) {
    struct json_tokener *tokener = json_tokener_new_ex(POLICY_DEPTH_MAX);

    if (!tokener)
        return -ENOMEM;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *root = json_tokener_parse_ex(tokener, data, (int)size + 1);
    if (root)
        *ret = root;
    else
        report_syntax(report, file, data, size, tokener);
    json_tokener_free(tokener);
    return root ? 0 : POLICY_INVALID;
}

int document_parse(const char *file, const char *data, size_t size, struct policy_report *report,
                   struct json_object **ret) {
    _cleanup_(json_object_putp) struct json_object *root = NULL;
    struct walker walker = {
        .at = data, .end = data + size, .here = { 1, 1 }, .file = file, .report = report,
    };
    const char *nul = memchr(data, 0, size);
    size_t errors = report->n_errors;

    if (nul) {
        FAULT(&walker, location_of(data, (size_t)(nul - data)), "The file holds a NUL byte; it is "
              "not a text.");
        return POLICY_INVALID;
    }
    int r = tree_parse(file, data, size, report, &root);
    if (r != 0)
        return r;
    r = walk_value(&walker, root, (struct location){ 0 });
    if (r < 0)
        return r;
    if (report->n_errors > errors)
        return POLICY_INVALID;
    *ret = TAKE_POINTER(root);
    return 0;
}
