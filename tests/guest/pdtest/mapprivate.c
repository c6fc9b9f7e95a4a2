// SPDX-License-Identifier: Apache-2.0
/* pdtest: MAP_PRIVATE mappings of the device. */
#include "pdtest.h"

/* Reads see the driver's pages; writes stay with the program. */
static void run_copies(void)
{
	static const enum td_map_kind kinds[] = { TD_MAP_RAM, TD_MAP_VMALLOC, TD_MAP_FAULT };
	int fd = open_dev(O_RDWR);
	size_t k;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		char *p;

		dev_fill(fd, kinds[k], 1, 0, TD_MAP_SIZE);
		p = map_dev(fd, kinds[k], 0, 8, PROT_READ | PROT_WRITE, MAP_PRIVATE);
		if (p == MAP_FAILED) {
			say("kind %d: %s", kinds[k], result(-1));
			continue;
		}
		say("kind %d: %zu", kinds[k], matching(p, 1, 0, 8 * PAGE));
		p[0]++;
		p[3 * PAGE]++;
		say("kind %d: program %zu", kinds[k], matching(p, 1, 0, 8 * PAGE));
		munmap(p, 8 * PAGE);
		p = map_rw(fd, kinds[k], 0, 8);
		say("kind %d: driver %zu", kinds[k], matching(p, 1, 0, 8 * PAGE));
		munmap(p, 8 * PAGE);
	}
}

static void run_read_only(void)
{
	int fd = open_dev(O_RDWR), r = open_dev(O_RDONLY);
	char *p = map_dev(fd, TD_MAP_RAM, 0, 2, PROT_READ, MAP_PRIVATE);

	say("to read: %s", result(p == MAP_FAILED ? -1 : 0));
	p = map_dev(r, TD_MAP_RAM, 0, 2, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	say("O_RDONLY, to write privately: %s", result(p == MAP_FAILED ? -1 : 0));
	p = map_dev(fd, TD_MAP_PFN, 0, 2, PROT_READ, MAP_PRIVATE);
	say("the driver refuses: %s", result(p == MAP_FAILED ? -1 : 0));
}

static const struct pd_case cases[] = {
	{ "copies", run_copies, 0 },
	{ "read-only", run_read_only, 0 },
};

PD_GROUP(mapprivate, "mapprivate", "private mappings", 0);
