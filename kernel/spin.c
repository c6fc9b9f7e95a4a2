// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looking for an answer for a while before sleeping: where it comes soon, neither an interrupt nor a switch
 * of tasks is worth it. How long is learnt for each kind of operation: four times as long as answers took that were
 * found, longer while they come soon after the task went to sleep, less and then not at all once they take longer
 * than anybody may look.
 */
#include <linux/hash.h>
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>

#include "core.h"
#include "queue.h"
#include "request.h"

#define PD_SPIN_FIRST 10000u /* ns */
/* where looking is of no use, it is tried again each so many times */
#define PD_SPIN_PROBE 8
/* not where locks sleep: who looks keeps the processor */
#define PD_SPINS (!IS_ENABLED(CONFIG_PREEMPT_RT))

static u32 pd_spin_max(void)
{
	return min(READ_ONCE(pd_spin_us), 1000000u) * 1000u;
}

/* what is learnt of operations like @r. Of two in one place each spoils the other's, no more */
static struct pd_spin *pd_spin_kind(struct pd_request *r)
{
	u32 kind = le16_to_cpu(r->req.op);

	if (kind == PD_OP_IOCTL)
		kind ^= le32_to_cpu(r->req.u.ioctl.cmd) << 8;
	return &r->host->spin[hash_32(kind, PD_SPIN_BITS)];
}

/* for how long to look now */
static u32 pd_spin_limit(struct pd_spin *spin)
{
	u32 limit = READ_ONCE(spin->limit), skipped;

	if (!limit) {
		skipped = READ_ONCE(spin->skipped) + 1;
		WRITE_ONCE(spin->skipped, skipped);
		if (skipped % PD_SPIN_PROBE == 0)
			limit = U32_MAX;
	}
	return min(limit, pd_spin_max());
}

/* tells the host of @r. Where its task will look for the answer, that needs no interrupt from now on */
void pd_req_kick(struct pd_request *r)
{
	if (r->awaited && PD_SPINS)
		pd_queue_spin(pd_req_queue(r), true);
	pd_queue_kick(pd_req_queue(r));
}

/*
 * Looks for the answer to @r once, since the host may have run instead of us, and then until it is time to
 * sleep: nobody else may be waiting for the processor. To be followed by the wait proper, whatever came of it.
 */
void pd_req_spin(struct pd_request *r)
{
	u32 limit = pd_spin_limit(pd_spin_kind(r));
	struct pd_queue *q = pd_req_queue(r);
	u64 begin = local_clock();

	r->sent = begin;
	if (!PD_SPINS)
		return;
	if (!single_task_running())
		limit = 0;
	for (;;) {
		pd_queue_answered(q);
		if (pd_req_answered(r) || need_resched() || signal_pending(current) ||
		    local_clock() - begin >= limit)
			break;
		cpu_relax();
	}
	r->found = pd_req_answered(r);
	pd_queue_spin(q, false);
}

/* @r, of which pd_req_spin() saw the begin, is answered and its task runs */
void pd_req_spun(struct pd_request *r)
{
	struct pd_spin *spin = pd_spin_kind(r);
	u32 limit = READ_ONCE(spin->limit), max = pd_spin_max();
	u64 took = local_clock() - r->sent;

	if (took > max)
		limit = limit < PD_SPIN_FIRST ? 0 : limit - limit / 4;
	else if (r->found)
		limit = max_t(u32, 4 * took, limit - limit / 8);
	else
		limit = max(2 * limit, PD_SPIN_FIRST);
	WRITE_ONCE(spin->limit, min(limit, max));
}
