// SPDX-License-Identifier: Apache-2.0
/*
 * pd-grants: what one domain of Xen's can see of another's memory.
 *
 *	pd-grants hold ZERO BLOCKING
 *
 * in a guest: has three pages with a mark each. "never" is shown to no device; "ended" was, to ZERO
 * (a /dev/zero), and is unmapped; "shown" is the buffer of a read() of BLOCKING that does not end.
 *
 *	pd-grants look DOMAIN REFS
 *
 * in the domain that has the devices, as root: maps whatever that domain has granted to this one, up to
 * that many references, and says in how many pages each mark is; and tries to map a page without a grant.
 *
 *	pd-grants area MAGIC NUM PAGES CHANNELS
 *
 * in a guest: grants to dom0 a page that describes a queue's area so, and makes that many event channels. Says
 * what grant it is, and the channels; they are there until it is ended.
 *
 *	pd-grants fill CMD...
 *
 * in a guest, as root: runs a command while all of the domain's grants are taken.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xen/gntalloc.h>

#include <paradice/xen.h>

#include "../../daemon/gntdev.h"

/* which needs domid_t of that */
#include <xen/evtchn.h>

#define PAGE 4096
#define NMARKS 3

static const char *const names[NMARKS] = { "never", "ended", "shown" };

/* Of Linux's <xen/privcmd.h>, which user space cannot include. */
struct mmapbatch {
	unsigned int num;
	domid_t dom;
	uint64_t addr;
	const unsigned long *frames;
	int *errors;
};
#define MMAPBATCH _IOC(_IOC_NONE, 'P', 4, sizeof(struct mmapbatch))

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "pd-grants: %s: %s\n", what, strerror(errno));
	exit(125);
}

/* Not a constant, which would be in other pages of the program, too. */
static size_t mark(char *text, int which)
{
	return (size_t)sprintf(text, "mark %d of paradice: %s;", which, names[which]);
}

static void hold(const char *zero, const char *blocking)
{
	char *pages = mmap(NULL, NMARKS * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	int fd = open(zero, O_RDONLY);

	if (pages == MAP_FAILED || fd < 0 || read(fd, pages + PAGE, PAGE) != PAGE)
		die(zero);
	for (int i = 0; i < NMARKS; i++)
		mark(pages + i * PAGE, i);
	if (munmap(pages + PAGE, PAGE))
		die("munmap");
	fd = open(blocking, O_RDONLY);
	if (fd < 0)
		die(blocking);
	fprintf(stderr, "pd-grants: holds its pages\n");
	if (read(fd, pages + 2 * PAGE, PAGE) < 0)
		fprintf(stderr, "pd-grants: %s: %s\n", blocking, strerror(errno));
}

/* Looks for the marks in what one reference grants; false where it grants nothing. */
static int look_at(int gntdev, uint32_t domain, uint32_t ref, unsigned int *found)
{
	struct ioctl_gntdev_map_grant_ref map = {
		.count = 1,
		.refs = { { .domid = domain, .ref = ref } },
	};
	struct ioctl_gntdev_unmap_grant_ref unmap = { .count = 1 };
	char text[64];
	char *page;

	if (ioctl(gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, &map))
		die("gntdev");
	page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, gntdev, (off_t)map.index);
	if (page != MAP_FAILED) {
		for (int i = 0; i < NMARKS; i++)
			found[i] += memmem(page, PAGE, text, mark(text, i)) != NULL;
		munmap(page, PAGE);
	}
	unmap.index = map.index;
	ioctl(gntdev, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap);
	return page != MAP_FAILED;
}

/* What becomes of mapping a page of the domain's by its number. */
static const char *foreign(uint32_t domain)
{
	const unsigned long frame = 0x1000;
	int fd = open("/dev/xen/privcmd", O_RDWR);
	int error = 0;
	struct mmapbatch batch = {
		.num = 1,
		.dom = (domid_t)domain,
		.frames = &frame,
		.errors = &error,
	};
	void *page;

	if (fd < 0)
		die("/dev/xen/privcmd");
	page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		die("privcmd");
	batch.addr = (uintptr_t)page;
	if (ioctl(fd, MMAPBATCH, &batch))
		error = -errno;
	close(fd);
	return error ? strerrorname_np(-error) : "mapped";
}

