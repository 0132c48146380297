/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Blobs that are none, damaged ones, and too large ones: an error with a sentence, and never a crash.
 * DMAOWND_TEST_SEED repeats a run of the random test. */
#include <time.h>

#include "devicetree-fixture.h"
#include "tree.h"

/* Some of everything that is read. */
static void make_rich(void) {
    blob_begin();
    iommu("smmu@1000", "arm,mmu-500", 1, 2);
    bus_begin("soc");
    node_begin("dma@2000");
    cells("reg", 0x2000);
    text("compatible", "vendor,dma");
    cells("iommus", 1, 0x400, 0xf, 1, 0x500, 0);
    cells("memory-region", 2);
    node_end();
    node_begin("pcie@3000");
    text("device_type", "pci");
    cells("iommu-map", 0, 1, 0x500, 0x100);
    cells("iommu-map-mask", 0xffff);
    text("status", "okay");
    node_end();
    node_end();
    node_begin("reserved-memory");
    node_begin("pool");
    cells("phandle", 2);
    node_end();
    node_end();
    blob_end();
}

static void check_fault(int error, const char *sentence) {
    ck_assert_int_eq(read_made(), error);
    ck_assert_ptr_null(made.tree);
    ck_assert_ptr_nonnull(made.text);
    ck_assert_str_eq(made.text, sentence);
    forget();
}

/* ---- The header ------------------------------------------------------------------------------ */

static void check_header_fault(const char *start) {
    char sentence[256];

    snprintf(sentence, sizeof(sentence), "%s (%zu bytes).", start, made.size);
    check_fault(-EBADMSG, sentence);
}

START_TEST(test_header) {
    make_rich();
    fdt_set_magic(made.blob, 0x12345678);
    check_header_fault("The magic number of a device tree is missing");
    make_rich();
    fdt_set_version(made.blob, 16);
    check_header_fault("The version of the format is not 17 or compatible with it");
    make_rich();
    fdt_set_last_comp_version(made.blob, 18);
    fdt_set_version(made.blob, 18);
    check_header_fault("The version of the format is not 17 or compatible with it");
    make_rich();
    fdt_set_off_dt_strings(made.blob, 0x7fffffff);
    check_header_fault("It is shorter than its header says");
    make_rich();
    fdt_set_off_dt_struct(made.blob, fdt_off_dt_struct(made.blob) + 2);
    fdt_set_size_dt_struct(made.blob, fdt_size_dt_struct(made.blob) - 2);
    check_fault(-EBADMSG, "The structure begins at 0x42, which is no multiple of 4.");
}
END_TEST

START_TEST(test_size) {
    static uint8_t large[DEVICETREE_SIZE_MAX + 1];

    ck_assert_int_eq(devicetree_read_blob(large, sizeof(large), &made.tree, &made.text), -E2BIG);
    ck_assert_str_eq(made.text, "It has 16777217 bytes; more than 16777216 are not read.");
}
END_TEST

START_TEST(test_unaligned) {
    static _Alignas(8) uint8_t copy[4096];

    make_rich();
    for (size_t shift = 1; shift < 8; shift++) {
        memcpy(copy + shift, made.blob, made.size);
        ck_assert_int_eq(devicetree_read_blob(copy + shift, made.size, &made.tree, &made.text), 0);
        ck_assert_uint_eq(made.tree->n_masters, 2);
        forget();
    }
}
END_TEST

/* ---- The structure --------------------------------------------------------------------------- */

/* Writes one tag over the first that is like it, behind the node's name; returns its offset. */
static int overwrite(const char *path, uint32_t from, uint32_t to) {
    int offset = fdt_path_offset(made.blob, path), next;

    ck_assert_int_ge(offset, 0);
    while (fdt_next_tag(made.blob, offset, &next) != from)
        offset = next;
    uint8_t *tag = made.blob + fdt_off_dt_struct(made.blob) + offset;
    *(fdt32_t *)(void *)tag = cpu_to_fdt32(to);
    return offset;
}

static void check_structure_fault(const char *where, int offset, const char *what) {
    char sentence[256];

    snprintf(sentence, sizeof(sentence), "%s offset 0x%x of the structure, %s.", where,
             (unsigned)offset, what);
    check_fault(-EBADMSG, sentence);
}

