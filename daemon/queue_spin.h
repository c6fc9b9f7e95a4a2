/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for a queue's next request for a while before a thread waits for its kick: where requests follow
 * each other closely, neither the guest's exit nor our waking is worth it.
 */
#ifndef PARADICE_QUEUE_SPIN_H
#define PARADICE_QUEUE_SPIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct worker;

/**
 * struct queue_spin - of one queue
 * @busy: a thread looks
 * @limit: for how long, ns, see spin.h
 * @left: when nobody looked any more, spin_now(); 0: it was learnt from already
 */
struct queue_spin {
	atomic_bool busy;
	_Atomic uint32_t limit;
	_Atomic uint64_t left;
};

/*
 * After the last request in the ring of queue @index, by a thread that holds no lock: true when there is another,
 * false when a kick will tell of it.
 */
bool queue_spin(struct worker *w, unsigned int index);

/* A kick told of requests in queue @index. */
void queue_spin_kicked(struct worker *w, unsigned int index);

#endif
