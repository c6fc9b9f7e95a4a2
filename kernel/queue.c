// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues to the host: who gets a place, what is under way, and how answers come back to who waits for
 * them. The rings are the transports'.
 */
#include "core.h"
#include "queue.h"
#include "request.h"
#include "weak.h"

/* events that are taken at once: the host may send others as fast */
#define PD_EVENTS_AT_ONCE 64

static void pd_queue_rest(struct work_struct *work);

/**
 * pd_queue_init() - prepares a queue
 * @q: zeroed
 * @host: to whom it leads, initialised
 * @ops: its ring's functions
 * @index: which of the host's queues
 * @cost: descriptors that a message can take
 */
void pd_queue_init(struct pd_queue *q, struct pd_host *host, const struct pd_queue_ops *ops,
		   unsigned int index, unsigned int cost)
{
	spin_lock_init(&q->lock);
	INIT_LIST_HEAD(&q->inflight);
	INIT_WORK(&q->rest, pd_queue_rest);
	q->ops = ops;
	q->host = host;
	q->index = index;
	q->cost = cost;
	host->queues[index] = q;
}

/* the ring of @num descriptors may be used from now on */
void pd_queue_begin(struct pd_queue *q, unsigned int num)
{
	q->margin = max(num / 8, 2 * q->cost);
	q->live = true;
}

/* ---- messages ---- */

/**
 * pd_queue_reserve() - keeps a place for one message
 * @q: queue
 * @urgent: also one of those that are set aside for what must not wait behind operations
 *
 * Return: 0; -ENOSPC when there is none, then pd_host.space is woken when there may be; -EIO when the
 * device is gone. Any context.
 */
int pd_queue_reserve(struct pd_queue *q, bool urgent)
{
	unsigned long flags;
	int ret, space;

	spin_lock_irqsave(&q->lock, flags);
	space = q->live ? q->ops->space(q) : -EIO;
	ret = min(space, 0);
	if (!ret && space < q->reserved + q->cost + (urgent ? 0 : q->margin))
		ret = -ENOSPC;
	if (!ret)
		q->reserved += q->cost;
	spin_unlock_irqrestore(&q->lock, flags);
	return ret;
}

/* gives the place back. Any context */
void pd_queue_unreserve(struct pd_queue *q)
{
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	q->reserved -= q->cost;
	spin_unlock_irqrestore(&q->lock, flags);
	wake_up(&q->host->space);
}

/**
 * pd_queue_submit() - puts a message into the queue, at the reserved place, which is used up
 * @q: queue
 * @r: whose message
 *
 * On success the memory is the host's until pd_req_complete(); on failure it never was. To be followed
 * by pd_queue_kick(). Any context, spinlocks may be held. Return: 0, -EIO or -ENOMEM.
 */
int pd_queue_submit(struct pd_queue *q, struct pd_request *r)
{
	unsigned long flags;
	int ret;

	spin_lock_irqsave(&q->lock, flags);
	q->reserved -= q->cost;
	ret = q->live ? q->ops->add(q, r) : -EIO;
	if (!ret)
		list_add_tail(&r->link, &q->inflight);
	spin_unlock_irqrestore(&q->lock, flags);
	return ret;
}

/* tells the host of what was submitted. Any context, without locks */
void pd_queue_kick(struct pd_queue *q)
{
	unsigned long flags;

	/* under the lock: the ring could be deleted otherwise */
	spin_lock_irqsave(&q->lock, flags);
	if (q->live)
		q->ops->kick(q);
	spin_unlock_irqrestore(&q->lock, flags);
}

/* wakes everybody who waits for an answer. Any context */
void pd_queue_wake_all(struct pd_queue *q)
{
	struct pd_request *r;
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	list_for_each_entry(r, &q->inflight, link)
		wake_up(&r->wait);
	spin_unlock_irqrestore(&q->lock, flags);
}

/* ---- answers ---- */

/* takes the next answered request; @more: there may be others */
static struct pd_request *pd_queue_next(struct pd_queue *q, u32 *len, bool *more)
{
	struct pd_request *r = NULL;
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	*more = false;
	if (q->live) {
		r = q->ops->take(q, len);
		if (!r && !q->spinning)
			*more = q->ops->listen(q);
	}
	if (r) {
		*more = true;
		list_del_init(&r->link);
		/* whoever goes on with an operation must not wait behind those that begin */
		if (pd_req_will_continue(r, *len)) {
			q->reserved += q->cost;
			r->reserved = true;
		}
	}
	spin_unlock_irqrestore(&q->lock, flags);
	return r;
}

