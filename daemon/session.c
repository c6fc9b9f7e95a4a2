// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "files.h"
#include "log.h"
#include "maps.h"
#include "mms.h"
#include "opens.h"
#include "request.h"
#include "stats.h"
#include "watch.h"
#include "weak.h"
#include "window.h"

static int frames(void *ctx, uint64_t frame, uint32_t count, struct guest_extent *out)
{
	struct worker *w = ctx;

	return gmem_frames(w->mem, frame, count, out);
}

static void frames_mapped(void *ctx, const struct guest_extent *e, unsigned int n)
{
	struct worker *w = ctx;

	gmem_frames_mapped(w->mem, e, n);
}

static bool fault(void *ctx, struct mirror_op *op, uint64_t addr, bool write)
{
	struct request *r = (struct request *)((char *)op - offsetof(struct request, mop));

	(void)ctx;
	return request_fault(r, addr, write);
}

int session_begin(struct worker *w)
{
	struct session *s = calloc(1, sizeof(*s));
	struct mirror_env env = {
		.ctx = w,
		.frames = frames,
		.frames_mapped = gmem_has_grants(w->mem) ? frames_mapped : NULL,
		.fault = fault,
		.uffd_dev = w->uffd,
		.program = w->program,
		.max_threads = WEAK(INFLIGHT) ? 64 : w->s.max_inflight,
		.open = w->s.uid != (uid_t)-1,
	};
	int err;

	if (!s)
		return -ENOMEM;
	s->w = w;
	atomic_init(&s->refs, 2); /* w->session's and the one that session_end() uses up */
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->idle, NULL);
	err = mirror_pool_create(&env, &s->pool);
	if (err) {
		free(s);
		return err;
	}
	atomic_fetch_add(&w->sessions, 1);
	pthread_mutex_lock(&w->session_lock);
	w->session = s;
	pthread_mutex_unlock(&w->session_lock);
	return 0;
}

struct session *session_get(struct worker *w)
{
	struct session *s;

	pthread_mutex_lock(&w->session_lock);
	s = w->session;
	if (s)
		atomic_fetch_add(&s->refs, 1);
	pthread_mutex_unlock(&w->session_lock);
	return s;
}

void session_put(struct session *s)
{
	if (atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	idmap_free(&s->requests);
	idmap_free(&s->mms);
	idmap_free(&s->files);
	idmap_free(&s->maps);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->idle);
	free(s);
}

