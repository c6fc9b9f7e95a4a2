// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages that concern an address space: with what they drop and what they show, queued in the
 * order in which its sets of pages change.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include "core.h"
#include "request.h"
#include "show.h"
#include "weak.h"

/* ranges dropped by one message: with all its lists it stays below 32 KiB */
#define PD_DROPS 256

/* pd_mm_queue(): something changed meanwhile */
#define PD_AGAIN 1

/* pages given back where no more can be shared, and how often before a fault fails for want of one */
#define PD_ROOM_PAGES 512
#define PD_ROOM_TRIES 20

/* ranges in which @m's stale pages would be dropped; m->lock held */
static unsigned int pd_mm_stale_ranges(struct pd_mm *m)
{
	unsigned long next = ULONG_MAX;
	struct pd_pin *pin;
	unsigned int n = 0;

	list_for_each_entry(pin, &m->stale, link) {
		if (pin->index != next)
			n++;
		next = pin->index + 1;
	}
	return n;
}

/* writes up to @max ranges of stale pages to @out; m->lock held */
static unsigned int pd_emit_drops(struct pd_mm *m, struct pd_range *out, unsigned int max, u64 seq)
{
	unsigned long next = ULONG_MAX;
	struct pd_pin *pin, *tmp;
	unsigned int n = 0;

	list_for_each_entry_safe(pin, tmp, &m->stale, link) {
		if (pin->index != next) {
			if (n == max)
				break;
			out[n].addr = cpu_to_le64((u64)pin->index << PAGE_SHIFT);
			out[n].len = 0;
			n++;
		}
		le64_add_cpu(&out[n - 1].len, PAGE_SIZE);
		next = pin->index + 1;
		pin->seq = seq;
		list_move_tail(&pin->link, &m->dropping);
		m->nstale--;
	}
	return n;
}

/* appends a page to @out, which has @n entries; the new number of entries */
static unsigned int pd_emit_page(struct pd_pages *out, unsigned int n, const struct pd_pin *pin)
{
	u64 addr = (u64)pin->index << PAGE_SHIFT;
	u32 flags = pin->flags & PD_PIN_WRITE ? PD_PAGES_WRITE : 0;

	if (n) {
		struct pd_pages *last = &out[n - 1];
		u32 count = le32_to_cpu(last->count);

		if (le64_to_cpu(last->addr) + ((u64)count << PAGE_SHIFT) == addr &&
		    le64_to_cpu(last->frame) + count == pin->frame &&
		    le32_to_cpu(last->flags) == flags) {
			last->count = cpu_to_le32(count + 1);
			return n;
		}
	}
	out[n].addr = cpu_to_le64(addr);
	out[n].frame = cpu_to_le64(pin->frame);
	out[n].count = cpu_to_le32(1);
	out[n].flags = cpu_to_le32(flags);
	return n + 1;
}

/* makes @pin known; false when it is already, or there is no memory: it is left to the caller */
static bool pd_mm_insert(struct pd_mm *m, struct pd_pin *pin, u64 seq)
{
	struct pd_pin *old = xa_load(&m->known, pin->index);

	if (old && old->page == pin->page && !(~old->flags & pin->flags & PD_PIN_WRITE))
		return false;
	if (xa_is_err(xa_store(&m->known, pin->index, pin, GFP_ATOMIC | __GFP_NOWARN)))
		return false;
	if (old) {
		/* what is shown now takes its place at the host */
		old->seq = seq;
		pd_pin_stale(m, old, &m->dropping);
	}
	pin->birth = m->ioctls;
	if (m->ioctls_now)
		pin->flags |= PD_PIN_EXPOSED;
	list_add(&pin->link, &m->warm);
	m->nknown++;
	atomic_inc(&pd_stats.known);
	return true;
}

