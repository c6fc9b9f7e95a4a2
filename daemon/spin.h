/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for a queue's next request for a while before a thread waits for its kick: where requests follow
 * each other closely, neither the guest's exit nor our waking is worth it.
 */
#ifndef PARADICE_SPIN_H
#define PARADICE_SPIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct worker;

/**
 * struct spin - of one queue
 * @busy: a thread looks
 * @limit: for how long, ns; learnt: twice as long as requests took that were found, longer while they come soon
 *	after nobody looked any more, less and then not at all once they come later than anybody may look
 * @skipped: how often nobody has looked since
 * @left: when nobody looked any more, CLOCK_MONOTONIC, ns; 0: it was learnt from already
 */
struct spin {
	atomic_bool busy;
	_Atomic uint32_t limit;
	_Atomic uint32_t skipped;
	_Atomic uint64_t left;
};

/* Sets w->spin_max from the settings. */
void spin_init(struct worker *w);

/*
 * After the last request in the ring of queue @index, by a thread that holds no lock: true when there is another,
 * false when a kick will tell of it.
 */
bool spin_for_request(struct worker *w, unsigned int index);

/* A kick told of requests in queue @index. */
void spin_kicked(struct worker *w, unsigned int index);

#endif
