// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests: from their making to the host's final answer, through signals, faults and the death
 * of who waits for them.
 */
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "core.h"
#include "transport.h"

/* how often an orphan tells the host that nobody waits, at first and at most */
#define PD_ORPHAN_BACKOFF (HZ / 50 + 1)
#define PD_ORPHAN_BACKOFF_MAX (5 * HZ)

static void pd_req_orphan_work(struct work_struct *work);

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
	if (r->lists != r->inline_lists)
		kfree(r->lists);
	kfree(r->vecs);
	if (r->mm)
		pd_mm_put(r->mm);
	pd_host_put(r->host);
	kfree(r);
}

/* makes room for @size bytes of lists in the next message; what was there is lost */
int pd_req_lists(struct pd_request *r, size_t size)
{
	void *new;

	r->lists_len = 0;
	if (size <= r->lists_size)
		return 0;
	new = kmalloc(size, GFP_KERNEL);
	if (!new)
		return -ENOMEM;
	if (r->lists != r->inline_lists)
		kfree(r->lists);
	r->lists = new;
	r->lists_size = size;
	return 0;
}

static int pd_req_try_reserve(struct pd_request *r)
{
	bool urgent = !r->cancellable || r->chain_tag != r->tag;
	int ret;

	if (pd_host_lost(r->host))
		return -EIO;
	ret = r->host->ops->reserve(r->host, r->queue, urgent);
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
		woken = wait_event_killable(host->space,
					    (ret = pd_req_try_reserve(r)) != -ENOSPC);
	if (woken && ret == -ENOSPC)
		ret = fatal_signal_pending(current) ? -EINTR : -ERESTARTSYS;
	return ret;
}

void pd_req_unreserve(struct pd_request *r)
{
	r->reserved = false;
	r->host->ops->unreserve(r->host, r->queue);
}

/**
 * pd_req_submit() - hands @r's message to the host, at the place that was reserved
 * @r: request; the caller calls the transport's kick() afterwards
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
	ret = r->host->ops->submit(r->host, r);
	if (ret) {
		atomic_dec(&r->host->inflight);
		r->state = PD_REQ_NEW;
		return ret;
	}
	atomic_inc(&pd_stats.requests);
	return 0;
}

/* sends @r's first message */
static int pd_req_send(struct pd_request *r, enum pd_wait how)
{
	int ret;

	if (r->mm)
		return pd_mm_send(r, how, 0, false);
	ret = pd_req_reserve(r, how);
	if (!ret)
		ret = pd_req_submit(r);
	if (!ret) {
		r->host->ops->kick(r->host, r->queue);
		pd_host_busy(r->host);
	}
	return ret;
}

/* see transport.h */
bool pd_req_will_continue(const struct pd_request *r, u32 len)
{
	return len >= sizeof(r->resp) && r->mm && r->cancellable &&
	       READ_ONCE(r->resp.status) == cpu_to_le32(PD_ST_FAULT);
}

/* see transport.h */
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
static void pd_req_decode(struct pd_request *r)
{
	s64 result;

	r->status = PD_ST_DONE;
	r->result = -EIO;
	if (!r->len)
		return; /* the device went */
	memcpy(&r->answer, &r->resp, sizeof(r->answer));
	if (r->len < sizeof(r->answer) || le64_to_cpu(r->answer.tag) != r->chain_tag) {
		pr_err_ratelimited(PD_NAME ": the host's answer to request %llu has length %u and tag %llu: taken as an I/O error\n",
				   r->chain_tag, r->len, le64_to_cpu(r->answer.tag));
		return;
	}
	r->status = le32_to_cpu(r->answer.status);
	result = (s64)le64_to_cpu(r->answer.result);
	if (r->status == PD_ST_FAULT && r->mm && r->cancellable)
		return;
	if (r->status != PD_ST_DONE || result < -MAX_ERRNO) {
		pr_err_ratelimited(PD_NAME ": the host answered operation %u with status %u, result %lld: taken as an I/O error\n",
				   le16_to_cpu(r->req.op), r->status, result);
		r->status = PD_ST_DONE;
		return;
	}
	r->result = result;
}

