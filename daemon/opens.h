/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening devices: the manager does it, or lets a mirror do it, where the driver is to see the
 * program's own process. Nobody waits here meanwhile.
 */
#ifndef PARADICE_OPENS_H
#define PARADICE_OPENS_H

#include "worker_private.h"

struct opens *opens_create(struct worker *w);
/* PD_OP_OPEN: asks the manager; answers @r later, or at once on error. Takes a reference. */
void opens_start(struct opens *o, struct request *r);
/* Interrupts what the manager does for @r. 0, or -ENOENT: a mirror will do it; ask again. */
int opens_cancel(struct opens *o, const struct request *r);
/* CHANNEL_FILE and CHANNEL_OPENED: @fd is taken over. */
void opens_answer(struct opens *o, const struct channel_msg *msg, int fd);
/* What came with @claim is closed; nothing for 0. */
void opens_closed(struct opens *o, uint32_t claim);
/* The manager is gone: all fail. */
void opens_hangup(struct opens *o);

#endif
