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

static struct pd_xen_queue *to_queue(struct pd_queue *q)
{
	return container_of(q, struct pd_xen_queue, q);
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

/* ---- rings ---- */

static int pd_xen_space(struct pd_queue *q)
{
	const struct pd_ring *ring = &to_queue(q)->ring;

	return ring->broken ? -EIO : ring->num_free;
}

static int pd_xen_add(struct pd_queue *q, struct pd_request *r)
{
	struct pd_grants *g = r->room;
	const struct pd_ring_message m = {
		.req = &r->req,
		.lists = r->lists,
		.lists_len = r->lists_len,
		.tail_len = r->tail_len,
		.refs = g ? g->refs : NULL,
	};
	int ret;

	if (m.lists_len > PD_RING_INLINE && g && m.lists_len <= g->n * PAGE_SIZE)
		pd_grants_write(g, r->lists, r->lists_len);
	ret = pd_ring_add_message(&to_queue(q)->ring, &m, r);
	/* a place was reserved, and room made */
	if (WARN_ON_ONCE(ret && ret != -EIO))
		ret = -EIO;
	return ret;
}

static void pd_xen_kick(struct pd_queue *q)
{
	struct pd_xen_queue *xq = to_queue(q);

	if (pd_ring_kick(&xq->ring))
		notify_remote_via_irq(xq->irq);
}

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

static struct pd_request *pd_xen_take(struct pd_queue *q, u32 *len)
{
	struct pd_xen_queue *xq = to_queue(q);
	struct pd_request *r;
	const void *slot;

	r = pd_ring_take(&xq->ring, &slot, len);
	if (r) {
		xq->taken = true;
		pd_xen_copy_answer(r, slot, *len);
	}
	return r;
}

static bool pd_xen_take_event(struct pd_queue *q, struct pd_event *ev, u32 *len)
{
	struct pd_xen_queue *xq = to_queue(q);
	const void *slot;

	if (!pd_ring_take(&xq->ring, &slot, len))
		return false;
	xq->taken = true;
	memcpy(ev, slot, sizeof(*ev));
	if (!pd_ring_add_buffer(&xq->ring, sizeof(*ev)))
		pd_xen_kick(q);
	return true;
}

static void pd_xen_quiet(struct pd_queue *q)
{
	pd_ring_quiet(&to_queue(q)->ring);
}

static bool pd_xen_listen(struct pd_queue *q)
{
	return pd_ring_listen(&to_queue(q)->ring);
}

static void pd_xen_eoi(struct pd_xen_queue *xq)
{
	/* an event for what a task has found itself is none too many */
	xen_irq_lateeoi(xq->irq, xchg(&xq->taken, false) ? 0 : XEN_EOI_FLAG_SPURIOUS);
}

/* no interrupt comes before: events that never end do not keep the processor */
static void pd_xen_caught_up(struct pd_queue *q)
{
	pd_xen_eoi(to_queue(q));
}

static void *pd_xen_detach(struct pd_queue *q)
{
	return pd_ring_detach(&to_queue(q)->ring);
}

static const struct pd_queue_ops pd_xen_queue_ops = {
	.space = pd_xen_space,
	.add = pd_xen_add,
	.kick = pd_xen_kick,
	.take = pd_xen_take,
	.take_event = pd_xen_take_event,
	.quiet = pd_xen_quiet,
	.listen = pd_xen_listen,
	.caught_up = pd_xen_caught_up,
	.detach = pd_xen_detach,
};

static irqreturn_t pd_xen_interrupt(int irq, void *data)
{
	struct pd_xen_queue *xq = data;

	if (!pd_queue_answered(&xq->q))
		pd_xen_eoi(xq);
	return IRQ_HANDLED;
}

/* ---- connections ---- */

static void pd_xen_free(struct pd_host *host)
{
	kvfree(to_xen(host));
}

static const struct pd_transport_ops pd_xen_ops = {
	.again = "others can be opened when its back-end is there again",
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
	domid_t domid = to_xen(q->q.host)->domid;
	unsigned int i, n = pd_xen_area_pages(num);
	struct pd_xen_area *head;
	struct pd_grants *g;

	g = pd_grants_new(domid, n, true);
	if (IS_ERR(g))
		return PTR_ERR(g);
	q->area = g;
	q->vaddr = vmap(g->pages, n, VM_MAP, PAGE_KERNEL);
	if (!q->vaddr)
		return -ENOMEM;
	g = pd_grants_new(domid, 1, false);
	if (IS_ERR(g))
		return PTR_ERR(g);
	q->head = g;
	head = page_address(g->pages[0]);
	head->magic = cpu_to_le32(PD_XEN_AREA_MAGIC);
	head->num = cpu_to_le32(num);
	head->pages = cpu_to_le32(n);
	for (i = 0; i < n; i++)
		head->refs[i] = cpu_to_le32(q->area->refs[i]);
	return pd_ring_init(&q->ring, q->vaddr, num, q->q.index);
}

static int pd_xen_make_channel(struct pd_xen_queue *q)
{
	struct xenbus_device *xdev = to_xen(q->q.host)->xdev;
	int ret;

	ret = xenbus_alloc_evtchn(xdev, &q->port);
	if (ret)
		return ret;
	ret = bind_evtchn_to_irqhandler_lateeoi(q->port, pd_xen_interrupt, 0,
						pd_xen_name(q->q.index), q);
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
	while (!ret && q->q.index == PD_QUEUE_EVENT && q->ring.num_free)
		ret = pd_ring_add_buffer(&q->ring, sizeof(struct pd_event));
	if (ret)
		return ret;
	ret = pd_xen_make_channel(q);
	if (!ret)
		pd_queue_begin(&q->q, num);
	return ret;
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
	pd_host_init(&x->host, &pd_xen_ops, &xdev->dev);
	x->host.nqueues = nrequest;
	/* a message's descriptors are in a table of its own: it takes one of the ring's */
	for (i = 0; i < n; i++)
		pd_queue_init(&x->queues[i].q, &x->host, &pd_xen_queue_ops, i, 1);
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
	pd_queue_kick(x->host.queues[PD_QUEUE_EVENT]);
	return pd_host_start(&x->host);
}

/* the connection is over: takes back what is in its queues, which nothing touches afterwards */
void pd_xen_stop(struct pd_xen *x)
{
	unsigned int i;

	for (i = 0; i < pd_host_queues(&x->host); i++) {
		struct pd_xen_queue *q = &x->queues[i];

		pd_queue_end(&q->q);
		if (q->irq)
			unbind_from_irqhandler(q->irq, q); /* closes the event channel, too */
		q->irq = 0;
		pd_queue_drain(&q->q);
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
		for (i = 0; i < pd_host_queues(&x->host); i++) {
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
	for (i = 0; i < pd_host_queues(&x->host); i++) {
		struct pd_xen_queue *q = &x->queues[i];

		pd_ring_exit(&q->ring);
		if (q->vaddr)
			vunmap(q->vaddr);
		pd_grants_free(q->area);
		pd_grants_free(q->head);
	}
	pd_host_put(&x->host);
}
