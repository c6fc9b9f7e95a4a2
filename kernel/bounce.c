// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers for reads and writes of the kernel's own (splice, loop devices and the like): pages of
 * ours in an address space of the kernel's, which exists only between us and the host.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/idr.h>
#include <linux/slab.h>

#include "core.h"

#define PD_BOUNCE_FIRST 0x100000000000ul
#define PD_BOUNCE_SLOTS BIT(20)

static DEFINE_IDA(pd_bounce_slots);

/**
 * pd_bounce_new() - makes a buffer
 * @m: the kernel's address space
 * @len: bytes; the buffer may be shorter, at most PD_BOUNCE_PAGES pages
 *
 * Return: the buffer, or NULL without memory. May sleep.
 */
struct pd_bounce *pd_bounce_new(struct pd_mm *m, size_t len)
{
	unsigned int n = clamp_t(size_t, DIV_ROUND_UP(len, PAGE_SIZE), 1, PD_BOUNCE_PAGES);
	struct pd_bounce *b;
	int slot;

	b = kzalloc(sizeof(*b), GFP_KERNEL);
	if (!b)
		return NULL;
	slot = ida_alloc_max(&pd_bounce_slots, PD_BOUNCE_SLOTS - 1, GFP_KERNEL);
	if (slot < 0) {
		kfree(b);
		return NULL;
	}
	b->addr = PD_BOUNCE_FIRST + (unsigned long)slot * PD_BOUNCE_PAGES * PAGE_SIZE;
	b->m = pd_mm_get(m);
	while (b->npages < n) {
		b->pages[b->npages] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!b->pages[b->npages])
			break;
		b->npages++;
	}
	if (b->npages)
		return b;
	pd_bounce_free(b);
	return NULL;
}

/* frees it; the host lets go of the pages with the next message, and then they are free */
void pd_bounce_free(struct pd_bounce *b)
{
	unsigned long first;
	unsigned int i;

	if (!b)
		return;
	first = b->addr >> PAGE_SHIFT;
	spin_lock(&b->m->lock);
	pd_mm_stale_range(b->m, first, first + PD_BOUNCE_PAGES - 1);
	spin_unlock(&b->m->lock);
	for (i = 0; i < b->npages; i++)
		put_page(b->pages[i]);
	ida_free(&pd_bounce_slots, (b->addr - PD_BOUNCE_FIRST) / PAGE_SIZE / PD_BOUNCE_PAGES);
	pd_mm_put(b->m);
	kfree(b);
}
