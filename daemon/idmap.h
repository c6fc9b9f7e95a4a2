/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table from 64-bit numbers, not 0, to pointers. The caller locks. */
#ifndef PARADICE_IDMAP_H
#define PARADICE_IDMAP_H

#include <stddef.h>
#include <stdint.h>

struct idmap_entry {
	uint64_t id;
	void *p;
};

/* All zero: an empty table. */
struct idmap {
	struct idmap_entry *slots;
	size_t size;
	size_t count;
};

void *idmap_find(const struct idmap *m, uint64_t id);
/* Return: 0, -EEXIST or -ENOMEM. */
int idmap_insert(struct idmap *m, uint64_t id, void *p);
/* Takes it out and returns it, or NULL. */
void *idmap_remove(struct idmap *m, uint64_t id);
/* Any entry, or NULL; for emptying a table. */
void *idmap_any(const struct idmap *m);
void idmap_free(struct idmap *m);

/* Runs the following statement for each pointer @p of @m. */
#define idmap_for_each(m, i, ptr)             \
	for ((i) = 0; (i) < (m)->size; (i)++) \
		if (((ptr) = (m)->slots[i].id ? (m)->slots[i].p : NULL))

#endif
