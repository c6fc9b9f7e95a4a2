/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the core asks of a transport. Nothing outside a transport's own file knows how messages
 * travel.
 */
#ifndef PARADICE_TRANSPORT_H
#define PARADICE_TRANSPORT_H

#include <linux/types.h>

struct page;
struct pd_host;
struct pd_request;

/**
 * struct pd_transport_ops - a transport's functions
 * @reserve: keeps a place for one message in @queue; with @urgent also of those that are set aside
 *	for what must not wait behind operations. 0, -ENOSPC, or -EIO when the device is gone.
 *	Any context.
 * @unreserve: gives it back. Any context.
 * @submit: puts @r's message (req, lists, resp) into its queue, at the reserved place, which is
 *	used up. On success the memory is the host's until pd_req_complete(); on failure (-EIO,
 *	-ENOMEM) it never was. Any context, spinlocks may be held.
 * @kick: tells the host of what was submitted. To be called after @submit, without locks.
 * @spin: with @on, the caller will look for answers in @queue itself, by @poll, until it calls this
 *	without: interrupts for them are suppressed as long as anybody does. Task context.
 * @poll: hands over what the host has answered in @queue, as an interrupt would. Task context, no locks.
 * @wake_all: wakes everybody who waits for an answer. Any context.
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
 * All but @free may be called at any time; a transport whose device is gone answers -EIO.
 */
struct pd_transport_ops {
	int (*reserve)(struct pd_host *host, unsigned int queue, bool urgent);
	void (*unreserve)(struct pd_host *host, unsigned int queue);
	int (*submit)(struct pd_host *host, struct pd_request *r);
	void (*kick)(struct pd_host *host, unsigned int queue);
	void (*spin)(struct pd_host *host, unsigned int queue, bool on);
	void (*poll)(struct pd_host *host, unsigned int queue);
	void (*wake_all)(struct pd_host *host);
	int (*share)(struct pd_host *host, struct page *page, bool write, u64 *frame);
	bool (*unshare)(struct pd_host *host, u64 frame, bool last);
	int (*room)(struct pd_request *r, size_t size, bool write);
	void (*free_room)(struct pd_request *r);
	void (*free)(struct pd_host *host);
};

/*
 * pd_req_complete() - the transport's callback: the host answered @r's message with @len bytes (0
 * when it never will). Any context, no locks of the transport held.
 */
void pd_req_complete(struct pd_request *r, u32 len);

/* the same as a test that the transport makes under its lock: does the answer ask for another? */
bool pd_req_will_continue(const struct pd_request *r, u32 len);

int pd_virtio_init(void);
void pd_virtio_exit(void);

#endif
