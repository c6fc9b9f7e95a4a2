// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pages of an address space that the host may touch: pinned, shown with the message that
 * needs them, dropped when the program's memory changes, and unpinned once the host has read so.
 *
 * A page is known (the host may touch it), stale (gone from the program; the next message drops
 * it), dropping (such a message is on its way), or kept (dropped, but a driver may have pinned it
 * in an ioctl). Where a page is known at an address, none is stale there: what is stale is always
 * dropped with or before the message that shows something new.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "core.h"
#include "transport.h"

/* pages looked at for one message; those that the host does not know come by faults */
#define PD_SCAN_PAGES 4096

/* ranges dropped by one message: with all its lists it stays below 32 KiB */
#define PD_DROPS 256

#define PD_SHOW_SMALL 8

/* pd_mm_queue(): something changed meanwhile */
#define PD_AGAIN 1

static struct kmem_cache *pd_pin_cache;

/**
 * struct pd_show - what a message is to show
 * @want: page indices that the host does not know yet
 * @nwant: entries of @want
 * @cap: room in @want, @pages and @pins
 * @pins: pinned for it
 * @npins: entries of @pins
 * @seq: of the mmu notifier, before the first was pinned
 * @fault: page index that must be among them
 * @is_fault: there is such a page
 */
struct pd_show {
	unsigned long *want;
	struct page **pages;
	struct pd_pin **pins;
	unsigned int nwant;
	unsigned int npins;
	unsigned int cap;
	unsigned long seq;
	unsigned long fault;
	bool is_fault;
	unsigned long small_want[PD_SHOW_SMALL];
	struct page *small_pages[PD_SHOW_SMALL];
	struct pd_pin *small_pins[PD_SHOW_SMALL];
};

/* ---- letting go ---- */

static void pd_pin_free(struct pd_pin *pin)
{
	if (pin->flags & PD_PIN_KERNEL) {
		put_page(pin->page);
		atomic_dec(&pd_stats.bounce);
	} else {
		if (pin->flags & PD_PIN_WRITE)
			unpin_user_pages_dirty_lock(&pin->page, 1, true);
		else
			unpin_user_page(pin->page);
		atomic_dec(&pd_stats.pins);
	}
	kmem_cache_free(pd_pin_cache, pin);
}

/* frees the pins of a list of ours; may sleep */
static void pd_pin_free_list(struct list_head *list)
{
	struct pd_pin *pin, *next;

	list_for_each_entry_safe(pin, next, list, link)
		pd_pin_free(pin);
}

