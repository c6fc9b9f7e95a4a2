// SPDX-License-Identifier: Apache-2.0
#include "ops.h"

#include <errno.h>

#include "files.h"
#include "log.h"
#include "maps.h"
#include "mms.h"
#include "pool.h"

void op_nothing(struct request *r)
{
	request_done(r, 0);
}

/* The answer of the guest to the fault of @op: its chain now is @op's, and @op goes on. */
static void go_on(struct request *r, struct request *op, int error)
{
	if (!request_continue(op, r)) {
		log_limited(LOG_WARNING, "continue refused: its operation did not ask");
		request_done(r, -EINVAL);
		return;
	}
	/* -ENOENT: it was interrupted meanwhile, and ends on the new chain */
	mirror_fault_done(&op->mop, error);
	/* r has no chain any more, so nothing to say */
	request_abandon(r);
	request_done(r, 0);
}

/* The address lies in a mapping that this process got by fork: shows it there, by a pool thread. */
static void show_map(struct request *r)
{
	const struct pd_req_continue *q = &r->req.u.cont;
	struct request *op = r->next;
	int64_t err;

	r->next = NULL;
	err = mirror_map(&r->mop, &r->map->file->mf, q->map_addr, q->map_len, r->map->prot,
			 r->map->private, r->map->offset + q->map_offset);
	if (err)
		log_limited(LOG_WARNING, "a mapping cannot be shown to %s: error %lld", r->mm->name,
			    (long long)-err);
	go_on(r, op, err ? -EFAULT : 0);
	request_put(op);
}

void op_continue(struct request *r)
{
	const struct pd_req_continue *q = &r->req.u.cont;
	struct request *op = session_find_request(r->s, q->tag);
	int error = (int)q->error;

	if (!op) {
		request_done(r, -ENOENT);
		return;
	}
	if (op->mm != r->mm || op->vq != r->vq) {
		log_limited(LOG_WARNING, "continue refused: its operation is another process's");
		request_done(r, -EINVAL);
		request_put(op);
		return;
	}
	if (error > 0 || error < -4095)
		error = -EFAULT;
	if (!error && q->map) {
		r->map = map_find(r->s, q->map);
		if (!r->map || q->map_offset > r->map->len ||
		    q->map_len > r->map->len - q->map_offset) {
			log_limited(LOG_WARNING, "continue names no part of a mapping");
			error = -EFAULT;
		} else {
			r->next = op;
			pool_run_aside(r->w->pool, r, show_map);
			return;
		}
	}
	go_on(r, op, error);
	request_put(op);
}
