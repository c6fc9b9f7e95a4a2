// SPDX-License-Identifier: Apache-2.0
/* The guest's side of the rings. */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "frontend.h"

/* Puts a chain of one readable and one writable descriptor; returns its head. */
static uint16_t put(struct fe *f, unsigned int queue, uint64_t in, uint32_t in_len, uint64_t out,
		    uint32_t out_len)
{
	struct fe_queue *q = &f->q[queue];
	struct vring_desc *desc = (void *)(f->mem + FE_DESC(q));
	struct vring_avail *avail = (void *)(f->mem + FE_AVAIL(q));
	struct vring_used *used = (void *)(f->mem + FE_USED(q));
	uint16_t *avail_event = (uint16_t *)&used->ring[FE_RING];
	uint16_t head;
	uint16_t old;
	bool kick;

	pthread_mutex_lock(&q->lock);
	if (!q->nfree) {
		fprintf(stderr, "queue %u is full\n", queue);
		abort();
	}
	head = q->free[--q->nfree];
	q->done[head] = false;
	if (in_len)
		desc[head] = (struct vring_desc){ in, in_len, out_len ? VRING_DESC_F_NEXT : 0,
						  (uint16_t)(head + 1) };
	if (out_len)
		desc[in_len ? head + 1 : head] =
			(struct vring_desc){ out, out_len, VRING_DESC_F_WRITE, 0 };
	avail->ring[q->avail % FE_RING] = head;
	old = q->avail++;
	atomic_thread_fence(memory_order_release);
	*(volatile uint16_t *)&avail->idx = q->avail;
	atomic_thread_fence(memory_order_seq_cst);
	if (f->features & 1ull << VIRTIO_RING_F_EVENT_IDX)
		kick = (uint16_t)(q->avail - *(volatile uint16_t *)avail_event - 1) <
		       (uint16_t)(q->avail - old);
	else
		kick = !(*(volatile uint16_t *)&used->flags & VRING_USED_F_NO_NOTIFY);
	q->kicks += kick;
	pthread_mutex_unlock(&q->lock);
	if (kick)
		eventfd_write(q->kick, 1);
	return head;
}

/* by the queue's lock */
static void take_used(struct fe *f, struct fe_queue *q)
{
	struct vring_used *used = (void *)(f->mem + FE_USED(q));
	struct vring_avail *avail = (void *)(f->mem + FE_AVAIL(q));

	for (;;) {
		while (q->used != *(volatile uint16_t *)&used->idx) {
			struct vring_used_elem e;

			atomic_thread_fence(memory_order_acquire);
			e = used->ring[q->used % FE_RING];
			if (e.id >= FE_RING) {
				fprintf(stderr, "a used id of %u\n", e.id);
				abort();
			}
			q->used++;
			q->done[e.id] = true;
			q->used_len[e.id] = e.len;
		}
		*(volatile uint16_t *)&avail->ring[FE_RING] = q->used;
		atomic_thread_fence(memory_order_seq_cst);
		if (q->used == *(volatile uint16_t *)&used->idx)
			return;
	}
}

/* Waits for the chain with this head. Returns its length or -ETIME. */
static int64_t wait_head(struct fe *f, unsigned int queue, uint16_t head, int ms)
{
	struct fe_queue *q = &f->q[queue];
	struct timespec begin;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (;;) {
		struct pollfd p = { .fd = q->call, .events = POLLIN };
		eventfd_t v;
		int64_t len = -1;
		long left;

		pthread_mutex_lock(&q->lock);
		take_used(f, q);
		if (q->done[head]) {
			q->done[head] = false;
			q->free[q->nfree++] = head;
			len = q->used_len[head];
		}
		pthread_mutex_unlock(&q->lock);
		if (len >= 0)
			return len;
		clock_gettime(CLOCK_MONOTONIC, &now);
		left = ms - ((now.tv_sec - begin.tv_sec) * 1000 +
			     (now.tv_nsec - begin.tv_nsec) / 1000000);
		if (left <= 0)
			return -ETIME;
		/* others may have taken the interrupt that was ours */
		poll(&p, 1, left > 20 ? 20 : (int)left);
		eventfd_read(q->call, &v);
	}
}

static void submit(struct fe *f, struct fe_call *c, unsigned int queue, const void *bytes,
		   size_t len, size_t room)
{
	size_t need = ((len + 63) & ~63ull) + room;

	/* one page-aligned buffer per call, for the request and behind it the answer */
	c->page = 0;
	pthread_mutex_lock(&f->maps_lock);
	if (need <= PD_PAGE_SIZE && f->nsmall)
		c->page = f->small[--f->nsmall];
	pthread_mutex_unlock(&f->maps_lock);
	if (!c->page)
		c->page = fe_frames(f, (unsigned int)((need + PD_PAGE_SIZE - 1) / PD_PAGE_SIZE));
	c->small = need <= PD_PAGE_SIZE;
	c->buffer = c->page << PD_PAGE_SHIFT;
	memcpy(f->mem + c->buffer, bytes, len);
	c->queue = queue;
	c->head = put(f, queue, c->buffer, (uint32_t)len, c->buffer + ((len + 63) & ~63ull),
		      (uint32_t)room);
	c->buffer += (len + 63) & ~63ull;
}

