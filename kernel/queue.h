/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A queue to the host: places for messages, messages under way, answers, and who waits for them. The same
 * over every transport, which brings the ring itself.
 */
#ifndef PARADICE_QUEUE_H
#define PARADICE_QUEUE_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct pd_event;
struct pd_host;
struct pd_queue;
struct pd_request;

/**
 * struct pd_queue_ops - a ring, as the transport makes it
 * @space: how many descriptors are free, or -EIO when the other side has broken the ring
 * @add: makes @r's message (req, lists, resp, tail) available. 0, -ENOMEM or -EIO
 * @kick: tells the other side of what was added, where it must be told
 * @take: the next answered request, and @len bytes of it that were written, no more than were allowed;
 *	NULL when there is none or the ring is broken
 * @take_event: copies the next event out of the event queue's ring and gives its buffer back; false
 *	when there is none. @len: bytes of it that were written
 * @quiet: no interrupts for answers, until @listen
 * @listen: interrupts for the next answer; true when there is one to be taken already
 * @caught_up: what pd_queue_answered() left to be done is done. NULL where that is of no interest
 * @detach: takes back what was never answered, one by one; NULL when there is no more. The ring has
 *	stopped, and the lock is not held
 *
 * All but @detach are called with the queue's lock held, interrupts off, on a live queue.
 */
struct pd_queue_ops {
	int (*space)(struct pd_queue *q);
	int (*add)(struct pd_queue *q, struct pd_request *r);
	void (*kick)(struct pd_queue *q);
	struct pd_request *(*take)(struct pd_queue *q, u32 *len);
	bool (*take_event)(struct pd_queue *q, struct pd_event *ev, u32 *len);
	void (*quiet)(struct pd_queue *q);
	bool (*listen)(struct pd_queue *q);
	void (*caught_up)(struct pd_queue *q);
	void *(*detach)(struct pd_queue *q);
};

/**
 * struct pd_queue - what is the same over every transport, which embeds it
 * @lock: protects the ring and what follows up to @inflight
 * @live: the ring may be used
 * @reserved: descriptors kept for messages that will be submitted
 * @margin: descriptors set aside for messages that must not wait behind operations
 * @spinning: tasks that look for answers themselves; no interrupts meanwhile
 * @behind: events are left to @rest
 * @inflight: requests in it
 * @ops: the ring's functions
 * @host: to whom it leads
 * @index: PD_QUEUE_CONTROL, PD_QUEUE_EVENT, or PD_QUEUE_REQUEST and on
 * @cost: descriptors that a message can take
 * @rest: takes the events that an interrupt left
 */
struct pd_queue {
	spinlock_t lock; /* see above */
	bool live;
	unsigned int reserved;
	unsigned int margin;
	unsigned int spinning;
	bool behind;
	struct list_head inflight;
	const struct pd_queue_ops *ops;
	struct pd_host *host;
	unsigned int index;
	unsigned int cost;
	struct work_struct rest;
};

/* for transports */
void pd_queue_init(struct pd_queue *q, struct pd_host *host, const struct pd_queue_ops *ops,
		   unsigned int index, unsigned int cost);
void pd_queue_begin(struct pd_queue *q, unsigned int num);
bool pd_queue_answered(struct pd_queue *q);
void pd_queue_end(struct pd_queue *q);
void pd_queue_drain(struct pd_queue *q);

/* for the core */
int pd_queue_reserve(struct pd_queue *q, bool urgent);
void pd_queue_unreserve(struct pd_queue *q);
int pd_queue_submit(struct pd_queue *q, struct pd_request *r);
void pd_queue_kick(struct pd_queue *q);
void pd_queue_spin(struct pd_queue *q, bool on);
void pd_queue_wake_all(struct pd_queue *q);

#endif
