// SPDX-License-Identifier: GPL-2.0-only
/*
 * Running a request to its final answer: through signals, faults, and the death of who waits.
 */
#include <linux/sched/signal.h>

#include "core.h"
#include "request.h"
#include "weak.h"

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

	pd_req_spin(r);
	switch (how) {
	case PD_WAIT_HOST:
		wait_event_idle(r->wait, pd_req_ready(r));
		break;
	case PD_WAIT_EXIT:
		if (!pd_killed() && !wait_event_killable(r->wait, pd_req_ready(r)))
			break;
		if (!wait_event_timeout(r->wait, pd_req_ready(r),
					PD_WEAK(EXIT) ? MAX_SCHEDULE_TIMEOUT : PD_EXIT_WAIT)) {
			pr_warn(PD_NAME
				": %s[%d] ends while the host is still busy with its operation %u\n",
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
	pd_req_spun(r);
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
void pd_req_make_continue(struct pd_request *r)
{
	struct pd_req *q = &r->req;

	r->chain_tag = atomic64_inc_return(&r->host->next_tag);
	memset(&q->u, 0, sizeof(q->u));
	q->op = cpu_to_le16(PD_OP_CONTINUE);
	q->tag = cpu_to_le64(r->chain_tag);
	q->ndrops = 0;
	q->npages = 0;
	q->nvecs = 0;
	q->nfds = 0;
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
	case -EFAULT:
		return r->starved ? -ENOMEM : -EFAULT;
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

	r->awaited = true;
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
		if (r->mm) {
			pd_mm_answered(r->mm, r->seq);
			if (r->result == -EIO)
				WRITE_ONCE(r->mm->suspect, true);
		}
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
