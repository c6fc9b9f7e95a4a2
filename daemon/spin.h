/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for something for a while before sleeping, and learning for how long: as halt polling does it, longer
 * when it comes soon after one has gone to sleep, not at all once it comes later than anybody may look.
 */
#ifndef PARADICE_SPIN_H
#define PARADICE_SPIN_H

#include <stdbool.h>
#include <stdint.h>

/* How long to look at most where @us are allowed: ns; 0 where there is one processor only. */
uint32_t spin_max(uint32_t us);

uint64_t spin_now(void); /* ns, CLOCK_MONOTONIC */

/**
 * spin_look() - looks until @there says that it is, for at most @limit ns or until somebody else has had the
 * processor for long
 * Return: what @there said last.
 */
bool spin_look(uint32_t limit, bool (*there)(void *arg), void *arg);

/* The limit to use next, after it took @took ns from the begin of looking; @max bounds it. */
uint32_t spin_learn(uint32_t limit, uint32_t max, uint64_t took);

#endif
