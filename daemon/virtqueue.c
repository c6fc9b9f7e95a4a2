// SPDX-License-Identifier: Apache-2.0
#include "virtqueue.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "log.h"
#include "weak.h"

#ifdef PARADICE_TSAN
/* the sanitizer's, for which there is no header */
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#endif

/* Fields that the guest changes under our eyes: read and written exactly once. */
#define GET(x) (*(const volatile __typeof__(x) *)&(x))
#define PUT(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

void vq_init(struct virtqueue *q, unsigned int index)
{
	memset(q, 0, sizeof(*q));
	pthread_mutex_init(&q->lock, NULL);
	q->index = index;
	q->kick = q->call = -1;
}

void vq_attach(struct virtqueue *q, struct queue_state *state)
{
	q->state = state;
}

int vq_resolve(struct virtqueue *q, struct guest_memory *g)
{
	uint64_t n = q->num;

	q->desc = gmem_uva(g, q->uva.desc, n * sizeof(struct vring_desc));
	q->avail = gmem_uva(g, q->uva.avail, 4 + 2 * n + 2);
	q->used = gmem_uva(g, q->uva.used, 4 + sizeof(struct vring_used_elem) * n + 2);
	if (!n || !q->desc || !q->avail || !q->used || ((uintptr_t)q->desc & 15) ||
	    ((uintptr_t)q->avail & 1) || ((uintptr_t)q->used & 3)) {
		q->desc = NULL;
		q->avail = NULL;
		q->used = NULL;
		return -EFAULT;
	}
	return 0;
}

bool vq_running(const struct virtqueue *q)
{
	return q->started && q->enabled && q->desc && !q->broken;
}

static uint16_t *used_event(struct virtqueue *q)
{
	return &q->avail->ring[q->num];
}

static uint16_t *avail_event(struct virtqueue *q)
{
	return (uint16_t *)&q->used->ring[q->num];
}

bool vq_more(struct virtqueue *q)
{
	return vq_running(q) && GET(q->avail->idx) != q->last_avail;
}

bool vq_want_kick(struct virtqueue *q)
{
	if (!vq_running(q))
		return false;
	if (q->event_idx)
		PUT(*avail_event(q), q->last_avail);
	atomic_thread_fence(memory_order_seq_cst);
	return vq_more(q);
}

bool vq_no_kick(struct virtqueue *q)
{
	if (vq_running(q) && q->event_idx)
		PUT(*avail_event(q), (uint16_t)(q->last_avail - 1));
	return false;
}

bool vq_untouched(const struct virtqueue *q)
{
	static const struct vring_desc none;

	return vq_running(q) && !q->last_avail && !GET(q->avail->idx) && !GET(q->avail->flags) &&
	       !memcmp(q->desc, &none, sizeof(none));
}

static int broken(struct virtqueue *q, const char *why)
{
	q->broken = true;
	log_limited(LOG_ERROR,
		    "queue %u: %s; the queue is stopped until the guest resets the device",
		    q->index, why);
	return -EPROTO;
}

static const char *add_segment(struct guest_memory *g, struct vq_chain *c,
			       const struct vring_desc *d)
{
	uint64_t avail;

	if (!WEAK(SEGMENTS) && c->nread + c->nwrite == VQ_MAX_SEGMENTS)
		return "a chain with too many segments";
	if (!d->len)
		return "a descriptor of length 0";
	/* pieces that cross from one region to the next are found out when they are copied */
	if (!WEAK(RAM) && !gmem_is_grant(g, d->addr, d->len) &&
	    (d->addr + d->len < d->addr || !gmem_gpa(g, d->addr, &avail)))
		return "a descriptor that is not in the guest's memory";
	c->seg[c->nread + c->nwrite] = (struct vq_segment){ .gpa = d->addr, .len = d->len };
	if (d->flags & VRING_DESC_F_WRITE) {
		c->nwrite++;
		c->write_len += d->len;
	} else {
		if (c->nwrite)
			return "a readable descriptor behind a writable one";
		c->nread++;
		c->read_len += d->len;
	}
	return NULL;
}

