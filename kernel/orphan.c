// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that nobody waits for: posted so, or left by a task that was killed.
 */
#include <linux/sched/signal.h>

#include "core.h"
#include "queue.h"
#include "request.h"

/* how often an orphan tells the host that nobody waits, at first and at most */
#define PD_ORPHAN_BACKOFF (HZ / 50 + 1)
#define PD_ORPHAN_BACKOFF_MAX (5 * HZ)

/*
 * Posts a request that nobody waits for; on failure it is still the caller's, else it may be gone by now. The
 * caller sees to it that the host stays.
 */
int pd_req_post(struct pd_request *r)
{
	struct pd_host *host = r->host;
	unsigned int queue = r->queue;
	int ret;

	ret = pd_req_try_reserve(r);
	if (ret)
		return ret;
	r->orphan = true;
	atomic_inc(&pd_stats.orphans);
	ret = pd_req_submit(r);
	if (ret) {
		r->orphan = false;
		atomic_dec(&pd_stats.orphans);
		return ret;
	}
	pd_queue_kick(host->queues[queue]);
	return 0;
}

/* tells the host that nobody waits for @r any more */
static void pd_req_abandon(struct pd_request *r)
{
	struct pd_request *c;

	if (!r->cancellable)
		return;
	c = pd_req_new(r->host, PD_OP_CANCEL, NULL);
	if (!c)
		return;
	c->req.u.cancel.tag = cpu_to_le64(r->tag);
	c->req.u.cancel.flags = cpu_to_le32(PD_CANCEL_ABANDON);
	if (pd_req_post(c))
		pd_req_free(c);
}

/* an orphan's fault is refused; nonzero when there is no place in the queue yet */
static int pd_req_refuse_fault(struct pd_request *r)
{
	int ret;

	if (r->chain_tag == r->tag || r->state == PD_REQ_ANSWERED)
		pd_req_make_continue(r);
	r->req.ndrops = 0;
	r->req.npages = 0;
	r->lists_len = 0;
	r->req.u.cont.map = 0;
	r->req.u.cont.error = cpu_to_le32(-EFAULT);
	if (!r->reserved) {
		ret = pd_req_try_reserve(r);
		if (ret)
			return ret;
	}
	ret = pd_req_submit(r);
	if (!ret)
		pd_queue_kick(pd_req_queue(r));
	return ret;
}

/*
 * Runs an orphan: while the host is at it, tells it now and then that nobody waits; when it
 * faults, refuses; when it is done, gives back what it was to bring.
 */
void pd_req_orphan_work(struct work_struct *work)
{
	struct pd_request *r = container_of(to_delayed_work(work), struct pd_request, work);
	bool sent;

	spin_lock_irq(&r->lock);
	sent = r->state == PD_REQ_SENT;
	spin_unlock_irq(&r->lock);

	if (sent) {
		/* the queue holds it until the answer comes or the device goes */
		if (pd_host_lost(r->host))
			return;
		pd_req_abandon(r);
		r->backoff = clamp(r->backoff * 2, (unsigned long)PD_ORPHAN_BACKOFF,
				   (unsigned long)PD_ORPHAN_BACKOFF_MAX);
		if (r->cancellable)
			queue_delayed_work(pd_wq, &r->work, r->backoff);
		return;
	}
	/* the completion may have queued it once more */
	cancel_delayed_work(&r->work);
	if (r->state == PD_REQ_ANSWERED) {
		pd_req_decode(r);
		if (r->mm)
			pd_mm_answered(r->mm, r->seq);
	}
	if (r->status == PD_ST_FAULT && !pd_host_lost(r->host)) {
		switch (pd_req_refuse_fault(r)) {
		case 0:
			return;
		case -ENOSPC:
		case -ENOMEM:
			queue_delayed_work(pd_wq, &r->work, HZ / 100 + 1);
			return;
		default:
			break;
		}
	}
	if (r->status == PD_ST_FAULT)
		r->result = -EIO;
	if (r->orphaned)
		r->orphaned(r);
	atomic_dec(&pd_stats.orphans);
	pd_req_free(r);
}
