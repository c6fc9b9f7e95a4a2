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

/* What a child had of its parent's mappings is not in the way of others once it has gone. */
static void run_child(void)
{
	int parent = open_dev(O_RDWR), fd = open_dev(O_RDWR), i, right = 0;
	char *maps[PAGES];
	pid_t pid;

	for (i = 0; i < PAGES; i++) {
		maps[i] = map_rw(parent, TD_MAP_RAM, i, 1);
		maps[i][0] = 1;
	}
	pid = pd_fork();
	if (!pid)
		_exit(maps[0][0]);
	say("child %d", reap(pid));
	for (i = 0; i < 20; i++) {
		char *p = map_rw(fd, TD_MAP_RAM, i, 1);

		p[i] = (char)i;
		right += dev_sum(fd, TD_MAP_RAM, i * PAGE + i, 1) == (uint64_t)i + 1;
		munmap(p, PAGE);
	}
	for (i = 0; i < PAGES; i++)
		right += maps[i][0] == 1;
	say("%d right", right);
}

struct toucher {
	int number;
	char *maps[2];
	size_t right;
};

static void *touch_in_turn(void *arg)
{
	struct toucher *t = arg;
	int i;

	for (i = 0; i < 20; i++) {
		char *p = &t->maps[i & 1][t->number];

		t->right += *p == (char)(i / 2);
		*p = (char)(i / 2 + 1);
	}
	return NULL;
}

/* Threads whose mappings have to make room for each other all the time, where few are shown. */
static void run_threads(void)
{
	int fd = open_dev(O_RDWR);
	struct toucher t[4];
	pthread_t threads[ARRAY_SIZE(t)];
	size_t i, right = 0;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		t[i] = (struct toucher){ .number = (int)i };
		t[i].maps[0] = map_rw(fd, TD_MAP_RAM, 2 * i, 1);
		t[i].maps[1] = map_rw(fd, TD_MAP_RAM, 2 * i + 1, 1);
	}
	for (i = 0; i < ARRAY_SIZE(t); i++)
		MUST(!pthread_create(&threads[i], NULL, touch_in_turn, &t[i]));
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		pthread_join(threads[i], NULL);
		right += t[i].right;
	}
	say("%zu right", right);
}

static const struct pd_case cases[] = {
	{ "pages", run_pages, 30 }, { "most", run_most, 90 },	    { "again", run_again, 60 },
	{ "child", run_child, 60 }, { "threads", run_threads, 30 },
};

PD_GROUP(mapmany, "mapmany", "more mappings than a window holds at once", 0);
