/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* edu-dma [-d DEVICE] [-c TARGET [-o NAME=TEXT | NAME:=NUMBER | NAME?=0|1]...] [-n NODE] [-D NODE]
 *         [-w] [-q] [-a] [-s] [-r close|exit|ignore] [-x COMMAND...]
 *
 * A user of DMA, as a virtual machine monitor or DPDK is one: drives QEMU's edu device (PCI
 * 1234:11e8) through VFIO, and shows that the device reaches the memory that was mapped and no
 * other. It needs no access to any node when it is given the fds:
 *
 *   (without -c, -n, -D)  from LISTEN_FDS and LISTEN_FDNAMES: group-N, container, device-DEVICE,
 *                         iommufd, lease; what is missing of group and container it does itself
 *   -c  claims TARGET itself on the system bus, in mode fd with these options (text, u64, bool)
 *   -n  opens this group node, -D this device node and /dev/iommu
 *
 *   -d  the device; 0000:00:05.0 if left out
 *   -x  executes the command in its place, with the fds in LISTEN_FDS
 *   -w  opens or claims, says "waiting", and goes on at SIGUSR1
 *   -q  what -w waits with is the device's fd in the queue of a socket, in no table of fds
 *   -a  only claims the device from the kernel (container, or BIND_IOMMUFD): no DMA
 *   -s  stays with everything open when all is done, until killed
 *   -r  stays too, with an eventfd for the kernel's request to give the device back. When it
 *       comes, it says "request" and closes the device, exits, or goes on as if nothing had come
 *
 * Prints a line a step. Ends with 0 only when every step did what it should, with 1 otherwise. */
#define _GNU_SOURCE
#include "fds.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Newer than the headers of the machine that builds this. */
#define BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
#define ATTACH_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 19)
#define IOAS_ALLOC _IO(';', 0x81)
#define IOAS_MAP _IO(';', 0x85)
#define IOAS_UNMAP _IO(';', 0x86)
struct bind_iommufd { uint32_t argsz, flags; int32_t iommufd; uint32_t id; };
struct attach_iommufd { uint32_t argsz, flags, table; };
struct ioas_alloc { uint32_t size, flags, id; };
struct ioas_map { uint32_t size, flags, id, reserved; uint64_t memory, length, iova; };
struct ioas_unmap { uint32_t size, id; uint64_t iova, length; };
enum { MAP_FIXED_IOVA = 1, MAP_WRITEABLE = 2, MAP_READABLE = 4 };

/* The edu device. It takes addresses below 256 MiB; its own memory is 4096 bytes. */
enum { EDU_SOURCE = 0x80, EDU_DESTINATION = 0x88, EDU_COUNT = 0x90, EDU_COMMAND = 0x98 };
enum { EDU_START = 1, EDU_TO_MEMORY = 2, EDU_MEMORY = 0x40000, EDU_SIZE = 0x100000 };
enum { PAGE = 4096, LENGTH = 1024, FIRST_IOVA = 0x2000000, SECOND_IOVA = 0x5000000 };

static struct fds fds = {-1, -1, -1, -1, -1};
static const char *device_name = "0000:00:05.0";
static uint32_t ioas;
static volatile uint8_t *registers;

/* ---- from the fds to a device in an address space ---- */

static bool attach_container(void) {
    struct vfio_group_status status = {.argsz = sizeof(status)};

    if (!report(ioctl(fds.group, VFIO_GROUP_GET_STATUS, &status) == 0, "the group's status"))
        return false;
    bool attached = status.flags & VFIO_GROUP_FLAGS_CONTAINER_SET;
    if (fds.container >= 0)
        return report_data(attached, "the group is attached to the container that was given");
    if (!report_data(status.flags == VFIO_GROUP_FLAGS_VIABLE, "the group is viable and not attached"))
        return false;
    fds.container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
    if (!report(fds.container >= 0, "open a container"))
        return false;
    return report(ioctl(fds.group, VFIO_GROUP_SET_CONTAINER, &fds.container) == 0, "set container");
}

