// SPDX-License-Identifier: GPL-2.0-only
/*
 * The Xen transport: queues in granted pages, event channels, and grants of what requests name. How
 * a connection comes and goes is in xenbus.c.
 */
#include <linux/delay.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <xen/events.h>
#include <xen/grant_table.h>
#include <xen/interface/grant_table.h>
#include <xen/page.h>

#include "transport.h"
#include "xen.h"

/* descriptors, and so messages at once, of the queues */
#define PD_CONTROL_NUM 128u
#define PD_EVENT_NUM 64u
#define PD_REQUEST_NUM PD_XEN_MAX_NUM /* of each of up to 4; of more, fewer each */

/* how long the back-end has to let go of the areas before that is left to the kernel, ms */
#define PD_AREA_WAIT 1000

/* grants of pages that requests name: what there may be, and what there is */
static int pd_max_shared;
static atomic_t pd_shared;

static struct pd_xen *to_xen(struct pd_host *host)
{
	return container_of(host, struct pd_xen, host);
}

static struct pd_xen_queue *to_queue(struct pd_host *host, unsigned int queue)
{
	return &to_xen(host)->queues[queue];
}

/* ---- pages ---- */

/* a quarter of the grant table is left to the domain's other devices, and to our queues */
void pd_xen_limit(void)
{
	const unsigned int per_frame = PAGE_SIZE / sizeof(struct grant_entry_v1);

	pd_max_shared = min(gnttab_max_grant_frames(), 1u << 20) * per_frame / 4 * 3;
}

/* the grant table is full: what to do about it */
static int pd_xen_full(void)
{
	pr_warn_once(
		PD_NAME
		": no more of this domain's memory can be shared: programs use less at a time or get ENOMEM; max_grant_frames= in the domain's configuration, or gnttab_max_frames= on Xen's command line, give more\n");
	return -ENOSPC;
}

static int pd_xen_share(struct pd_host *host, struct page *page, bool write, u64 *frame)
{
	int ref;

	if (pd_host_lost(host))
		return -EIO;
	if (atomic_inc_return(&pd_shared) > pd_max_shared) {
		atomic_dec(&pd_shared);
		return pd_xen_full();
	}
	ref = gnttab_grant_foreign_access(to_xen(host)->domid, xen_page_to_gfn(page), !write);
	if (ref < 0) {
		atomic_dec(&pd_shared);
		return pd_xen_full();
	}
	*frame = ref;
	return 0;
}

static bool pd_xen_unshare(struct pd_host *host, u64 frame, bool last)
{
	bool ended = gnttab_try_end_foreign_access(frame);

	if (!ended && !last)
		return false;
	if (!ended)
		gnttab_end_foreign_access(frame, NULL); /* which keeps the page until then */
	atomic_dec(&pd_shared);
	return ended;
}

static int pd_xen_room(struct pd_request *r, size_t size, bool write)
{
	struct pd_grants *g = r->room;
	unsigned int n = DIV_ROUND_UP(size, PAGE_SIZE);

	if (size <= PD_RING_INLINE || (g && n <= g->n))
		return 0;
	if (n > PD_RING_PAGES)
		return -ENOMEM;
	pd_grants_free(g);
	r->room = NULL;
	g = pd_grants_new(to_xen(r->host)->domid, n, write);
	if (IS_ERR(g))
		return PTR_ERR(g) == -ENOSPC ? pd_xen_full() : -ENOMEM;
	r->room = g;
	return 0;
}

static void pd_xen_free_room(struct pd_request *r)
{
	pd_grants_free(r->room);
	r->room = NULL;
}

/* ---- messages ---- */

static int pd_xen_reserve(struct pd_host *host, unsigned int queue, bool urgent)
{
	struct pd_xen_queue *q = to_queue(host, queue);
	unsigned long flags;
	int ret = 0;

	spin_lock_irqsave(&q->lock, flags);
	if (!q->live || q->ring.broken)
		ret = -EIO;
	else if (q->ring.num_free < q->reserved + 1 + (urgent ? 0 : q->margin))
		ret = -ENOSPC;
	else
		q->reserved++;
	spin_unlock_irqrestore(&q->lock, flags);
	return ret;
}

static void pd_xen_unreserve(struct pd_host *host, unsigned int queue)
{
	struct pd_xen_queue *q = to_queue(host, queue);
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	q->reserved--;
	spin_unlock_irqrestore(&q->lock, flags);
	wake_up(&host->space);
}

