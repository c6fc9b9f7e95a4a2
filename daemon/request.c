// SPDX-License-Identifier: Apache-2.0
#include "request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "files.h"
#include "log.h"
#include "maps.h"
#include "mms.h"
#include "weak.h"

/*
 * An answer with what follows it; the same for queues that stand still (the VM is paused), by the
 * queue's lock.
 */
struct held {
	struct held *next;
	struct reply reply;
	struct pd_resp resp;
	uint32_t tail_len;
	uint8_t tail[];
};

static struct held *held[NUM_QUEUES];

/* by the queue's lock, which is running */
static void give(struct worker *w, struct virtqueue *q, struct reply *reply, struct pd_resp *resp,
		 const void *tail, uint32_t tail_len)
{
	uint64_t len = sizeof(*resp) + tail_len;
	int err;

	resp->tag = reply->tag;
	gmem_rdlock(w->mem);
	if (len > reply->room)
		len = reply->room;
	err = vq_write(w->mem, reply->seg, reply->nseg, 0, resp,
		       len < sizeof(*resp) ? len : sizeof(*resp));
	if (!err && len > sizeof(*resp))
		err = vq_write(w->mem, reply->seg, reply->nseg, sizeof(*resp), tail,
			       len - sizeof(*resp));
	vq_push(q, reply->head, err ? 0 : (uint32_t)len);
	gmem_unlock(w->mem);
}

static void answer(struct worker *w, struct virtqueue *q, struct reply *reply,
		   const struct pd_resp *resp, const void *tail, uint32_t tail_len)
{
	struct pd_resp copy = *resp;
	struct held *h;

	reply->present = false;
	if (reply->generation != q->generation)
		return; /* the ring it came from is gone */
	if (vq_running(q)) {
		give(w, q, reply, &copy, tail, tail_len);
		return;
	}
	h = malloc(sizeof(*h) + tail_len);
	if (!h)
		return;
	h->reply = *reply;
	h->resp = copy;
	h->tail_len = tail_len;
	if (tail_len)
		memcpy(h->tail, tail, tail_len);
	h->next = held[q->index];
	held[q->index] = h;
}

void request_flush_held(struct virtqueue *q, struct worker *w)
{
	struct held *h;

	while ((h = held[q->index])) {
		held[q->index] = h->next;
		if (h->reply.generation == q->generation)
			give(w, q, &h->reply, &h->resp, h->tail, h->tail_len);
		free(h);
	}
}

void request_get(struct request *r)
{
	atomic_fetch_add(&r->refs, 1);
}