/* writes the pages of @s to @out and makes them known; m->lock held */
static unsigned int pd_emit_pages(struct pd_mm *m, struct pd_show *s, struct pd_pages *out,
				  bool fault, u64 seq)
{
	struct pd_pin *pin;
	unsigned int i, left = 0, n = 0;

	for (i = 0; i < s->npins; i++) {
		pin = s->pins[i];
		if (!pd_mm_insert(m, pin, seq)) {
			s->pins[left++] = pin;
			continue;
		}
		n = pd_emit_page(out, n, pin);
	}
	s->npins = left;
	if (fault) {
		/* the host asks for it: it is sent even where it was known */
		pin = xa_load(&m->known, s->fault);
		if (pin)
			n = pd_emit_page(out, n, pin);
	}
	return n;
}

/* known pages beyond the bound are given back, the least recently used first; m->lock held */
static void pd_mm_bound(struct pd_mm *m)
{
	unsigned long bound = max(READ_ONCE(pd_warm_pages), 2u * PD_MAX_PAGES);
	struct pd_pin *pin;

	while (m->nknown > bound) {
		pin = list_last_entry(&m->warm, struct pd_pin, link);
		xa_erase(&m->known, pin->index);
		pd_pin_stale(m, pin, &m->stale);
	}
}

/* the message was not sent: what it would have dropped is stale still; m->lock held */
static void pd_mm_undrop(struct pd_mm *m, u64 seq)
{
	struct pd_pin *pin, *prev;

	list_for_each_entry_safe_reverse(pin, prev, &m->dropping, link) {
		if (pin->seq != seq)
			break;
		list_move(&pin->link, &m->stale);
		m->nstale++;
	}
}

/* queues @r's message with its lists; PD_AGAIN when it has to be prepared anew */
static int pd_mm_queue(struct pd_request *r, struct pd_show *s, bool fault, enum pd_wait how)
{
	bool first = r->chain_tag == r->tag, drop_only;
	size_t vecs_len = first ? r->nvecs * sizeof(*r->vecs) : 0;
	size_t fds_len = first ? r->nfds * sizeof(*r->fds) : 0;
	unsigned int room, ranges, n;
	struct pd_mm *m = r->mm;
	struct pd_req *q = &r->req;
	u8 *at;
	int ret;

	/* without pages it need not drop everything */
	drop_only = q->op == cpu_to_le16(PD_OP_DROP) && !s->npins;
	room = min_t(unsigned long, READ_ONCE(m->nstale) + 4, PD_DROPS);
	ret = pd_req_lists(r, room * sizeof(struct pd_range) +
				      (s->npins + 1) * sizeof(struct pd_pages) + vecs_len +
				      fds_len);
	if (ret == -ENOSPC && drop_only) {
		/* which is how room is made: as many as need none */
		room = (PD_REQ_INLINE - sizeof(struct pd_pages)) / sizeof(struct pd_range);
		ret = 0;
	}
	if (!ret)
		ret = pd_req_reserve(r, how);
	if (ret)
		return ret;

	spin_lock(&m->lock);
	if (m->state != PD_MM_LIVE) {
		ret = -EIO;
		goto unlock;
	}
	if (s->npins && m->mm && mmu_interval_read_retry(&m->notifier, s->seq)) {
		ret = PD_AGAIN;
		goto unlock;
	}
	ranges = pd_mm_stale_ranges(m);
	if (ranges > room && !drop_only) {
		ret = PD_AGAIN;
		goto unlock;
	}

	at = r->lists;
	n = pd_emit_drops(m, (struct pd_range *)at, room, m->seq + 1);
	q->ndrops = cpu_to_le32(n);
	at += n * sizeof(struct pd_range);
	n = pd_emit_pages(m, s, (struct pd_pages *)at, fault, m->seq + 1);
	q->npages = cpu_to_le32(n);
	at += n * sizeof(struct pd_pages);
	if (first) {
		memcpy(at, r->vecs, vecs_len);
		at += vecs_len;
		memcpy(at, r->fds, fds_len);
		at += fds_len;
		q->nvecs = cpu_to_le32(r->nvecs);
		q->nfds = cpu_to_le32(r->nfds);
	}
	r->lists_len = at - (u8 *)r->lists;

	if (fault && !n) {
		/* it went in the meantime; what was to be dropped still is */
		pd_mm_undrop(m, m->seq + 1);
		ret = PD_AGAIN;
		goto unlock;
	}
	r->seq = m->seq + 1;
	ret = pd_req_submit(r);
	if (ret) {
		pd_mm_undrop(m, r->seq);
	} else {
		m->seq++;
		pd_mm_bound(m);
		if (!list_empty(&m->dropping) || !list_empty(&m->stale))
			queue_delayed_work(pd_wq, &m->drop_work, HZ);
	}
unlock:
	spin_unlock(&m->lock);
	if (ret && r->reserved)
		pd_req_unreserve(r);
	return ret;
}

