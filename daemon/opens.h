/* SPDX-License-Identifier: Apache-2.0 */
/* Opening devices: the manager does it; nobody waits here meanwhile. */
#ifndef PARADICE_OPENS_H
#define PARADICE_OPENS_H

#include "worker_private.h"

struct opens *opens_create(struct worker *w);
/* PD_OP_OPEN: asks the manager; answers @r later, or at once on error. Takes a reference. */
void opens_start(struct opens *o, struct request *r);
/* Interrupts one. */
void opens_cancel(struct opens *o, uint32_t id);
/* CHANNEL_OPENED: @fd is taken over. @claim: for opens_closed(), or 0 */
void opens_answer(struct opens *o, uint32_t id, uint32_t claim, int result, int fd);
/* What came with @claim is closed; nothing for 0. */
void opens_closed(struct opens *o, uint32_t claim);
/* The manager is gone: all fail. */
void opens_hangup(struct opens *o);

#endif
