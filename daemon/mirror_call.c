// SPDX-License-Identifier: Apache-2.0
/*
 * Making system calls in a mirror, and the threads that make them.
 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mirror_private.h"

static_assert(sizeof(struct mirror_call) == MIRROR_CALL_SIZE, "struct mirror_call");
static_assert(sizeof(struct mirror_req_slot) == MIRROR_REQ_SIZE, "struct mirror_req_slot");
static_assert(sizeof(struct mirror_res_slot) == MIRROR_RES_SIZE, "struct mirror_res_slot");
static_assert(offsetof(struct mirror_req_slot, err) == MIRROR_REQ_ERR, "err");
static_assert(offsetof(struct mirror_req_slot, calls) == MIRROR_REQ_CALLS, "calls");
static_assert(offsetof(struct mirror_req_slot, data) == MIRROR_REQ_DATA, "data");
static_assert(offsetof(struct mirror_res_slot, values) == MIRROR_RES_VALUES, "values");
static_assert(offsetof(struct mirror_res_slot, data) == MIRROR_RES_DATA, "data");

uint64_t mirror_slot_addr(const struct mirror_thread *t, const void *p)
{
	const struct mirror *m = t->m;
	const uint8_t *b = p, *req = (const uint8_t *)t->req;

	if (b >= req && b < req + MIRROR_REQ_SIZE)
		return m->hole + MIRROR_HOLE_REQ + (uint64_t)(b - (const uint8_t *)m->req);
	return m->hole + MIRROR_HOLE_RES + (uint64_t)(b - (const uint8_t *)m->res);
}

struct mirror_thread *mirror_thread_new(struct mirror *m, unsigned int index)
{
	struct mirror_thread *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->m = m;
	t->index = index;
	t->req = &m->req[index];
	t->res = &m->res[index];
	t->req->result = mirror_slot_addr(t, t->res);
	return t;
}

static void post(struct mirror_thread *t, unsigned int n)
{
	t->req->count = n;
	t->seq++;
	atomic_store_explicit(&t->req->seq, t->seq, memory_order_release);
	syscall(SYS_futex, &t->req->seq, FUTEX_WAKE, 1, NULL, NULL, 0);
}

int mirror_run(struct mirror_thread *t, unsigned int n)
{
	uint32_t seen;

	COUNT(t->m->pool, calls, n);
	post(t, n);
	for (;;) {
		seen = atomic_load_explicit(&t->res->seq, memory_order_acquire);
		if (seen == t->seq)
			return 0;
		/*
		 * Behind that: mirror_kill() sets it before it changes what is waited for, so that
		 * nobody waits for a change that has been.
		 */
		if (atomic_load(&t->m->dead))
			return -EIO;
		syscall(SYS_futex, &t->res->seq, FUTEX_WAIT, seen, NULL, NULL, 0);
	}
}

int mirror_run_mapper(struct mirror *m, unsigned int n)
{
	struct mirror_thread *t = m->mapper;
	uint64_t said;
	ssize_t len;

	if (atomic_load(&m->dead))
		return -EIO;
	post(t, n);
	do {
		len = recv(m->control, &said, sizeof(said), 0);
	} while (len < 0 && errno == EINTR);
	if (len != sizeof(said))
		return -EIO;
	return said == t->req->ok ? 0 : -EREMOTEIO;
}

/* by m->bind_lock, which guards the seed's slot */
static int spawn_thread(struct mirror *m, struct mirror_thread *t)
{
	const uint64_t flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			       CLONE_SYSVSEM;
	unsigned int n = 0;
	int64_t tid;
	int ret;

	mirror_add(m->seed, &n, SYS_clone, flags, 0, 0, 0, 0, mirror_slot_addr(t, t->req));
	ret = mirror_run(m->seed, n);
	if (ret)
		return ret;
	tid = m->seed->res->values[0];
	if (tid < 0)
		return tid == -EAGAIN ? -EAGAIN : -ENOMEM;
	/* the number may be forged: it must at least be a thread of this mirror */
	if (tid == 0 || tid > INT32_MAX || syscall(SYS_tgkill, m->pid, (pid_t)tid, 0))
		return -EIO;
	t->tid = tid;
	return 0;
}

static int grow(struct mirror *m, struct mirror_thread **out)
{
	struct mirror_thread *t;
	unsigned int index;
	int ret;

	pthread_mutex_lock(&m->bind_lock);
	index = m->nslots;
	ret = -EBUSY;
	if (index == m->pool->nslots)
		goto out;
	ret = -ENOMEM;
	t = mirror_thread_new(m, index);
	if (!t)
		goto out;
	ret = spawn_thread(m, t);
	if (ret) {
		free(t);
		goto out;
	}
	pthread_mutex_lock(&m->lock);
	m->threads[index] = t;
	m->nslots++;
	pthread_mutex_unlock(&m->lock);
	*out = t;
out:
	pthread_mutex_unlock(&m->bind_lock);
	return ret;
}

int mirror_thread_get(struct mirror *m, struct mirror_op *op, struct mirror_thread **out)
{
	struct mirror_thread *t;
	int ret = 0;

	if (atomic_load(&m->dead))
		return -EIO;
	mirror_get(m);
	pthread_mutex_lock(&m->lock);
	t = SLIST_FIRST(&m->free);
	if (t)
		SLIST_REMOVE_HEAD(&m->free, free);
	pthread_mutex_unlock(&m->lock);
	if (!t)
		ret = grow(m, &t);
	if (ret) {
		mirror_put(m);
		return ret;
	}
	pthread_mutex_lock(&m->lock);
	while (op && m->still)
		pthread_cond_wait(&m->moving, &m->lock);
	t->op = op;
	t->nth_op++;
	if (op) {
		op->thread = t;
		m->running++;
	}
	pthread_mutex_unlock(&m->lock);
	*out = t;
	return 0;
}

void mirror_thread_put(struct mirror_thread *t)
{
	struct mirror *m = t->m;

	if (t->poisoned)
		mirror_unpoison(t);
	pthread_mutex_lock(&m->lock);
	if (t->op) {
		t->op->thread = NULL;
		m->running--;
	}
	t->op = NULL;
	SLIST_INSERT_HEAD(&m->free, t, free);
	pthread_mutex_unlock(&m->lock);
	mirror_put(m);
}
