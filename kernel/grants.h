/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages of ours that another domain may use. */
#ifndef PARADICE_GRANTS_H
#define PARADICE_GRANTS_H

#include <linux/types.h>
#include <xen/grant_table.h>

/**
 * struct pd_grants - pages that are granted
 * @n: how many
 * @pages: zeroed at first
 * @refs: their grants, INVALID_GRANT_REF when ended
 */
struct pd_grants {
	unsigned int n;
	struct page **pages;
	grant_ref_t *refs;
};

struct pd_grants *pd_grants_new(domid_t domid, unsigned int n, bool write);
void pd_grants_write(struct pd_grants *g, const void *from, size_t len);
void pd_grants_read(const struct pd_grants *g, void *to, size_t len);
bool pd_grants_end(struct pd_grants *g);
void pd_grants_free(struct pd_grants *g);

#endif
