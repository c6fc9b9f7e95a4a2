/* SPDX-License-Identifier: Apache-2.0 */
/* Events for the guest, put into the buffers that it posts on the event queue. */
#ifndef PARADICE_EVENTS_H
#define PARADICE_EVENTS_H

#include "worker_private.h"

struct events *events_create(struct worker *w);
/* Sends one; keeps it while there is no buffer, and counts those that cannot be kept. */
void events_send(struct events *e, uint32_t type, uint32_t arg, uint64_t file);
/* Events may have been lost: the guest is to look at everything. */
void events_lost(struct events *e);
/* The guest has posted buffers. */
void events_kick(struct events *e);
/* The guest's driver starts anew: what was kept is of no interest. */
void events_clear(struct events *e);

#endif
