// SPDX-License-Identifier: Apache-2.0
#include "spin.h"

#include <sched.h>
#include <time.h>

#include "worker_private.h"

#define FIRST 10000u /* ns */
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

bool spin_for_request(struct worker *w, unsigned int index)
{
	struct virtqueue *q = &w->vq[index];
	struct spin *spin = &w->spin[index];
	uint32_t limit = atomic_load(&spin->limit);
	uint64_t begin;
	uint64_t now;
	bool found = false;

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
	uint32_t limit = atomic_load(&spin->limit);
	uint64_t took;

	if (!left)
		return;
	took = now_ns() - left;
	if (took > w->spin_max)
		limit = 0;
	else if (took > limit)
		limit = limit ? limit * 2 : FIRST;
	atomic_store(&spin->limit, limit < w->spin_max ? limit : w->spin_max);
}