static bool pd_req_answered(const struct pd_request *r)
{
	/* pairs with pd_req_complete() */
	return smp_load_acquire(&r->state) == PD_REQ_ANSWERED;
}

/* the task waits for @r no longer, because of @why; 0 when the answer came after all */
static int pd_req_leave(struct pd_request *r, int why)
{
	unsigned long flags;
	bool answered;

	spin_lock_irqsave(&r->lock, flags);
	answered = pd_req_answered(r);
	if (!answered) {
		r->orphan = true;
		atomic_inc(&pd_stats.orphans);
		mod_delayed_work(pd_wq, &r->work, 0);
	}
	spin_unlock_irqrestore(&r->lock, flags);
	return answered ? 0 : why;
}

/* asks the host to interrupt @r, as a signal would; true when it did */
static bool pd_req_cancel(struct pd_request *r)
{
	struct pd_request *c;
	long ret;

	c = pd_req_new(r->host, PD_OP_CANCEL, NULL);
	if (!c)
		return false;
	c->req.u.cancel.tag = cpu_to_le64(r->tag);
	atomic_inc(&pd_stats.cancels);
	ret = pd_req_run(&c, PD_WAIT_KILL);
	pd_req_free(c);
	return ret == 0;
}

/* has the task of the caller no use for the result any more? */
bool pd_killed(void)
{
	return fatal_signal_pending(current) || (current->flags & (PF_EXITING | PF_KTHREAD));
}

static bool pd_req_ready(const struct pd_request *r)
{
	return pd_req_answered(r) || pd_host_lost(r->host);
}

/* waits as @how says, asking the host to interrupt the operation when a signal comes; nonzero when
 * the task is killed
 */
static int pd_req_wait_signals(struct pd_request *r, enum pd_wait how)
{
	unsigned long backoff = HZ / 100 + 1;
	bool cancelled = how != PD_WAIT_INTR || !r->cancellable;

	while (!cancelled) {
		if (!wait_event_interruptible(r->wait, pd_req_ready(r)))
			return 0;
		if (fatal_signal_pending(current))
			return -EINTR;
		cancelled = pd_req_cancel(r);
		r->cancelled |= cancelled;
		if (!cancelled) {
			/* not begun, or just ending: ask again */
			if (wait_event_killable_timeout(r->wait, pd_req_ready(r), backoff) < 0)
				return -EINTR;
			backoff = min_t(unsigned long, backoff * 2, HZ / 2);
		}
	}
	return wait_event_killable(r->wait, pd_req_ready(r)) ? -EINTR : 0;
}

/* waits for the answer to the message under way; nonzero: @r is an orphan, not the caller's */
static int pd_req_wait(struct pd_request *r, enum pd_wait how)
{
	int ret = 0;

	switch (how) {
	case PD_WAIT_HOST:
		wait_event_idle(r->wait, pd_req_ready(r));
		break;
	case PD_WAIT_EXIT:
		if (!pd_killed() && !wait_event_killable(r->wait, pd_req_ready(r)))
			break;
		if (!wait_event_timeout(r->wait, pd_req_ready(r), PD_EXIT_WAIT)) {
			pr_warn(PD_NAME ": %s[%d] ends while the host is still busy with its operation %u\n",
				current->comm, current->pid, le16_to_cpu(r->req.op));
			ret = pd_req_leave(r, -ETIMEDOUT);
		}
		break;
	default:
		if (pd_req_wait_signals(r, how))
			ret = pd_req_leave(r, -EINTR);
		break;
	}
	if (!ret && !pd_req_answered(r))
		ret = pd_req_leave(r, -EIO); /* the host is lost */
	if (ret)
		return ret;
	/* the completion is still looking at it under the lock */
	spin_lock_irq(&r->lock);
	spin_unlock_irq(&r->lock);
	return 0;
}