/* Walks an indirect table; it has no further ones. */
static const char *walk_indirect(struct guest_memory *g, struct vq_chain *c,
				 const struct vring_desc *table)
{
	uint32_t n = table->len / sizeof(struct vring_desc);
	struct vq_segment seg = { .gpa = table->addr, .len = WEAK(RING) ? UINT32_MAX : table->len };
	uint32_t i = 0;

	if (!n || table->len % sizeof(struct vring_desc) || n > VQ_MAX_SIZE)
		return "an indirect table of a wrong size";
	for (uint32_t steps = 0; WEAK(LOOPS) || steps < n; steps++) {
		struct vring_desc d;
		const char *why;

		if (vq_read(g, &seg, 1, (uint64_t)i * sizeof(d), &d, sizeof(d)))
			return "an indirect table that is not in the guest's memory";
		if (d.flags & VRING_DESC_F_INDIRECT)
			return "an indirect table in an indirect table";
		why = add_segment(g, c, &d);
		if (why)
			return why;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return NULL;
		i = d.next;
		if (!WEAK(RING) && i >= n)
			return "an indirect descriptor past its table";
	}
	return "a loop of indirect descriptors";
}

/* Walks the chain that begins at c->head; NULL, or what is wrong with it. */
static const char *walk(struct virtqueue *q, struct guest_memory *g, struct vq_chain *c)
{
	uint16_t i = c->head;

	c->nread = c->nwrite = 0;
	c->read_len = c->write_len = 0;
	for (uint32_t steps = 0; WEAK(LOOPS) || steps < q->num; steps++) {
		struct vring_desc d;
		const char *why;

		memcpy(&d, &q->desc[i], sizeof(d));
		atomic_signal_fence(memory_order_seq_cst); /* d is our copy from here on */
		if (d.flags & VRING_DESC_F_INDIRECT)
			why = d.flags & VRING_DESC_F_NEXT ?
				      "an indirect descriptor with a next one" :
				      walk_indirect(g, c, &d);
		else
			why = add_segment(g, c, &d);
		if (why)
			return why;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return NULL;
		i = d.next;
		if (!WEAK(RING) && i >= q->num)
			return "a descriptor past the ring";
	}
	return "a loop of descriptors";
}

int vq_pop(struct virtqueue *q, struct guest_memory *g, struct vq_chain *c)
{
	const char *why;
	uint16_t idx;
	uint16_t i;

	if (!vq_running(q))
		return 0;
	idx = GET(q->avail->idx);
	if (idx == q->last_avail)
		return 0;
	if (!WEAK(RING) && (uint16_t)(idx - q->last_avail) > q->num)
		return broken(q, "the available index jumped");
	atomic_thread_fence(memory_order_acquire);
	i = GET(q->avail->ring[q->last_avail % q->num]);
	if (!WEAK(RING) && i >= q->num)
		return broken(q, "a chain's head is past the ring");
	c->head = i;
	why = walk(q, g, c);
	if (why)
		return broken(q, why);
	if (q->state) {
		q->state->head[i] = STATE_TAKEN | q->last_avail;
		atomic_signal_fence(memory_order_seq_cst);
		q->state->last_avail = (uint16_t)(q->last_avail + 1);
	}
	q->last_avail++;
	return 1;
}

