/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that serve the request queues.
 *
 * Idle threads wait for kicks; a kick wakes one. It takes a request, applies its memory lists in
 * the queue's order, sees that another thread is idle, and runs the request, for as long as the
 * driver likes. When no further thread may be made, the last one takes nothing that may block:
 * what can be refused is refused (EBUSY), and what must not be (closing, unmapping) goes to a
 * thread of its own.
 */
#ifndef PARADICE_POOL_H
#define PARADICE_POOL_H

#include "worker_private.h"

struct pool *pool_create(struct worker *w);
/* A request queue's kick descriptor has changed; -1: none. */
void pool_kick_changed(struct pool *p, unsigned int queue, int old, int kick);
/* Looks at a queue without a kick. */
void pool_poke(struct pool *p, unsigned int queue);
/* Runs @run for @r by a thread of its own, which takes over a reference; never refused. */
void pool_run_aside(struct request *r, void (*run)(struct request *r));

#endif
