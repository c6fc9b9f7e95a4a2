// SPDX-License-Identifier: Apache-2.0
#include "idmap.h"

#include <errno.h>
#include <stdlib.h>

/* The guest chooses some of the numbers: mix them, so that it cannot easily choose a long chain. */
static size_t home(const struct idmap *m, uint64_t id)
{
	id ^= id >> 33;
	id *= 0xff51afd7ed558ccdull;
	id ^= id >> 33;
	id *= 0xc4ceb9fe1a85ec53ull;
	id ^= id >> 33;
	return (size_t)id & (m->size - 1);
}

static struct idmap_entry *find(const struct idmap *m, uint64_t id)
{
	if (!m->size)
		return NULL;
	for (size_t i = home(m, id);; i = (i + 1) & (m->size - 1)) {
		if (m->slots[i].id == id)
			return &m->slots[i];
		if (!m->slots[i].id)
			return NULL;
	}
}

static void put(struct idmap *m, uint64_t id, void *p)
{
	size_t i = home(m, id);

	while (m->slots[i].id)
		i = (i + 1) & (m->size - 1);
	m->slots[i] = (struct idmap_entry){ .id = id, .p = p };
	m->count++;
}

void *idmap_find(const struct idmap *m, uint64_t id)
{
	struct idmap_entry *e = id ? find(m, id) : NULL;

	return e ? e->p : NULL;
}

int idmap_insert(struct idmap *m, uint64_t id, void *p)
{
	if (!id)
		return -EINVAL;
	if (find(m, id))
		return -EEXIST;
	if (m->count * 2 >= m->size) {
		struct idmap bigger = { .size = m->size ? m->size * 2 : 64 };

		bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
		if (!bigger.slots)
			return -ENOMEM;
		for (size_t i = 0; i < m->size; i++)
			if (m->slots[i].id)
				put(&bigger, m->slots[i].id, m->slots[i].p);
		free(m->slots);
		*m = bigger;
	}
	put(m, id, p);
	return 0;
}

void *idmap_remove(struct idmap *m, uint64_t id)
{
	struct idmap_entry *e = id ? find(m, id) : NULL;
	void *p;
	size_t i;

	if (!e)
		return NULL;
	p = e->p;
	e->id = 0;
	m->count--;
	/* those behind it may have been pushed on by it: put them again */
	for (i = ((size_t)(e - m->slots) + 1) & (m->size - 1); m->slots[i].id;
	     i = (i + 1) & (m->size - 1)) {
		struct idmap_entry moved = m->slots[i];

		m->slots[i].id = 0;
		m->count--;
		put(m, moved.id, moved.p);
	}
	return p;
}

void *idmap_any(const struct idmap *m)
{
	for (size_t i = 0; m->count && i < m->size; i++)
		if (m->slots[i].id)
			return m->slots[i].p;
	return NULL;
}

void idmap_free(struct idmap *m)
{
	free(m->slots);
	*m = (struct idmap){ 0 };
}
