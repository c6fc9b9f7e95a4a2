// SPDX-License-Identifier: Apache-2.0
/*
 * Touches of addresses for which no page is known: who touched, may it, and whom to ask.
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <unistd.h>

#include "log.h"
#include "mirror_private.h"

static bool may_touch(const struct mirror_op *op, uint64_t page)
{
	if (!op->allowed)
		return true;
	for (unsigned int i = 0; i < op->nallowed; i++) {
		const struct pd_range *r = &op->allowed[i];

		if (r->len && r->addr < page + PD_PAGE_SIZE &&
		    (r->addr >= page || page - r->addr < r->len))
			return true;
	}
	return false;
}

static struct mirror_thread *by_tid(struct mirror *m, pid_t tid)
{
	for (unsigned int i = MIRROR_SLOT_FIRST; i < m->nslots; i++)
		if (m->threads[i]->tid == tid)
			return m->threads[i];
	return NULL;
}

/*
 * Is it the first time that @t's touch of @addr would be refused? The page may have come since, and @t
 * have gone on: who still waits touches it once more. By m->lock.
 */
static bool doubtful(struct mirror_thread *t, uint64_t addr)
{
	bool first = t->doubted != addr || t->doubted_op != t->nth_op;

	t->doubted = addr;
	t->doubted_op = t->nth_op;
	return first;
}

static void fault(struct mirror *m, uint64_t addr, bool write, pid_t tid)
{
	struct mirror_pool *pool = m->pool;
	bool asked = false, again;
	struct mirror_thread *t;

	COUNT(pool, faults, 1);
	/*
	 * These touch nothing of the program's by themselves: somebody has changed what they were told in the result
	 * slots. Who waits for them may hold any lock.
	 */
	if (tid == m->mapper_pid || tid == m->pid) {
		log_limited(LOG_WARNING,
			    "mirror of %s: its own thread was led to %#llx, it is ended", m->name,
			    (unsigned long long)addr);
		mirror_kill(m);
		return;
	}
	/* an operation ends by m->lock, so it is there while it is asked about */
	pthread_mutex_lock(&m->lock);
	t = by_tid(m, tid);
	if (t && t->op && !t->op->unasked && !(t->op->state & OP_ABANDONED) &&
	    may_touch(t->op, addr)) {
		t->op->fault_addr = addr;
		t->op->state |= OP_FAULTING;
		asked = pool->env.fault(pool->env.ctx, t->op, addr, write);
		if (!asked)
			t->op->state &= ~OP_FAULTING;
	}
	again = !asked && t && doubtful(t, addr);
	pthread_mutex_unlock(&m->lock);
	if (asked) {
		COUNT(pool, faults_asked, 1);
		return;
	}
	if (again) {
		mirror_wake(m, addr, PD_PAGE_SIZE);
		return;
	}
	COUNT(pool, faults_refused, 1);
	mirror_poison(m, t, addr);
}

void mirror_fault_read(struct mirror *m)
{
	struct uffd_msg msg[16];
	ssize_t n;

	n = read(m->uffd, msg, sizeof(msg));
	for (ssize_t i = 0; i < n / (ssize_t)sizeof(msg[0]); i++) {
		if (msg[i].event != UFFD_EVENT_PAGEFAULT)
			continue;
		fault(m, msg[i].arg.pagefault.address & ~(uint64_t)(PD_PAGE_SIZE - 1),
		      msg[i].arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE,
		      msg[i].arg.pagefault.feat.ptid);
	}
}

int mirror_fault_done(struct mirror_op *op, int error)
{
	struct mirror *m = op->m;
	struct mirror_thread *t;
	uint64_t addr = 0;
	bool was;

	pthread_mutex_lock(&m->lock);
	was = op->state & OP_FAULTING;
	t = op->thread;
	if (was) {
		op->state &= ~OP_FAULTING;
		addr = op->fault_addr;
	}
	pthread_mutex_unlock(&m->lock);
	if (!was)
		return -ENOENT;
	if (!error)
		return mirror_wake(m, addr, PD_PAGE_SIZE);
	COUNT(m->pool, faults_refused, 1);
	mirror_poison(m, t, addr);
	return 0;
}
