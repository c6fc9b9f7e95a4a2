// SPDX-License-Identifier: GPL-2.0-only
/*
 * poll, select, epoll and SIGIO.
 *
 * The host tells of readiness only when asked, once, and only of events that were not ready when
 * it was asked ("armed"). "Nothing is ready" may be answered from what is armed while no operation
 * ran and no event came. A readiness is believed once, by the first who asks within a moment of the event
 * that told of it, which is whom it has woken.
 *
 * Edge-triggered waiters do not ask again before they sleep: for them the host tells of every edge.
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
#define PD_POLL_DEAD (EPOLLERR | EPOLLHUP)

/* how long a host that has too much to do is asked again before that is an error */
#define PD_POLL_BUSY_TRIES 200
#define PD_POLL_BUSY_MS 10

static void pd_poll_wake(struct pd_file *pf, u32 events)
{
	__wake_up(&pf->wait, TASK_NORMAL, 0, poll_to_key((__force __poll_t)events));
}

/*
 * The answer to a question for @ask, which was put when the file's counters had these values. What is ready is
 * armed no longer; whose event is still on its way is woken now, since another question may take it back.
 */
static void pd_poll_note(struct pd_file *pf, const struct pd_request *r, u32 ask, u32 events,
			 u32 ops, bool edge)
{
	u32 ready = le32_to_cpu(r->answer.u.poll.mask);

	spin_lock_irq(&pf->lock);
	if (edge)
		pf->edge |= ask;
	if (r->answer.u.poll.armed && pf->events == events) {
		pf->armed = ask;
		pf->fresh = ops;
	}
	ready &= pf->armed;
	pf->armed &= ~ready;
	spin_unlock_irq(&pf->lock);
	if (ready)
		pd_poll_wake(pf, ready);
}

/* who asked was killed: when the host comes to the question it arms what that was for, and no more */
static void pd_poll_orphaned(struct pd_request *r)
{
	struct pd_file *pf = r->priv;

	pd_file_event(pf, 0);
	pd_file_put(pf);
}

/* puts one question, of @file and already filled in; the answer's mask, or a negative errno */
static long pd_poll_run(struct pd_file *pf, struct pd_request *r, u32 ask, u32 events, u32 ops,
			bool edge)
{
	long ret;

	refcount_inc(&pf->ref);
	r->orphaned = pd_poll_orphaned;
	r->priv = pf;
	ret = pd_req_run(&r, PD_WAIT_KILL);
	if (!r)
		return ret; /* the orphan has the reference */
	if (ret >= 0) {
		pd_poll_note(pf, r, ask, events, ops, edge);
		ret = le32_to_cpu(r->answer.u.poll.mask) & PD_POLL_EVENTS;
	}
	pd_req_free(r);
	pd_file_put(pf);
	return ret;
}

/*
 * Asks the host for the readiness of @ask, and of what else is armed as far as it is in @keep: the
 * host arms what it was asked for last. Negative when it cannot be had. pf->asks held.
 */
static long pd_poll_ask(struct file *file, u32 ask, u32 keep, bool edge)
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
		pf->asked = ask;
		events = pf->events;
		ops = pf->ops;
		spin_unlock_irq(&pf->lock);
		r->req.u.poll.events = cpu_to_le32(ask);
		r->req.u.poll.flags = cpu_to_le32(edge ? PD_POLL_EDGE : 0);
		ret = pd_poll_run(pf, r, ask, events, ops, edge);
		if (ret != -EBUSY)
			break;
		if (msleep_interruptible(PD_POLL_BUSY_MS) || signal_pending(current))
			return -EINTR;
	}
	return ret;
}

/* the readiness of @want, and of what others ask for at the same time; or a negative errno */
static long pd_poll_question(struct file *file, u32 want, bool edge)
{
	struct pd_file *pf = file->private_data;
	long mask;

	/* one at a time: of two questions the host would arm what the later one asks for alone */
	if (mutex_lock_interruptible(&pf->asks))
		return -EINTR;
	mask = pd_poll_ask(file, want, ~0u, edge);
	if (mask > 0 && !(mask & want)) {
		/* only what others wait for is ready: they ask for themselves */
		pd_poll_wake(pf, mask);
		mask = pd_poll_ask(file, want, ~(u32)mask, false);
	}
	spin_lock_irq(&pf->lock);
	pf->asked = 0;
	spin_unlock_irq(&pf->lock);
	mutex_unlock(&pf->asks);
	return mask;
}

/* what of @want an event has just told to be ready; 0 when that has to be asked */
static u32 pd_poll_told(struct pd_file *pf, u32 want)
{
	u32 ret = 0;

	spin_lock_irq(&pf->lock);
	/* of what was not armed the event knew nothing */
	if (pf->told && !(want & ~pf->told_of) && pf->fresh == pf->ops &&
	    time_before_eq(jiffies, pf->told_at + 1))
		ret = pf->told & want;
	pf->told = 0;
	spin_unlock_irq(&pf->lock);
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

__poll_t pd_poll(struct file *file, struct poll_table_struct *wait)
{
	struct pd_file *pf = file->private_data;
	u32 key = (__force u32)poll_requested_events(wait);
	u32 want = (key & PD_POLL_EVENTS) | PD_POLL_ALWAYS;
	bool edge = key != ~0u && (key & (__force u32)EPOLLET) && (want & ~READ_ONCE(pf->edge));
	long mask;

	poll_wait(file, &pf->wait, wait);
	if (pd_host_lost(pf->host))
		return PD_POLL_DEAD;
	if (!edge && pd_poll_cached(pf, want))
		return 0;
	mask = edge ? 0 : pd_poll_told(pf, want);
	if (mask)
		return (__force __poll_t)mask;
	mask = pd_poll_question(file, want, edge);
	if (mask < 0 && !signal_pending(current))
		return PD_POLL_DEAD;
	if (mask < 0) {
		/* nothing is known: whoever wants to sleep, or an epoll that files it as quiet, asks again */
		pd_poll_wake(pf, 0);
		return 0;
	}
	return (__force __poll_t)(mask & want);
}

/* an operation has run on @pf: nothing that was known of its readiness is certain any more */
void pd_file_ran(struct pd_file *pf)
{
	spin_lock_irq(&pf->lock);
	pf->ops++;
	spin_unlock_irq(&pf->lock);
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
	u32 armed, asked;

	spin_lock_irqsave(&pf->lock, flags);
	armed = pf->armed;
	asked = pf->asked;
	pf->told = armed ? events : 0;
	pf->told_of = armed;
	pf->told_at = jiffies;
	pf->armed = 0;
	pf->events++;
	spin_unlock_irqrestore(&pf->lock, flags);
	/*
	 * Who waits for something else that was armed has to ask again; and so does who is being answered: what
	 * the host armed for that it may have told of with this event.
	 */
	pd_poll_wake(pf, events ? events | armed | asked : 0);
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
