// SPDX-License-Identifier: Apache-2.0
/* pd-hostile: memory of the program's own where its mirror lies already. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hostile.h"

#define SIZE 0x200000

/* The driver clears a page: all of it, or EFAULT and nothing. */
static void try_one(int fd, char *p)
{
	int err = touch(fd, (uint64_t)p, 4096, TD_TOUCH_CLEAR);
	char expected = err ? 0x55 : 0;

	if (err && err != EFAULT)
		wrong("%p: %s", (void *)p, strerror(err));
	for (unsigned int k = 0; k < 4096; k++)
		if (p[k] != expected) {
			wrong("%p: byte %u is %#x after %s", (void *)p, k, p[k],
			      err ? "EFAULT" : "success");
			return;
		}
}

void attack_cover(void)
{
	unsigned int n = 0;
	int fd = open_device();
	double until = now() + attack_seconds;

	/* the mirror is there from here on */
	ioctl(fd, TD_NOP);
	while (now() < until)
		for (unsigned int i = 0; i < HOLES && now() < until; i++) {
			char *p = mmap((void *)(HOLE_FIRST + i * HOLE_STEP), SIZE,
				       PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

			if (p == MAP_FAILED)
				continue;
			n++;
			memset(p, 0x55, 4096);
			memset(p + 0x100000, 0x55, 4096);
			try_one(fd, p);
			try_one(fd, p + 0x100000);
			munmap(p, SIZE);
		}
	printf("	%u mappings\n", n);
	close(fd);
}
