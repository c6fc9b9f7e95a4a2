// SPDX-License-Identifier: Apache-2.0
#include "pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dispatch.h"
#include "log.h"
#include "request.h"
#include "weak.h"

#define KEEP_IDLE 4
#define IDLE_MS 20000
#define STACK (256 * 1024)

/* A request for a thread of its own. */
struct aside {
	struct request *r;
	void (*run)(struct request *r);
};

/**
 * @idle: threads that wait for kicks, or are about to
 * @total: all that serve queues
 */
struct pool {
	struct worker *w;
	int epoll;
	pthread_mutex_t lock;
	unsigned int idle;
	unsigned int total;
	unsigned int max;
};

static void *serve_main(void *arg);

static int start_thread(void *(*main)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK);
	err = pthread_create(&thread, &attr, main, arg);
	pthread_attr_destroy(&attr);
	return -err;
}

/* Sees that somebody waits for kicks while the caller is busy. */
static bool somebody_idle(struct pool *p)
{
	bool yes;

	pthread_mutex_lock(&p->lock);
	if (!p->idle && p->total < p->max) {
		/* counted now, lest two find it missing */
		p->idle++;
		p->total++;
		if (start_thread(serve_main, p)) {
			p->idle--;
			p->total--;
		}
	}
	yes = p->idle > 0;
	pthread_mutex_unlock(&p->lock);
	return yes;
}

static void run(struct pool *p, struct request *r, bool more)
{
	unsigned int needs = r->info->needs;

	if (needs & NEVER_BLOCKS) {
		r->info->run(r);
	} else if (somebody_idle(p) && (needs & MUST_RUN || WEAK(INFLIGHT) ||
					atomic_load(&r->s->inflight) <= p->w->s.max_inflight)) {
		if (more)
			pool_poke(p, r->vq->index);
		r->info->run(r);
	} else if (needs & MUST_RUN) {
		pool_run_aside(r, r->info->run);
		return; /* with our reference */
	} else {
		log_limited(LOG_WARNING,
			    "%s refused (EBUSY): %u operations are under way (--max-inflight %u)",
			    r->info->name, atomic_load(&r->s->inflight), p->w->s.max_inflight);
		atomic_fetch_add(&p->w->counts.refused, 1);
		request_done(r, -EBUSY);
	}
	request_put(r);
}

/*
 * Waits for a queue's order lock; false when another thread waits for it already, which will see
 * whatever is in the ring by now. More of them would only contend: the lock is not fair, and every
 * kick would add one.
 */
static bool get_in_line(struct worker *w, unsigned int index)
{
	if (atomic_exchange(&w->in_line[index], true))
		return false;
	pthread_mutex_lock(&w->order[index]);
	atomic_exchange(&w->in_line[index], false);
	return true;
}

/* True when a request has come while the thread looked for it. */
static bool another(struct pool *p, unsigned int index)
{
	return p->w->spin_max && somebody_idle(p) && spin_for_request(p->w, index);
}

static void serve_queue(struct pool *p, unsigned int index)
{
	struct worker *w = p->w;
	bool served = false;

	for (;;) {
		struct request *r;
		bool ready;
		bool more;

		if (!get_in_line(w, index))
			return;
		r = request_take(w, &w->vq[index], &more);
		ready = r && dispatch_prepare(r);
		pthread_mutex_unlock(&w->order[index]);
		if (!r) {
			if (served && another(p, index))
				continue;
			return;
		}
		if (!served)
			spin_kicked(w, index);
		served = true;
		if (ready)
			run(p, r, more);
		else
			request_put(r);
	}
}

static void *serve_main(void *arg)
{
	struct pool *p = arg;

	for (;;) {
		struct epoll_event ev;
		int n = epoll_wait(p->epoll, &ev, 1, IDLE_MS);
		bool leave;

		pthread_mutex_lock(&p->lock);
		leave = n == 0 && p->idle > KEEP_IDLE;
		p->idle--;
		if (leave)
			p->total--;
		pthread_mutex_unlock(&p->lock);
		if (leave)
			return NULL;
		if (n == 1)
			serve_queue(p, ev.data.u32);
		pthread_mutex_lock(&p->lock);
		p->idle++;
		pthread_mutex_unlock(&p->lock);
	}
}

static void *aside_main(void *arg)
{
	struct aside *a = arg;

	a->run(a->r);
	request_put(a->r);
	free(a);
	return NULL;
}

void pool_run_aside(struct request *r, void (*run_it)(struct request *r))
{
	struct aside *a = calloc(1, sizeof(*a));

	/* as without a thread */
	if (!a) {
		run_it(r);
		request_put(r);
		return;
	}
	a->r = r;
	a->run = run_it;
	if (start_thread(aside_main, a))
		aside_main(a);
}

struct pool *pool_create(struct worker *w)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->w = w;
	p->max = (WEAK(INFLIGHT) ? 64 : w->s.max_inflight) + 2;
	pthread_mutex_init(&p->lock, NULL);
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll < 0 || !somebody_idle(p)) {
		log_error("cannot make threads: %m");
		return NULL;
	}
	return p;
}

void pool_kick_changed(struct pool *p, unsigned int queue, int old, int kick)
{
	/* edge-triggered: each kick wakes one thread, and the counter need not be read */
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u32 = queue };

	if (old >= 0)
		epoll_ctl(p->epoll, EPOLL_CTL_DEL, old, NULL);
	if (kick >= 0 && epoll_ctl(p->epoll, EPOLL_CTL_ADD, kick, &ev))
		log_error("queue %u: its kicks cannot be watched: %m", queue);
}

void pool_poke(struct pool *p, unsigned int queue)
{
	struct virtqueue *q = &p->w->vq[queue];

	(void)p;
	pthread_mutex_lock(&q->lock);
	if (q->kick >= 0)
		eventfd_write(q->kick, 1);
	pthread_mutex_unlock(&q->lock);
}
