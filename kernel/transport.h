/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the core asks of a transport. Nothing outside a transport's own file knows how messages
 * travel.
 */
#ifndef PARADICE_TRANSPORT_H
#define PARADICE_TRANSPORT_H

#include <linux/types.h>

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
 * @free: the last reference to @host is gone.
 *
 * All but @free may be called at any time; a transport whose device is gone answers -EIO.
 */
struct pd_transport_ops {
	int (*reserve)(struct pd_host *host, unsigned int queue, bool urgent);
	void (*unreserve)(struct pd_host *host, unsigned int queue);
	int (*submit)(struct pd_host *host, struct pd_request *r);
	void (*kick)(struct pd_host *host, unsigned int queue);
	void (*free)(struct pd_host *host);
	void (*wake_all)(struct pd_host *host);
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