static int pd_xen_submit(struct pd_host *host, struct pd_request *r)
{
	struct pd_xen_queue *q = to_queue(host, r->queue);
	struct pd_grants *g = r->room;
	const struct pd_ring_message m = {
		.req = &r->req,
		.lists = r->lists,
		.lists_len = r->lists_len,
		.tail_len = r->tail_len,
		.refs = g ? g->refs : NULL,
	};
	unsigned long flags;
	int ret;

	if (m.lists_len > PD_RING_INLINE && g && m.lists_len <= g->n * PAGE_SIZE)
		pd_grants_write(g, r->lists, r->lists_len);
	spin_lock_irqsave(&q->lock, flags);
	q->reserved--;
	ret = q->live ? pd_ring_add_message(&q->ring, &m, r) : -EIO;
	if (!ret)
		list_add_tail(&r->link, &q->inflight);
	spin_unlock_irqrestore(&q->lock, flags);
	/* a place was reserved, and room made */
	if (WARN_ON_ONCE(ret && ret != -EIO))
		ret = -EIO;
	return ret;
}

/* rings the other side where it listens; q->lock held: the event channel could go otherwise */
static void pd_xen_kick_locked(struct pd_xen_queue *q)
{
	if (q->live && pd_ring_kick(&q->ring))
		notify_remote_via_irq(q->irq);
}

static void pd_xen_kick(struct pd_host *host, unsigned int queue)
{
	struct pd_xen_queue *q = to_queue(host, queue);
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	pd_xen_kick_locked(q);
	spin_unlock_irqrestore(&q->lock, flags);
}

static void pd_xen_wake_all(struct pd_host *host)
{
	struct pd_xen *x = to_xen(host);
	struct pd_request *r;
	unsigned long flags;
	unsigned int i;

	for (i = 0; i < x->nqueues; i++) {
		spin_lock_irqsave(&x->queues[i].lock, flags);
		list_for_each_entry(r, &x->queues[i].inflight, link)
			wake_up(&r->wait);
		spin_unlock_irqrestore(&x->queues[i].lock, flags);
	}
}

/* ---- answers ---- */

/* copies @r's answer of @len bytes: what is looked at, the back-end cannot change any more */
static void pd_xen_copy_answer(struct pd_request *r, const void *slot, u32 len)
{
	size_t more = len > sizeof(r->resp) ? len - sizeof(r->resp) : 0;

	memcpy(&r->resp, slot + PD_RING_ANSWER, sizeof(r->resp));
	if (!more)
		return;
	if (r->tail_len > PD_RING_INLINE)
		pd_grants_read(r->room, r->tail, more);
	else
		memcpy(r->tail, slot + PD_RING_MORE, more);
}

/* takes the next answered request out of @q; @more: there may be others */
static struct pd_request *pd_xen_next(struct pd_xen_queue *q, u32 *len, bool *more)
{
	struct pd_request *r = NULL;
	unsigned long flags;
	const void *slot;

	spin_lock_irqsave(&q->lock, flags);
	*more = false;
	if (q->live) {
		r = pd_ring_take(&q->ring, &slot, len);
		if (!r && !q->spinning)
			*more = pd_ring_listen(&q->ring);
	}
	if (r) {
		*more = true;
		q->taken = true;
		pd_xen_copy_answer(r, slot, *len);
		list_del_init(&r->link);
		/* whoever goes on with an operation must not wait behind those that begin */
		if (pd_req_will_continue(r, *len)) {
			q->reserved++;
			r->reserved = true;
		}
	}
	spin_unlock_irqrestore(&q->lock, flags);
	return r;
}

/* a broken queue is the end of its host */
static void pd_xen_judge(struct pd_xen_queue *q)
{
	if (READ_ONCE(q->ring.broken))
		pd_host_lose(&q->x->host, "it broke a queue");
}

/* hands over all answered requests of @q */
static void pd_xen_take(struct pd_xen_queue *q)
{
	struct pd_request *r;
	bool more, any = false;
	u32 len;

	do {
		r = pd_xen_next(q, &len, &more);
		if (r) {
			any = true;
			pd_req_complete(r, len);
		}
	} while (more);

	if (any)
		wake_up(&q->x->host.space);
	pd_xen_judge(q);
}

static void pd_xen_poll(struct pd_host *host, unsigned int queue)
{
	pd_xen_take(to_queue(host, queue));
}

