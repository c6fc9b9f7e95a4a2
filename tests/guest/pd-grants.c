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

#include "../../daemon/gntdev.h"

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

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "hold")) {
		hold(argv[2], argv[3]);
	} else if (argc == 4 && !strcmp(argv[1], "look")) {
		look((uint32_t)strtoul(argv[2], NULL, 10), (uint32_t)strtoul(argv[3], NULL, 10));
	} else if (argc > 2 && !strcmp(argv[1], "fill")) {
		fill(argv + 2);
	} else {
		fputs("usage: pd-grants hold ZERO BLOCKING | look DOMAIN REFS | fill CMD...\n",
		      stderr);
		return 2;
	}
	return 0;
}
