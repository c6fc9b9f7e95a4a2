// SPDX-License-Identifier: GPL-2.0-only
/*
 * poll, select, epoll and SIGIO.
 *
 * The host tells of readiness only when asked, once, and only of events that were not ready when
 * it was asked ("armed"). "Nothing is ready" may be answered from what is armed while no operation
 * ran and no event came; a readiness is never remembered.
 *
 * Edge-triggered waiters do not ask again before they sleep: what they wait for is armed for them,
 * after they were told of something and after every operation.
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "core.h"

/* the events that a driver's poll can tell; the rest of an epoll mask is flags */
#define PD_POLL_EVENTS 0x7fffu

#define PD_POLL_ALWAYS ((__force u32)(EPOLLERR | EPOLLHUP))
#define PD_POLL_OUT ((__force u32)(EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND))
#define PD_POLL_DEAD (EPOLLERR | EPOLLHUP)

/* how long a host that has too much to do is asked again before that is an error */
#define PD_POLL_BUSY_TRIES 200
#define PD_POLL_BUSY_MS 10

static void pd_poll_wake(struct pd_file *pf, u32 events)
{
	__wake_up(&pf->wait, TASK_NORMAL, 0, poll_to_key((__force __poll_t)events));
}

/* the answer to a question for @ask, which was put when the file's counters had these values */
static void pd_poll_note(struct pd_file *pf, const struct pd_request *r, u32 ask, u32 events,
			 u32 ops)
{
	unsigned long flags;

	if (!r->answer.u.poll.armed)
		return;
	spin_lock_irqsave(&pf->lock, flags);
	if (pf->events == events) {
		pf->armed = ask;
		pf->fresh = ops;
	}
	spin_unlock_irqrestore(&pf->lock, flags);
}

/*
 * Asks the host for the readiness of @ask, and of what else is armed as far as it is in @keep: the
 * host arms what it was asked for last. Negative when it cannot be had.
 */
static long pd_poll_ask(struct file *file, u32 ask, u32 keep)
{
	struct pd_file *pf = file->private_data;
	u32 events, ops;
	struct pd_request *r;
	long ret;
	int tries;

	for (tries = 0; tries < PD_POLL_BUSY_TRIES; tries++) {
		r = pd_file_request(file, PD_OP_POLL, NULL);
		if (!r)
			return -ENOMEM;
		spin_lock_irq(&pf->lock);
		pf->armed &= keep;
		ask |= pf->armed;
		events = pf->events;
		ops = pf->ops;
		spin_unlock_irq(&pf->lock);
		r->req.u.poll.events = cpu_to_le32(ask);
		ret = pd_req_run(&r, PD_WAIT_KILL);
		if (ret >= 0) {
			pd_poll_note(pf, r, ask, events, ops);
			ret = le32_to_cpu(r->answer.u.poll.mask) & PD_POLL_EVENTS;
		}
		pd_req_free(r);
		if (ret != -EBUSY || msleep_interruptible(PD_POLL_BUSY_MS))
			break;
	}
	return ret;
}

/* is "nothing of @want is ready" known? */
static bool pd_poll_cached(struct pd_file *pf, u32 want)
{
	bool ret;

	spin_lock_irq(&pf->lock);
	ret = pf->armed && !(want & ~pf->armed) && pf->fresh == pf->ops;
	spin_unlock_irq(&pf->lock);
	return ret;
}

static __poll_t pd_poll_mask(struct file *file, u32 want, bool edge)
{
	struct pd_file *pf = file->private_data;
	long mask;

	mask = pd_poll_ask(file, want, ~0u);
	if (mask > 0 && !(mask & want)) {
		/* only what others wait for is ready: they ask for themselves */
		pd_poll_wake(pf, mask);
		mask = pd_poll_ask(file, want, ~(u32)mask);
	}
	if (mask < 0)
		return fatal_signal_pending(current) ? 0 : PD_POLL_DEAD;
	/* an edge-triggered waiter is told of this now, and of the rest when it comes */
	if (edge && mask && (want & ~mask))
		pd_poll_ask(file, want & ~(u32)mask, ~(u32)mask);
	return (__force __poll_t)(mask & want);
}

__poll_t pd_poll(struct file *file, struct poll_table_struct *wait)
{
	struct pd_file *pf = file->private_data;
	u32 key = (__force u32)poll_requested_events(wait);
	u32 want = (key & PD_POLL_EVENTS) | PD_POLL_ALWAYS;
	bool edge = wait && (key & (__force u32)EPOLLET) && key != ~0u;

	poll_wait(file, &pf->wait, wait);
	if (pd_host_lost(pf->host))
		return PD_POLL_DEAD;
	if (edge) {
		spin_lock_irq(&pf->lock);
		pf->edge |= want;
		spin_unlock_irq(&pf->lock);
	}
	if (pd_poll_cached(pf, want))
		return 0;
	return pd_poll_mask(file, want, edge);
}

/* ---- edge-triggered waiters ---- */

/**
 * struct pd_rearm - a question put on behalf of edge-triggered waiters
 * @ask: events asked for
 * @events: pd_file.events when it was put
 * @ops: likewise
 */
struct pd_rearm {
	u32 ask;
	u32 events;
	u32 ops;
};

