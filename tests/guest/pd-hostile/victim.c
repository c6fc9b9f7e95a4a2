// SPDX-License-Identifier: Apache-2.0
/* pd-hostile: a process that does nothing but honest work, and looks at every byte of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hostile.h"

void tree_make(struct tree *t, unsigned int seed)
{
	t->top = (struct td_top){ .mids = t->mids, .count = MIDS, .out = t->out, .out_len = TEXT };
	for (unsigned int m = 0; m < MIDS; m++) {
		t->mids[m] = (struct td_mid){ .leaves = t->leaves[m], .count = LEAVES };
		for (unsigned int i = 0; i < LEAVES; i++) {
			t->leaves[m][i] = (struct td_leaf){ .text = t->text[m][i], .len = TEXT };
			for (unsigned int k = 0; k < TEXT; k++)
				t->text[m][i][k] = (char)td_byte(seed + m * LEAVES + i, k);
		}
	}
	memset(t->out, 0, TEXT);
}

const char *tree_check(const struct tree *t, unsigned int seed)
{
	uint32_t total = 0;

	for (unsigned int m = 0; m < MIDS; m++) {
		uint32_t sum = 0;

		for (unsigned int i = 0; i < LEAVES; i++) {
			char text[TEXT];

			for (unsigned int k = 0; k < TEXT; k++) {
				text[k] = (char)td_byte(seed + m * LEAVES + i, k);
				if (t->text[m][i][TEXT - 1 - k] != text[k])
					return "a text";
			}
			if (t->leaves[m][i].value != (long)(td_sum(0, text, TEXT) & 0x7fffffff))
				return "a text's sum";
			sum = (sum + (uint32_t)t->leaves[m][i].value) & 0x7fffffff;
		}
		if (t->mids[m].sum != sum)
			return "a branch's sum";
		total = (total + sum) & 0x7fffffff;
	}
	if (t->top.total != total)
		return "the tree's sum";
	return strcmp(t->out, "leaves=16 bytes=1024") ? "the output" : NULL;
}

int victim(const bool *stop)
{
	struct tree *t = memory(sizeof(*t));
	unsigned int n = 0;
	double longest = 0;
	int fd = open_device();
	char *window = MAP_FAILED;

	if (!without_maps)
		window = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (window == MAP_FAILED && !without_maps)
		wrong("the victim's mmap: %s", strerror(errno));
	else if (window != MAP_FAILED)
		memset(window, 0x77, 4096);
	do {
		double begin = now();
		const char *bad;

		tree_make(t, ++n);
		if (ioctl(fd, TD_NEST, &t->top))
			wrong("the victim's call: %s", strerror(errno));
		else if ((bad = tree_check(t, n)))
			wrong("the victim's call %u: %s", n, bad);
		if (window != MAP_FAILED && window[n % 4096] != 0x77)
			wrong("the victim's device memory: byte %u is %#x", n % 4096,
			      window[n % 4096]);
		if (now() - begin > longest)
			longest = now() - begin;
		usleep(1000);
	} while (!__atomic_load_n(stop, __ATOMIC_ACQUIRE));
	printf("	the victim: %u calls, the longest %.0f ms\n", n, longest * 1e3);
	return wrongs() != 0;
}
