// SPDX-License-Identifier: Apache-2.0
/* pd-hostile: pointers, counts and mappings that change while a driver follows them. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../mirror/abi.h"
#include "hostile.h"

static bool stop;

static void *bad_pointer(unsigned int r)
{
	uint64_t hole = HOLE_FIRST + r / 8 % 4 * HOLE_STEP;

	switch (r % 8) {
	case 0:
		return NULL;
	case 1:
		return (void *)1;
	case 2:
		return (void *)0x7ffffffff000ull;
	case 3:
		return (void *)0xffffffff81000000ull;
	case 4:
		return (void *)(hole + MIRROR_HOLE_CODE);
	case 5:
		return (void *)(hole + MIRROR_HOLE_REQ + MIRROR_REQ_CALLS);
	default:
		return (void *)(hole + MIRROR_HOLE_REQ + 2 * MIRROR_REQ_SIZE);
	}
}

/* Each wrong value for a moment only. */
static void *change(void *arg)
{
	volatile struct tree *t = arg;
	unsigned int r = 1;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		unsigned int m, i;

		r = r * 1664525 + 1013904223;
		m = r >> 8 & 3;
		i = r >> 10 & 3;
		switch (r >> 29) {
		case 0:
			t->mids[m].leaves = bad_pointer(r >> 12);
			t->mids[m].leaves = (struct td_leaf *)t->leaves[m];
			break;
		case 1:
			t->leaves[m][i].text = bad_pointer(r >> 12);
			t->leaves[m][i].text = (char *)t->text[m][i];
			break;
		case 2:
			t->mids[m].count = r >> 12;
			t->mids[m].count = LEAVES;
			break;
		case 3:
			t->leaves[m][i].len = r;
			t->leaves[m][i].len = TEXT;
			break;
		case 4:
			/* the pages themselves, which are read as zeroes now */
			madvise((void *)t, sizeof(*t), MADV_DONTNEED);
			break;
		case 5:
			mprotect((void *)t, sizeof(*t), PROT_READ);
			mprotect((void *)t, sizeof(*t), PROT_READ | PROT_WRITE);
			break;
		default:
			usleep(r >> 12 & 1023);
		}
	}
	return NULL;
}

void attack_race(void)
{
	struct tree *t = memory(sizeof(*t));
	unsigned int good = 0, bad = 0;
	double until = now() + attack_seconds;
	int fd = open_device();
	pthread_t thread;

	pthread_create(&thread, NULL, change, t);
	while (now() < until) {
		struct td_top top = {
			.mids = t->mids, .count = MIDS, .out = t->out, .out_len = TEXT
		};

		if (!ioctl(fd, TD_NEST, &top))
			good++;
		else if (errno == EFAULT || errno == EINVAL || errno == E2BIG || errno == ENOMEM)
			bad++;
		else
			wrong("%s", strerror(errno));
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	printf("	%u calls, %u of them met a wrong value\n", good + bad, bad);
	tree_make(t, 1);
	if (ioctl(fd, TD_NEST, &t->top) || tree_check(t, 1))
		wrong("not served afterwards");
	close(fd);
}
