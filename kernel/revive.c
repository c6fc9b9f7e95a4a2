// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that the mmu notifier spoke of and that are the program's all the same.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "core.h"
#include "show.h"

/* stale pages looked at for one message, and failures in a row after which the rest is given up */
#define PD_REVIVE 128
#define PD_REVIVE_MISSES 8

/**
 * struct pd_revived - a stale page that is still the program's
 * @index: page index
 * @page: pinned once more
 */
struct pd_revived {
	unsigned long index;
	struct page *page;
};

/* pins once more the stale pages that are still mapped as they were; entries of @rev */
static unsigned int pd_revive_pin(struct pd_mm *m, struct pd_revived *rev)
{
	unsigned int i, n = 0, found = 0, misses = 0;
	struct pd_pin *pin;

	spin_lock(&m->lock);
	list_for_each_entry(pin, &m->stale, link) {
		if ((pin->flags & (PD_PIN_WRITE | PD_PIN_SHORT)) != PD_PIN_WRITE)
			continue;
		rev[n++].index = pin->index;
		if (n == PD_REVIVE)
			break;
	}
	spin_unlock(&m->lock);
	for (i = 0; i < n && misses < PD_REVIVE_MISSES; i++) {
		unsigned long addr = rev[i].index << PAGE_SHIFT;

		if (pin_user_pages_fast(addr, 1, FOLL_WRITE | FOLL_NOFAULT,
					&rev[found].page) == 1) {
			rev[found++].index = rev[i].index;
			misses = 0;
		} else {
			misses++;
		}
	}
	return found;
}

/* the stale page of this index and frame is known again; m->lock held */
static void pd_revive_one(struct pd_mm *m, const struct pd_revived *rev)
{
	struct pd_pin *pin;

	list_for_each_entry(pin, &m->stale, link) {
		if (pin->index != rev->index)
			continue;
		if (pin->page != rev->page || xa_load(&m->known, pin->index) ||
		    xa_is_err(xa_store(&m->known, pin->index, pin, GFP_ATOMIC | __GFP_NOWARN)))
			return;
		list_move(&pin->link, &m->warm);
		m->nstale--;
		m->nknown++;
		atomic_dec(&pd_stats.stale);
		atomic_inc(&pd_stats.known);
		return;
	}
}

/*
 * The notifier speaks of ranges in which something may change; most often the pages stay. Those
 * need not be dropped, and must not where an operation is under way in them. The caller is the
 * task whose memory it is.
 */
void pd_mm_revive(struct pd_mm *m)
{
	struct pd_revived *rev;
	unsigned long seq;
	unsigned int i, n;

	if (!READ_ONCE(m->nstale))
		return;
	rev = kmalloc_array(PD_REVIVE, sizeof(*rev), GFP_KERNEL);
	if (!rev)
		return;
	seq = mmu_interval_read_begin(&m->notifier);
	n = pd_revive_pin(m, rev);
	spin_lock(&m->lock);
	if (m->state == PD_MM_LIVE && !mmu_interval_read_retry(&m->notifier, seq))
		for (i = 0; i < n; i++)
			pd_revive_one(m, &rev[i]);
	spin_unlock(&m->lock);
	for (i = 0; i < n; i++)
		unpin_user_page(rev[i].page);
	kfree(rev);
}
