// SPDX-License-Identifier: GPL-2.0-only
/* pin_user_pages() took an array of vmas until Linux 6.5, 4c630f307455. */
#include <linux/mm.h>

long probe(unsigned long start, struct page **pages);
long probe(unsigned long start, struct page **pages)
{
	return pin_user_pages(start, 1, FOLL_WRITE, pages, NULL);
}