START_TEST(test_structure) {
    make_rich();
    int offset = overwrite("/soc/dma@2000", FDT_PROP, 7);
    check_structure_fault("In node /soc/dma@2000, at", offset, "the structure breaks off");
    make_rich();
    offset = overwrite("/soc/dma@2000", FDT_PROP, FDT_END);
    check_structure_fault("In node /soc/dma@2000, at", offset, "the structure ends within the node");
    make_rich();
    offset = overwrite("/reserved-memory/pool", FDT_END_NODE, FDT_NOP);
    check_structure_fault("In node /, at", offset + 12, "the structure ends within the node");
    make_rich();
    offset = fdt_size_dt_struct(made.blob) - 4;
    *(fdt32_t *)(void *)(made.blob + fdt_off_dt_struct(made.blob) + offset) =
        cpu_to_fdt32(FDT_END_NODE);
    check_structure_fault("At", offset, "a node ends that did not begin");
}
END_TEST

/* A structure in words, as the writer would never make it. */
static void make_structure(const uint32_t *words, size_t n) {
    struct fdt_header header = {
        .magic = cpu_to_fdt32(FDT_MAGIC),
        .version = cpu_to_fdt32(17),
        .last_comp_version = cpu_to_fdt32(16),
        .off_mem_rsvmap = cpu_to_fdt32(40),
        .off_dt_struct = cpu_to_fdt32(56),
        .size_dt_struct = cpu_to_fdt32((uint32_t)(4 * n)),
        .off_dt_strings = cpu_to_fdt32((uint32_t)(56 + 4 * n)),
        .size_dt_strings = cpu_to_fdt32(4),
    };

    made.size = 56 + 4 * n + 4;
    header.totalsize = cpu_to_fdt32((uint32_t)made.size);
    memset(made.blob, 0, made.size);
    memcpy(made.blob, &header, sizeof(header));
    for (size_t i = 0; i < n; i++)
        ((fdt32_t *)(void *)(made.blob + 56))[i] = cpu_to_fdt32(words[i]);
    memcpy(made.blob + 56 + 4 * n, "abc", 4);
}

static const struct {
    uint32_t words[10];
    size_t n;
    const char *sentence;
} structures[] = {
    {{FDT_END}, 1, "At offset 0x0 of the structure, the structure ends without a node."},
    {{FDT_BEGIN_NODE, 0, FDT_END_NODE, FDT_BEGIN_NODE, 0, FDT_END_NODE, FDT_END}, 7,
     "At offset 0xc of the structure, a second root begins."},
    {{FDT_PROP, 0, 0, FDT_END}, 4, "At offset 0x0 of the structure, a property belongs to no node."},
    {{FDT_BEGIN_NODE, 0, FDT_BEGIN_NODE, 0, FDT_END_NODE, FDT_END_NODE, FDT_END}, 7,
     "In node /, at offset 0x8 of the structure, a node has no name."},
    {{FDT_BEGIN_NODE, 0, FDT_PROP, 0, 9, FDT_END_NODE, FDT_END}, 7,
     "In node /, at offset 0x8 of the structure, a property is damaged."},
    {{FDT_BEGIN_NODE, 0, FDT_PROP, 64, 0, FDT_END_NODE, FDT_END}, 7,
     "In node /, at offset 0x8 of the structure, the structure breaks off."},
    {{FDT_BEGIN_NODE, 0x61000000, FDT_END_NODE, FDT_END}, 4,
     "At offset 0x0 of the structure, the root has a name."},
    {{FDT_BEGIN_NODE, 0, FDT_END_NODE, FDT_NOP, FDT_END}, 5,
     "At offset 0xc of the structure, something stands behind the root."},
    {{FDT_BEGIN_NODE, 0x61616161}, 2, "At offset 0x0 of the structure, the structure breaks off."},
    {{FDT_BEGIN_NODE, 0}, 2, "In node /, at offset 0x8 of the structure, the structure breaks off."},
};

START_TEST(test_odd_structure) {
    make_structure(structures[_i].words, structures[_i].n);
    check_fault(-EBADMSG, structures[_i].sentence);
}
END_TEST