/* drops stale pages in messages of their own until the rest fits into @for_r's */
static int pd_mm_flush(const struct pd_request *for_r, enum pd_wait how)
{
	struct pd_mm *m = for_r->mm;
	struct pd_request *r;
	unsigned int ranges;
	long ret;

	for (;;) {
		spin_lock(&m->lock);
		ranges = pd_mm_stale_ranges(m);
		spin_unlock(&m->lock);
		if (ranges < PD_DROPS)
			return 0;
		r = pd_req_new(m->host, PD_OP_DROP, m);
		if (!r)
			return -ENOMEM;
		/* whoever holds the mmap_lock cannot look which pages are the program's still */
		r->nofault = for_r->nofault;
		ret = pd_req_run(&r, how == PD_WAIT_INTR ? PD_WAIT_KILL : how);
		pd_req_free(r);
		if (ret < 0)
			return ret;
	}
}

/* may the caller's task have pages of @m shown? */
static bool pd_mm_is_callers(const struct pd_mm *m)
{
	return !m->mm || m->mm == current->mm;
}

/* may @r's operation touch the page at @addr? An ioctl any; others nothing but what they name */
static bool pd_fault_concerns(const struct pd_request *r, unsigned long addr)
{
	unsigned int i;

	if (r->op == PD_OP_IOCTL || PD_WEAK(PAGES))
		return true;
	for (i = 0; i < r->nvecs; i++) {
		u64 start = le64_to_cpu(r->vecs[i].addr), len = le64_to_cpu(r->vecs[i].len);

		if (len && start < addr + PAGE_SIZE && addr <= start + len - 1)
			return true;
	}
	return false;
}

/* can the caller's task answer a fault of @r at @addr? */
static bool pd_fault_allowed(const struct pd_request *r, unsigned long addr)
{
	const struct pd_mm *m = r->mm;

	if (r->nofault || (addr & ~PAGE_MASK) || !pd_mm_is_callers(m) ||
	    !pd_fault_concerns(r, addr))
		return false;
	if (!m->mm)
		return true;
	return addr < TASK_SIZE_MAX && !(addr >= m->hole && addr < m->hole + m->hole_len);
}

/*
 * Answers the fault at @addr in @s's message: with the page, with the mapping of ours that is
 * there, or with an error. true: prepare it anew, a stack has grown or the like.
 */
static bool pd_fault_resolve(struct pd_request *r, struct pd_show *s, unsigned long addr,
			     bool *touched)
{
	char __user *p = (char __user *)addr;

	if (pd_show_has_fault(s))
		return false;
	if (r->mm->mm && pd_map_at(r->host, addr, &r->req.u.cont))
		return false;
	/* what the kernel does for its own accesses: a stack that grows, for one */
	if (r->mm->mm && !*touched && !fault_in_readable(p, 1)) {
		*touched = true;
		return true;
	}
	r->req.u.cont.error = cpu_to_le32(-EFAULT);
	return false;
}

/*
 * No more pages can be shared: gives back some that were not used for long. false: it has been done
 * often enough. What an operation is likely to touch is worth one attempt: it comes by faults, too.
 */