static bool open_legacy_device(void) {
    if (!report(ioctl(fds.container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0, "set iommu"))
        return false;
    fds.device = ioctl(fds.group, VFIO_GROUP_GET_DEVICE_FD, device_name);
    return report(fds.device >= 0, "get the device");
}

static bool bind_iommufd(void) {
    struct bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = fds.iommufd};

    errno = ENOENT;
    if (fds.device < 0 || fds.iommufd < 0)
        return report(false, "device and iommufd, or a group");
    return report(ioctl(fds.device, BIND_IOMMUFD, &bind) == 0, "bind to iommufd");
}

static bool attach_ioas(void) {
    struct ioas_alloc alloc = {.size = sizeof(alloc)};
    struct attach_iommufd attach = {.argsz = sizeof(attach)};

    if (!report(ioctl(fds.iommufd, IOAS_ALLOC, &alloc) == 0, "allocate an address space"))
        return false;
    attach.table = ioas = alloc.id;
    return report(ioctl(fds.device, ATTACH_IOMMUFD, &attach) == 0, "attach the device to it");
}

static bool map_page(void *page, uint64_t iova, const char *what) {
    if (fds.group >= 0) {
        struct vfio_iommu_type1_dma_map map = {
            .argsz = sizeof(map), .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
            .vaddr = (uintptr_t)page, .iova = iova, .size = PAGE};
        return report(ioctl(fds.container, VFIO_IOMMU_MAP_DMA, &map) == 0, what);
    }
    struct ioas_map map = {
        .size = sizeof(map), .flags = MAP_FIXED_IOVA | MAP_READABLE | MAP_WRITEABLE, .id = ioas,
        .memory = (uintptr_t)page, .length = PAGE, .iova = iova};
    return report(ioctl(fds.iommufd, IOAS_MAP, &map) == 0, what);
}

static bool unmap_page(uint64_t iova) {
    if (fds.group >= 0) {
        struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof(unmap), .iova = iova,
                                                   .size = PAGE};
        return report(ioctl(fds.container, VFIO_IOMMU_UNMAP_DMA, &unmap) == 0, "unmap");
    }
    struct ioas_unmap unmap = {.size = sizeof(unmap), .id = ioas, .iova = iova, .length = PAGE};
    return report(ioctl(fds.iommufd, IOAS_UNMAP, &unmap) == 0, "unmap");
}

/* ---- the device ---- */

static bool set_up_device(void) {
    struct vfio_region_info config = {.argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX};
    struct vfio_region_info bar = {.argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX};
    uint16_t command;

    if (!report(ioctl(fds.device, VFIO_DEVICE_GET_REGION_INFO, &config) == 0, "config region") ||
        !report(ioctl(fds.device, VFIO_DEVICE_GET_REGION_INFO, &bar) == 0, "BAR 0"))
        return false;
    bool done = pread(fds.device, &command, 2, config.offset + 4) == 2;
    command |= 0x6; /* memory space, bus master */
    done = done && pwrite(fds.device, &command, 2, config.offset + 4) == 2;
    if (!report(done, "enable bus master"))
        return false;
    void *mapped = mmap(NULL, EDU_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fds.device, bar.offset);
    if (!report(mapped != MAP_FAILED, "map BAR 0"))
        return false;
    registers = mapped;
    return true;
}

static void set_register(unsigned number, uint64_t value) {
    *(volatile uint64_t *)(registers + number) = value;
}
static uint64_t get_register(unsigned number) {
    return *(volatile uint64_t *)(registers + number);
}

/* The device takes a tenth of a second for each transfer. */
static bool transfer(uint64_t iova, bool to_memory) {
    set_register(EDU_SOURCE, to_memory ? EDU_MEMORY : iova);
    set_register(EDU_DESTINATION, to_memory ? iova : EDU_MEMORY);
    set_register(EDU_COUNT, LENGTH);
    set_register(EDU_COMMAND, EDU_START | (to_memory ? EDU_TO_MEMORY : 0));
    for (unsigned i = 0; i < 3000; i++) {
        if (!(get_register(EDU_COMMAND) & EDU_START))
            return true;
        usleep(10000);
    }
    return report_data(false, "the device ends a transfer");
}

static void fill(uint8_t *page, uint8_t seed) {
    for (unsigned i = 0; i < PAGE; i++)
        page[i] = (uint8_t)(seed + i * 7 + i / 256);
}

