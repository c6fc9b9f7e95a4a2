// SPDX-License-Identifier: Apache-2.0
#include "spin.h"

#include <sched.h>
#include <time.h>

#include "worker_private.h"

#define FIRST 10000u /* ns */
/* where looking is of no use, it is tried again each so many times */
#define PROBE 8
/* looks between two questions whether anybody else wants the processor */
#define LOOKS 32
/* sched_yield() has let somebody else run when it takes longer than this, ns */
#define YIELDED 20000u

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void spin_init(struct worker *w)
{
	cpu_set_t set;

	w->spin_max = w->s.spin_us * 1000;
	/* the guest needs a processor, too */
	if (!sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) < 2)
		w->spin_max = 0;
}

/* The ring's parts may move, so this is by the locks. */
static bool look(struct worker *w, struct virtqueue *q, bool (*at)(struct virtqueue *q))
{
	bool yes;

	pthread_mutex_lock(&q->lock);
	gmem_rdlock(w->mem);
	yes = at(q);
	gmem_unlock(w->mem);
	pthread_mutex_unlock(&q->lock);
	return yes;
}

static void learn(struct worker *w, struct spin *spin, uint64_t took, bool found)
{
	uint32_t limit = atomic_load(&spin->limit);
	uint32_t next = limit < FIRST ? 0 : limit - limit / 4;

	if (found)
		next = 4 * took > limit - limit / 8 ? (uint32_t)(4 * took) : limit - limit / 8;
	else if (took <= w->spin_max)
		next = limit ? 2 * limit : FIRST;
	atomic_store(&spin->limit, next < w->spin_max ? next : w->spin_max);
}

/* For how long to look now: also where that was of no use lately, since it may be again. */
static uint32_t limit_now(struct worker *w, struct spin *spin)
{
	uint32_t limit = atomic_load(&spin->limit);

	if (!limit && atomic_fetch_add(&spin->skipped, 1) % PROBE == PROBE - 1)
		return w->spin_max;
	return limit;
}

bool spin_for_request(struct worker *w, unsigned int index)
{
	struct virtqueue *q = &w->vq[index];
	struct spin *spin = &w->spin[index];
	uint32_t limit = w->spin_max ? limit_now(w, spin) : 0;
	bool found = false;
	uint64_t begin;
	uint64_t now;

	if (!w->spin_max)
		return false;
	now = begin = now_ns();
	if (limit && !atomic_exchange(&spin->busy, true)) {
		look(w, q, vq_no_kick);
		while (!found && now - begin < limit) {
			for (int i = 0; !found && i < LOOKS; i++)
				found = look(w, q, vq_more);
			now = now_ns();
			if (found)
				break;
			sched_yield();
			if (now_ns() - now > YIELDED)
				break;
		}
		if (found)
			learn(w, spin, now - begin, true);
		found = look(w, q, vq_want_kick);
		atomic_store(&spin->busy, false);
	}
	if (!found)
		atomic_store(&spin->left, begin);
	return found;
}

void spin_kicked(struct worker *w, unsigned int index)
{
	struct spin *spin = &w->spin[index];
	uint64_t left = atomic_exchange(&spin->left, 0);

	if (left)
		learn(w, spin, now_ns() - left, false);
}
