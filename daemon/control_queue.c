// SPDX-License-Identifier: Apache-2.0
#include "control_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "clock.h"
#include "devices.h"
#include "dispatch.h"
#include "events.h"
#include "log.h"
#include "mms.h"
#include "opens.h"
#include "request.h"
#include "rules.h"

/* How often those who should have ended are told again. */
#define NAG_MS 20
/* A guest that kicked has written the ring; if that is not seen by now, memory is not shared. */
#define UNTOUCHED_MS 500

static int epoll = -1;
static int poke = -1;

static int hello(struct worker *w, const struct pd_req_hello *q)
{
	char release[sizeof(q->release) + 1];
	struct session *s;
	int err;

	for (size_t i = 0; i < sizeof(q->release); i++)
		release[i] = !q->release[i] || (q->release[i] > ' ' && q->release[i] <= '~') ?
				     (char)q->release[i] :
				     '?';
	release[sizeof(q->release)] = '\0';
	if (q->version != PD_VERSION) {
		log_limited(
			LOG_ERROR,
			"the guest (Linux %s) speaks protocol version %u, this daemon %d: install the same release of Paradice on both sides",
			release, q->version, PD_VERSION);
		return -EPROTO;
	}
	s = session_get(w);
	if (s) {
		session_put(s);
		log_limited(LOG_WARNING, "a second HELLO without a reset");
		return -EBUSY;
	}
	err = session_begin(w);
	if (!err)
		log_limited(LOG_INFO, "guest: Linux %s, protocol %u", release, q->version);
	return err;
}

static int cancel(struct session *s, const struct pd_req_cancel *q)
{
	struct request *r = session_find_request(s, q->tag);
	int err = -ENOENT;

	if (!r)
		return -ENOENT;
	if (q->flags & PD_CANCEL_ABANDON) {
		request_abandon(r);
		err = 0;
	}
	if (r->open_id) {
		int rc = opens_cancel(s->w->opens, r);

		if (!(q->flags & PD_CANCEL_ABANDON))
			err = rc;
	} else if (r->mop.m) {
		int rc = mirror_cancel(&r->mop, q->flags & PD_CANCEL_ABANDON);

		if (!(q->flags & PD_CANCEL_ABANDON))
			err = rc;
	}
	request_put(r);
	return err;
}

/* Waiting for a process's end, by a thread of its own: a driver may take its time. */
static void *destroy_main(void *arg)
{
	struct request *r = arg;

	mm_destroy(r->mm);
	r->mm = NULL;
	request_done(r, 0);
	request_put(r);
	return NULL;
}

/* Takes over @r and its answer. */
static void destroy(struct request *r)
{
	pthread_attr_t attr;
	pthread_t thread;

	r->mm = mm_take(r->s, r->req.mm);
	if (!r->mm) {
		request_done(r, -ENOENT);
		request_put(r);
		return;
	}
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	if (pthread_create(&thread, &attr, destroy_main, r))
		destroy_main(r);
	pthread_attr_destroy(&attr);
}

static int describe(struct worker *w, struct request *r)
{
	int err;

	r->tail = malloc(sizeof(struct pd_device));
	if (!r->tail)
		return -ENOMEM;
	err = devices_describe(w, r->req.u.device.index, r->tail);
	if (!err)
		r->tail_len = sizeof(struct pd_device);
	return err;
}

/* As much of it as the guest has room for: bytes, or a negative errno. */
static int identity(struct worker *w, struct request *r)
{
	uint64_t room = r->reply.room - sizeof(struct pd_resp);
	uint32_t total = 0;
	int n;

	if (room > PD_IDENTITY_MAX)
		room = PD_IDENTITY_MAX;
	r->tail = malloc(room + 1);
	if (!r->tail)
		return -ENOMEM;
	n = devices_identity(w, &r->req.u.identity, r->tail, room, &total);
	r->tail_len = n < 0 ? 0 : (uint32_t)n;
	r->resp.u.identity.total = total;
	return n;
}

/* The number of rules in the answer, or a negative errno. */
static int rules(struct worker *w, struct request *r)
{
	uint64_t room = (r->reply.room - sizeof(struct pd_resp)) / sizeof(struct pd_rule);
	unsigned int n;

	if (room > PD_MAX_RULES)
		room = PD_MAX_RULES;
	if (!room)
		return -EINVAL;
	r->tail = malloc(room * sizeof(struct pd_rule));
	if (!r->tail)
		return -ENOMEM;
	n = rules_copy(&w->s.rules, r->req.u.rules.first, r->tail, (unsigned int)room);
	r->tail_len = n * (uint32_t)sizeof(struct pd_rule);
	return (int)n;
}

