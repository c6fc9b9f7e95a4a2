// SPDX-License-Identifier: Apache-2.0
/*
 * Making system calls in a mirror, and the threads that make them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "mirror_private.h"
#include "weak.h"

static_assert(sizeof(struct mirror_call) == MIRROR_CALL_SIZE, "struct mirror_call");
static_assert(sizeof(struct mirror_req_slot) == MIRROR_REQ_SIZE, "struct mirror_req_slot");
static_assert(sizeof(struct mirror_res_slot) == MIRROR_RES_SIZE, "struct mirror_res_slot");
static_assert(offsetof(struct mirror_req_slot, err) == MIRROR_REQ_ERR, "err");
static_assert(offsetof(struct mirror_req_slot, done) == MIRROR_REQ_DONE, "done");
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

/* how often, and then how long at most in one go, a thread that has done its list is waited for */
#define SURE_YIELDS 20
#define SURE_NS 500000000

static void post(struct mirror_thread *t, unsigned int n)
{
	t->req->count = n;
	t->seq++;
	atomic_store_explicit(&t->req->seq, t->seq, memory_order_release);
	syscall(SYS_futex, &t->req->seq, FUTEX_WAKE, 1, NULL, NULL, 0);
}

int mirror_run(struct mirror_thread *t, unsigned int n)
{
	static const struct timespec moment = { 0, 1000000 };

	COUNT(t->m->pool, calls, n);
	post(t, n);
	/* not by anything in memory: only the thread's own wake-up ends this, or mirror_kill()'s */
	while (syscall(SYS_futex, &t->req->done, FUTEX_WAIT, 0, WEAK(DONE) ? &moment : NULL, NULL,
		       0)) {
		if (errno == EAGAIN)
			return -EIO;
		if (WEAK(DONE) && *(volatile uint32_t *)t->res->pad == t->seq)
			break;
	}
	return atomic_load(&t->m->dead) ? -EIO : 0;
}

/* what @t holds out: false while it is not waiting for its next list */
static bool held_out(const struct mirror_thread *t, struct mirror_outcome *out)
{
	unsigned long long word, seq, last, first;
	char path[64], text[256];
	ssize_t len;
	int fd, nr;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", t->m->pid, t->tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[len < 0 ? 0 : len] = '\0';
	if (sscanf(text, "%d %llx %*x %llx %*x %llx %llx ", &nr, &word, &seq, &last, &first) != 5 ||
	    nr != SYS_futex || word != mirror_slot_addr(t, &t->req->seq) || (uint32_t)seq != t->seq)
		return false;
	*out = (struct mirror_outcome){ (int64_t)last, (int64_t)first };
	return true;
}

int mirror_run_sure(struct mirror_thread *t, unsigned int n, struct mirror_outcome *out)
{
	struct timespec pause = { 0, 1000 };
	int ret = mirror_run(t, n);

	if (!ret && WEAK(RESULTS)) {
		*out = (struct mirror_outcome){ t->res->values[n - 1], 0 };
		return 0;
	}
	/* it has woken us and is about to wait; where it does not, something is very wrong */
	for (unsigned int i = 0; !ret; i++) {
		if (i < SURE_YIELDS)
			sched_yield();
		else
			nanosleep(&pause, NULL);
		if (held_out(t, out))
			break;
		if (i >= SURE_YIELDS && pause.tv_nsec < SURE_NS)
			pause.tv_nsec *= 2;
		if (pause.tv_nsec >= SURE_NS && !atomic_load(&t->m->dead)) {
			log_error("mirror of %s: what a call returned cannot be read, it is ended",
				  t->m->name);
			mirror_kill(t->m);
		}
		if (atomic_load(&t->m->dead))
			ret = -EIO;
	}
	return ret;
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
	struct mirror_outcome out;
	unsigned int n = 0;
	int ret;

	mirror_add(m->seed, &n, SYS_clone, flags, 0, 0, 0, 0, mirror_slot_addr(t, t->req));
	ret = mirror_run_sure(m->seed, n, &out);
	if (ret)
		return ret;
	if (out.last < 0)
		return out.last == -EAGAIN ? -EAGAIN : -ENOMEM;
	t->tid = (pid_t)out.last;
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
	/* mirror_kill() did not see it */
	if (atomic_load(&m->dead))
		atomic_store(&t->req->done, 1);
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

	/* mirror_kill() wakes who waits for a call; the driver may be at work on it still */
	mirror_await_end(m);
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
