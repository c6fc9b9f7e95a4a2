// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of ours that another domain may use. They are freed when it has let go of them, by the
 * kernel where that is later.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <xen/page.h>

#include "grants.h"

/**
 * pd_grants_new() - makes pages that another domain may use
 * @domid: which
 * @n: how many
 * @write: it may write to them
 *
 * May sleep. Return: the pages, or an error: -ENOMEM, -ENOSPC when the grant table is full.
 */
struct pd_grants *pd_grants_new(domid_t domid, unsigned int n, bool write)
{
	struct pd_grants *g;
	int ref = -ENOMEM;

	g = kzalloc(sizeof(*g) + n * (sizeof(*g->pages) + sizeof(*g->refs)), GFP_KERNEL);
	if (!g)
		return ERR_PTR(-ENOMEM);
	g->pages = (struct page **)(g + 1);
	g->refs = (grant_ref_t *)(g->pages + n);
	for (; g->n < n; g->n++) {
		struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);

		if (!page)
			goto fail;
		ref = gnttab_grant_foreign_access(domid, xen_page_to_gfn(page), !write);
		if (ref < 0) {
			__free_page(page);
			goto fail;
		}
		g->pages[g->n] = page;
		g->refs[g->n] = ref;
		ref = -ENOMEM;
	}
	return g;
fail:
	pd_grants_free(g);
	return ERR_PTR(ref);
}

/* @len bytes, no more than there is room for, to the pages' begin. Any context */
void pd_grants_write(struct pd_grants *g, const void *from, size_t len)
{
	unsigned int i;

	for (i = 0; len; i++) {
		size_t part = min_t(size_t, len, PAGE_SIZE);

		memcpy(page_address(g->pages[i]), from, part);
		from += part;
		len -= part;
	}
}

/* the opposite */
void pd_grants_read(const struct pd_grants *g, void *to, size_t len)
{
	unsigned int i;

	for (i = 0; len; i++) {
		size_t part = min_t(size_t, len, PAGE_SIZE);

		memcpy(to, page_address(g->pages[i]), part);
		to += part;
		len -= part;
	}
}

/* ends those that are not in use; have all ended? */
bool pd_grants_end(struct pd_grants *g)
{
	bool all = true;
	unsigned int i;

	for (i = 0; i < g->n; i++) {
		if (g->refs[i] == INVALID_GRANT_REF)
			continue;
		if (gnttab_try_end_foreign_access(g->refs[i]))
			g->refs[i] = INVALID_GRANT_REF;
		else
			all = false;
	}
	return all;
}

/* frees them; NULL is fine */
void pd_grants_free(struct pd_grants *g)
{
	unsigned int i;

	if (!g)
		return;
	for (i = 0; i < g->n; i++) {
		if (g->refs[i] == INVALID_GRANT_REF)
			__free_page(g->pages[i]);
		else
			gnttab_end_foreign_access(g->refs[i], g->pages[i]);
	}
	kfree(g);
}