/* @pin, which is out of the known set already, is to be dropped; m->lock held */
static void pd_pin_stale(struct pd_mm *m, struct pd_pin *pin, struct list_head *list)
{
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
	m->nkept++;
	if (atomic_inc_return(&pd_stats.kept) == pd_kept_pages)
		pr_warn(PD_NAME ": %u pages that drivers may still use are pinned: further ioctls fail with ENOMEM until files are closed (parameter kept_pages)\n",
			pd_kept_pages);
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

/* frees @list, or, when the host was lost and may still use its pages, leaves them pinned */
static void pd_pin_let_go(struct list_head *list, bool leak)
{
	struct pd_pin *pin, *next;
	unsigned long leaked = 0;

	if (!leak) {
		pd_pin_free_list(list);
		return;
	}
	list_for_each_entry_safe(pin, next, list, link) {
		atomic_dec(pin->flags & PD_PIN_KERNEL ? &pd_stats.bounce : &pd_stats.pins);
		kmem_cache_free(pd_pin_cache, pin);
		leaked++;
	}
	atomic_add(leaked, &pd_stats.leaked);
	if (leaked)
		pr_warn(PD_NAME ": %lu pages stay pinned: the host was lost and may still use them\n",
			leaked);
}

/* no file is left through which a driver could use pages of @m; may sleep */
void pd_mm_release_kept(struct pd_mm *m)
{
	struct pd_pin *pin;
	LIST_HEAD(done);

	spin_lock(&m->lock);
	list_for_each_entry(pin, &m->kept, link)
		xa_erase(&m->kept_pfns, page_to_pfn(pin->page));
	list_splice_init(&m->kept, &done);
	atomic_sub(m->nkept, &pd_stats.kept);
	m->nkept = 0;
	spin_unlock(&m->lock);
	pd_pin_let_go(&done, pd_host_lost(m->host));
}

/**
 * pd_mm_free_pages() - lets go of all pages of an address space that the host has ended
 * @m: address space, dying
 * @leak: the host did not say that it ended it: the pages are never freed
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
	pd_pin_let_go(&done, leak);
}

/* takes up to @pages of the least recently used that no driver can have pinned; any context */
unsigned long pd_mm_shrink(struct pd_mm *m, unsigned long pages)
{
	struct pd_pin *pin, *prev;
	unsigned long n = 0;

	spin_lock(&m->lock);
	if (m->state == PD_MM_LIVE && !m->ioctls_now) {
		list_for_each_entry_safe_reverse(pin, prev, &m->warm, link) {
			if (n == pages)
				break;
			if (pin->birth != m->ioctls || (pin->flags & PD_PIN_EXPOSED))
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

/* ---- coming back ---- */

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

		if (pin_user_pages_fast(addr, 1, FOLL_WRITE | FOLL_NOFAULT, &rev[found].page) == 1) {
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
static void pd_mm_revive(struct pd_mm *m)
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

/* ---- what a message shows ---- */

static int pd_show_init(struct pd_show *s, const struct pd_request *r, bool is_fault,
			unsigned long fault)
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
	if (pages <= PD_SHOW_SMALL)
		return 0;
	/* one less: an answer to a fault may send one that is known */
	s->cap = min_t(u64, pages, PD_MAX_PAGES - 1);
	s->want = kmalloc_array(s->cap, sizeof(*s->want), GFP_KERNEL);
	s->pages = kmalloc_array(s->cap, sizeof(*s->pages), GFP_KERNEL);
	s->pins = kmalloc_array(s->cap, sizeof(*s->pins), GFP_KERNEL);
	return s->want && s->pages && s->pins ? 0 : -ENOMEM;
}

/* frees it, and the pins that found no place; may sleep */
static void pd_show_exit(struct pd_show *s)
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

/* the pages of [addr, +len), after the page @after has passed by; m->lock held */
static bool pd_want_range(struct pd_mm *m, struct pd_show *s, const struct pd_range *range,
			  unsigned int *scan, bool *passed)
{
	u64 addr = le64_to_cpu(range->addr);
	u64 len = le64_to_cpu(range->len);
	unsigned long index, last;

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
	for (; index <= last; index++) {
		if (!*scan)
			return false;
		(*scan)--;
		if (!pd_want_page(m, s, index))
			return false;
	}
	return true;
}

/* finds the pages that the message should show and the host does not know */
static void pd_show_collect(struct pd_mm *m, const struct pd_request *r, struct pd_show *s)
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

static bool pd_show_add(struct pd_show *s, struct page *page, unsigned long index, u32 flags)
{
	struct pd_pin *pin = kmem_cache_alloc(pd_pin_cache, GFP_KERNEL);

	if (!pin)
		return false;
	pin->page = page;
	pin->index = index;
	pin->flags = flags;
	pin->seq = 0;
	INIT_LIST_HEAD(&pin->link);
	atomic_inc(flags & PD_PIN_KERNEL ? &pd_stats.bounce : &pd_stats.pins);
	s->pins[s->npins++] = pin;
	return true;
}

/* pins what the message should show; what cannot be pinned is left out */
static void pd_show_pin(struct pd_request *r, struct pd_show *s)
{
	unsigned int i, j, run;
	u32 flags;
	int got;

	s->seq = mmu_interval_read_begin(&r->mm->notifier);
	for (i = 0; i < s->nwant; i += run) {
		for (run = 1; i + run < s->nwant && s->want[i + run] == s->want[i] + run; run++)
			;
		got = pd_pin_pages(s->want[i] << PAGE_SHIFT, run, s->pages, &flags);
		for (j = 0; j < got; j++) {
			if (flags & PD_PIN_SHORT)
				r->short_pins = true;
			if (!pd_show_add(s, s->pages[j], s->want[i] + j, flags))
				unpin_user_page(s->pages[j]);
		}
		/* nothing behind the first page that cannot be pinned is likely needed soon */
		if (got <= 0)
			run = 1;
		else
			run = got;
		if (fatal_signal_pending(current))
			return;
	}
}

/* the same for the kernel's own pages */
static void pd_show_bounce(struct pd_request *r, struct pd_show *s)
{
	unsigned long base;
	unsigned int i;

	if (!r->bounce)
		return;
	base = r->bounce->addr >> PAGE_SHIFT;
	for (i = 0; i < s->nwant; i++) {
		unsigned long at = s->want[i] - base;

		if (at >= r->bounce->npages)
			continue;
		get_page(r->bounce->pages[at]);
		if (!pd_show_add(s, r->bounce->pages[at], s->want[i], PD_PIN_KERNEL | PD_PIN_WRITE))
			put_page(r->bounce->pages[at]);
	}
}

static bool pd_show_has_fault(const struct pd_show *s)
{
	unsigned int i;

	for (i = 0; i < s->npins; i++)
		if (s->pins[i]->index == s->fault)
			return true;
	/* known already: not wanted */
	return !s->nwant || s->want[0] != s->fault;
}

/* ---- messages ---- */

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
	u64 frame = page_to_pfn(pin->page);
	u32 flags = pin->flags & PD_PIN_WRITE ? PD_PAGES_WRITE : 0;

	if (n) {
		struct pd_pages *last = &out[n - 1];
		u32 count = le32_to_cpu(last->count);

		if (le64_to_cpu(last->addr) + ((u64)count << PAGE_SHIFT) == addr &&
		    le64_to_cpu(last->frame) + count == frame &&
		    le32_to_cpu(last->flags) == flags) {
			last->count = cpu_to_le32(count + 1);
			return n;
		}
	}
	out[n].addr = cpu_to_le64(addr);
	out[n].frame = cpu_to_le64(frame);
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
	bool vecs = r->chain_tag == r->tag && r->nvecs, drop_only;
	unsigned int room, ranges, n;
	struct pd_mm *m = r->mm;
	struct pd_req *q = &r->req;
	u8 *at;
	int ret;

	/* without pages it need not drop everything */
	drop_only = q->op == cpu_to_le16(PD_OP_DROP) && !s->npins;
	room = min_t(unsigned long, READ_ONCE(m->nstale) + 4, PD_DROPS);
	ret = pd_req_lists(r, room * sizeof(struct pd_range) +
			      (s->npins + 1) * sizeof(struct pd_pages) +
			      (vecs ? r->nvecs : 0) * sizeof(struct pd_range));
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
	if (vecs) {
		memcpy(at, r->vecs, r->nvecs * sizeof(*r->vecs));
		at += r->nvecs * sizeof(*r->vecs);
		q->nvecs = cpu_to_le32(r->nvecs);
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

/* drops stale pages in a message of their own until the rest fits into another */
static int pd_mm_flush(struct pd_mm *m, enum pd_wait how)
{
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

/* can the caller's task answer a fault of @r at @addr? */
static bool pd_fault_allowed(const struct pd_request *r, unsigned long addr)
{
	const struct pd_mm *m = r->mm;

	if (r->nofault || (addr & ~PAGE_MASK) || !pd_mm_is_callers(m))
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

static int pd_mm_send_once(struct pd_request *r, enum pd_wait how, unsigned long fault,
			   bool is_fault, bool *touched)
{
	bool allowed = !is_fault || pd_fault_allowed(r, fault);
	struct pd_mm *m = r->mm;
	struct pd_show s;
	int ret;

	if (is_fault) {
		r->req.u.cont.error = 0;
		r->req.u.cont.map = 0;
	}
	ret = pd_show_init(&s, r, is_fault && allowed, fault >> PAGE_SHIFT);
	if (ret)
		goto out;
	if (allowed && !r->nofault && pd_mm_is_callers(m)) {
		if (m->mm)
			pd_mm_revive(m);
		pd_show_collect(m, r, &s);
		if (s.nwant && m->mm)
			pd_show_pin(r, &s);
		else if (s.nwant)
			pd_show_bounce(r, &s);
	}
	if (is_fault) {
		if (!allowed)
			r->req.u.cont.error = cpu_to_le32(-EFAULT);
		else if (pd_fault_resolve(r, &s, fault, touched))
			ret = PD_AGAIN;
	}
	if (!ret)
		ret = pd_mm_queue(r, &s,
				  is_fault && !r->req.u.cont.error && !r->req.u.cont.map, how);
out:
	pd_show_exit(&s);
	return ret;
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
			ret = pd_mm_flush(r->mm, how);
			if (ret)
				break;
		}
		cond_resched();
	}
	if (!ret) {
		r->host->ops->kick(r->host, r->queue);
		pd_host_busy(r->host);
	}
	return ret;
}

int pd_pages_init(void)
{
	pd_pin_cache = KMEM_CACHE(pd_pin, 0);
	return pd_pin_cache ? 0 : -ENOMEM;
}

void pd_pages_exit(void)
{
	kmem_cache_destroy(pd_pin_cache);
}