static bool is_control(unsigned int op)
{
	switch (op) {
	case PD_OP_DEVICE:
	case PD_OP_MM_CREATE:
	case PD_OP_MM_DESTROY:
	case PD_OP_CANCEL:
	case PD_OP_RULES:
	case PD_OP_IDENTITY:
		return true;
	default:
		return false;
	}
}

/* Takes over @r. */
static void serve(struct worker *w, struct request *r)
{
	const struct pd_req *q = &r->req;
	int err;

	if (dispatch_op_name(q->op) && q->op < sizeof(w->counts.ops) / sizeof(w->counts.ops[0]))
		atomic_fetch_add(&w->counts.ops[q->op], 1);
	r->s = session_get(w);
	if (q->ndrops || q->npages || q->nvecs || q->nfds) {
		log_limited(LOG_WARNING, "operation %u on the control queue with lists", q->op);
		atomic_fetch_add(&w->counts.malformed, 1);
		err = -EINVAL;
	} else if (q->op == PD_OP_HELLO) {
		err = hello(w, &q->u.hello);
	} else if (q->op == PD_OP_PING) {
		err = 0;
	} else if (!is_control(q->op)) {
		log_limited(LOG_WARNING, "operation %u does not belong on the control queue",
			    q->op);
		atomic_fetch_add(&w->counts.malformed, 1);
		err = -EINVAL;
	} else if (!r->s) {
		log_limited(LOG_WARNING, "a guest that goes on after a reset without HELLO");
		err = -EIO;
	} else if (q->op == PD_OP_MM_DESTROY) {
		destroy(r);
		return;
	} else if (q->op == PD_OP_DEVICE) {
		err = describe(w, r);
	} else if (q->op == PD_OP_RULES) {
		err = rules(w, r);
	} else if (q->op == PD_OP_IDENTITY) {
		err = identity(w, r);
	} else if (q->op == PD_OP_MM_CREATE) {
		err = mm_create(r->s, q->mm, &q->u.mm_create);
	} else {
		err = cancel(r->s, &q->u.cancel);
	}
	request_done(r, err);
	request_put(r);
}

/* Serves all that waits, one by one, each wholly before or wholly after a reset. */
static void serve_all(struct worker *w)
{
	struct request *r;
	bool more;

	do {
		pthread_mutex_lock(&w->order[PD_QUEUE_CONTROL]);
		r = request_take(w, &w->vq[PD_QUEUE_CONTROL], &more);
		if (r)
			serve(w, r);
		pthread_mutex_unlock(&w->order[PD_QUEUE_CONTROL]);
	} while (r);
}

static bool untouched(struct worker *w)
{
	struct virtqueue *q = &w->vq[PD_QUEUE_CONTROL];
	bool yes;

	pthread_mutex_lock(&q->lock);
	gmem_rdlock(w->mem);
	yes = vq_untouched(q);
	gmem_unlock(w->mem);
	pthread_mutex_unlock(&q->lock);
	return yes;
}

static void *control_main(void *arg)
{
	struct worker *w = arg;
	uint64_t kicked = 0;
	bool suspicious = false;
	bool told = false;
	bool nag = false;

	for (;;) {
		int timeout = nag ? NAG_MS : suspicious ? UNTOUCHED_MS : -1;
		struct epoll_event ev;
		struct session *s;
		int n = epoll_wait(epoll, &ev, 1, timeout);

		if (n == 1 && ev.data.fd == poke) {
			eventfd_t v;

			eventfd_read(poke, &v);
		} else if (n == 1 && !told && !suspicious && untouched(w)) {
			suspicious = true;
			kicked = now_ms();
		}
		serve_all(w);
		if (suspicious && (!untouched(w) || now_ms() - kicked >= UNTOUCHED_MS)) {
			suspicious = false;
			told = untouched(w);
			if (told)
				log_error(
					"the guest has kicked, but nothing it wrote is seen here: its memory is a private mapping; start the VM with share=on (-object memory-backend-memfd,id=mem,size=...,share=on)");
		}
		s = session_get(w);
		nag = s && session_nag(s);
		if (s)
			session_put(s);
	}
	return NULL;
}

int control_queue_start(struct worker *w)
{
	struct epoll_event ev = { .events = EPOLLIN };
	pthread_t thread;

	epoll = epoll_create1(EPOLL_CLOEXEC);
	poke = eventfd(0, EFD_CLOEXEC);
	ev.data.fd = poke;
	if (epoll < 0 || poke < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, poke, &ev))
		return -errno;
	return -pthread_create(&thread, NULL, control_main, w);
}

void control_queue_kick_changed(int old, int kick)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.fd = kick };

	if (old >= 0)
		epoll_ctl(epoll, EPOLL_CTL_DEL, old, NULL);
	if (kick >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, kick, &ev))
		log_error("the control queue's kicks cannot be watched: %m");
}

void control_queue_poke(void)
{
	eventfd_write(poke, 1);
}
