/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is known of the reset of platform and AMBA devices before they are bound. */
#include "vfio-driver-fixture.h"

#define PLATFORM_DRIVER "vfio\t0\tvfio-platform\tvfio_platform\tloadable\n"
#define LOADED_DRIVER "vfio\t0\tvfio-platform\tvfio_platform\tloaded\n"
#define AMBA_DRIVER "vfio\t0\tvfio-amba\tvfio_amba\tloadable\n"
#define WITH_HANDLER "reset\t0\thandler\n"
#define WITHOUT_RESET "reset\t0\tnone\n"

static struct vfio_question amba(const char *compatible) {
    return (struct vfio_question){.path = "devices/a", .bus = "amba", .compatible = compatible};
}

START_TEST(test_reset_handler) {
    expect(platform("calxeda,hb-xgmac"), PLATFORM_DRIVER WITH_HANDLER);
    expect_problem(platform("acme,dma"), PLATFORM_DRIVER WITHOUT_RESET, "no-reset", "vfio-reset:acme,dma");
    expect_problem(platform("acme\tdma\n"), PLATFORM_DRIVER WITHOUT_RESET, "no-reset", "acme\\x09dma\\x0a");
    /* ACPI: nobody knows before it is tried. */
    expect(platform(NULL), PLATFORM_DRIVER "reset\t0\tif-taken\n");
    struct vfio_question question = platform("acme,dma");
    question.wanted = "vfio_platform";
    expect_problem(question, PLATFORM_DRIVER WITHOUT_RESET, "no-reset", "reset_required=0");
    /* Nobody asks the others for it. */
    question.wanted = "vfio_fsl_mc";
    question.bus = "fsl-mc";
    expect(question, "vfio\t0\tvfio-fsl-mc\tvfio_fsl_mc\tloadable\n");
}
END_TEST

START_TEST(test_reset_of_amba) {
    expect(amba("arm,pl031"), AMBA_DRIVER WITHOUT_RESET);
    expect(amba("calxeda,hb-xgmac"), AMBA_DRIVER WITH_HANDLER);
    expect(amba(NULL), AMBA_DRIVER WITHOUT_RESET);
    release = "6.1.0-56-arm64";
    expect_problem(amba("arm,pl031"), AMBA_DRIVER WITHOUT_RESET, "no-reset", "Linux 6.1 and 6.2");
    expect(amba("calxeda,hb-xgmac"), AMBA_DRIVER WITH_HANDLER);
    expect(amba(NULL), AMBA_DRIVER "reset\t0\tif-taken\n");
}
END_TEST

START_TEST(test_reset_handler_state) {
    configure("blacklist vfio_platform_calxedaxgmac\n");
    expect_problem(platform("calxeda,hb-xgmac"), PLATFORM_DRIVER WITHOUT_RESET, "no-reset",
                   "calxeda,hb-xgmac");
    tree_folder(&tree, "module/vfio_platform_calxedaxgmac");
    expect(platform("calxeda,hb-xgmac"), PLATFORM_DRIVER WITH_HANDLER);
    /* Without a folder that says so. */
    where.directory = "/nonexistent";
    tree_folder(&tree, "module/vfio_platform");
    expect(platform("calxeda,hb-xgmac"), LOADED_DRIVER WITH_HANDLER);
    expect_problem(platform("amd,xgbe-seattle-v1a"), LOADED_DRIVER WITHOUT_RESET, "no-reset",
                   "amd,xgbe-seattle-v1a");
}
END_TEST

static const struct {
    const char *value, *release;
    bool required;
} parameters[] = {
    {"Y\n", "6.12.117", true}, {"N\n", "6.12.117", false}, {"0\n", "6.12", false},
    {"1\n", "6.12", true},     {"\n", "6.12", true},
    /* The parameter means nothing: there is no way but a handler. */
    {"N\n", "6.1.192-2", true}, {"N\n", "6.2.16", true},
    {"N\n", "6.0.19", false},   {"N\n", "6.3.0-rc1", false}, {"Y\n", "6.0.19", true},
};

START_TEST(test_reset_required) {
    tree_file(&tree, "module/vfio_platform/parameters/reset_required", parameters[_i].value);
    release = parameters[_i].release;
    if (parameters[_i].required)
        expect_problem(platform("acme,dma"), LOADED_DRIVER WITHOUT_RESET, "no-reset", "acme,dma");
    else
        expect(platform("acme,dma"), LOADED_DRIVER WITHOUT_RESET);
}
END_TEST

/* Of a module that is not loaded yet, the configuration tells. */
static const struct {
    const char *configuration;
    bool required;
} options[] = {
    {"options vfio_platform reset_required=0\n", false},
    {"options vfio-platform foo=1 reset_required=n\n", false},
    {"options vfio_platform reset_required=off\n", false},
    {"options vfio_platform reset_required=1\n", true},
    {"options vfio_platform reset_required=on\n", true},
    {"options vfio_platform reset_required\n", true},
    {"options vfio_platform reset_required=?\n", true},
    {"options vfio_platform reset_required_not=0\n", true},
    {"options vfio_platform reset_required=1 reset_required=0\n", false},
    {"options vfio_pci reset_required=0\n", true},
};

START_TEST(test_reset_option) {
    configure(options[_i].configuration);
    if (options[_i].required)
        expect_problem(platform("acme,dma"), PLATFORM_DRIVER WITHOUT_RESET, "no-reset", "acme,dma");
    else
        expect(platform("acme,dma"), PLATFORM_DRIVER WITHOUT_RESET);
    /* A loaded one has what it was given. */
    tree_file(&tree, "module/vfio_platform/parameters/reset_required", "Y\n");
    expect_problem(platform("acme,dma"), LOADED_DRIVER WITHOUT_RESET, "no-reset", "acme,dma");
}
END_TEST

/* A driver that can not be had comes first. */
START_TEST(test_reset_of_none) {
    configure("blacklist vfio_platform\n");
    expect_problem(platform("acme,dma"), "vfio\t0\tvfio-platform\tvfio_platform\tblacklisted\n",
                   "no-vfio-driver", "vfio_platform");
}
END_TEST

static void add_tests(TCase *all) {
    tcase_add_test(all, test_reset_handler);
    tcase_add_test(all, test_reset_of_amba);
    tcase_add_test(all, test_reset_handler_state);
    tcase_add_loop_test(all, test_reset_required, 0, ELEMENTS_OF(parameters));
    tcase_add_loop_test(all, test_reset_option, 0, ELEMENTS_OF(options));
    tcase_add_test(all, test_reset_of_none);
}

int main(void) {
    return run_tests("vfio-reset", add_tests);
}
