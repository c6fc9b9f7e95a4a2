// SPDX-License-Identifier: Apache-2.0
/* pd-hostile: pointers to what is the mirror's and not the program's. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../mirror/abi.h"
#include "hostile.h"

/* What the mirror only reads: its code, and its requests. */
static const uint64_t read_only[] = {
	MIRROR_HOLE_CODE,
	MIRROR_HOLE_CODE + 8,
	MIRROR_HOLE_CODE + 0x1000,
	MIRROR_HOLE_REQ,
	MIRROR_HOLE_REQ + MIRROR_REQ_CALLS,
	MIRROR_HOLE_REQ + MIRROR_REQ_DATA,
	MIRROR_HOLE_REQ + MIRROR_REQ_SIZE,
	MIRROR_HOLE_REQ + 2 * MIRROR_REQ_SIZE + MIRROR_REQ_CALLS,
	MIRROR_HOLE_REQ + 3 * MIRROR_REQ_SIZE + MIRROR_REQ_DATA,
};

#define READ_ONLY (sizeof(read_only) / sizeof(read_only[0]))

static uint64_t hole(unsigned int i)
{
	return HOLE_FIRST + i % HOLES * HOLE_STEP;
}

/* By each way that a driver has to write. Reading there tells a program what it asked for itself. */
void attack_pointers(void)
{
	static const unsigned int ops[] = { TD_TOUCH_WRITE, TD_TOUCH_CLEAR, TD_TOUCH_PUT };
	unsigned int n = 0, readable = 0;
	int fd = open_device();
	double until = now() + attack_seconds;

	for (unsigned int round = 0; !round || now() < until; round++)
		for (unsigned int i = 0; i < (round ? 4 : HOLES); i++)
			for (unsigned int k = 0; k < READ_ONLY; k++) {
				uint64_t at = hole(i) + read_only[k];

				if (touch(fd, at, 8, ops[n++ % 3]) != EFAULT)
					wrong("written at %#llx", (unsigned long long)at);
				readable += !touch(fd, at, 8, TD_TOUCH_GET);
			}
	printf("	%u pointers; %u times something could be read\n", n, readable);
	/* so the scan met the mirror */
	if (!readable)
		wrong("the mirror lies somewhere else");
	close(fd);
}

/* The same at each depth of a structure. */
void attack_depths(void)
{
	struct tree *t = memory(sizeof(*t));
	unsigned int n = 0;
	int fd = open_device();
	double until = now() + attack_seconds;

	while (now() < until)
		for (unsigned int depth = 0; depth < 4; depth++) {
			void *at = (void *)(hole(n / 4 % 4) + read_only[n / 16 % READ_ONLY]);
			int ret;

			tree_make(t, n);
			if (depth == 0)
				t->top.mids = at;
			else if (depth == 1)
				t->mids[n % MIDS].leaves = at;
			else if (depth == 2)
				t->leaves[n % MIDS][n / 4 % LEAVES].text = at;
			else
				t->top.out = at;
			n++;
			ret = ioctl(fd, TD_NEST, &t->top) ? errno : 0;
			/* what can be read there is a count, or too large for one */
			if (ret != EFAULT && !(depth < 2 && (ret == E2BIG || !ret)))
				wrong("depth %u, %p: %s", depth, at, strerror(ret));
		}
	printf("	%u pointers\n", n);
	tree_make(t, n);
	if (ioctl(fd, TD_NEST, &t->top) || tree_check(t, n))
		wrong("not served afterwards");
	close(fd);
}

/*
 * Its results the mirror must be able to write, so a driver may be told to. What it is told then is the
 * program's own loss; that is why it happens in a child.
 */
void attack_results(void)
{
	unsigned int n = 0, written = 0;
	int fd = open_device();
	double until = now() + attack_seconds;

	srand(1);
	while (now() < until) {
		uint64_t slot =
			hole(0) + MIRROR_HOLE_RES + (uint64_t)(rand() % 16) * MIRROR_RES_SIZE;
		struct td_touch t = {
			.addr = (void *)(slot + (rand() & 1 ? (uint64_t)rand() % 0x1000 & ~7ull :
						 rand() & 1 ? MIRROR_RES_VALUES :
							      0)),
			.len = (unsigned long)1 << rand() % 10,
			.op = rand() % 4 ? TD_TOUCH_WRITE : TD_TOUCH_CLEAR,
			.seed = (uint32_t)rand(),
		};
		int other;

		written += !ioctl(fd, TD_TOUCH, &t);
		n++;
		/* calls with results of other kinds */
		switch (rand() % 8) {
		case 0:
			other = open("/dev/testdev", O_RDWR);
			if (other >= 0)
				close(other);
			break;
		case 1: {
			char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

			if (p != MAP_FAILED)
				munmap(p, 4096);
			break;
		}
		case 2: {
			struct td_fd_out out = { .value = n };

			if (!ioctl(fd, TD_FD_OUT, &out))
				close(out.fd);
			break;
		}
		default:;
		}
	}
	printf("	%u times, %u of them not refused\n", n, written);
	/* so they are where they were looked for */
	if (!written)
		wrong("no result could be written");
	close(fd);
}