START_TEST(test_nops) {
    static const uint32_t words[] = {FDT_NOP, FDT_BEGIN_NODE, 0, FDT_NOP, FDT_END_NODE, FDT_END};

    make_structure(words, ELEMENTS_OF(words));
    ck_assert_int_eq(read_made(), 0);
}
END_TEST

START_TEST(test_reserve_map) {
    make_rich();
    fdt_set_off_mem_rsvmap(made.blob, (uint32_t)made.size - 8);
    check_fault(-EBADMSG, "The memory reservation block is damaged (FDT_ERR_TRUNCATED).");
}
END_TEST

/* ---- Limits ---------------------------------------------------------------------------------- */

START_TEST(test_depth) {
    blob_begin();
    for (int i = 1; i < DEVICETREE_DEPTH_MAX; i++)
        node_begin("n");
    for (int i = 1; i < DEVICETREE_DEPTH_MAX; i++)
        node_end();
    read_tree();
    forget();
    blob_begin();
    for (int i = 1; i <= DEVICETREE_DEPTH_MAX; i++)
        node_begin("n");
    for (int i = 1; i <= DEVICETREE_DEPTH_MAX; i++)
        node_end();
    blob_end();
    ck_assert_int_eq(read_made(), -E2BIG);
    ck_assert_ptr_nonnull(strstr(made.text, "nodes are more than 64 deep"));
}
END_TEST

/* A name of this length. */
static const char *name_of(size_t length) {
    static char name[2048];

    memset(name, 'n', length);
    name[length] = 0;
    return name;
}

START_TEST(test_long_names) {
    blob_begin();
    node_begin(name_of(255));
    flag(name_of(255));
    node_end();
    read_tree();
    forget();
    blob_begin();
    node_begin(name_of(256));
    node_end();
    blob_end();
    check_fault(-E2BIG, "In node /, at offset 0x8 of the structure, a node's name has more than 255 bytes.");
    blob_begin();
    flag(name_of(256));
    blob_end();
    check_fault(-E2BIG, "The name of a property has more than 255 bytes.");
}
END_TEST

START_TEST(test_long_path) {
    blob_begin();
    for (int i = 0; i < 3; i++)
        node_begin(name_of(255));
    node_begin(name_of(254));
    flag("iommus");
    for (int i = 0; i < 4; i++)
        node_end();
    read_tree();
    ck_assert_uint_eq(strlen(made.tree->masters[0].node), 1023);
    forget();
    blob_begin();
    for (int i = 0; i < 4; i++)
        node_begin(name_of(255));
    for (int i = 0; i < 4; i++)
        node_end();
    blob_end();
    ck_assert_int_eq(read_made(), -E2BIG);
    ck_assert_ptr_nonnull(strstr(made.text, "a path has more than 1023 bytes"));
}
END_TEST

/* Nodes that are written as words: the buffer of the writer is too small for their names. */
START_TEST(test_nodes) {
    size_t n = 2 + 3 * (size_t)DEVICETREE_NODES_MAX + 2;
    _cleanup_(freep) uint32_t *words = calloc(n, sizeof(*words));
    uint32_t *at = words;

    ck_assert_uint_le(60 + 4 * n, 1024 * 1024);
    ck_assert_ptr_nonnull(words);
    *at++ = FDT_BEGIN_NODE, *at++ = 0;
    for (uint32_t i = 1; i <= DEVICETREE_NODES_MAX; i++)
        *at++ = FDT_BEGIN_NODE, *at++ = 0x61000000, *at++ = FDT_END_NODE;
    *at++ = FDT_END_NODE, *at++ = FDT_END;
    make_structure(words, n);
    ck_assert_int_eq(read_made(), -E2BIG);
    ck_assert_ptr_nonnull(strstr(made.text, "the 65537th node begins"));
    forget();
    words[n - 5] = words[n - 4] = words[n - 3] = FDT_NOP;
    make_structure(words, n);
    ck_assert_int_eq(read_made(), 0);
}
END_TEST

