// SPDX-License-Identifier: Apache-2.0
#include "maps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "log.h"
#include "mms.h"

int map_create(struct session *s, struct file *file, uint64_t mm, const struct pd_req_mmap *req,
	       struct map **out)
{
	struct map *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return -ENOMEM;
	atomic_init(&m->refs, 2); /* the table's and the caller's */
	m->s = s;
	m->id = atomic_fetch_add(&s->w->next_handle, 1);
	m->file = file;
	m->offset = req->offset;
	m->len = req->len;
	m->prot = req->prot;
	m->private = req->flags & PD_MAP_PRIVATE;
	pthread_mutex_init(&m->place_lock, NULL);
	m->mm = mm;
	m->addr = req->addr;
	pthread_mutex_lock(&s->lock);
	err = s->over ? -EIO : s->maps.count >= MAX_MAPS ? -ENOMEM : 0;
	if (!err)
		err = idmap_insert(&s->maps, m->id, m);
	if (!err)
		atomic_fetch_add(&file->refs, 1);
	pthread_mutex_unlock(&s->lock);
	if (err) {
		free(m);
		return err;
	}
	*out = m;
	return 0;
}

struct map *map_find(struct session *s, uint64_t id)
{
	struct map *m;

	pthread_mutex_lock(&s->lock);
	m = idmap_find(&s->maps, id);
	if (m)
		atomic_fetch_add(&m->refs, 1);
	pthread_mutex_unlock(&s->lock);
	return m;
}

struct map *map_take(struct session *s, uint64_t id)
{
	struct map *m;

	pthread_mutex_lock(&s->lock);
	m = idmap_remove(&s->maps, id);
	pthread_mutex_unlock(&s->lock);
	return m;
}

void map_put(struct map *m)
{
	if (atomic_fetch_sub(&m->refs, 1) != 1)
		return;
	file_put(m->file);
	pthread_mutex_destroy(&m->place_lock);
	free(m);
}

void map_moved(struct map *m)
{
	pthread_mutex_lock(&m->place_lock);
	m->addr = 0;
	m->aside = false;
	pthread_mutex_unlock(&m->place_lock);
}

bool map_step_aside(struct map *m)
{
	struct mm *mm;

	pthread_mutex_lock(&m->place_lock);
	mm = m->addr && !m->aside ? mm_find(m->s, m->mm) : NULL;
	if (mm) {
		m->aside = !mirror_unmap(mm->mirror, m->addr, m->len);
		mm_put(mm);
	}
	pthread_mutex_unlock(&m->place_lock);
	return mm != NULL;
}

void map_step_back(struct map *m)
{
	struct mirror_op op = { .unasked = true };
	struct mm *mm;

	pthread_mutex_lock(&m->place_lock);
	mm = m->addr && m->aside ? mm_find(m->s, m->mm) : NULL;
	if (mm) {
		op.m = mm->mirror;
		if (!mirror_map(&op, &m->file->mf, m->addr, m->len, m->prot, m->private, m->offset))
			m->aside = false;
		mm_put(mm);
	}
	pthread_mutex_unlock(&m->place_lock);
}

bool map_is_readonly(pid_t pid, uint64_t addr)
{
	unsigned long long start;
	unsigned long long end;
	bool readonly = false;
	bool here = false;
	char line[512];
	char path[32];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	f = fopen(path, "re");
	if (!f) {
		log_limited(LOG_WARNING, "%s: %m", path);
		return true;
	}
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx ", &start, &end) == 2) {
			here = addr >= start && addr < end;
		} else if (here && !strncmp(line, "VmFlags:", 8)) {
			readonly = !strstr(line, " mw");
			break;
		}
	}
	fclose(f);
	return readonly;
}