/* the operation waits for an answer to its fault that its task will not give */
static void pd_req_abandon_fault(struct pd_request *r)
{
	unsigned long flags;

	spin_lock_irqsave(&r->lock, flags);
	r->orphan = true;
	atomic_inc(&pd_stats.orphans);
	spin_unlock_irqrestore(&r->lock, flags);
	mod_delayed_work(pd_wq, &r->work, 0);
}

/* turns @r into the message that answers its fault */
static void pd_req_make_continue(struct pd_request *r)
{
	struct pd_req *q = &r->req;

	r->chain_tag = atomic64_inc_return(&r->host->next_tag);
	memset(&q->u, 0, sizeof(q->u));
	q->op = cpu_to_le16(PD_OP_CONTINUE);
	q->tag = cpu_to_le64(r->chain_tag);
	q->ndrops = 0;
	q->npages = 0;
	q->nvecs = 0;
	q->u.cont.tag = cpu_to_le64(r->tag);
	r->lists_len = 0;
	r->state = PD_REQ_NEW;
}

/* answers the fault that @r met; the caller's task is the one whose memory it is */
static int pd_req_fault(struct pd_request *r, enum pd_wait how)
{
	unsigned long addr = le64_to_cpu(r->answer.u.fault.addr);

	atomic_inc(&pd_stats.faults);
	pd_req_make_continue(r);
	return pd_mm_send(r, how, addr, true);
}

/*
 * What the caller's program may see of the result. Restart codes are the driver's word to a kernel
 * that has a signal to deliver: where we asked for the interruption there was one, even if another
 * thread has taken it since, and the code must not reach the program. Where we did not, a driver
 * that returns them gives them to the program, natively too.
 */
static long pd_req_result(const struct pd_request *r)
{
	switch (r->result) {
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTARTNOHAND:
		if (current->flags & PF_KTHREAD)
			return -EINTR;
		if (r->cancelled && !signal_pending(current))
			set_thread_flag(TIF_SIGPENDING);
		return r->result;
	case -ERESTART_RESTARTBLOCK:
		return r->cancelled || signal_pending(current) ? -EINTR : r->result;
	default:
		return r->result;
	}
}

/**
 * pd_req_run() - runs a request to its final answer
 * @rp: the request; set to NULL when it is not the caller's to free any more
 * @how: how to wait
 *
 * Return: the host's result, as pd_req_decode() bounded it; or -EIO when the host is lost, -EINTR
 * when the task was killed, -ENOMEM, -EAGAIN or -ERESTARTSYS when it was not begun.
 */
long pd_req_run(struct pd_request **rp, enum pd_wait how)
{
	struct pd_request *r = *rp;
	int ret;

	ret = pd_req_send(r, how);
	if (ret)
		return ret;
	for (;;) {
		ret = pd_req_wait(r, how);
		if (ret) {
			*rp = NULL;
			return ret;
		}
		pd_req_decode(r);
		if (r->mm)
			pd_mm_answered(r->mm, r->seq);
		if (r->status != PD_ST_FAULT)
			break;
		if ((how == PD_WAIT_INTR || how == PD_WAIT_KILL) && fatal_signal_pending(current))
			ret = -EINTR;
		else
			ret = pd_req_fault(r, how);
		if (ret) {
			pd_req_abandon_fault(r);
			*rp = NULL;
			return ret;
		}
	}
	if (r->short_pins)
		pd_mm_drop_short(r->mm);
	return pd_req_result(r);
}

/* posts a request that nobody waits for; on failure it is still the caller's */
int pd_req_post(struct pd_request *r)
{
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
	r->host->ops->kick(r->host, r->queue);
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
		r->host->ops->kick(r->host, r->queue);
	return ret;
}

/*
 * Runs an orphan: while the host is at it, tells it now and then that nobody waits; when it
 * faults, refuses; when it is done, gives back what it was to bring.
 */
static void pd_req_orphan_work(struct work_struct *work)
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
