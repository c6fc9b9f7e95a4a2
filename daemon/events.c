// SPDX-License-Identifier: Apache-2.0
#include "events.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"

#define KEEP 256

struct events {
	struct worker *w;
	pthread_mutex_t lock;
	struct pd_event kept[KEEP]; /* a ring */
	unsigned int first;
	unsigned int n;
	uint32_t lost;
	struct vq_chain chain;
};

struct events *events_create(struct worker *w)
{
	struct events *e = calloc(1, sizeof(*e));

	if (e) {
		e->w = w;
		pthread_mutex_init(&e->lock, NULL);
	}
	return e;
}

/* by both locks: puts one into a buffer; false when there is no buffer */
static bool put(struct events *e, struct pd_event *ev)
{
	struct virtqueue *q = &e->w->vq[PD_QUEUE_EVENT];
	uint32_t len = sizeof(*ev);

	while (vq_pop(q, e->w->mem, &e->chain) == 1) {
		const struct vq_chain *c = &e->chain;

		ev->lost = e->lost;
		if (c->nread || c->write_len < sizeof(*ev)) {
			log_limited(LOG_WARNING, "an event buffer of %llu bytes (%zu needed)",
				    (unsigned long long)c->write_len, sizeof(*ev));
			vq_push(q, c->head, 0);
			continue;
		}
		if (vq_write(e->w->mem, &c->seg[c->nread], c->nwrite, 0, ev, sizeof(*ev)))
			len = 0;
		vq_push(q, c->head, len);
		e->lost = 0;
		return true;
	}
	return false;
}

/* by both locks */
static void flush(struct events *e)
{
	while (e->n && put(e, &e->kept[e->first])) {
		e->first = (e->first + 1) % KEEP;
		e->n--;
	}
	if (!e->n && e->lost) {
		/* only to say that others were lost */
		struct pd_event ev = { .type = PD_EV_POLL };

		put(e, &ev);
	}
}

static void lock(struct events *e)
{
	pthread_mutex_lock(&e->lock);
	pthread_mutex_lock(&e->w->vq[PD_QUEUE_EVENT].lock);
	gmem_rdlock(e->w->mem);
}

static void unlock(struct events *e)
{
	struct virtqueue *q = &e->w->vq[PD_QUEUE_EVENT];

	/* with events waiting for buffers, the next buffer matters */
	while ((e->n || e->lost) && vq_want_kick(q))
		flush(e);
	gmem_unlock(e->w->mem);
	pthread_mutex_unlock(&q->lock);
	pthread_mutex_unlock(&e->lock);
}

void events_send(struct events *e, uint32_t type, uint32_t arg, uint64_t file)
{
	struct pd_event ev = { .type = type, .arg = arg, .file = file };

	lock(e);
	flush(e);
	if (e->n || !put(e, &ev)) {
		if (e->n < KEEP)
			e->kept[(e->first + e->n++) % KEEP] = ev;
		else
			e->lost++;
	}
	unlock(e);
}

void events_lost(struct events *e)
{
	lock(e);
	e->lost++;
	flush(e);
	unlock(e);
}

void events_kick(struct events *e)
{
	lock(e);
	flush(e);
	unlock(e);
}

void events_clear(struct events *e)
{
	pthread_mutex_lock(&e->lock);
	e->n = 0;
	e->lost = 0;
	pthread_mutex_unlock(&e->lock);
}
