// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a message is to show: the pages that its operation likely touches and the host does not
 * know, found and pinned.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "core.h"
#include "show.h"

/* pages looked at for one message; those that the host does not know come by faults */
#define PD_SCAN_PAGES 4096

void pd_show_init(struct pd_show *s, const struct pd_request *r, bool is_fault, unsigned long fault)
{
	u64 pages = is_fault ? 1 : 0;
	unsigned int i;

	s->want = s->small_want;
	s->pages = s->small_pages;
	s->pins = s->small_pins;
	s->nwant = 0;
	s->npins = 0;
	s->cap = PD_SHOW_SMALL;
	s->is_fault = is_fault;
	s->fault = fault;

	if (r->hint.len)
		pages += (le64_to_cpu(r->hint.len) >> PAGE_SHIFT) + 2;
	for (i = 0; i < r->nvecs && pages < PD_MAX_PAGES; i++)
		pages += (le64_to_cpu(r->vecs[i].len) >> PAGE_SHIFT) + 2;
	for (i = 0; i < r->nahead && !is_fault; i++)
		pages += (le64_to_cpu(r->ahead[i].len) >> PAGE_SHIFT) + 2;
	/* one less: an answer to a fault may send one that is known */
	s->max = clamp_t(u64, pages, PD_SHOW_SMALL, PD_MAX_PAGES - 1);
}

/* makes room for all pages that may be wanted; what was collected is lost */
static int pd_show_grow(struct pd_show *s)
{
	s->nwant = 0;
	s->cap = s->max;
	s->want = kmalloc_array(s->cap, sizeof(*s->want), GFP_KERNEL);
	s->pages = kmalloc_array(s->cap, sizeof(*s->pages), GFP_KERNEL);
	s->pins = kmalloc_array(s->cap, sizeof(*s->pins), GFP_KERNEL);
	return s->want && s->pages && s->pins ? 0 : -ENOMEM;
}

/* frees it, and the pins that found no place; may sleep */
void pd_show_exit(struct pd_show *s)
{
	while (s->npins)
		pd_pin_free(s->pins[--s->npins]);
	if (s->want != s->small_want)
		kfree(s->want);
	if (s->pages != s->small_pages)
		kfree(s->pages);
	if (s->pins != s->small_pins)
		kfree(s->pins);
}

/* one page that the message may show; m->lock held. false: no room for more */
static bool pd_want_page(struct pd_mm *m, struct pd_show *s, unsigned long index)
{
	struct pd_pin *pin;

	if (s->nwant == s->cap)
		return false;
	if (index >= m->hole >> PAGE_SHIFT && index < (m->hole + m->hole_len) >> PAGE_SHIFT)
		return true;
	if (s->nwant && s->want[s->nwant - 1] == index)
		return true;
	pin = xa_load(&m->known, index);
	if (pin)
		list_move(&pin->link, &m->warm);
	else
		s->want[s->nwant++] = index;
	return true;
}

/* so many pages are worth remembering that all of them are known */
#define PD_SEEN_PAGES 16

/* was all of it known, and nothing lost since? m->lock held */
static bool pd_seen(const struct pd_mm *m, unsigned long first, unsigned long last)
{
	const struct pd_seen *seen;

	for (seen = m->seen; seen < m->seen + PD_SEEN; seen++)
		if (seen->losses == m->losses && seen->first <= first && last <= seen->last)
			return true;
	return false;
}

/* all of it was found to be known; m->lock held */
static void pd_see(struct pd_mm *m, unsigned long first, unsigned long last)
{
	m->seen[m->next_seen++ % PD_SEEN] = (struct pd_seen){ first, last, m->losses };
}

/* the pages of [addr, +len), after the page @after has passed by; m->lock held */
static bool pd_want_range(struct pd_mm *m, struct pd_show *s, const struct pd_range *range,
			  unsigned int *scan, bool *passed)
{
	u64 addr = le64_to_cpu(range->addr);
	u64 len = le64_to_cpu(range->len);
	unsigned long index, last, first;
	unsigned int before = s->nwant;

	if (!len || addr + len < addr)
		return true;
	index = addr >> PAGE_SHIFT;
	last = (addr + len - 1) >> PAGE_SHIFT;
	if (!*passed) {
		if (s->fault < index || s->fault > last)
			return true;
		*passed = true;
		index = s->fault + 1;
	}
	first = index;
	if (last - first >= PD_SEEN_PAGES && pd_seen(m, first, last))
		return true;
	for (; index <= last; index++) {
		if (!*scan)
			return false;
		(*scan)--;
		if (!pd_want_page(m, s, index))
			return false;
	}
	if (last - first >= PD_SEEN_PAGES && s->nwant == before)
		pd_see(m, first, last);
	return true;
}

