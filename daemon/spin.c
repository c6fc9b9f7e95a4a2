// SPDX-License-Identifier: Apache-2.0
#include "spin.h"

#include <sched.h>
#include <time.h>

#define FIRST 10000u /* ns */
/* sched_yield() has let somebody run who had more to do than we when it takes longer than this, ns */
#define YIELDED 20000u

uint32_t spin_max(uint32_t us)
{
	cpu_set_t set;

	/* whatever is looked for needs a processor, too */
	if (!sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) < 2)
		return 0;
	return us * 1000;
}

uint64_t spin_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

bool spin_look(uint32_t limit, bool (*there)(void *arg), void *arg)
{
	uint64_t begin = spin_now();
	uint64_t before = begin;
	uint64_t now;

	for (;;) {
		if (there(arg))
			return true;
		if (before - begin >= limit)
			return false;
		sched_yield();
		now = spin_now();
		if (now - before > YIELDED)
			return there(arg);
		before = now;
	}
}

uint32_t spin_learn(uint32_t limit, uint32_t max, uint64_t took)
{
	if (took > max)
		limit = 0;
	else if (took > limit)
		limit = limit ? limit * 2 : FIRST;
	return limit < max ? limit : max;
}