/* hands over all answered requests */
static void pd_queue_take(struct pd_queue *q)
{
	struct pd_request *r;
	bool more, any = false;
	u32 len;

	do {
		r = pd_queue_next(q, &len, &more);
		if (r) {
			any = true;
			pd_req_complete(r, len);
		}
	} while (more);

	if (!any)
		return;
	if (q->index == PD_QUEUE_CONTROL)
		pd_host_alive(q->host);
	wake_up(&q->host->space);
}

/* takes the next event; @more: there may be others */
static bool pd_queue_next_event(struct pd_queue *q, struct pd_event *ev, u32 *len, bool *more)
{
	unsigned long flags;
	bool have;

	spin_lock_irqsave(&q->lock, flags);
	have = q->live && q->ops->take_event(q, ev, len);
	*more = have || (q->live && q->ops->listen(q));
	if (!*more && q->behind) {
		q->behind = false;
		if (q->live && q->ops->caught_up)
			q->ops->caught_up(q);
	}
	spin_unlock_irqrestore(&q->lock, flags);
	return have;
}

/* hands over events, and leaves to a work item those that come as fast: true */
static bool pd_queue_take_events(struct pd_queue *q)
{
	unsigned int left = PD_EVENTS_AT_ONCE;
	struct pd_event ev;
	unsigned long flags;
	bool more;
	u32 len;

	do {
		if (pd_queue_next_event(q, &ev, &len, &more) && len >= sizeof(ev))
			pd_event(q->host, &ev);
	} while (more && (PD_WEAK(FLOOD) || --left));
	if (!more)
		return false;

	spin_lock_irqsave(&q->lock, flags);
	if (q->live) {
		q->ops->quiet(q);
		q->behind = true;
		queue_work(pd_quick_wq, &q->rest);
	}
	spin_unlock_irqrestore(&q->lock, flags);
	return true;
}

/* loses a host that broke the ring */
static void pd_queue_check(struct pd_queue *q)
{
	unsigned long flags;
	bool broken;

	spin_lock_irqsave(&q->lock, flags);
	broken = q->live && q->ops->space(q) < 0;
	spin_unlock_irqrestore(&q->lock, flags);
	if (broken)
		pd_host_lose(q->host, "it broke a virtqueue");
}

static void pd_queue_rest(struct work_struct *work)
{
	struct pd_queue *q = container_of(work, struct pd_queue, rest);

	pd_queue_take_events(q);
	pd_queue_check(q);
}

/*
 * Takes what the host has answered, and loses a host that broke the ring. Called by the transport for an
 * interrupt, and by whoever looks for an answer. No locks held. True: there is more, which a work item takes, and
 * pd_queue_ops.caught_up follows.
 */
bool pd_queue_answered(struct pd_queue *q)
{
	bool later = false;

	if (q->index == PD_QUEUE_EVENT)
		later = READ_ONCE(q->behind) || pd_queue_take_events(q);
	else
		pd_queue_take(q);
	pd_queue_check(q);
	return later;
}

/**
 * pd_queue_spin() - somebody begins, or ends, to look for answers
 * @q: queue
 * @on: the caller will call pd_queue_answered() itself until it calls this without, and keeps the processor
 *	as long: interrupts are suppressed meanwhile, and others may be asleep for their answers
 *
 * Task context, no locks held; between both calls nothing may sleep.
 */
void pd_queue_spin(struct pd_queue *q, bool on)
{
	unsigned long flags;
	bool last;

	if (on)
		preempt_disable();
	spin_lock_irqsave(&q->lock, flags);
	if (on && !q->spinning++ && q->live)
		q->ops->quiet(q);
	last = !on && !--q->spinning;
	spin_unlock_irqrestore(&q->lock, flags);
	if (last)
		pd_queue_answered(q); /* which allows interrupts again */
	if (!on)
		preempt_enable();
}

/* ---- the end ---- */

/* nothing touches the ring from now on, but pd_queue_drain(). May sleep */
void pd_queue_end(struct pd_queue *q)
{
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	q->live = false;
	spin_unlock_irqrestore(&q->lock, flags);
	cancel_work_sync(&q->rest);
}

/* takes back all that an ended queue holds: the device is quiet. May sleep */
void pd_queue_drain(struct pd_queue *q)
{
	unsigned long flags;
	void *data;

	while ((data = q->ops->detach(q))) {
		struct pd_request *r = data;

		if (q->index == PD_QUEUE_EVENT)
			continue; /* a buffer of the transport's */
		spin_lock_irqsave(&q->lock, flags);
		list_del_init(&r->link);
		spin_unlock_irqrestore(&q->lock, flags);
		pd_req_complete(r, 0);
	}
}
