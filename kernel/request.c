// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests: their making, their way to the host, and its answers.
 */
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "core.h"
#include "queue.h"
#include "request.h"
#include "transport.h"
#include "weak.h"

static bool pd_op_cancellable(enum pd_op op)
{
	switch (op) {
	case PD_OP_OPEN:
	case PD_OP_FLUSH:
	case PD_OP_READ:
	case PD_OP_WRITE:
	case PD_OP_LLSEEK:
	case PD_OP_FSYNC:
	case PD_OP_POLL:
	case PD_OP_IOCTL:
	case PD_OP_FASYNC:
	case PD_OP_MMAP:
		return true;
	default:
		return false;
	}
}

static unsigned int pd_op_queue(struct pd_host *host, enum pd_op op)
{
	switch (op) {
	case PD_OP_HELLO:
	case PD_OP_DEVICE:
	case PD_OP_RULES:
	case PD_OP_IDENTITY:
	case PD_OP_MM_CREATE:
	case PD_OP_MM_DESTROY:
	case PD_OP_CANCEL:
	case PD_OP_PING:
		return PD_QUEUE_CONTROL;
	default:
		return PD_QUEUE_REQUEST + raw_smp_processor_id() % host->nqueues;
	}
}

static struct pd_request *pd_req_make(struct pd_host *host, enum pd_op op, struct pd_mm *mm,
				      gfp_t gfp)
{
	struct pd_request *r;

	r = kzalloc(sizeof(*r), gfp);
	if (!r)
		return NULL;
	r->host = pd_host_get(host);
	r->tag = atomic64_inc_return(&host->next_tag);
	r->chain_tag = r->tag;
	r->op = op;
	r->req.op = cpu_to_le16(op);
	r->req.tag = cpu_to_le64(r->tag);
	if (mm) {
		r->mm = pd_mm_get(mm);
		r->req.mm = cpu_to_le64(mm->id);
		r->queue = mm->queue;
	} else {
		r->queue = pd_op_queue(host, op);
	}
	r->cancellable = pd_op_cancellable(op);
	r->lists = r->inline_lists;
	r->lists_size = sizeof(r->inline_lists);
	INIT_LIST_HEAD(&r->link);
	spin_lock_init(&r->lock);
	init_waitqueue_head(&r->wait);
	INIT_DELAYED_WORK(&r->work, pd_req_orphan_work);
	return r;
}

/**
 * pd_req_new() - makes a request
 * @host: for whom
 * @op: its operation
 * @mm: the address space that it concerns, or NULL
 *
 * Return: the request, to be filled in, run and freed; or NULL without memory. May sleep.
 */
struct pd_request *pd_req_new(struct pd_host *host, enum pd_op op, struct pd_mm *mm)
{
	return pd_req_make(host, op, mm, GFP_KERNEL);
}

/* the same for what ends something, and cannot fail */
struct pd_request *pd_req_new_sure(struct pd_host *host, enum pd_op op, struct pd_mm *mm)
{
	return pd_req_make(host, op, mm, GFP_KERNEL | __GFP_NOFAIL);
}

/* frees a request that the host does not have; NULL is fine */
void pd_req_free(struct pd_request *r)
{
	if (!r)
		return;
	if (r->reserved)
		pd_req_unreserve(r);
	if (r->room)
		r->host->ops->free_room(r);
	if (r->lists != r->inline_lists)
		kfree(r->lists);
	kfree(r->vecs);
	kfree(r->fds);
	kfree(r->tail);
	if (r->mm)
		pd_mm_put(r->mm);
	pd_host_put(r->host);
	kfree(r);
}

/* what the transport needs for a message with so long a part; may sleep */
static int pd_req_room(struct pd_request *r, size_t size, bool write)
{
	const struct pd_transport_ops *ops = r->host->ops;

	return ops->room ? ops->room(r, size, write) : 0;
}

/* room for @size bytes behind the answer, zeroed; 0 or -ENOMEM */
int pd_req_tail(struct pd_request *r, size_t size)
{
	r->tail = kzalloc(size, GFP_KERNEL);
	if (!r->tail)
		return -ENOMEM;
	r->tail_len = size;
	return pd_req_room(r, size, true) ? -ENOMEM : 0;
}

/*
 * Makes room for @size bytes of lists in the next message; what was there is lost. 0, -ENOMEM, or
 * -ENOSPC when the transport can share no more pages
 */
int pd_req_lists(struct pd_request *r, size_t size)
{
	void *new;
	int ret;

	r->lists_len = 0;
	if (size <= r->lists_size)
		return 0;
	ret = pd_req_room(r, size, false);
	if (ret)
		return ret;
	new = kmalloc(size, GFP_KERNEL);
	if (!new)
		return -ENOMEM;
	if (r->lists != r->inline_lists)
		kfree(r->lists);
	r->lists = new;
	r->lists_size = size;
	return 0;
}

int pd_req_try_reserve(struct pd_request *r)
{
	bool urgent = !r->cancellable || r->chain_tag != r->tag;
	int ret;

	if (pd_host_lost(r->host))
		return -EIO;
	ret = pd_queue_reserve(pd_req_queue(r), urgent);
	if (!ret)
		r->reserved = true;
	return ret;
}

