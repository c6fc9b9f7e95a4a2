/* SPDX-License-Identifier: Apache-2.0 */
/* Time that passes evenly. */
#ifndef PARADICE_CLOCK_H
#define PARADICE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds since some moment before. */
static inline uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

#endif