static void pd_show_look(struct pd_mm *m, const struct pd_request *r, struct pd_show *s)
{
	bool passed = !s->is_fault;
	unsigned int i, scan = PD_SCAN_PAGES;

	spin_lock(&m->lock);
	if (s->is_fault)
		pd_want_page(m, s, s->fault);
	else if (r->hint.len)
		pd_want_range(m, s, &r->hint, &scan, &passed);
	for (i = 0; i < r->nvecs; i++)
		if (!pd_want_range(m, s, &r->vecs[i], &scan, &passed))
			break;
	for (i = 0; i < r->nahead && !s->is_fault; i++)
		if (!pd_want_range(m, s, &r->ahead[i], &scan, &passed))
			break;
	spin_unlock(&m->lock);
}

/* finds the pages that the message should show and the host does not know: mostly few, or none. 0 or -ENOMEM */
int pd_show_collect(struct pd_mm *m, const struct pd_request *r, struct pd_show *s)
{
	int ret = 0;

	pd_show_look(m, r, s);
	if (s->nwant == s->cap && s->cap < s->max) {
		ret = pd_show_grow(s);
		if (!ret)
			pd_show_look(m, r, s);
	}
	return ret;
}

/* pins up to @n pages at @addr of the caller's; how many, with PD_PIN_* in @flags */
static int pd_pin_pages(unsigned long addr, unsigned int n, struct page **pages, u32 *flags)
{
	static const struct {
		unsigned int gup;
		u32 flags;
	} ways[] = {
		{ FOLL_WRITE | FOLL_LONGTERM, PD_PIN_WRITE },
		{ FOLL_WRITE, PD_PIN_WRITE | PD_PIN_SHORT }, /* files of filesystems */
		{ FOLL_LONGTERM, 0 },
		{ 0, PD_PIN_SHORT },
	};
	unsigned int i;
	int got;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		got = pin_user_pages_fast(addr, i ? 1 : n, ways[i].gup, pages);
		if (got > 0) {
			*flags = ways[i].flags;
			return got;
		}
	}
	return 0;
}

static int pd_show_add(const struct pd_request *r, struct pd_show *s, struct page *page,
		       unsigned long index, u32 flags)
{
	struct pd_pin *pin = pd_pin_new(r->host, page, index, flags);

	if (IS_ERR(pin))
		return PTR_ERR(pin);
	s->pins[s->npins++] = pin;
	return 0;
}

/*
 * Pins what the message should show; what cannot be pinned is left out. 0, or -ENOSPC when no more
 * pages can be shared
 */
int pd_show_pin(struct pd_request *r, struct pd_show *s)
{
	unsigned int i, j, run;
	int got, ret = 0;
	u32 flags;

	s->seq = mmu_interval_read_begin(&r->mm->notifier);
	for (i = 0; i < s->nwant; i += run) {
		for (run = 1; i + run < s->nwant && s->want[i + run] == s->want[i] + run; run++)
			;
		got = pd_pin_pages(s->want[i] << PAGE_SHIFT, run, s->pages, &flags);
		for (j = 0; j < got; j++) {
			if (flags & PD_PIN_SHORT)
				r->short_pins = true;
			if (ret != -ENOSPC)
				ret = pd_show_add(r, s, s->pages[j], s->want[i] + j, flags);
			if (ret)
				unpin_user_page(s->pages[j]);
		}
		if (ret == -ENOSPC)
			return ret;
		/* nothing behind the first page that cannot be pinned is likely needed soon */
		if (got <= 0)
			run = 1;
		else
			run = got;
		if (fatal_signal_pending(current))
			break;
	}
	return 0;
}

/* the same for the kernel's own pages */
int pd_show_bounce(struct pd_request *r, struct pd_show *s)
{
	unsigned long base;
	unsigned int i;
	int ret = 0;

	if (!r->bounce)
		return 0;
	base = r->bounce->addr >> PAGE_SHIFT;
	for (i = 0; i < s->nwant && ret != -ENOSPC; i++) {
		unsigned long at = s->want[i] - base;

		if (at >= r->bounce->npages)
			continue;
		get_page(r->bounce->pages[at]);
		ret = pd_show_add(r, s, r->bounce->pages[at], s->want[i],
				  PD_PIN_KERNEL | PD_PIN_WRITE);
		if (ret)
			put_page(r->bounce->pages[at]);
	}
	return ret == -ENOSPC ? ret : 0;
}

bool pd_show_has_fault(const struct pd_show *s)
{
	unsigned int i;

	for (i = 0; i < s->npins; i++)
		if (s->pins[i]->index == s->fault)
			return true;
	/* known already: not wanted */
	return !s->nwant || s->want[0] != s->fault;
}
