// SPDX-License-Identifier: Apache-2.0
/*
 * pdtest: mappings of page frames without struct page (VM_PFNMAP). A guest gets
 * them where the host's kernel is 6.13 or newer.
 */
#include "pdtest.h"

static const struct {
	const char *name;
	enum td_map_kind kind;
} kinds[] = {
	{ "remapped", TD_MAP_PFN },
	{ "inserted", TD_MAP_PFN_FAULT },
};

static void run_both_ways(void)
{
	int fd = open_dev(O_RDWR);
	size_t k;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		char *p = map_rw(fd, kinds[k].kind, 0, TD_MAP_PAGES);

		dev_fill(fd, kinds[k].kind, 1, 0, TD_MAP_SIZE);
		say("%s: driver to program %zu", kinds[k].name, matching(p, 1, 0, TD_MAP_SIZE));
		fill(p, 2, 0, TD_MAP_SIZE);
		say("%s: program to driver %d", kinds[k].name,
		    dev_sum(fd, kinds[k].kind, 0, TD_MAP_SIZE) == td_sum(0, p, TD_MAP_SIZE));
		say_touch(fd, kinds[k].name, TD_TOUCH_WRITE, p, 8 * PAGE);
		CHECK(filled(p, 5, 8 * PAGE));
		munmap(p + 3 * PAGE, 2 * PAGE);
		say("%s: split %zu, hole signal %d", kinds[k].name,
		    matching(p + 5 * PAGE, 5, 5 * PAGE, 3 * PAGE), probe_read(p + 4 * PAGE));
		munmap(p, TD_MAP_SIZE);
		p = map_rw(fd, kinds[k].kind, 9, 3);
		fill(p, 6, 0, 3 * PAGE);
		say("%s: in the middle %d, alive %d", kinds[k].name,
		    dev_sum(fd, kinds[k].kind, 9 * PAGE, 3 * PAGE) == td_sum(0, p, 3 * PAGE),
		    count_of(fd, TD_MAPS) != 0);
		munmap(p, 3 * PAGE);
		say("%s: alive %u, free %s", kinds[k].name, maps_left(fd),
		    result(ioctl(fd, TD_MAP_FREE, kinds[k].kind)));
	}
}

static void run_fork(void)
{
	int fd = open_dev(O_RDWR);
	char *p = map_rw(fd, TD_MAP_PFN, 0, 8);
	pid_t pid;

	fill(p, 3, 0, 8 * PAGE);
	pid = pd_fork();
	if (!pid) {
		if (!filled(p, 3, 8 * PAGE))
			_exit(1);
		fill(p, 4, 0, 8 * PAGE);
		_exit(0);
	}
	say("child %d", reap(pid));
	say("parent %zu", matching(p, 4, 0, 8 * PAGE));
}

static const struct pd_case cases[] = {
	{ "both-ways", run_both_ways, 0 },
	{ "fork", run_fork, 0 },
};

PD_GROUP(mappfn, "mappfn", "mappings of page frames (VM_PFNMAP)", 0);
