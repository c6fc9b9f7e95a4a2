/* SPDX-License-Identifier: GPL-2.0-only */
/* Between request.c, wait.c, spin.c, orphan.c, and queue.c, which brings the answers. */
#ifndef PARADICE_REQUEST_H
#define PARADICE_REQUEST_H

#include "core.h"

static inline struct pd_queue *pd_req_queue(const struct pd_request *r)
{
	return r->host->queues[r->queue];
}

int pd_req_try_reserve(struct pd_request *r);
int pd_req_send(struct pd_request *r, enum pd_wait how);
bool pd_req_answered(const struct pd_request *r);
void pd_req_decode(struct pd_request *r);
void pd_req_make_continue(struct pd_request *r);
void pd_req_kick(struct pd_request *r);
void pd_req_spin(struct pd_request *r);
void pd_req_spun(struct pd_request *r);
void pd_req_orphan_work(struct work_struct *work);

/*
 * pd_req_complete() - the host answered @r's message with @len bytes (0 when it never will). Any context,
 * the queue's lock not held.
 */
void pd_req_complete(struct pd_request *r, u32 len);

/* the same as a test that is made under that lock: does the answer ask for another message? */
bool pd_req_will_continue(const struct pd_request *r, u32 len);

#endif
