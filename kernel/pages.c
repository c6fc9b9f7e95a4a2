// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pages of an address space that the host may touch: how they are let go.
 *
 * A page is known (the host may touch it), stale (gone from the program; the next message drops
 * it), dropping (such a message is on its way), or kept (dropped, but a driver may have pinned it
 * in an ioctl). Where a page is known at an address, none is stale there: what is stale is always
 * dropped with or before the message that shows something new.
 */
#include <linux/mm.h>

#include "core.h"
#include "show.h"
#include "transport.h"
#include "weak.h"

/* frees the pins of a list of ours; may sleep */
static void pd_pin_free_list(struct list_head *list)
{
	struct pd_pin *pin, *next;

	list_for_each_entry_safe(pin, next, list, link)
		pd_pin_free(pin);
}

/* @pin, which is out of the known set already, is to be dropped; m->lock held */
void pd_pin_stale(struct pd_mm *m, struct pd_pin *pin, struct list_head *list)
{
	m->losses++;
	if (m->ioctls_now || pin->birth != m->ioctls)
		pin->flags |= PD_PIN_EXPOSED;
	list_move_tail(&pin->link, list);
	m->nknown--;
	atomic_dec(&pd_stats.known);
	atomic_inc(&pd_stats.stale);
	if (list == &m->stale)
		m->nstale++;
}

/* known pages with indices from @first to @last are not the program's any more; m->lock held */
void pd_mm_stale_range(struct pd_mm *m, unsigned long first, unsigned long last)
{
	struct pd_pin *pin;
	unsigned long index;

	if (!m->nknown)
		return;
	xa_for_each_range(&m->known, index, pin, first, last) {
		xa_erase(&m->known, index);
		pd_pin_stale(m, pin, &m->stale);
	}
	if (m->nstale && m->state == PD_MM_LIVE)
		queue_delayed_work(pd_wq, &m->drop_work, HZ / 2);
}

/* keeps a page that a driver may have pinned; false when it need not be, or is already; m->lock */
static bool pd_mm_keep(struct pd_mm *m, struct pd_pin *pin)
{
	unsigned long pfn = page_to_pfn(pin->page);
	struct pd_pin *old;

	if (m->host->ops->unshare || PD_WEAK(KEEP))
		return false; /* which tells what is in use */
	if (!(pin->flags & PD_PIN_EXPOSED) || (pin->flags & PD_PIN_KERNEL) || !m->ioctl_files)
		return false;
	old = xa_load(&m->kept_pfns, pfn);
	if (old) {
		old->flags |= pin->flags & PD_PIN_WRITE;
		return false;
	}
	/* when this fails it may be kept twice, no more */
	xa_store(&m->kept_pfns, pfn, pin, GFP_ATOMIC | __GFP_NOWARN);
	list_move_tail(&pin->link, &m->kept);
	WRITE_ONCE(m->nkept, m->nkept + 1);
	atomic_inc(&pd_stats.kept);
	return true;
}

/* moves from @from to @done what need not be kept; m->lock held */
static void pd_mm_settle_pins(struct pd_mm *m, struct list_head *from, u64 seq,
			      struct list_head *done)
{
	struct pd_pin *pin, *next;

	list_for_each_entry_safe(pin, next, from, link) {
		if (pin->seq > seq)
			break; /* they are in order */
		atomic_dec(&pd_stats.stale);
		if (!pd_mm_keep(m, pin))
			list_move_tail(&pin->link, done);
	}
}

/**
 * pd_mm_answered() - the host has read @m's messages up to @seq: what they dropped is let go
 * @m: address space
 * @seq: pd_request.seq of a message that was answered
 *
 * May sleep.
 */
void pd_mm_answered(struct pd_mm *m, u64 seq)
{
	LIST_HEAD(done);

	spin_lock(&m->lock);
	if (seq > m->seq_done)
		m->seq_done = seq;
	pd_mm_settle_pins(m, &m->dropping, m->seq_done, &done);
	spin_unlock(&m->lock);
	pd_pin_free_list(&done);
}

/*
 * Frees @list, or, when the host was lost and may still use its pages, leaves them pinned, unless it
 * can be told when it does not
 */
static void pd_pin_let_go(struct pd_mm *m, struct list_head *list, bool leak)
{
	struct pd_pin *pin, *next;
	unsigned long leaked = 0;

	if (!leak || m->host->ops->unshare) {
		pd_pin_free_list(list);
		return;
	}
	list_for_each_entry_safe(pin, next, list, link) {
		pd_pin_leak(pin);
		leaked++;
	}
	if (leaked)
		pr_warn(PD_NAME ": %lu pages stay pinned: the host was lost and may still use them\n",
			leaked);
}

