// SPDX-License-Identifier: Apache-2.0
/*
 * pd-prime: a buffer of one DRM device's, used through another.
 *
 *	pd-prime FROM TO
 *
 * Fills a dumb buffer of FROM, passes it to TO as a dma-buf, and back, and reads it through the
 * dma-buf. Exit: 0 when all was right, 1 when not.
 */
#include <drm.h>
#include <drm_mode.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE (256 * 1024)

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_node(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die(path);
	return fd;
}

static uint32_t *map(int fd, off_t offset)
{
	uint32_t *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

	if (at == MAP_FAILED)
		die("mmap");
	return at;
}

int main(int argc, char **argv)
{
	struct drm_mode_create_dumb dumb = { .width = 256, .height = SIZE / 1024, .bpp = 32 };
	struct drm_prime_handle shared = { .flags = DRM_CLOEXEC | DRM_RDWR };
	struct drm_mode_map_dumb where = { 0 };
	uint32_t *at;
	int from, to;

	if (argc != 3)
		return 2;
	from = open_node(argv[1]);
	to = open_node(argv[2]);
	if (ioctl(from, DRM_IOCTL_MODE_CREATE_DUMB, &dumb))
		die("DRM_IOCTL_MODE_CREATE_DUMB");
	where.handle = dumb.handle;
	if (ioctl(from, DRM_IOCTL_MODE_MAP_DUMB, &where))
		die("DRM_IOCTL_MODE_MAP_DUMB");
	at = map(from, (off_t)where.offset);
	for (uint32_t i = 0; i < SIZE / 4; i++)
		at[i] = i * 2246822519u;
	shared.handle = dumb.handle;
	if (ioctl(from, DRM_IOCTL_PRIME_HANDLE_TO_FD, &shared))
		die("DRM_IOCTL_PRIME_HANDLE_TO_FD");
	printf("%lld bytes exported\n", (long long)lseek(shared.fd, 0, SEEK_END));
	shared.handle = 0;
	if (ioctl(to, DRM_IOCTL_PRIME_FD_TO_HANDLE, &shared))
		die("DRM_IOCTL_PRIME_FD_TO_HANDLE");
	printf("imported\n");
	/* back where it came from it is the buffer that it was */
	if (ioctl(from, DRM_IOCTL_PRIME_FD_TO_HANDLE, &shared) || shared.handle != dumb.handle)
		die("the exporter's own handle");
	at = map(shared.fd, 0);
	for (uint32_t i = 0; i < SIZE / 4; i++)
		if (at[i] != i * 2246822519u) {
			printf("word %u is wrong\n", i);
			return 1;
		}
	printf("all words are right\n");
	return 0;
}
