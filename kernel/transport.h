/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the core asks of a transport, beside its rings (queue.h). Nothing outside a transport's own files
 * knows how messages travel.
 */
#ifndef PARADICE_TRANSPORT_H
#define PARADICE_TRANSPORT_H

#include <linux/types.h>

struct page;
struct pd_host;
struct pd_request;

/**
 * struct pd_transport_ops - a transport's functions
 * @again: what it takes until a lost host's devices can be opened again, for the log
 * @share: lets the host touch @page, and with @write change it; @frame is what pd_pages.frame calls
 *	it. 0, -ENOSPC when no more pages can be shared, or -EIO. NULL: the host can touch all of the
 *	memory, and frames are those of the guest. May sleep.
 * @unshare: ends that, unless the host still has the page, then it is false: it must not be
 *	reused, and the caller asks again. With @last nobody will, and the transport keeps the page
 *	until the host has it no more. NULL along with @share. May sleep.
 * @room: prepares @r, of which the host has no message, for one whose lists have up to @size bytes,
 *	or, with @write, whose tail has. 0, -ENOMEM, or -ENOSPC when no more pages can be shared. NULL
 *	when there is nothing to prepare. May sleep.
 * @free_room: gives back what @room left in pd_request.room. May sleep.
 * @free: the last reference to @host is gone.
 *
 * @share and @unshare may be called at any time until @free; a transport whose device is gone answers -EIO.
 */
struct pd_transport_ops {
	const char *again;
	int (*share)(struct pd_host *host, struct page *page, bool write, u64 *frame);
	bool (*unshare)(struct pd_host *host, u64 frame, bool last);
	int (*room)(struct pd_request *r, size_t size, bool write);
	void (*free_room)(struct pd_request *r);
	void (*free)(struct pd_host *host);
};

int pd_virtio_init(void);
void pd_virtio_exit(void);

#endif
