/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "writes.h"
#include "model.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#define FATES 16
#define IN_PROGRESS 1

struct record {
    char *path, *text;
    int result; /* 0, negative errno, or IN_PROGRESS */
};

struct fate {
    unsigned long left; /* 0: none */
    int error;
    bool hang;
    char *glob;
};

static struct record *records;
static size_t count, size_of_records;
static unsigned long first_id;
static struct fate fates[FATES];
static unsigned long releases;

/* Printable: a line, or bytes of configuration space with where they go. */
static char *text_of(const char *data, size_t size, off_t offset) {
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);
    bool binary = offset > 0;

    for (size_t i = 0; i < size; i++)
        binary |= (unsigned char) data[i] < ' ' && data[i] != '\n';
    if (binary)
        fprintf(to, "@%ld=", (long) offset);
    for (size_t i = 0; i < size && i < 256; i++) {
        if (binary)
            fprintf(to, "%02x", (unsigned char) data[i]);
        else if (data[i] != '\n')
            fputc(data[i], to);
    }
    fclose(to);
    return text;
}

static unsigned long keep(const char *path, char *text) {
    if (count == size_of_records) {
        size_of_records = size_of_records ? size_of_records * 2 : 64;
        records = realloc(records, size_of_records * sizeof(*records));
        if (!records)
            abort();
    }
    records[count] = (struct record){strdup(path), text, IN_PROGRESS};
    return first_id + count++;
}

/* Who writes to or about a device that hangs has its lock, as in the kernel. */
static struct device *device_of(const char *path, const char *text) {
    const char *name = strrchr(path, '/');
    char folder[4096];

    if (strcmp(name, "/bind") == 0 || strcmp(name, "/unbind") == 0 ||
        strcmp(name, "/drivers_probe") == 0)
        return device_find(text);
    snprintf(folder, sizeof(folder), "%.*s", (int) (name - path), path);
    return device_find(folder);
}

static void hang(const char *path, const char *text) {
    struct device *device = device_of(path, text);
    unsigned long before = releases;

    if (device)
        device_lock(device);
    while (releases == before && !kernel_ends)
        pthread_cond_wait(&tree_changed, &tree_lock);
    if (device)
        device_unlock(device);
}

static struct fate *fate_of(const char *path) {
    struct fate *met = NULL;

    for (size_t i = 0; i < FATES; i++)
        if (fates[i].left && (!fates[i].glob || fnmatch(fates[i].glob, path, 0) == 0) &&
            --fates[i].left == 0)
            met = &fates[i];
    return met;
}

int writes_begin(const char *path, const char *text, const char *data, size_t size, off_t offset,
                 unsigned long *ret_id) {
    struct fate *fate = fate_of(path);
    int error = fate ? fate->error : 0;

    *ret_id = keep(path, text_of(data, size, offset));
    if (fate && fate->hang)
        hang(path, text);
    return -error;
}

void writes_end(unsigned long id, int result) {
    if (id >= first_id && id - first_id < count)
        records[id - first_id].result = result;
}

int writes_fate(unsigned long n, int error, const char *glob, int hang) {
    for (size_t i = 0; i < FATES; i++)
        if (!fates[i].left) {
            free(fates[i].glob);
            fates[i] = (struct fate){n, error, hang, glob ? strdup(glob) : NULL};
            return 0;
        }
    return -ENOSPC;
}

void writes_release(void) {
    for (size_t i = 0; i < FATES; i++)
        fates[i].left = 0;
    releases++;
    pthread_cond_broadcast(&tree_changed);
}

void writes_clear(void) {
    for (size_t i = 0; i < count; i++) {
        free(records[i].path);
        free(records[i].text);
    }
    first_id += count;
    count = 0;
}

unsigned long writes_count(void) {
    return count;
}

void writes_print(FILE *to) {
    for (size_t i = 0; i < count; i++) {
        const struct record *r = &records[i];
        const char *result = r->result == IN_PROGRESS ? "hangs" : strerrorname_np(-r->result);

        fprintf(to, "%zu %s %s %s\n", i + 1, result ? result : "0", r->path, r->text);
    }
}
