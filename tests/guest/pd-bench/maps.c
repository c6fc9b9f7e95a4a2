// SPDX-License-Identifier: Apache-2.0
/*
 * pd-bench: mappings.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "bench.h"

/*
 * mmap:PATH:OFFSET:SIZE, mapped, each page touched, unmapped; touch: mapped once, then touched; ramtouch:SIZE, the
 * same with memory of the program's own
 */
static void map_set_up(struct bench *b)
{
	bench_open(b, O_RDWR);
	b->number = strtoul(b->args[2], NULL, 0);
}

static char *map(struct bench *b)
{
	char *p = mmap(NULL, b->number, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd,
		       strtol(b->args[1], NULL, 0));

	if (p == MAP_FAILED)
		fail("mapping", b->args[0]);
	return p;
}

/* another line in each page: the same in all is one set of the cache, and costs what the pages' places in RAM make it */
static void touch(struct bench *b, char *p)
{
	for (unsigned long i = 0; i < b->number; i += 4096)
		(*(volatile char *)(p + i + i / 64 % 4096))++;
}

static void mmap_once(struct bench *b)
{
	char *p = map(b);

	touch(b, p);
	munmap(p, b->number);
}

static void touch_set_up(struct bench *b)
{
	map_set_up(b);
	b->buf = map(b);
}

static void touch_once(struct bench *b)
{
	touch(b, b->buf);
}

static void ramtouch_set_up(struct bench *b)
{
	b->number = strtoul(b->args[0], NULL, 0);
	b->buf = bench_pages(b->number);
}

/* maps:PATH:OFFSET:COUNT, a page of each of so many mappings in turn */
static void maps_set_up(struct bench *b)
{
	unsigned long n = strtoul(b->args[2], NULL, 0);
	char **list = calloc(n + 1, sizeof(*list));

	if (!list)
		fail("memory for", "a list");
	bench_open(b, O_RDWR);
	b->number = 4096;
	for (unsigned long i = 0; i < n; i++)
		list[i] = map(b);
	b->buf = list;
	b->number = 0;
}

static void maps_once(struct bench *b)
{
	char **list = b->buf;

	if (!list[b->number])
		b->number = 0;
	(*(volatile char *)list[b->number++])++;
}

const struct kind map_kinds[] = {
	{ "mmap", 3, map_set_up, mmap_once },
	{ "touch", 3, touch_set_up, touch_once },
	{ "ramtouch", 1, ramtouch_set_up, touch_once },
	{ "maps", 3, maps_set_up, maps_once },
	{ NULL, 0, NULL, NULL },
};