static void pd_xen_spin(struct pd_host *host, unsigned int queue, bool on)
{
	struct pd_xen_queue *q = to_queue(host, queue);
	unsigned long flags;
	bool last;

	spin_lock_irqsave(&q->lock, flags);
	if (on && !q->spinning++ && q->live)
		pd_ring_quiet(&q->ring);
	last = !on && !--q->spinning;
	spin_unlock_irqrestore(&q->lock, flags);
	if (last)
		pd_xen_take(q); /* which asks for events again */
}

/* takes all events, and gives their buffers back */
static void pd_xen_take_events(struct pd_xen_queue *q)
{
	struct pd_event ev;
	unsigned long flags;
	const void *slot;
	bool more, have;
	u32 len;

	do {
		spin_lock_irqsave(&q->lock, flags);
		more = false;
		have = q->live && pd_ring_take(&q->ring, &slot, &len);
		if (have) {
			more = true;
			q->taken = true;
			memcpy(&ev, slot, sizeof(ev));
			if (!pd_ring_add_buffer(&q->ring, sizeof(ev)))
				pd_xen_kick_locked(q);
		} else if (q->live) {
			more = pd_ring_listen(&q->ring);
		}
		spin_unlock_irqrestore(&q->lock, flags);
		if (have && len >= sizeof(ev))
			pd_event(&q->x->host, &ev);
	} while (more);
	pd_xen_judge(q);
}

static irqreturn_t pd_xen_interrupt(int irq, void *data)
{
	struct pd_xen_queue *q = data;

	if (q->index == PD_QUEUE_EVENT)
		pd_xen_take_events(q);
	else
		pd_xen_take(q);
	/* an event for what a task has found itself is none too many */
	xen_irq_lateeoi(irq, xchg(&q->taken, false) ? 0 : XEN_EOI_FLAG_SPURIOUS);
	return IRQ_HANDLED;
}

/* ---- connections ---- */

static void pd_xen_free(struct pd_host *host)
{
	kvfree(to_xen(host));
}

static const struct pd_transport_ops pd_xen_ops = {
	.reserve = pd_xen_reserve,
	.unreserve = pd_xen_unreserve,
	.submit = pd_xen_submit,
	.kick = pd_xen_kick,
	.spin = pd_xen_spin,
	.poll = pd_xen_poll,
	.wake_all = pd_xen_wake_all,
	.share = pd_xen_share,
	.unshare = pd_xen_unshare,
	.room = pd_xen_room,
	.free_room = pd_xen_free_room,
	.free = pd_xen_free,
};

static u32 pd_xen_num(unsigned int queue, unsigned int nrequest)
{
	switch (queue) {
	case PD_QUEUE_CONTROL:
		return PD_CONTROL_NUM;
	case PD_QUEUE_EVENT:
		return PD_EVENT_NUM;
	default:
		return rounddown_pow_of_two(
			clamp(4 * PD_REQUEST_NUM / nrequest, PD_CONTROL_NUM, PD_REQUEST_NUM));
	}
}

static const char *pd_xen_name(unsigned int queue)
{
	return queue == PD_QUEUE_CONTROL ? "paradice-control" :
	       queue == PD_QUEUE_EVENT	 ? "paradice-event" :
					   "paradice-request";
}

/* pages and a description of them for @q */
static int pd_xen_make_area(struct pd_xen_queue *q, u32 num)
{
	unsigned int i, n = pd_xen_area_pages(num);
	struct pd_xen_area *head;
	struct pd_grants *g;

	g = pd_grants_new(q->x->domid, n, true);
	if (IS_ERR(g))
		return PTR_ERR(g);
	q->area = g;
	q->vaddr = vmap(g->pages, n, VM_MAP, PAGE_KERNEL);
	if (!q->vaddr)
		return -ENOMEM;
	g = pd_grants_new(q->x->domid, 1, false);
	if (IS_ERR(g))
		return PTR_ERR(g);
	q->head = g;
	head = page_address(g->pages[0]);
	head->magic = cpu_to_le32(PD_XEN_AREA_MAGIC);
	head->num = cpu_to_le32(num);
	head->pages = cpu_to_le32(n);
	for (i = 0; i < n; i++)
		head->refs[i] = cpu_to_le32(q->area->refs[i]);
	return pd_ring_init(&q->ring, q->vaddr, num, q->index);
}