static bool wants_interrupt(struct virtqueue *q)
{
	uint16_t old = q->signalled;
	uint16_t event;

	atomic_thread_fence(memory_order_seq_cst);
	if (!q->event_idx)
		return !(GET(q->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	event = GET(*used_event(q));
	q->signalled = q->used_idx;
	return (uint16_t)(q->used_idx - event - 1) < (uint16_t)(q->used_idx - old);
}

void vq_push(struct virtqueue *q, uint16_t head, uint32_t len)
{
	struct vring_used_elem *e = &q->used->ring[q->used_idx % q->num];

	if (q->state) {
		q->state->push_used = q->used_idx;
		atomic_signal_fence(memory_order_seq_cst);
		q->state->pushing = head + 1u;
		atomic_signal_fence(memory_order_seq_cst);
	}
	PUT(e->id, head);
	PUT(e->len, len);
	q->used_idx++;
	atomic_thread_fence(memory_order_release);
	PUT(q->used->idx, q->used_idx);
	if (q->state) {
		atomic_signal_fence(memory_order_seq_cst);
		q->state->head[head] = 0;
		atomic_signal_fence(memory_order_seq_cst);
		q->state->pushing = 0;
	}
	if (wants_interrupt(q) && q->call >= 0)
		eventfd_write(q->call, 1);
}

void vq_recover(struct virtqueue *q)
{
	struct queue_state *s = q->state;

	/* it died while it gave one back: before or after the guest could see it? */
	if (s->pushing && s->pushing <= STATE_HEADS && GET(q->used->idx) != s->push_used)
		s->head[s->pushing - 1] = 0;
	s->pushing = 0;
	/* or while it took one: that one is taken again */
	for (unsigned int i = 0; i < STATE_HEADS; i++)
		if (s->head[i] == (STATE_TAKEN | s->last_avail))
			s->head[i] = 0;
	q->last_avail = s->last_avail;
	q->used_idx = q->signalled = GET(q->used->idx);
}

int vq_recover_next(struct virtqueue *q, struct guest_memory *g, struct vq_chain *c)
{
	for (uint32_t i = 0; i < q->num && i < STATE_HEADS; i++) {
		if (!q->state->head[i])
			continue;
		c->head = (uint16_t)i;
		if (!walk(q, g, c))
			return 1;
		q->state->head[i] = 0;
	}
	return 0;
}

/*
 * One of the two is the guest's memory. What puts our accesses to that in an order is the guest's driver, which
 * the thread sanitizer does not see.
 */
static void copy_run(void *to, const void *from, uint64_t len)
{
#ifdef PARADICE_TSAN
	AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
	AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
#endif
	memcpy(to, from, len);
#ifdef PARADICE_TSAN
	AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
	AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
#endif
}

static int copy(struct guest_memory *g, const struct vq_segment *seg, unsigned int nseg,
		uint64_t offset, char *buf, uint64_t len, bool to_guest)
{
	const uint64_t all = len;

	for (unsigned int i = 0; i < nseg && len; i++) {
		uint64_t at = seg[i].gpa + offset;
		uint64_t left;

		if (offset >= seg[i].len) {
			offset -= seg[i].len;
			continue;
		}
		left = seg[i].len - offset < len ? seg[i].len - offset : len;
		offset = 0;
		if (gmem_is_grant(g, at, left)) {
			if (gmem_grant_copy(g, at, buf, left, to_guest))
				return -EFAULT;
			buf += left;
			len -= left;
			continue;
		}
		while (left) {
			uint64_t n;
			char *p = gmem_gpa(g, at, &n);

			if (!p)
				return -EFAULT;
			if (n > left)
				n = left;
			if (to_guest)
				copy_run(p, buf, n);
			else
				copy_run(buf, p, n);
			buf += n;
			at += n;
			left -= n;
			len -= n;
		}
	}
	if (len)
		return -EFAULT;
	gmem_count_copied(g, all);
	return 0;
}

int vq_read(struct guest_memory *g, const struct vq_segment *seg, unsigned int nseg,
	    uint64_t offset, void *out, uint64_t len)
{
	return copy(g, seg, nseg, offset, out, len, false);
}

int vq_write(struct guest_memory *g, const struct vq_segment *seg, unsigned int nseg,
	     uint64_t offset, const void *in, uint64_t len)
{
	return copy(g, seg, nseg, offset, (char *)in, len, true);
}