int session_add_request(struct session *s, struct request *r)
{
	int err;

	pthread_mutex_lock(&s->lock);
	err = s->over ? -EIO : idmap_insert(&s->requests, r->req.tag, r);
	if (!err) {
		r->listed = true;
		atomic_fetch_add(&s->inflight, 1);
		request_get(r);
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}

void session_remove_request(struct session *s, struct request *r)
{
	bool was;

	pthread_mutex_lock(&s->lock);
	was = r->listed;
	r->listed = false;
	if (was) {
		idmap_remove(&s->requests, r->req.tag);
		atomic_fetch_sub(&s->inflight, 1);
		pthread_cond_broadcast(&s->idle);
	}
	pthread_mutex_unlock(&s->lock);
	if (was)
		request_put(r);
}

struct request *session_find_request(struct session *s, uint64_t tag)
{
	struct request *r;

	pthread_mutex_lock(&s->lock);
	r = idmap_find(&s->requests, tag);
	if (r)
		request_get(r);
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* References to all requests under way; NULL when there are none. */
static struct request **snapshot(struct session *s, size_t *n)
{
	struct request **all;
	struct request *r;
	size_t i;

	*n = 0;
	pthread_mutex_lock(&s->lock);
	all = s->requests.count ? calloc(s->requests.count, sizeof(struct request *)) : NULL;
	if (all)
		idmap_for_each(&s->requests, i, r)
		{
			request_get(r);
			all[(*n)++] = r;
		}
	pthread_mutex_unlock(&s->lock);
	return all;
}

static void interrupt(struct session *s, struct request *r)
{
	if (r->open_id)
		opens_cancel(s->w->opens, r);
	else if (r->mop.m)
		mirror_cancel(&r->mop, true);
}

bool session_nag(struct session *s)
{
	struct request **all;
	bool some = false;
	size_t n;

	all = snapshot(s, &n);
	for (size_t i = 0; i < n; i++) {
		if (all[i]->abandoned) {
			interrupt(s, all[i]);
			some = true;
		}
		request_put(all[i]);
	}
	free(all);
	return some;
}

void session_abandon_mm(struct session *s, const struct mm *mm)
{
	struct request **all;
	size_t n;

	all = snapshot(s, &n);
	for (size_t i = 0; i < n; i++) {
		if (all[i]->mm == mm)
			request_abandon(all[i]);
		request_put(all[i]);
	}
	free(all);
}

static void kill_mms(struct session *s)
{
	for (;;) {
		struct mm *mm;
		bool mine;

		pthread_mutex_lock(&s->lock);
		mm = idmap_any(&s->mms);
		if (mm)
			idmap_remove(&s->mms, mm->id);
		mine = mm && !mm->ending;
		pthread_mutex_unlock(&s->lock);
		if (!mm)
			return;
		if (mine)
			mm_destroy(mm);
	}
}

static void close_files(struct session *s)
{
	for (;;) {
		struct file *f;

		pthread_mutex_lock(&s->lock);
		f = idmap_any(&s->files);
		if (f)
			idmap_remove(&s->files, f->mf.id);
		pthread_mutex_unlock(&s->lock);
		if (!f)
			return;
		file_release(f, NULL);
	}
}

static void drop_maps(struct session *s)
{
	for (;;) {
		struct map *m;

		pthread_mutex_lock(&s->lock);
		m = idmap_any(&s->maps);
		if (m)
			idmap_remove(&s->maps, m->id);
		pthread_mutex_unlock(&s->lock);
		if (!m)
			return;
		map_put(m);
	}
}

static void *end_main(void *arg)
{
	struct session *s = arg;
	struct worker *w = s->w;
	struct request **all;
	size_t n;

	all = snapshot(s, &n);
	for (size_t i = 0; i < n; i++) {
		request_abandon(all[i]);
		interrupt(s, all[i]);
		request_put(all[i]);
	}
	free(all);
	windows_drop_all(w->windows);
	kill_mms(s);
	/* a RELEASE ends after the last mapping of its file; none is added any more */
	drop_maps(s);
	/* a driver that does not let go holds up this thread alone */
	pthread_mutex_lock(&s->lock);
	while (atomic_load(&s->inflight)) {
		struct timespec t;

		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += 20000000;
		if (t.tv_nsec >= 1000000000) {
			t.tv_sec++;
			t.tv_nsec -= 1000000000;
		}
		pthread_cond_timedwait(&s->idle, &s->lock, &t);
		pthread_mutex_unlock(&s->lock);
		session_nag(s);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	close_files(s);
	/* those who still hold references are about to let go of them */
	pthread_mutex_lock(&s->lock);
	while (s->live_files)
		pthread_cond_wait(&s->idle, &s->lock);
	pthread_mutex_unlock(&s->lock);
	stats_add_pool(w, s->pool);
	while (atomic_load(&s->refs) > 1) {
		struct timespec t = { .tv_nsec = 1000000 };

		nanosleep(&t, NULL);
	}
	mirror_pool_destroy(s->pool);
	session_put(s);
	atomic_fetch_sub(&w->sessions, 1);
	return NULL;
}

void session_end(struct worker *w)
{
	struct session *s;
	pthread_attr_t attr;
	pthread_t thread;

	pthread_mutex_lock(&w->session_lock);
	s = w->session;
	w->session = NULL;
	pthread_mutex_unlock(&w->session_lock);
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->over = true;
	pthread_mutex_unlock(&s->lock);
	session_put(s);
	log_debug("the guest's driver has gone; ending what it left");
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attr, end_main, s)) {
		log_limited(LOG_ERROR, "out of threads while a session ends");
		end_main(s);
	}
	pthread_attr_destroy(&attr);
}

bool session_wait(struct worker *w, unsigned int ms)
{
	struct timespec t = { .tv_nsec = 1000000 };

	for (unsigned int i = 0; i < ms && atomic_load(&w->sessions); i++)
		nanosleep(&t, NULL);
	return !atomic_load(&w->sessions);
}