/* Each of n nodes has a property of size bytes, which begins with phandle 1 and repeats it. */
static void make_many(const char *property, size_t n, size_t size, uint32_t n_cells) {
    static fdt32_t values[16384];

    for (size_t i = 0; i < ELEMENTS_OF(values); i++)
        values[i] = cpu_to_fdt32(i % 4 == 1 || n_cells == 0 ? 1 : 0);
    blob_begin();
    iommu("smmu", "vendor,iommu", 1, n_cells);
    for (size_t i = 0; i < n; i++) {
        char name[24];
        snprintf(name, sizeof(name), "dma@%zx", i);
        node_begin(name);
        data("iommus", NULL, 0);
        data(property, values, size);
        node_end();
    }
    blob_end();
}

START_TEST(test_many_references) {
    make_many("iommu-map", 4, 16384, 1);
    ck_assert_int_eq(read_made(), 0);
    ck_assert_uint_eq(master("/dma@3")->n_maps, 1024);
    forget();
    make_many("iommu-map", 5, 16384, 1);
    check_fault(-E2BIG, "In node /dma@4, the tree comes to more than 4096 entries of iommu-map.");
    make_many("memory-region", 2, 32768, 0);
    ck_assert_int_eq(read_made(), 0);
    ck_assert_uint_eq(made.tree->n_mistakes, 2);
    forget();
    make_many("memory-region", 3, 32768, 0);
    check_fault(-E2BIG, "In node /dma@2, the tree comes to more than 16384 references to reserved memory.");
}
END_TEST

START_TEST(test_many_streams) {
    static fdt32_t values[TREE_STREAMS_MAX + 1];

    for (size_t i = 0; i < ELEMENTS_OF(values); i++)
        values[i] = cpu_to_fdt32(1);
    for (size_t n = TREE_STREAMS_MAX; n <= TREE_STREAMS_MAX + 1; n++) {
        blob_begin();
        iommu("smmu", "vendor,iommu", 1, 0);
        node_begin("dma");
        data("iommus", values, 4 * n);
        node_end();
        blob_end();
        if (n == TREE_STREAMS_MAX)
            ck_assert_int_eq(read_made(), 0);
        else
            check_fault(-E2BIG, "In node /dma, the tree comes to more than 16384 streams.");
        forget();
    }
}
END_TEST

START_TEST(test_many_mistakes) {
    make_many("reg", TREE_MISTAKES_MAX - 1, 4, 1);
    ck_assert_int_eq(read_made(), 0);
    ck_assert_uint_eq(made.tree->n_mistakes, TREE_MISTAKES_MAX - 1);
    forget();
    make_many("reg", TREE_MISTAKES_MAX + 2, 4, 1);
    ck_assert_int_eq(read_made(), 0);
    ck_assert_uint_eq(made.tree->n_mistakes, TREE_MISTAKES_MAX);
    ck_assert_str_eq(made.tree->mistakes[TREE_MISTAKES_MAX - 1].node, "/");
    ck_assert_str_eq(made.tree->mistakes[TREE_MISTAKES_MAX - 1].text, "3 more mistakes are not listed.");
}
END_TEST

START_TEST(test_many_twins) {
    blob_begin();
    for (int i = 0; i < TREE_MISTAKES_MAX + 2; i++) {
        node_begin("twin");
        flag("iommu-map-mask");
        cells("iommus", 0);
        node_end();
    }
    read_tree();
    ck_assert_str_eq(made.tree->mistakes[TREE_MISTAKES_MAX - 1].text, "1028 more mistakes are not listed.");
}
END_TEST

START_TEST(test_many_compatible) {
    blob_begin();
    node_begin("dma");
    data("iommu-map", "\0\0\0", 0);
    data("compatible", "a\0b\0c\0d\0e\0f\0g\0h\0a\0b\0c\0d\0e\0f\0g\0h\0a\0b\0c\0d\0e\0f\0g\0h\0"
                       "a\0b\0c\0d\0e\0f\0g\0h\0a\0b\0c\0d\0e\0f\0g\0h\0a\0b\0c\0d\0e\0f\0g\0h\0"
                       "a\0b\0c\0d\0e\0f\0g\0h\0a\0b\0c\0d\0e\0f\0g\0h\0x", 130);
    node_end();
    read_tree();
    ck_assert_str_eq(master("/dma")->compatible[TREE_COMPATIBLE_MAX - 1], "h");
    ck_assert_ptr_null(master("/dma")->compatible[TREE_COMPATIBLE_MAX]);
    ck_assert_str_eq(made.tree->mistakes[0].text,
                     "compatible has more than 64 strings; the others are left out.");
}
END_TEST

