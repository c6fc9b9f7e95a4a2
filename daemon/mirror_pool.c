// SPDX-License-Identifier: Apache-2.0
/*
 * All mirrors of a VM, and the thread that sees what happens to them: touches of memory that is not
 * there, and their end.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "mirror_private.h"

static void mirror_free(struct mirror *m)
{
	struct mirror_pool *pool = m->pool;

	mirror_files_free(m);
	for (unsigned int i = MIRROR_SLOT_FIRST; i < m->nslots; i++)
		free(m->threads[i]);
	free(m->mapper);
	free(m->seed);
	if (m->req)
		munmap(m->req, (size_t)pool->nslots * MIRROR_REQ_SIZE);
	if (m->res)
		munmap(m->res, (size_t)pool->nslots * MIRROR_RES_SIZE);
	for (size_t i = 0; i < 5; i++) {
		const int fds[] = { m->pidfd, m->mapper_pidfd, m->uffd, m->control, m->reserve };

		if (fds[i] >= 0)
			close(fds[i]);
	}
	pthread_mutex_destroy(&m->bind_lock);
	pthread_mutex_destroy(&m->map_lock);
	pthread_mutex_destroy(&m->lock);
	pthread_cond_destroy(&m->moving);
	free(m);
}

void mirror_get(struct mirror *m)
{
	atomic_fetch_add(&m->refs, 1);
}

void mirror_put(struct mirror *m)
{
	struct mirror_pool *pool = m->pool;
	int refs = atomic_load(&m->refs);
	bool last;

	while (refs > 1)
		if (atomic_compare_exchange_weak(&m->refs, &refs, refs - 1))
			return;
	/* who finds it in the list takes a reference: the last one goes together with its place there */
	pthread_mutex_lock(&pool->lock);
	last = atomic_fetch_sub(&m->refs, 1) == 1;
	if (last)
		LIST_REMOVE(m, next);
	pthread_mutex_unlock(&pool->lock);
	if (!last)
		return;
	mirror_free(m);
	atomic_fetch_sub(&pool->counts.mirrors_live, 1);
}

