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

int op_continue_prepare(struct request *r)
{
	const struct pd_req_continue *q = &r->req.u.cont;
	struct request *op = session_find_request(r->s, q->tag);
	int err = 0;

	if (!op)
		return 0; /* it has ended; the pages are good all the same */
	if (op->mm != r->mm || op->vq != r->vq) {
		log_limited(LOG_WARNING, "continue refused: its operation is another process's");
		err = -EINVAL;
	} else if (!request_continue(op, r)) {
		log_limited(LOG_WARNING, "continue refused: its operation did not ask");
		err = -EINVAL;
	}
	if (err)
		request_put(op);
	else
		r->next = op;
	return err;
}

static void go_on(struct request *r, int error)
{
	struct request *op = r->next;

	r->next = NULL;
	request_go_on(op, r, error);
	request_put(op);
	request_done(r, 0);
}

/* The address lies in a mapping that this process got by fork: shows it there, by a pool thread. */
static void show_map(struct request *r)
{
	const struct pd_req_continue *q = &r->req.u.cont;
	int64_t err;

	err = mirror_map(&r->mop, &r->map->file->mf, q->map_addr, q->map_len, r->map->prot,
			 r->map->private, r->map->offset + q->map_offset);
	if (err)
		log_limited(LOG_WARNING, "a mapping cannot be shown to %s: error %lld", r->mm->name,
			    (long long)-err);
	go_on(r, err ? -EFAULT : 0);
}

void op_mirror_ends(struct request *r)
{
	mirror_await_end(r->mm->mirror);
	if (r->next)
		go_on(r, -EFAULT);
	else
		request_done(r, -EIO);
}

void op_continue(struct request *r)
{
	const struct pd_req_continue *q = &r->req.u.cont;
	int error = (int)q->error;

	if (!r->next) {
		request_done(r, -ENOENT);
		return;
	}
	if (error > 0 || error < -4095)
		error = -EFAULT;
	if (!error && q->map) {
		r->map = map_find(r->s, q->map);
		if (r->map && q->map_offset <= r->map->len &&
		    q->map_len <= r->map->len - q->map_offset) {
			request_get(r);
			pool_run_aside(r, show_map);
			return;
		}
		log_limited(LOG_WARNING, "continue names no part of a mapping");
		error = -EFAULT;
	}
	go_on(r, error);
}
