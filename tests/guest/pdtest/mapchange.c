// SPDX-License-Identifier: Apache-2.0
/* pdtest: mappings whose pages change under the program, fail, or keep it waiting. */
#include "pdtest.h"

/* The driver takes the pages away and gives others: seen at once, everywhere. */
static void run_switch(void)
{
	int fd = open_dev(O_RDWR), i;
	char *p = map_rw(fd, TD_MAP_FAULT, 0, 32);
	size_t right = 0;

	dev_fill(fd, TD_MAP_FAULT, 1, 0, TD_MAP_SIZE);
	say("first: %zu", matching(p, 1, 0, 32 * PAGE));
	MUST(ioctl(fd, TD_MAP_SWITCH) == 0);
	say("empty: %d %d", p[0], p[32 * PAGE - 1]);
	dev_fill(fd, TD_MAP_FAULT, 2, 0, TD_MAP_SIZE);
	say("second: %zu", matching(p, 2, 0, 32 * PAGE));
	for (i = 0; i < 20; i++) {
		MUST(ioctl(fd, TD_MAP_SWITCH) == 0);
		right += matching(p, i & 1 ? 2 : 1, 0, 32 * PAGE) == 32 * PAGE;
	}
	say("in turns: %zu", right);
	/* What the program writes stays with its bank. */
	fill(p, 3, 0, PAGE);
	MUST(ioctl(fd, TD_MAP_SWITCH) == 0);
	say("other bank: %zu", matching(p, 1, 0, 32 * PAGE));
	MUST(ioctl(fd, TD_MAP_SWITCH) == 0);
	say("first again: %zu %zu", matching(p, 3, 0, PAGE),
	    matching(p + PAGE, 2, PAGE, 31 * PAGE));
}

/* A change by one process is seen by another that shares the file. */
static void run_processes(void)
{
	int fd = open_dev(O_RDWR), *step = map_shared(sizeof(*step));
	char *p = map_rw(fd, TD_MAP_FAULT, 0, 8);
	pid_t pid;

	dev_fill(fd, TD_MAP_FAULT, 1, 0, TD_MAP_SIZE);
	MUST(ioctl(fd, TD_MAP_SWITCH) == 0);
	dev_fill(fd, TD_MAP_FAULT, 2, 0, TD_MAP_SIZE);
	MUST(filled(p, 2, 8 * PAGE));
	pid = pd_fork();
	if (!pid) {
		bool good = filled(p, 2, 8 * PAGE);

		__atomic_store_n(step, 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(step, __ATOMIC_SEQ_CST) == 1)
			nap(1);
		_exit(good && filled(p, 1, 8 * PAGE) ? 0 : 1);
	}
	while (__atomic_load_n(step, __ATOMIC_SEQ_CST) == 0)
		nap(1);
	MUST(ioctl(fd, TD_MAP_SWITCH) == 0);
	__atomic_store_n(step, 2, __ATOMIC_SEQ_CST);
	say("child %d", reap(pid));
	say("parent %zu", matching(p, 1, 0, 8 * PAGE));
}

static const struct pd_case cases[] = {
	{ "switch", run_switch, 0 },
	{ "processes", run_processes, 0 },
};

PD_GROUP(mapchange, "mapchange", "mappings whose pages the driver exchanges", 0);
