/* SPDX-License-Identifier: Apache-2.0 */
/* Guest processes, each with its mirror. */
#ifndef PARADICE_MMS_H
#define PARADICE_MMS_H

#include "session.h"

/**
 * struct mm - an address space of the guest
 * @id: the guest's name for it
 * @mirror: alive while there are references, though its process may be dead
 * @vq_index: the queue of its requests; 0 until the first one came
 * @ending: somebody destroys it; by the session's lock
 */
struct mm {
	uint64_t id;
	atomic_uint refs;
	struct session *s;
	struct mirror *mirror;
	atomic_uint vq_index;
	bool ending;
	char name[40];
};

/* PD_OP_MM_CREATE; by the control thread. Returns 0 or a negative errno. */
int mm_create(struct session *s, uint64_t id, const struct pd_req_mm_create *req);

/* With a reference, or NULL. */
struct mm *mm_find(struct session *s, uint64_t id);
void mm_put(struct mm *mm);

/* For mm_destroy(): NULL when there is none, or when it is another's to destroy already. */
struct mm *mm_take(struct session *s, uint64_t id);
/*
 * Kills its mirror, waits for the process's end, takes it out of the table, and drops the table's reference. It is
 * found until then: a request of a mirror that is ending is answered when it has ended.
 */
void mm_destroy(struct mm *mm);

#endif
