// SPDX-License-Identifier: Apache-2.0
#include "queue_spin.h"

#include "spin.h"
#include "worker_private.h"

/* where to look */
struct place {
	struct worker *w;
	struct virtqueue *q;
};

/* The ring's parts may move, so this is by the locks. */
static bool at(const struct place *p, bool (*what)(struct virtqueue *q))
{
	bool yes;

	pthread_mutex_lock(&p->q->lock);
	gmem_rdlock(p->w->mem);
	yes = what(p->q);
	gmem_unlock(p->w->mem);
	pthread_mutex_unlock(&p->q->lock);
	return yes;
}

static bool more(void *arg)
{
	return at(arg, vq_more);
}

bool queue_spin(struct worker *w, unsigned int index)
{
	struct queue_spin *spin = &w->spin[index];
	uint32_t limit = atomic_load(&spin->limit);
	struct place p = { w, &w->vq[index] };
	uint64_t begin = spin_now();
	bool found = false;

	if (limit && !atomic_exchange(&spin->busy, true)) {
		at(&p, vq_no_kick);
		spin_look(limit, more, &p);
		found = at(&p, vq_want_kick);
		atomic_store(&spin->busy, false);
	}
	if (!found)
		atomic_store(&spin->left, begin);
	return found;
}

void queue_spin_kicked(struct worker *w, unsigned int index)
{
	struct queue_spin *spin = &w->spin[index];
	uint64_t left = atomic_exchange(&spin->left, 0);

	if (left)
		atomic_store(&spin->limit,
			     spin_learn(atomic_load(&spin->limit), w->spin_max, spin_now() - left));
}