static int pd_xen_make_channel(struct pd_xen_queue *q)
{
	struct xenbus_device *xdev = q->x->xdev;
	int ret;

	ret = xenbus_alloc_evtchn(xdev, &q->port);
	if (ret)
		return ret;
	ret = bind_evtchn_to_irqhandler_lateeoi(q->port, pd_xen_interrupt, 0, pd_xen_name(q->index),
						q);
	if (ret < 0) {
		xenbus_free_evtchn(xdev, q->port);
		return ret;
	}
	q->irq = ret;
	return 0;
}

static int pd_xen_make_queue(struct pd_xen_queue *q, u32 num)
{
	int ret;

	ret = pd_xen_make_area(q, num);
	while (!ret && q->index == PD_QUEUE_EVENT && q->ring.num_free)
		ret = pd_ring_add_buffer(&q->ring, sizeof(struct pd_event));
	if (ret)
		return ret;
	q->margin = num / 8;
	q->live = true;
	return pd_xen_make_channel(q);
}

/**
 * pd_xen_new() - makes what a connection needs
 * @xdev: with the back-end of this device
 * @nrequest: request queues
 *
 * Return: the connection, to be announced, or an error. May sleep.
 */
struct pd_xen *pd_xen_new(struct xenbus_device *xdev, unsigned int nrequest)
{
	unsigned int i, n = PD_QUEUE_REQUEST + nrequest;
	struct pd_xen *x;
	int ret = 0;

	x = kvzalloc(struct_size(x, queues, n), GFP_KERNEL);
	if (!x)
		return ERR_PTR(-ENOMEM);
	x->xdev = xdev;
	x->domid = xdev->otherend_id;
	x->nqueues = n;
	for (i = 0; i < n; i++) {
		spin_lock_init(&x->queues[i].lock);
		INIT_LIST_HEAD(&x->queues[i].inflight);
		x->queues[i].x = x;
		x->queues[i].index = i;
	}
	pd_host_init(&x->host, &pd_xen_ops, &xdev->dev);
	x->host.nqueues = nrequest;
	for (i = 0; i < n && !ret; i++)
		ret = pd_xen_make_queue(&x->queues[i], pd_xen_num(i, nrequest));
	if (!ret)
		return x;
	pd_xen_stop(x);
	pd_xen_put(x);
	return ERR_PTR(ret == -ENOSPC ? pd_xen_full() : ret);
}

/* the back-end has bound its ends: begins to talk to it. 0 or a negative errno */
int pd_xen_start(struct pd_xen *x)
{
	pd_xen_kick(&x->host, PD_QUEUE_EVENT);
	return pd_host_start(&x->host);
}

/* the connection is over: takes back what is in its queues, which nothing touches afterwards */
void pd_xen_stop(struct pd_xen *x)
{
	struct pd_request *r;
	unsigned int i;

	for (i = 0; i < x->nqueues; i++) {
		struct pd_xen_queue *q = &x->queues[i];

		spin_lock_irq(&q->lock);
		q->live = false;
		spin_unlock_irq(&q->lock);
		if (q->irq)
			unbind_from_irqhandler(q->irq, q); /* closes the event channel, too */
		q->irq = 0;
		while (q->index != PD_QUEUE_EVENT && q->ring.entries) {
			r = pd_ring_detach(&q->ring);
			if (!r)
				break;
			spin_lock_irq(&q->lock);
			list_del_init(&r->link);
			spin_unlock_irq(&q->lock);
			pd_req_complete(r, 0);
		}
	}
	wake_up_all(&x->host.space);
}

/* waits a little until the back-end has let go of the areas; it knows that it shall */
static void pd_xen_end_areas(struct pd_xen *x)
{
	unsigned int i, waited = 0;
	bool all;

	do {
		if (waited)
			msleep(20);
		all = true;
		for (i = 0; i < x->nqueues; i++) {
			struct pd_xen_queue *q = &x->queues[i];

			all &= !q->area || pd_grants_end(q->area);
			all &= !q->head || pd_grants_end(q->head);
		}
		waited += 20;
	} while (!all && waited < PD_AREA_WAIT);
}

/* frees the queues of a connection that was stopped, and gives it up. May sleep */
void pd_xen_put(struct pd_xen *x)
{
	unsigned int i;

	pd_xen_end_areas(x);
	for (i = 0; i < x->nqueues; i++) {
		struct pd_xen_queue *q = &x->queues[i];

		pd_ring_exit(&q->ring);
		if (q->vaddr)
			vunmap(q->vaddr);
		pd_grants_free(q->area);
		pd_grants_free(q->head);
	}
	pd_host_put(&x->host);
}