/*
 * No file is left through which a driver could use pages of @m, unless another thread has begun with
 * one meanwhile; may sleep
 */
void pd_mm_release_kept(struct pd_mm *m)
{
	struct pd_pin *pin;
	LIST_HEAD(done);

	spin_lock(&m->lock);
	if (m->ioctl_files) {
		spin_unlock(&m->lock);
		return;
	}
	list_for_each_entry(pin, &m->kept, link)
		xa_erase(&m->kept_pfns, page_to_pfn(pin->page));
	list_splice_init(&m->kept, &done);
	atomic_sub(m->nkept, &pd_stats.kept);
	WRITE_ONCE(m->nkept, 0);
	spin_unlock(&m->lock);
	pd_pin_let_go(m, &done, pd_host_lost(m->host));
}

/**
 * pd_mm_free_pages() - lets go of all pages of an address space that the host has ended
 * @m: address space, dying
 * @leak: the host did not say that it ended it: pages are freed only where the transport can tell
 *	that it has let go of them
 *
 * May sleep.
 */
void pd_mm_free_pages(struct pd_mm *m, bool leak)
{
	struct pd_pin *pin;
	LIST_HEAD(done);

	spin_lock(&m->lock);
	pd_mm_stale_range(m, 0, ULONG_MAX);
	list_splice_tail_init(&m->stale, &m->dropping);
	m->nstale = 0;
	list_for_each_entry(pin, &m->dropping, link)
		pin->seq = 0;
	pd_mm_settle_pins(m, &m->dropping, 0, &done);
	spin_unlock(&m->lock);
	pd_pin_let_go(m, &done, leak);
}

/*
 * Takes up to @pages of the least recently used that no driver can have pinned, or of which the
 * transport will tell; any context
 */
unsigned long pd_mm_shrink(struct pd_mm *m, unsigned long pages)
{
	bool told = m->host->ops->unshare;
	struct pd_pin *pin, *prev;
	unsigned long n = 0;

	spin_lock(&m->lock);
	if (m->state == PD_MM_LIVE && !m->ioctls_now) {
		list_for_each_entry_safe_reverse(pin, prev, &m->warm, link) {
			if (n == pages)
				break;
			if (!told && (pin->birth != m->ioctls || (pin->flags & PD_PIN_EXPOSED)))
				continue;
			xa_erase(&m->known, pin->index);
			pd_pin_stale(m, pin, &m->stale);
			n++;
		}
		if (n)
			mod_delayed_work(pd_wq, &m->drop_work, 0);
	}
	spin_unlock(&m->lock);
	return n;
}

/* takes up to @pages of the least recently used, though no more than half of all; how many */
unsigned long pd_mm_evict(struct pd_mm *m, unsigned long pages)
{
	struct pd_pin *pin;
	unsigned long n;

	spin_lock(&m->lock);
	pages = min(pages, m->nknown / 2);
	for (n = 0; n < pages; n++) {
		pin = list_last_entry(&m->warm, struct pd_pin, link);
		xa_erase(&m->known, pin->index);
		pd_pin_stale(m, pin, &m->stale);
	}
	spin_unlock(&m->lock);
	return n;
}

/* pages that could be pinned for an operation only are given back after it */
void pd_mm_drop_short(struct pd_mm *m)
{
	struct pd_pin *pin, *next;

	spin_lock(&m->lock);
	list_for_each_entry_safe(pin, next, &m->warm, link) {
		if (!(pin->flags & PD_PIN_SHORT))
			continue;
		xa_erase(&m->known, pin->index);
		pd_pin_stale(m, pin, &m->stale);
	}
	if (m->nstale && m->state == PD_MM_LIVE)
		mod_delayed_work(pd_wq, &m->drop_work, 0);
	spin_unlock(&m->lock);
}

/* drops what is stale, for want of an operation that would carry it */
void pd_mm_drop_work(struct work_struct *work)
{
	struct pd_mm *m = container_of(to_delayed_work(work), struct pd_mm, drop_work);
	struct pd_request *r;
	bool idle;

	spin_lock(&m->lock);
	idle = list_empty(&m->stale) && list_empty(&m->dropping);
	spin_unlock(&m->lock);
	if (idle)
		return;
	r = pd_req_new(m->host, PD_OP_DROP, m);
	if (r)
		pd_req_run(&r, PD_WAIT_HOST);
	pd_req_free(r);
}
