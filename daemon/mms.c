// SPDX-License-Identifier: Apache-2.0
#include "mms.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "weak.h"

static void printable(char *out, size_t size, const uint8_t *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && text[i] && n + 1 < size; i++)
		out[n++] = text[i] > ' ' && text[i] <= '~' ? (char)text[i] : '?';
	out[n] = '\0';
}

int mm_create(struct session *s, uint64_t id, const struct pd_req_mm_create *req)
{
	char comm[sizeof(req->comm) + 1];
	struct mm *mm;
	int err;

	if (!id || !req->hole || (req->hole | req->hole_len) & (PD_PAGE_SIZE - 1) ||
	    req->hole_len < PD_HOLE_SIZE || req->hole >= 1ull << 47 ||
	    req->hole_len > (1ull << 47) - req->hole || req->flags & ~PD_MM_KERNEL) {
		log_limited(LOG_WARNING, "MM_CREATE %#llx: a wrong hole or flags (%#llx, +%#llx)",
			    (unsigned long long)id, (unsigned long long)req->hole,
			    (unsigned long long)req->hole_len);
		return -EINVAL;
	}
	pthread_mutex_lock(&s->lock);
	err = s->over							? -EIO :
	      idmap_find(&s->mms, id)					? -EEXIST :
	      s->mms.count >= s->w->s.max_processes && !WEAK(PROCESSES) ? -EBUSY :
									  0;
	pthread_mutex_unlock(&s->lock);
	if (err) {
		if (err == -EBUSY) {
			log_limited(LOG_WARNING,
				    "a process refused (EBUSY): %u use devices (--max-processes %u)",
				    s->w->s.max_processes, s->w->s.max_processes);
			atomic_fetch_add(&s->w->counts.refused_processes, 1);
		}
		return err;
	}
	mm = calloc(1, sizeof(*mm));
	if (!mm)
		return -ENOMEM;
	mm->id = id;
	mm->s = s;
	atomic_init(&mm->refs, 1);
	printable(comm, sizeof(comm), req->comm, sizeof(req->comm));
	if (req->flags & PD_MM_KERNEL)
		snprintf(mm->name, sizeof(mm->name), "kernel");
	else
		snprintf(mm->name, sizeof(mm->name), "%s[%u]", comm, req->pid);
	err = mirror_create(s->pool, req->hole, req->hole_len, mm->name, &mm->mirror);
	if (err) {
		log_limited(LOG_ERROR, "no mirror for %s: %s", mm->name, strerror(-err));
		free(mm);
		return err;
	}
	mirror_get(mm->mirror);
	log_debug("mirror %d for %s", mirror_pid(mm->mirror), mm->name);
	pthread_mutex_lock(&s->lock);
	err = s->over ? -EIO : idmap_insert(&s->mms, id, mm);
	pthread_mutex_unlock(&s->lock);
	if (err)
		mm_destroy(mm);
	return err;
}

struct mm *mm_find(struct session *s, uint64_t id)
{
	struct mm *mm;

	pthread_mutex_lock(&s->lock);
	mm = idmap_find(&s->mms, id);
	if (mm)
		atomic_fetch_add(&mm->refs, 1);
	pthread_mutex_unlock(&s->lock);
	return mm;
}

void mm_put(struct mm *mm)
{
	if (atomic_fetch_sub(&mm->refs, 1) != 1)
		return;
	mirror_put(mm->mirror);
	free(mm);
}

struct mm *mm_take(struct session *s, uint64_t id)
{
	struct mm *mm;

	pthread_mutex_lock(&s->lock);
	mm = idmap_find(&s->mms, id);
	if (mm && mm->ending)
		mm = NULL;
	if (mm)
		mm->ending = true;
	pthread_mutex_unlock(&s->lock);
	return mm;
}

void mm_destroy(struct mm *mm)
{
	struct session *s = mm->s;

	mirror_destroy(mm->mirror);
	/* those whose fault the guest will not answer any more; new ones meet a dead mirror */
	session_abandon_mm(s, mm);
	pthread_mutex_lock(&s->lock);
	if (idmap_find(&s->mms, mm->id) == mm)
		idmap_remove(&s->mms, mm->id);
	pthread_mutex_unlock(&s->lock);
	mm_put(mm);
}
