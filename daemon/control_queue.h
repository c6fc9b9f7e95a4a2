/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control queue, served in order by a thread of its own, which lives as long as the worker:
 * mirrors die with the thread that started them.
 */
#ifndef PARADICE_CONTROL_QUEUE_H
#define PARADICE_CONTROL_QUEUE_H

#include "worker_private.h"

int control_queue_start(struct worker *w);
void control_queue_kick_changed(int old, int kick);
/* Looks at the queue without a kick. */
void control_queue_poke(void);

#endif