void request_put(struct request *r)
{
	if (atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	if (r->map)
		map_put(r->map);
	if (r->file)
		file_put(r->file);
	if (r->mm)
		mm_put(r->mm);
	if (r->s)
		session_put(r->s);
	free(r->tail);
	free(r);
}

static void leave(struct request *r)
{
	if (r->s)
		session_remove_request(r->s, r);
}

/* Its last answer, if there is a chain for it. */
static void give_result(struct request *r)
{
	pthread_mutex_lock(&r->vq->lock);
	if (r->reply.present)
		answer(r->w, r->vq, &r->reply, &r->resp, r->tail, r->tail_len);
	pthread_mutex_unlock(&r->vq->lock);
}

void request_done(struct request *r, int64_t result)
{
	bool out;

	/* the end of its session interrupted it, and no signal of the program's that could tell what is to be done */
	if (r->s && r->s->over && result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK)
		result = -EIO;
	r->resp.status = PD_ST_DONE;
	r->resp.result = (uint64_t)result;
	/*
	 * First out of the table: a guest that sees the answer may use the tag again. One without
	 * a chain stays until CONTINUE brings one.
	 */
	request_get(r);
	pthread_mutex_lock(&r->vq->lock);
	out = r->reply.present || r->abandoned;
	r->ended = true;
	pthread_mutex_unlock(&r->vq->lock);
	if (out) {
		leave(r);
		give_result(r);
	}
	request_put(r);
}

/* By the queue's lock; false without a chain to ask on. */
static bool ask(struct request *r, uint64_t addr, bool write)
{
	struct pd_resp resp = { .status = PD_ST_FAULT };

	if (!r->reply.present)
		return false;
	resp.u.fault.addr = addr;
	resp.u.fault.flags = write ? PD_FAULT_WRITE : 0;
	answer(r->w, r->vq, &r->reply, &resp, NULL, 0);
	r->asked = addr + 1;
	atomic_fetch_add(&r->w->counts.faults, 1);
	return true;
}

bool request_fault(struct request *r, uint64_t addr, bool write)
{
	bool asked;

	if (r->abandoned || r->s->over)
		return false;
	pthread_mutex_lock(&r->vq->lock);
	/* woken for nothing, it asks once more; the answer is under way */
	asked = r->asked == addr + 1 || ask(r, addr, write);
	r->wanted = 0;
	if (!asked && r->asked) {
		r->wanted = addr + 1;
		r->wanted_write = write;
		asked = true;
	}
	pthread_mutex_unlock(&r->vq->lock);
	return asked;
}

bool request_continue(struct request *r, struct request *c)
{
	bool taken = false;

	pthread_mutex_lock(&r->vq->lock);
	if (!r->reply.present) {
		taken = true;
		r->reply = c->reply;
		c->asked = r->asked;
		c->reply.present = false;
		c->abandoned = true; /* nothing to say to it by itself */
	}
	pthread_mutex_unlock(&r->vq->lock);
	return taken;
}

void request_go_on(struct request *r, const struct request *c, int error)
{
	bool same, ended;

	/* first this: once woken, it may ask for the same page, dropped again, in earnest */
	pthread_mutex_lock(&r->vq->lock);
	same = r->asked == c->asked;
	if (same)
		r->asked = 0;
	if (same && r->wanted) {
		if (!r->ended && !r->abandoned)
			ask(r, r->wanted - 1, r->wanted_write);
		r->wanted = 0;
		same = false;
	}
	/* else it takes the chain, or has taken it, by itself */
	ended = r->ended && r->reply.present;
	pthread_mutex_unlock(&r->vq->lock);
	if (ended) {
		leave(r);
		give_result(r);
	}
	/*
	 * One that saw its page before it slept needs no waking, and may have asked for the next.
	 * -ENOENT: it was interrupted meanwhile, and ends on its new chain.
	 */
	if (same)
		mirror_fault_done(&r->mop, error);
}

void request_abandon(struct request *r)
{
	bool ended;

	pthread_mutex_lock(&r->vq->lock);
	r->abandoned = true;
	ended = r->ended && !r->reply.present;
	pthread_mutex_unlock(&r->vq->lock);
	if (ended)
		leave(r);
}

/* Answers a chain from which no request could be made. */
static void refuse(struct worker *w, struct virtqueue *q, const struct vq_chain *c, uint64_t tag,
		   int result)
{
	struct pd_resp resp = { .status = PD_ST_DONE, .result = (uint64_t)(int64_t)result };
	struct reply reply = { .present = true, .head = c->head, .generation = q->generation };

	reply.tag = tag;
	reply.room = c->write_len;
	reply.nseg = c->nwrite < REPLY_SEGMENTS ? c->nwrite : REPLY_SEGMENTS;
	memcpy(reply.seg, &c->seg[c->nread], reply.nseg * sizeof(reply.seg[0]));
	atomic_fetch_add(&w->counts.malformed, 1);
	pthread_mutex_lock(&q->lock);
	answer(w, q, &reply, &resp, NULL, 0);
	pthread_mutex_unlock(&q->lock);
}

#define MALFORMED(w, q, c, req, result, ...)           \
	do {                                           \
		log_limited(LOG_WARNING, __VA_ARGS__); \
		refuse(w, q, c, (req)->tag, result);   \
		return NULL;                           \
	} while (0)

static struct request *read_request(struct worker *w, struct virtqueue *q, const struct vq_chain *c)
{
	struct pd_req req = { 0 };
	uint64_t lists;
	struct request *r;
	uint64_t want;
	int err;

	if (c->read_len < sizeof(req))
		MALFORMED(w, q, c, &req, -EINVAL,
			  "queue %u: a request of %llu bytes, shorter than its head (%zu)",
			  q->index, (unsigned long long)c->read_len, sizeof(req));
	gmem_rdlock(w->mem);
	err = vq_read(w->mem, c->seg, c->nread, 0, &req, sizeof(req));
	gmem_unlock(w->mem);
	if (err)
		MALFORMED(w, q, c, &req, -EINVAL, "queue %u: a request outside the guest's memory",
			  q->index);
	if (!WEAK(LISTS) && (req.ndrops > PD_MAX_DROPS || req.npages > PD_MAX_PAGES ||
			     req.nvecs > PD_MAX_VECS || req.nfds > PD_MAX_FDS))
		MALFORMED(
			w, q, c, &req, -E2BIG,
			"queue %u: a request with %u drops, %u pages, %u vecs, %u fds (at most %u, %u, %u, %u)",
			q->index, req.ndrops, req.npages, req.nvecs, req.nfds, PD_MAX_DROPS,
			PD_MAX_PAGES, PD_MAX_VECS, PD_MAX_FDS);
	lists = (uint64_t)req.ndrops * sizeof(struct pd_range) +
		(uint64_t)req.npages * sizeof(struct pd_pages) +
		(uint64_t)req.nvecs * sizeof(struct pd_range) +
		(uint64_t)req.nfds * sizeof(struct pd_fd);
	if (c->read_len != sizeof(req) + lists)
		MALFORMED(w, q, c, &req, -EINVAL,
			  "queue %u: a request of %llu bytes whose lists make it %llu", q->index,
			  (unsigned long long)c->read_len, (unsigned long long)sizeof(req) + lists);
	want = sizeof(struct pd_resp) + (req.op == PD_OP_DEVICE ? sizeof(struct pd_device) : 0);
	if (c->write_len < want || (!WEAK(REPLY) && c->nwrite > REPLY_SEGMENTS))
		MALFORMED(
			w, q, c, &req, -EINVAL,
			"queue %u: a request with room of %llu bytes in %u pieces for its answer (%llu needed)",
			q->index, (unsigned long long)c->write_len, c->nwrite,
			(unsigned long long)want);
	if (!req.tag)
		MALFORMED(w, q, c, &req, -EINVAL, "queue %u: a request with tag 0", q->index);

	r = malloc(sizeof(*r) + lists);
	if (!r) {
		refuse(w, q, c, req.tag, -ENOMEM);
		return NULL;
	}
	memset(r, 0, sizeof(*r));
	r->w = w;
	r->vq = q;
	r->req = req;
	atomic_init(&r->refs, 1);
	r->drops = (struct pd_range *)r->lists;
	r->pages = (struct pd_pages *)(r->drops + req.ndrops);
	r->vecs = (struct pd_range *)(r->pages + req.npages);
	r->fds = (struct pd_fd *)(r->vecs + req.nvecs);
	gmem_rdlock(w->mem);
	err = vq_read(w->mem, c->seg, c->nread, sizeof(req), r->lists, lists);
	gmem_unlock(w->mem);
	if (err) {
		free(r);
		MALFORMED(w, q, c, &req, -EINVAL, "queue %u: lists outside the guest's memory",
			  q->index);
	}
	r->reply = (struct reply){
		.present = true,
		.head = c->head,
		.generation = q->generation,
		.tag = req.tag,
		.room = c->write_len,
		.nseg = c->nwrite,
	};
	memcpy(r->reply.seg, &c->seg[c->nread], c->nwrite * sizeof(c->seg[0]));
	return r;
}

struct request *request_take(struct worker *w, struct virtqueue *q, bool *more)
{
	static _Thread_local struct vq_chain chain;
	struct request *r;
	int rc;

	for (;;) {
		pthread_mutex_lock(&q->lock);
		gmem_rdlock(w->mem);
		rc = vq_pop(q, w->mem, &chain);
		*more = vq_want_kick(q);
		gmem_unlock(w->mem);
		pthread_mutex_unlock(&q->lock);
		if (rc < 0)
			return NULL;
		if (rc == 0) {
			if (*more)
				continue;
			return NULL;
		}
		r = read_request(w, q, &chain);
		if (r)
			return r;
	}
}

void request_fail_old(struct worker *w, struct virtqueue *q)
{
	static struct vq_chain c;
	unsigned int n = 0;

	pthread_mutex_lock(&q->lock);
	gmem_rdlock(w->mem);
	vq_recover(q);
	while (vq_recover_next(q, w->mem, &c) == 1) {
		struct pd_resp resp = { .status = PD_ST_DONE, .result = (uint64_t)(int64_t)-EIO };
		struct pd_event lost = { .type = PD_EV_POLL, .lost = 1 };
		struct pd_req req = { 0 };
		const void *out = &resp;
		uint32_t len = sizeof(resp);

		if (q->index == PD_QUEUE_EVENT) {
			out = &lost;
			len = sizeof(lost);
		} else if (!vq_read(w->mem, c.seg, c.nread, 0, &req, sizeof(req))) {
			resp.tag = req.tag;
		}
		if (len > c.write_len)
			len = (uint32_t)c.write_len;
		if (vq_write(w->mem, &c.seg[c.nread], c.nwrite, 0, out, len))
			len = 0;
		vq_push(q, c.head, len);
		n++;
	}
	gmem_unlock(w->mem);
	pthread_mutex_unlock(&q->lock);
	if (n)
		log_info("queue %u: %u requests of the worker that died fail (EIO)", q->index, n);
}