void fe_submit_raw(struct fe *f, struct fe_call *c, unsigned int queue, const void *bytes,
		   size_t len, size_t room)
{
	submit(f, c, queue, bytes, len, room);
}

void fe_submit(struct fe *f, struct fe_call *c, unsigned int queue, struct pd_req *req,
	       const struct pd_range *drops, const struct pd_pages *pages,
	       const struct pd_range *vecs)
{
	size_t ld = req->ndrops * sizeof(*drops);
	size_t lp = req->npages * sizeof(*pages);
	size_t lv = req->nvecs * sizeof(*vecs);
	uint8_t *bytes = malloc(sizeof(*req) + ld + lp + lv);
	uint8_t *at = bytes + sizeof(*req);

	if (!req->tag)
		req->tag = __atomic_fetch_add(&f->next_tag, 1, __ATOMIC_RELAXED);
	c->tag = c->first_tag = req->tag;
	memcpy(bytes, req, sizeof(*req));
	if (ld)
		memcpy(at, drops, ld);
	if (lp)
		memcpy(at + ld, pages, lp);
	if (lv)
		memcpy(at + ld + lp, vecs, lv);
	submit(f, c, queue, bytes, sizeof(*req) + ld + lp + lv,
	       sizeof(struct pd_resp) + (req->op == PD_OP_DEVICE ? sizeof(struct pd_device) : 0));
	free(bytes);
}

int64_t fe_wait_raw(struct fe *f, struct fe_call *c, int ms)
{
	int64_t len = wait_head(f, c->queue, c->head, ms);

	if (len < 0)
		return len;
	c->len = len;
	memset(&c->resp, 0, sizeof(c->resp));
	if (len >= (int64_t)sizeof(c->resp))
		memcpy(&c->resp, f->mem + c->buffer, sizeof(c->resp));
	if (len >= (int64_t)(sizeof(c->resp) + sizeof(c->device)))
		memcpy(&c->device, f->mem + c->buffer + sizeof(c->resp), sizeof(c->device));
	pthread_mutex_lock(&f->maps_lock);
	if (c->small && f->nsmall < FE_SMALL)
		f->small[f->nsmall++] = c->page;
	pthread_mutex_unlock(&f->maps_lock);
	if (len >= (int64_t)sizeof(c->resp) && c->tag && c->resp.tag != c->tag) {
		fprintf(stderr, "an answer to %llu instead of %llu\n",
			(unsigned long long)c->resp.tag, (unsigned long long)c->tag);
		abort();
	}
	return (int64_t)c->resp.result;
}

void fe_continue(struct fe *f, struct fe_call *c, int error, const struct pd_pages *pages,
		 unsigned int npages, const struct pd_req_continue *map)
{
	struct pd_req req = { .op = PD_OP_CONTINUE, .mm = c->mm->id, .npages = npages };
	uint64_t first = c->first_tag;

	if (map)
		req.u.cont = *map;
	req.u.cont.tag = first;
	req.u.cont.error = (uint32_t)error;
	fe_submit(f, c, c->queue, &req, NULL, pages, NULL);
	c->first_tag = first;
}

void fe_post_events(struct fe *f, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		uint64_t at = fe_frames(f, 1) << PD_PAGE_SHIFT;

		put(f, PD_QUEUE_EVENT, 0, 0, at, sizeof(struct pd_event));
	}
}

int fe_event(struct fe *f, struct pd_event *ev, int ms)
{
	struct fe_queue *q = &f->q[PD_QUEUE_EVENT];
	struct vring_desc *desc = (void *)(f->mem + FE_DESC(q));

	for (int waited = 0;; waited += 5) {
		struct pollfd p = { .fd = q->call, .events = POLLIN };
		eventfd_t v;

		pthread_mutex_lock(&q->lock);
		take_used(f, q);
		for (uint16_t head = 0; head < FE_RING; head++)
			if (q->done[head]) {
				q->done[head] = false;
				q->free[q->nfree++] = head;
				memcpy(ev, f->mem + desc[head].addr, sizeof(*ev));
				pthread_mutex_unlock(&q->lock);
				return 0;
			}
		pthread_mutex_unlock(&q->lock);
		if (waited >= ms)
			return -ETIME;
		poll(&p, 1, 5);
		eventfd_read(q->call, &v);
	}
}