static void pd_poll_rearm(struct pd_host *host, u64 handle, u32 ask, u32 ready);

/* the answer came; runs from a work item */
static void pd_poll_rearmed(struct pd_request *r)
{
	struct pd_rearm *a = r->priv;
	u64 handle = le64_to_cpu(r->req.file);
	struct pd_file *pf;
	u32 mask = 0;

	if (r->result >= 0)
		mask = le32_to_cpu(r->answer.u.poll.mask) & PD_POLL_EVENTS;
	rcu_read_lock();
	pf = xa_load(&r->host->files, handle);
	if (pf && r->result < 0) {
		pd_file_event(pf, 0); /* they find out by themselves */
	} else if (pf) {
		pd_poll_note(pf, r, a->ask, a->events, a->ops);
		/* there is still something: more of it might make no edge on the host */
		mask &= a->ask;
		if (mask & (~PD_POLL_OUT | pf->armed))
			pd_poll_wake(pf, mask & (~PD_POLL_OUT | pf->armed));
	}
	rcu_read_unlock();
	if (pf && mask && (a->ask & ~mask))
		pd_poll_rearm(r->host, handle, a->ask & ~mask, mask);
	kfree(a);
}

/* asks for @ask, and what else is armed and not in @ready */
static void pd_poll_rearm(struct pd_host *host, u64 handle, u32 ask, u32 ready)
{
	struct pd_rearm *a = kzalloc(sizeof(*a), GFP_KERNEL);
	struct pd_request *r = pd_req_new(host, PD_OP_POLL, NULL);
	struct pd_file *pf;
	unsigned long flags;

	if (!a || !r)
		goto fail;
	r->req.file = cpu_to_le64(handle);
	r->orphaned = pd_poll_rearmed;
	r->priv = a;
	rcu_read_lock();
	pf = xa_load(&host->files, handle);
	if (pf) {
		spin_lock_irqsave(&pf->lock, flags);
		a->ask = ask | (pf->armed & ~ready);
		a->events = pf->events;
		a->ops = pf->ops;
		spin_unlock_irqrestore(&pf->lock, flags);
	}
	rcu_read_unlock();
	r->req.u.poll.events = cpu_to_le32(a->ask);
	if (pf && !pd_req_post(r))
		return;
fail:
	pd_req_free(r);
	kfree(a);
}

/* an operation has run on @pf: nothing that was known of its readiness is certain any more */
void pd_file_ran(struct pd_file *pf)
{
	u32 edge;

	spin_lock_irq(&pf->lock);
	pf->ops++;
	edge = pf->edge;
	spin_unlock_irq(&pf->lock);
	/* waiters were queued when @edge was set; one that comes later asks by itself */
	if (edge && waitqueue_active(&pf->wait))
		pd_poll_rearm(pf->host, pf->handle, edge, 0);
}

/**
 * pd_file_event() - @pf may have become ready
 * @pf: file, held or under RCU
 * @events: EPOLL* bits, 0 when unknown
 *
 * Any context.
 */
void pd_file_event(struct pd_file *pf, u32 events)
{
	unsigned long flags;
	u32 armed;

	spin_lock_irqsave(&pf->lock, flags);
	armed = pf->armed;
	pf->armed = 0;
	pf->events++;
	spin_unlock_irqrestore(&pf->lock, flags);
	/* who waits for something else that was armed has to ask again */
	pd_poll_wake(pf, events ? events | armed : 0);
}

/* ---- SIGIO ---- */

/* @pf's driver raised SIGIO; any context */
void pd_file_sigio(struct pd_file *pf, u32 events)
{
	/* the band that a driver's kill_fasync() gives, and what it was called with */
	static const struct {
		__poll_t band;
		int reason;
	} bands[] = {
		{ EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND, POLL_OUT },
		{ EPOLLIN | EPOLLRDNORM | EPOLLMSG, POLL_MSG },
		{ EPOLLERR, POLL_ERR },
		{ EPOLLPRI | EPOLLRDBAND, POLL_PRI },
		{ EPOLLHUP | EPOLLERR, POLL_HUP },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bands); i++)
		if (events == (__force u32)bands[i].band)
			break;
	kill_fasync(&pf->fasync, SIGIO, i < ARRAY_SIZE(bands) ? bands[i].reason : POLL_IN);
}

int pd_fasync(int fd, struct file *file, int on)
{
	struct pd_file *pf = file->private_data;
	struct pd_request *r;
	struct pd_mm *m;
	long ret;
	int changed;

	changed = fasync_helper(fd, file, on, &pf->fasync);
	if (changed <= 0)
		return changed;
	/* the release that follows turns it off at the host */
	if (fd < 0)
		return changed;
	m = pd_file_enter(pf, false, false);
	ret = PTR_ERR_OR_ZERO(m);
	if (!ret) {
		ret = -ENOMEM;
		r = pd_file_request(file, PD_OP_FASYNC, m);
		if (r) {
			r->req.u.fasync.on = cpu_to_le32(!!on);
			ret = pd_req_run(&r, PD_WAIT_INTR);
			pd_req_free(r);
		}
		pd_mm_put(m);
	}
	if (ret >= 0)
		return changed;
	if (on)
		fasync_helper(fd, file, 0, &pf->fasync);
	return ret;
}