static bool do_dma(void) {
    uint8_t *pages = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    uint8_t *first = pages, *second = pages + PAGE, *before = pages + 2 * PAGE;

    fill(first, 1);
    fill(second, 99);
    memcpy(before, second, PAGE);
    if (!map_page(first, FIRST_IOVA, "map a page") ||
        !map_page(second, SECOND_IOVA, "map another") ||
        !transfer(FIRST_IOVA, false) || !transfer(SECOND_IOVA, true))
        return false;
    if (!report_data(!memcmp(first, second, LENGTH) &&
                         !memcmp(second + LENGTH, before + LENGTH, PAGE - LENGTH),
                     "DMA from memory and into other memory"))
        return false;

    /* The same address, no longer mapped: the memory behind it is still ours to look at. */
    fill(second, 50);
    memcpy(before, second, PAGE);
    if (!unmap_page(SECOND_IOVA) || !transfer(SECOND_IOVA, true))
        return false;
    return report_data(!memcmp(second, before, PAGE), "DMA outside of the mapping is stopped");
}

/* ---- staying ---- */

static int request_event(void) {
    int event = eventfd(0, EFD_CLOEXEC);
    uint8_t buffer[sizeof(struct vfio_irq_set) + sizeof(int)]
        __attribute__((aligned(__alignof__(struct vfio_irq_set))));
    struct vfio_irq_set *set = (void *)buffer;

    *set = (struct vfio_irq_set){
        .argsz = sizeof(buffer), .index = VFIO_PCI_REQ_IRQ_INDEX, .count = 1,
        .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER};
    memcpy(set->data, &event, sizeof(event));
    return report(ioctl(fds.device, VFIO_DEVICE_SET_IRQS, set) == 0, "set the request's eventfd")
               ? event : -1;
}

static int stay(const char *on_request) {
    int event = -1;
    uint64_t count;

    if (on_request && (event = request_event()) < 0)
        return 1;
    puts("staying");
    fflush(stdout);
    while (event >= 0 && read(event, &count, sizeof(count)) == sizeof(count)) {
        puts("request");
        fflush(stdout);
        if (!strcmp(on_request, "exit"))
            return 0;
        if (strcmp(on_request, "close") != 0)
            continue;
        if (registers)
            munmap((void *)registers, EDU_SIZE);
        close(fds.device);
        break;
    }
    for (;;)
        pause();
}

static void wait_for_signal(void) {
    sigset_t set;
    int got;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    puts("waiting");
    fflush(stdout);
    sigwait(&set, &got);
}

static bool work(bool only_claim) {
    if (fds.group >= 0) {
        if (!attach_container() || (!only_claim && !open_legacy_device()))
            return false;
    } else if (!bind_iommufd() || (!only_claim && !attach_ioas())) {
        return false;
    }
    return only_claim || (set_up_device() && do_dma());
}

int main(int argc, char **argv) {
    const char *target = NULL, *group = NULL, *device = NULL, *on_request = NULL;
    char *options[16] = {NULL};
    unsigned count = 0;
    bool only_claim = false, stays = false, waits = false, hides = false, hands_on = false;
    int option;

    setvbuf(stdout, NULL, _IOFBF, 1 << 16); /* a reader of the first line sees all up to there */
    while ((option = getopt(argc, argv, "+d:c:o:n:D:r:aqswx")) != -1) {
        switch (option) {
        case 'd': device_name = optarg; break;
        case 'c': target = optarg; break;
        case 'o': if (count < 15) options[count++] = optarg; break;
        case 'n': group = optarg; break;
        case 'D': device = optarg; break;
        case 'r': on_request = optarg; break;
        case 'a': only_claim = true; break;
        case 's': stays = true; break;
        case 'w': waits = true; break;
        case 'q': hides = true; break;
        case 'x': hands_on = true; break;
        default: return 2;
        }
    }
    if (!(target ? fds_from_claim(&fds, device_name, target, options)
                 : group || device ? fds_from_nodes(&fds, group, device)
                                   : fds_from_environment(&fds, device_name)))
        return 1;
    if (hands_on)
        return fds_hand_on(&fds, device_name, argv + optind), 1;
    if (hides && !fds_hide_device(&fds))
        return 1;
    if (waits)
        wait_for_signal();
    if (hides && !fds_find_device(&fds))
        return 1;
    if (!work(only_claim))
        return 1;
    return stays || on_request ? stay(on_request) : 0;
}