/**
 * pd_req_reserve() - gets a place in the queue for @r's next message
 * @r: request
 * @how: how to wait for one
 *
 * Return: 0; -EIO when the host is lost; -EAGAIN, -ERESTARTSYS, -EINTR or -ETIMEDOUT when there
 * was no place for as long as @how allows.
 */
int pd_req_reserve(struct pd_request *r, enum pd_wait how)
{
	struct pd_host *host = r->host;
	int ret, woken = 0;

	if (r->reserved)
		return 0;
	ret = pd_req_try_reserve(r);
	if (ret != -ENOSPC)
		return ret;
	if (r->nowait)
		return -EAGAIN;

	if (how == PD_WAIT_EXIT && pd_killed()) {
		wait_event_timeout(host->space, (ret = pd_req_try_reserve(r)) != -ENOSPC,
				   PD_EXIT_WAIT);
		return ret == -ENOSPC ? -ETIMEDOUT : ret;
	}
	if (how == PD_WAIT_HOST)
		wait_event_idle(host->space, (ret = pd_req_try_reserve(r)) != -ENOSPC);
	else if (how == PD_WAIT_INTR && r->chain_tag == r->tag)
		woken = wait_event_interruptible(host->space,
						 (ret = pd_req_try_reserve(r)) != -ENOSPC);
	else
		woken = wait_event_killable(host->space, (ret = pd_req_try_reserve(r)) != -ENOSPC);
	if (woken && ret == -ENOSPC)
		ret = fatal_signal_pending(current) ? -EINTR : -ERESTARTSYS;
	return ret;
}

void pd_req_unreserve(struct pd_request *r)
{
	r->reserved = false;
	pd_queue_unreserve(pd_req_queue(r));
}

/**
 * pd_req_submit() - hands @r's message to the host, at the place that was reserved
 * @r: request; the caller calls pd_queue_kick() afterwards
 *
 * Any context, spinlocks may be held. Return: 0, -EIO or -ENOMEM.
 */
int pd_req_submit(struct pd_request *r)
{
	int ret;

	WARN_ON_ONCE(!r->reserved);
	r->state = PD_REQ_SENT;
	r->reserved = false;
	atomic_inc(&r->host->inflight);
	ret = pd_queue_submit(pd_req_queue(r), r);
	if (ret) {
		atomic_dec(&r->host->inflight);
		r->state = PD_REQ_NEW;
		return ret;
	}
	atomic_inc(&pd_stats.requests);
	return 0;
}

/* sends @r's first message */
int pd_req_send(struct pd_request *r, enum pd_wait how)
{
	int ret;

	if (r->mm)
		return pd_mm_send(r, how, 0, false);
	ret = pd_req_reserve(r, how);
	if (!ret)
		ret = pd_req_submit(r);
	if (!ret) {
		pd_req_kick(r);
		pd_host_busy(r->host);
	}
	return ret;
}

/* see request.h */
bool pd_req_will_continue(const struct pd_request *r, u32 len)
{
	return len >= sizeof(r->resp) && r->mm && r->cancellable &&
	       READ_ONCE(r->resp.status) == cpu_to_le32(PD_ST_FAULT);
}

/* see request.h */
void pd_req_complete(struct pd_request *r, u32 len)
{
	unsigned long flags;

	atomic_dec(&r->host->inflight);
	r->len = len;
	spin_lock_irqsave(&r->lock, flags);
	/* pairs with pd_req_answered(): the answer is there */
	smp_store_release(&r->state, PD_REQ_ANSWERED);
	/* under the lock: the waiter takes it before it frees the request */
	if (r->orphan)
		mod_delayed_work(pd_wq, &r->work, 0);
	else
		wake_up(&r->wait);
	spin_unlock_irqrestore(&r->lock, flags);
}

/* takes over what the host answered, believing none of it */
void pd_req_decode(struct pd_request *r)
{
	s64 result;

	r->status = PD_ST_DONE;
	r->result = -EIO;
	if (!r->len)
		return; /* the device went */
	memcpy(&r->answer, &r->resp, sizeof(r->answer));
	if ((r->len < sizeof(r->answer) && !PD_WEAK(LENGTHS)) ||
	    (le64_to_cpu(r->answer.tag) != r->chain_tag && !PD_WEAK(TAGS))) {
		pr_err_ratelimited(
			PD_NAME
			": the host's answer to request %llu has length %u and tag %llu: taken as an I/O error\n",
			r->chain_tag, r->len, le64_to_cpu(r->answer.tag));
		return;
	}
	r->status = le32_to_cpu(r->answer.status);
	result = (s64)le64_to_cpu(r->answer.result);
	if (r->status == PD_ST_FAULT && ((r->mm && r->cancellable) || PD_WEAK(FAULTS)))
		return;
	if ((r->status != PD_ST_DONE || result < -MAX_ERRNO) && !PD_WEAK(RESULTS)) {
		pr_err_ratelimited(
			PD_NAME
			": the host answered operation %u with status %u, result %lld: taken as an I/O error\n",
			le16_to_cpu(r->req.op), r->status, result);
		r->status = PD_ST_DONE;
		return;
	}
	r->result = result;
}

bool pd_req_answered(const struct pd_request *r)
{
	/* pairs with pd_req_complete() */
	return smp_load_acquire(&r->state) == PD_REQ_ANSWERED;
}