/* ---- All kinds of damage --------------------------------------------------------------------- */

/* Reads size bytes at the end of an allocation, so that a read beyond is seen by sanitizers. Any
 * answer that is promised will do. */
static void read_copy(const uint8_t *bytes, size_t size) {
    _cleanup_(freep) uint8_t *copy = malloc(size ? size : 1);

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, size);
    int r = devicetree_read_blob(copy, size, &made.tree, &made.text);
    ck_assert_msg(r == 0 || r == -EBADMSG || r == -E2BIG, "%d", r);
    ck_assert_int_eq(r == 0, made.tree != NULL);
    ck_assert_int_eq(r == 0, made.text == NULL);
    forget();
}

START_TEST(test_prefixes) {
    make_rich();
    for (size_t size = 0; size < made.size; size++) {
        _cleanup_(freep) uint8_t *copy = malloc(size ? size : 1);
        memcpy(copy, made.blob, size);
        ck_assert_int_eq(devicetree_read_blob(copy, size, &made.tree, &made.text), -EBADMSG);
        ck_assert_ptr_nonnull(made.text);
        forget();
        /* the same, with a header that knows of it */
        if (size >= sizeof(struct fdt_header))
            fdt_set_totalsize(copy, (uint32_t)size);
        read_copy(copy, size);
    }
}
END_TEST

START_TEST(test_each_byte) {
    make_rich();
    for (size_t i = 0; i < made.size; i++) {
        uint8_t was = made.blob[i];
        static const uint8_t flips[] = {0x01, 0x80, 0xff};
        for (size_t k = 0; k < ELEMENTS_OF(flips); k++) {
            made.blob[i] = was ^ flips[k];
            read_copy(made.blob, made.size);
        }
        made.blob[i] = was;
    }
}
END_TEST

START_TEST(test_random_bytes) {
    const char *given = getenv("DMAOWND_TEST_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);

    printf("# seed %u\n", seed);
    srandom(seed);
    for (int round = 0; round < 20000; round++) {
        if (round % 8 == 0)
            make_rich();
        size_t at = (size_t)random() % made.size;
        made.blob[at] = random() % 3 ? (uint8_t)random() : (uint8_t)(random() % 10);
        read_copy(made.blob, made.size);
    }
}
END_TEST

START_TEST(test_no_file) {
    ck_assert_int_eq(devicetree_read_file("/proc/self/no-such-file", &made.tree, &made.text), -ENOENT);
    ck_assert_str_eq(made.text, "It cannot be read: No such file or directory.");
}
END_TEST

static void add_limits(Suite *suite) {
    TCase *limits = tree_case("limits");

    tcase_add_checked_fixture(limits, NULL, forget);
    tcase_add_test(limits, test_size);
    tcase_add_test(limits, test_depth);
    tcase_add_test(limits, test_long_names);
    tcase_add_test(limits, test_long_path);
    tcase_add_test(limits, test_nodes);
    tcase_add_test(limits, test_many_references);
    tcase_add_test(limits, test_many_streams);
    tcase_add_test(limits, test_many_mistakes);
    tcase_add_test(limits, test_many_twins);
    tcase_add_test(limits, test_many_compatible);
    suite_add_tcase(suite, limits);
}

int main(void) {
    Suite *suite = suite_create("devicetree damage");
    TCase *damage = tree_case("damage");

    tcase_add_checked_fixture(damage, NULL, forget);
    tcase_add_test(damage, test_header);
    tcase_add_test(damage, test_unaligned);
    tcase_add_test(damage, test_structure);
    tcase_add_loop_test(damage, test_odd_structure, 0, ELEMENTS_OF(structures));
    tcase_add_test(damage, test_nops);
    tcase_add_test(damage, test_reserve_map);
    tcase_add_test(damage, test_prefixes);
    tcase_add_test(damage, test_each_byte);
    tcase_add_test(damage, test_random_bytes);
    tcase_add_test(damage, test_no_file);
    suite_add_tcase(suite, damage);
    add_limits(suite);
    return tree_main(suite);
}
