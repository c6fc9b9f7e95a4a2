/* SPDX-License-Identifier: Apache-2.0 */
/* paradiced-hostile's lies that a program in the guest asks for (lies.h). Any thread; no locks. */
#ifndef PARADICE_TOLD_H
#define PARADICE_TOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "../../daemon/events.h"
#include "../../daemon/request.h"

/* Where events are sent from now on. */
void told_events(struct events *e);
/* What is told from the start, and again from each HELLO on: an enum lie. Before there is any other thread. */
void told_first(unsigned int which);
/* The guest has made request @r, which perhaps asks for a lie. */
void told_take(const struct request *r);
/* @resp, to operation @op, is about to be written by this thread. */
void told_answer(struct pd_resp *resp, uint16_t op);
/* ... and is about to be given in @q, as @len bytes; false: not at all. */
bool told_give(struct virtqueue *q, uint16_t head, uint32_t *len);

#endif
