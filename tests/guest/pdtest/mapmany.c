// SPDX-License-Identifier: Apache-2.0
/* pdtest: more mappings than a window or a memory table holds at once. */
#include "pdtest.h"

#define MOST_FILES 9
#define PAGES 50

/*
 * Each page mapped on its own, all of them written, and read in the reverse
 * order: what was touched last is still there, the rest comes back.
 */
static void pages(int files)
{
	int fds[MOST_FILES], w = open_watcher(), i, k;
	char *maps[MOST_FILES][PAGES];
	size_t right = 0;

	for (i = 0; i < files; i++) {
		fds[i] = open_dev(O_RDWR);
		for (k = 0; k < PAGES; k++)
			maps[i][k] = map_rw(fds[i], TD_MAP_RAM, k, 1);
	}
	for (i = 0; i < files; i++)
		for (k = 0; k < PAGES; k++)
			fill(maps[i][k], i, k * PAGE, PAGE);
	for (i = files - 1; i >= 0; i--)
		for (k = PAGES - 1; k >= 0; k--)
			right += matching(maps[i][k], i, k * PAGE, PAGE) == PAGE;
	say("%d mappings: %zu right", files * PAGES, right);
	/* Written once more where it had to make room. */
	for (k = 0; k < PAGES; k++)
		fill(maps[files - 1][k], files, k * PAGE, PAGE);
	for (i = 0; i < files; i++)
		for (k = 0; k < PAGES; k++)
			munmap(maps[i][k], PAGE);
	say("alive %u", maps_left(w));
	for (right = 0, i = 0; i < files; i++) {
		char *p = map_rw(fds[i], TD_MAP_RAM, 0, PAGES);

		right += matching(p, i < files - 1 ? i : files, 0, PAGES * PAGE) == PAGES * PAGE;
	}
	say("in the driver: %zu right", right);
}

static void run_pages(void)
{
	pages(2);
}

static void run_most(void)
{
	pages(MOST_FILES);
}

/* Mapped, touched and unmapped over and over: nothing runs out. */
static void run_again(void)
{
	int fd = open_dev(O_RDWR), i, right = 0;

	for (i = 0; i < 60; i++) {
		char *p = map_rw(fd, TD_MAP_RAM, i % 60, 4);

		p[i % 4 * PAGE + i % 500] = i;
		right += dev_sum(fd, TD_MAP_RAM, (i % 60 + i % 4) * PAGE + i % 500, 1) ==
			 (uint64_t)(uint8_t)i + 1;
		munmap(p, 4 * PAGE);
	}
	say("60 times: %d right, free %s", right, result(ioctl(fd, TD_MAP_FREE, TD_MAP_RAM)));
}

static const struct pd_case cases[] = {
	{ "pages", run_pages, 30 },
	{ "most", run_most, 90 },
	{ "again", run_again, 60 },
};

PD_GROUP(mapmany, "mapmany", "more mappings than a window holds at once", 0);