static void look(uint32_t domain, uint32_t refs)
{
	unsigned int found[NMARKS] = { 0 };
	unsigned int granted = 0;
	int fd = open("/dev/xen/gntdev", O_RDWR);

	if (fd < 0)
		die("/dev/xen/gntdev");
	for (uint32_t ref = 0; ref < refs; ref++)
		granted += (unsigned int)look_at(fd, domain, ref, found);
	printf("granted: %u pages\n", granted);
	for (int i = 0; i < NMARKS; i++)
		printf("%s: %u\n", names[i], found[i]);
	printf("without a grant: %s\n", foreign(domain));
}

/* Takes grants, in pieces that get smaller where there are no more. */
static void fill(char **argv)
{
	FILE *limit = fopen("/sys/module/xen_gntalloc/parameters/limit", "w");
	int fd = open("/dev/xen/gntalloc", O_RDWR | O_CLOEXEC);
	struct ioctl_gntalloc_alloc_gref *alloc;
	unsigned long taken = 0;
	const uint32_t most = 256;

	alloc = calloc(1, sizeof(*alloc) + most * sizeof(alloc->gref_ids[0]));
	if (!limit || fprintf(limit, "1000000\n") < 0 || fclose(limit) || fd < 0 || !alloc)
		die("gntalloc");
	for (uint32_t n = most; n;) {
		alloc->count = n;
		if (ioctl(fd, IOCTL_GNTALLOC_ALLOC_GREF, alloc))
			n /= 2;
		else
			taken += n;
	}
	printf("taken: %lu\n", taken);
	fflush(stdout);
	fcntl(fd, F_SETFD, 0);
	execvp(argv[0], argv);
	die(argv[0]);
}

static unsigned long number(const char *text)
{
	return strtoul(text, NULL, 0);
}

static void area(char **argv)
{
	/* of these the first is the description */
	const uint32_t n = 1 + pd_xen_area_pages(PD_XEN_MIN_NUM);
	struct ioctl_gntalloc_alloc_gref *alloc;
	struct ioctl_evtchn_bind_unbound_port bind = { .remote_domain = 0 };
	int fd = open("/dev/xen/gntalloc", O_RDWR), channels = open("/dev/xen/evtchn", O_RDWR);
	struct pd_xen_area *a;

	alloc = calloc(1, sizeof(*alloc) + n * sizeof(alloc->gref_ids[0]));
	if (fd < 0 || channels < 0 || !alloc)
		die("/dev/xen");
	alloc->flags = GNTALLOC_FLAG_WRITABLE;
	alloc->count = n;
	if (ioctl(fd, IOCTL_GNTALLOC_ALLOC_GREF, alloc))
		die("gntalloc");
	a = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)alloc->index);
	if (a == MAP_FAILED)
		die("gntalloc: mmap");
	a->magic = (__le32)number(argv[0]);
	a->num = (__le32)number(argv[1]);
	a->pages = (__le32)number(argv[2]);
	for (uint32_t i = 1; i < n; i++)
		a->refs[i - 1] = alloc->gref_ids[i];
	printf("%u", alloc->gref_ids[0]);
	for (unsigned long i = number(argv[3]); i; i--) {
		int port = ioctl(channels, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &bind);

		if (port < 0)
			die("evtchn");
		printf(" %d", port);
	}
	putchar('\n');
	fflush(stdout);
	pause();
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "hold")) {
		hold(argv[2], argv[3]);
	} else if (argc == 4 && !strcmp(argv[1], "look")) {
		look((uint32_t)strtoul(argv[2], NULL, 10), (uint32_t)strtoul(argv[3], NULL, 10));
	} else if (argc == 6 && !strcmp(argv[1], "area")) {
		area(argv + 2);
	} else if (argc > 2 && !strcmp(argv[1], "fill")) {
		fill(argv + 2);
	} else {
		fputs("usage: pd-grants hold ZERO BLOCKING | look DOMAIN REFS | area MAGIC NUM PAGES CHANNELS | fill CMD...\n",
		      stderr);
		return 2;
	}
	return 0;
}