static void send_kill(int pidfd)
{
	if (pidfd >= 0)
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

void mirror_kill(struct mirror *m)
{
	bool was = atomic_exchange(&m->dead, true);

	send_kill(m->mapper_pidfd);
	send_kill(m->pidfd);
	if (was)
		return;
	/* those who wait for an operation see @dead */
	pthread_mutex_lock(&m->lock);
	for (unsigned int i = 0; m->req && i < m->nslots; i++) {
		atomic_store(&m->req[i].done, 1);
		syscall(SYS_futex, &m->req[i].done, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	}
	pthread_mutex_unlock(&m->lock);
}

void mirror_unwatch(struct mirror *m)
{
	const int fds[] = { m->pidfd, m->mapper_pidfd, m->uffd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			epoll_ctl(m->pool->epoll, EPOLL_CTL_DEL, fds[i], NULL);
}

/* by the fault thread: is it still there, and what has happened? */
static void look(struct mirror *m)
{
	struct mirror_pool *pool = m->pool;
	siginfo_t info = { 0 };

	if (m->uffd >= 0 && !atomic_load(&m->dead))
		mirror_fault_read(m);
	if (atomic_load(&m->dead)) {
		mirror_unwatch(m);
		return;
	}
	if (waitid(P_PIDFD, m->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid ||
	    (m->mapper_pidfd >= 0 && syscall(SYS_pidfd_send_signal, m->mapper_pidfd, 0, NULL, 0))) {
		log_limited(LOG_ERROR, "mirror of %s has ended unexpectedly; its files give EIO",
			    m->name);
		mirror_kill(m);
		mirror_unwatch(m);
		if (pool->env.died)
			pool->env.died(pool->env.ctx, m);
	}
}

static struct mirror *still_there(struct mirror_pool *pool, struct mirror *want)
{
	struct mirror *m;

	pthread_mutex_lock(&pool->lock);
	LIST_FOREACH(m, &pool->mirrors, next)
	if (m == want)
		break;
	if (m)
		mirror_get(m);
	pthread_mutex_unlock(&pool->lock);
	return m;
}

static void *fault_main(void *arg)
{
	struct mirror_pool *pool = arg;
	struct epoll_event ev[16];
	int n;

	for (;;) {
		n = epoll_wait(pool->epoll, ev, 16, -1);
		for (int i = 0; i < n; i++) {
			struct mirror *m;

			if (!ev[i].data.ptr)
				return NULL;
			m = still_there(pool, ev[i].data.ptr);
			if (!m)
				continue;
			look(m);
			mirror_put(m);
		}
	}
}

/* Does the kernel take 32-bit calls? A process that tries dies where it does not. */
static bool try_compat(void)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		long ret = 20; /* getpid */

		signal(SIGSEGV, SIG_DFL);
		__asm__ volatile("int $0x80" : "+a"(ret) : : "r8", "r9", "r10", "r11", "memory");
		_exit(ret == getpid() ? 0 : 1);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int mirror_pool_create(const struct mirror_env *env, struct mirror_pool **out)
{
	struct mirror_pool *pool = calloc(1, sizeof(*pool));
	struct epoll_event ev = { .events = EPOLLIN };
	int ret = -ENOMEM;

	if (!pool)
		return ret;
	pool->env = *env;
	pool->epoll = epoll_create1(EPOLL_CLOEXEC);
	pool->wake = eventfd(0, EFD_CLOEXEC);
	pool->nslots = env->max_threads + MIRROR_SLOT_FIRST + 1;
	if (pool->nslots > MIRROR_MAX_SLOTS)
		pool->nslots = MIRROR_MAX_SLOTS;
	pool->compat = try_compat();
	pthread_mutex_init(&pool->lock, NULL);
	LIST_INIT(&pool->mirrors);
	if (pool->epoll < 0 || pool->wake < 0 ||
	    epoll_ctl(pool->epoll, EPOLL_CTL_ADD, pool->wake, &ev)) {
		ret = -errno;
		goto fail;
	}
	ret = mirror_filter_make(&pool->filter, env->open);
	if (ret)
		goto fail;
	ret = -pthread_create(&pool->fault_thread, NULL, fault_main, pool);
	if (ret)
		goto fail;
	ret = mirror_cancel_start(pool);
	if (!ret) {
		*out = pool;
		return 0;
	}
	eventfd_write(pool->wake, 1);
	pthread_join(pool->fault_thread, NULL);
fail:
	log_error("mirrors cannot be set up: %s", strerror(-ret));
	if (pool->epoll >= 0)
		close(pool->epoll);
	if (pool->wake >= 0)
		close(pool->wake);
	free(pool);
	return ret;
}

void mirror_pool_destroy(struct mirror_pool *pool)
{
	struct mirror *m;

	do {
		pthread_mutex_lock(&pool->lock);
		LIST_FOREACH(m, &pool->mirrors, next)
		if (!m->destroyed)
			break;
		pthread_mutex_unlock(&pool->lock);
		if (m)
			mirror_destroy(m);
	} while (m);
	/* these may have been the last to use one */
	mirror_cancel_stop(pool);
	eventfd_write(pool->wake, 1);
	pthread_join(pool->fault_thread, NULL);
	close(pool->epoll);
	close(pool->wake);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

void mirror_pool_stats(struct mirror_pool *pool, struct mirror_stats *s)
{
	const struct mirror_counts *c = &pool->counts;

	*s = (struct mirror_stats){
		.mirrors_made = c->mirrors_made,
		.mirrors_live = c->mirrors_live,
		.calls = c->calls,
		.faults = c->faults,
		.faults_asked = c->faults_asked,
		.faults_refused = c->faults_refused,
		.pages_mapped = c->pages_mapped,
		.pages_dropped = c->pages_dropped,
		.device_maps = c->device_maps,
		.cancels = c->cancels,
	};
}

pid_t mirror_pid(const struct mirror *m)
{
	return m->pid;
}
