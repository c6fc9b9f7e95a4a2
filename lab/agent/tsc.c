// SPDX-License-Identifier: Apache-2.0
/*
 * Prints how many thousand times in a second this machine's time stamp
 * counter ticks. A kernel under emulation sees the same counter, and finds
 * its rate badly on a busy machine; so the lab tells it.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

struct pair {
	uint64_t tsc, ns;
};

/* Counter and clock of one moment: of many tries, the one least disturbed. */
static struct pair now(void)
{
	struct pair best = { 0, 0 };
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 1000; i++) {
		struct timespec t;
		uint64_t before = __rdtsc(), after;

		clock_gettime(CLOCK_MONOTONIC_RAW, &t);
		after = __rdtsc();
		if (after - before < least) {
			least = after - before;
			best.tsc = before + least / 2;
			best.ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
		}
	}
	return best;
}

int main(void)
{
	struct pair from = now(), to;

	nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
	to = now();
	printf("%.0f\n", (double)(to.tsc - from.tsc) * 1e6 / (double)(to.ns - from.ns));
	return 0;
}
