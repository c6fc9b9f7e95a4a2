/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between the files that deal with the pages of messages: pin.c, pages.c, revive.c, show.c, send.c.
 */
#ifndef PARADICE_SHOW_H
#define PARADICE_SHOW_H

#include "core.h"

#define PD_SHOW_SMALL 8

/**
 * struct pd_show - what a message is to show
 * @want: page indices that the host does not know yet
 * @nwant: entries of @want
 * @cap: room in @want, @pages and @pins
 * @max: room that could be needed
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
	unsigned int max;
	unsigned long seq;
	unsigned long fault;
	bool is_fault;
	unsigned long small_want[PD_SHOW_SMALL];
	struct page *small_pages[PD_SHOW_SMALL];
	struct pd_pin *small_pins[PD_SHOW_SMALL];
};

void pd_show_init(struct pd_show *s, const struct pd_request *r, bool is_fault,
		  unsigned long fault);
void pd_show_exit(struct pd_show *s);
int pd_show_collect(struct pd_mm *m, const struct pd_request *r, struct pd_show *s);
int pd_show_pin(struct pd_request *r, struct pd_show *s);
int pd_show_bounce(struct pd_request *r, struct pd_show *s);
bool pd_show_has_fault(const struct pd_show *s);

void pd_mm_revive(struct pd_mm *m);

struct pd_pin *pd_pin_new(struct pd_host *host, struct page *page, unsigned long index, u32 flags);
void pd_pin_free(struct pd_pin *pin);
void pd_pin_leak(struct pd_pin *pin);
void pd_pin_stale(struct pd_mm *m, struct pd_pin *pin, struct list_head *list);

#endif