static bool pd_mm_make_room(struct pd_request *r, enum pd_wait how, bool is_fault)
{
	struct pd_mm *m = r->mm;
	struct pd_request *drop;

	if (r->room_tries >= (is_fault ? PD_ROOM_TRIES : 1) || r->nofault || r->nowait)
		return false;
	r->room_tries++;
	pd_mm_shrink_all(PD_ROOM_PAGES);
	if (!pd_mm_evict(m, PD_ROOM_PAGES)) {
		/* others give what they have */
		schedule_timeout_killable(HZ / 50 + 1);
		return true;
	}
	drop = pd_req_new(m->host, PD_OP_DROP, m);
	if (drop)
		pd_req_run(&drop, how == PD_WAIT_INTR ? PD_WAIT_KILL : how);
	pd_req_free(drop);
	return true;
}

/* pins or finds what @s wants; -ENOSPC when no more pages can be shared */
static int pd_mm_show(struct pd_request *r, struct pd_show *s)
{
	if (!s->nwant)
		return 0;
	return r->mm->mm ? pd_show_pin(r, s) : pd_show_bounce(r, s);
}

static int pd_mm_send_once(struct pd_request *r, enum pd_wait how, unsigned long fault,
			   bool is_fault, bool *touched)
{
	bool allowed = !is_fault || pd_fault_allowed(r, fault);
	struct pd_mm *m = r->mm;
	struct pd_show s;
	int ret = 0;

	if (is_fault) {
		r->req.u.cont.error = 0;
		r->req.u.cont.map = 0;
	}
	pd_show_init(&s, r, is_fault && allowed, fault >> PAGE_SHIFT);
	if (allowed && !r->nofault && pd_mm_is_callers(m)) {
		if (m->mm)
			pd_mm_revive(m);
		ret = pd_show_collect(m, r, &s) ?: pd_mm_show(r, &s);
		if (ret == -ENOSPC && !pd_mm_make_room(r, how, is_fault)) {
			r->starved = is_fault;
			ret = 0;
		}
		if (ret)
			goto out;
	}
	if (is_fault) {
		if (!allowed)
			r->req.u.cont.error = cpu_to_le32(-EFAULT);
		else if (pd_fault_resolve(r, &s, fault, touched))
			ret = PD_AGAIN;
	}
	if (!ret)
		ret = pd_mm_queue(r, &s, is_fault && !r->req.u.cont.error && !r->req.u.cont.map,
				  how);
	if (ret == -ENOSPC && !pd_mm_make_room(r, how, true))
		ret = -ENOMEM;
out:
	pd_show_exit(&s);
	return ret == -ENOSPC ? PD_AGAIN : ret;
}

/**
 * pd_mm_send() - sends @r's message in its address space's order, with the pages it likely needs
 * @r: request with an address space
 * @how: how to wait for a place in the queue
 * @fault: for an answer to a fault: the address
 * @is_fault: it is one
 *
 * May sleep; must be called by the task whose memory it is, to have pages shown.
 *
 * Return: 0 when the host has the message; -EIO, -ENOMEM, -EINTR, -EAGAIN, -ERESTARTSYS.
 */
int pd_mm_send(struct pd_request *r, enum pd_wait how, unsigned long fault, bool is_fault)
{
	bool drop_only = r->req.op == cpu_to_le16(PD_OP_DROP) && !r->nahead, touched = false;
	int ret;

	for (;;) {
		ret = pd_mm_send_once(r, how, fault, is_fault, &touched);
		if (ret != PD_AGAIN)
			break;
		if (fatal_signal_pending(current) && how != PD_WAIT_EXIT) {
			ret = -EINTR;
			break;
		}
		if (!drop_only) {
			ret = pd_mm_flush(r, how);
			if (ret)
				break;
		}
		cond_resched();
	}
	if (!ret) {
		pd_req_kick(r);
		pd_host_busy(r->host);
	}
	return ret;
}
