// SPDX-License-Identifier: Apache-2.0
/* Not in what is installed: see weak.h. */
#include "weak.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"

uint64_t weak_now;

static const char *const names[] = {
	[WEAK_READONLY] = "readonly",	[WEAK_IOCTLS] = "ioctls",
	[WEAK_EXCLUSIVE] = "exclusive", [WEAK_FILES] = "files",
	[WEAK_PROCESSES] = "processes", [WEAK_INFLIGHT] = "inflight",
	[WEAK_PAGES] = "pages",		[WEAK_RAM] = "ram",
	[WEAK_TAKE] = "take",		[WEAK_ROOT] = "root",
	[WEAK_CALLS] = "calls",		[WEAK_CAPS] = "caps",
	[WEAK_PIDS] = "pids",		[WEAK_MIRROR] = "mirror",
	[WEAK_RESULTS] = "results",	[WEAK_MEMORY] = "memory",
	[WEAK_NODES] = "nodes",		[WEAK_WAITING] = "waiting",
	[WEAK_KEEP] = "keep",		[WEAK_OPENERS] = "openers",
	[WEAK_HOLE] = "hole",		[WEAK_WINDOWS] = "windows",
	[WEAK_REGION] = "region",	[WEAK_COUNT] = "count",
	[WEAK_RING] = "ring",		[WEAK_LOOPS] = "loops",
	[WEAK_SEGMENTS] = "segments",	[WEAK_LISTS] = "lists",
	[WEAK_DONE] = "done",		[WEAK_REQUESTS] = "requests",
	[WEAK_REPLY] = "reply",		[WEAK_QUEUES] = "queues",
	[WEAK_AREA] = "area",		[WEAK_END] = "end",
};

void weak_read(void)
{
	const char *given = getenv("PARADICE_WEAK");
	char *copy = given ? strdup(given) : NULL;
	char *save = NULL;

	for (char *w = copy ? strtok_r(copy, ",", &save) : NULL; w; w = strtok_r(NULL, ",", &save))
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (!strcmp(w, names[i]))
				weak_now |= 1ull << i;
	free(copy);
	log_warning("built for tests; defences that are left out: %s", given ? given : "none");
}
