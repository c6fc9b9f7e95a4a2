// SPDX-License-Identifier: Apache-2.0
/*
 * Device files' descriptors in a mirror. A descriptor travels from the worker to the mapper by its
 * socket, and from the mapper to the operations' threads by pidfd_getfd: so these never have a
 * descriptor that a guest program must not name in an ioctl.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "mirror_private.h"
#include "pass_fds.h"

/* where a descriptor arrives in the mapper: the lowest that it has free */
#define TRANSIT MIRROR_FD_REQ

static struct mirror_binding *find(struct mirror *m, uint64_t id)
{
	struct mirror_binding *b;

	SLIST_FOREACH(b, &m->files[id % MIRROR_FILE_BUCKETS], next)
	if (b->id == id)
		return b;
	return NULL;
}

int mirror_send_fd(struct mirror *m, int fd)
{
	struct mirror_thread *t = m->mapper;
	struct {
		struct msghdr msg;
		struct iovec iov;
		uint8_t byte;
		_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))];
	} *far = (void *)t->res->data, near = { 0 };
	union pass_control control;

	near.iov = (struct iovec){ &near.byte, 1 };
	near.msg = (struct msghdr){ .msg_iov = &near.iov, .msg_iovlen = 1 };
	pass_put(&near.msg, &control, &fd, 1);
	if (sendmsg(m->control, &near.msg, MSG_NOSIGNAL) < 0)
		return errno == EPIPE ? -EIO : -errno;

	far->iov.iov_base = (void *)mirror_slot_addr(t, &far->byte);
	far->iov.iov_len = 1;
	far->msg = (struct msghdr){
		.msg_iov = (void *)mirror_slot_addr(t, &far->iov),
		.msg_iovlen = 1,
		.msg_control = (void *)mirror_slot_addr(t, far->control),
		.msg_controllen = sizeof(far->control),
	};
	return 0;
}

void mirror_add_recv(struct mirror_thread *t, unsigned int *n)
{
	mirror_add(t, n, SYS_recvmsg, MIRROR_FD_CONTROL, mirror_slot_addr(t, t->res->data),
		   MSG_CMSG_CLOEXEC | MSG_DONTWAIT, 0, 0, 0);
}

/* by bind_lock */
static int fetch(struct mirror *m, int fd)
{
	unsigned int n = 0;
	int64_t pidfd, got = -EIO;
	int ret;

	/* map_lock is held all the way: nothing else may be in transit */
	pthread_mutex_lock(&m->map_lock);
	ret = mirror_send_fd(m, fd);
	if (ret)
		goto unlock;
	mirror_add_recv(m->mapper, &n);
	ret = mirror_run_mapper(m, n);
	if (ret == -EREMOTEIO) {
		/* the next one would get this descriptor */
		mirror_kill(m);
		ret = -EIO;
	}
	if (ret)
		goto unlock;
	pidfd = mirror_seed_call(m, SYS_pidfd_open, m->mapper_pid, 0, 0);
	if (pidfd >= 0) {
		got = mirror_seed_call(m, SYS_pidfd_getfd, pidfd, TRANSIT, 0);
		mirror_seed_call(m, SYS_close, pidfd, 0, 0);
	}
	ret = (int)(pidfd < 0 ? pidfd : got);
	n = 0;
	mirror_add(m->mapper, &n, SYS_close, TRANSIT, 0, 0, 0, 0, 0);
	if (mirror_run_mapper(m, n) == -EIO && ret >= 0)
		ret = -EIO;
unlock:
	pthread_mutex_unlock(&m->map_lock);
	return ret;
}

int64_t mirror_seed_call(struct mirror *m, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
	struct mirror_outcome out;
	unsigned int n = 0;

	mirror_add(m->seed, &n, nr, a0, a1, a2, 0, 0, 0);
	return mirror_run_sure(m->seed, n, &out) ?: out.last;
}

/* out of the way of the program's numbers; where there is no such place, it stays */
static int move_up(struct mirror *m, int fd)
{
	int64_t got = mirror_seed_call(m, SYS_fcntl, fd, F_DUPFD_CLOEXEC, MIRROR_FD_FILES);

	if (got < 0 || got > INT32_MAX)
		return fd;
	mirror_seed_call(m, SYS_close, fd, 0, 0);
	return (int)got;
}

int mirror_fd_note(struct mirror *m, uint64_t id, int fd)
{
	struct mirror_binding *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->id = id;
	b->fd = fd;
	SLIST_INSERT_HEAD(&m->files[id % MIRROR_FILE_BUCKETS], b, next);
	return 0;
}

bool mirror_fd_ours(struct mirror *m, int fd)
{
	struct mirror_binding *b;

	for (unsigned int i = 0; i < MIRROR_FILE_BUCKETS; i++)
		SLIST_FOREACH(b, &m->files[i], next)
	if (b->fd == fd)
		return true;
	return false;
}

int mirror_fd_bring(struct mirror *m, int fd)
{
	fd = fetch(m, fd);
	if (fd < 0) {
		if (!atomic_load(&m->dead))
			log_error("mirror of %s: a device file cannot be handed over: %s", m->name,
				  strerror(-fd));
		return fd;
	}
	return move_up(m, fd);
}

int mirror_fd_locked(struct mirror *m, struct mirror_file *file)
{
	struct mirror_binding *b = find(m, file->id);
	int fd, ret;

	if (b)
		return b->fd;
	fd = mirror_fd_bring(m, file->fd);
	if (fd < 0)
		return fd;
	ret = mirror_fd_note(m, file->id, fd);
	if (ret)
		mirror_seed_call(m, SYS_close, fd, 0, 0);
	return ret ?: fd;
}

int mirror_fd(struct mirror *m, struct mirror_file *file)
{
	int ret;

	pthread_mutex_lock(&m->bind_lock);
	ret = mirror_fd_locked(m, file);
	pthread_mutex_unlock(&m->bind_lock);
	return ret;
}

int mirror_fd_peek(struct mirror *m, uint64_t id)
{
	struct mirror_binding *b;
	int fd;

	pthread_mutex_lock(&m->bind_lock);
	b = find(m, id);
	fd = b ? b->fd : -1;
	pthread_mutex_unlock(&m->bind_lock);
	return fd;
}

/* closes descriptors, not by the seed where it can be: a driver's release may take its time */
static void close_all(struct mirror *m, const uint32_t *fds, unsigned int nfds)
{
	struct mirror_thread *t;
	unsigned int n = 0;

	if (!mirror_thread_get(m, NULL, &t)) {
		for (unsigned int i = 0; i < nfds; i++)
			mirror_add(t, &n, SYS_close, fds[i], 0, 0, 0, 0, 0);
		mirror_run(t, n);
		mirror_thread_put(t);
	} else if (!atomic_load(&m->dead)) {
		/* all threads are in use, which a closed file must not depend on */
		pthread_mutex_lock(&m->bind_lock);
		for (unsigned int i = 0; i < nfds; i++)
			mirror_seed_call(m, SYS_close, fds[i], 0, 0);
		pthread_mutex_unlock(&m->bind_lock);
	}
}

static void forget(struct mirror *m, uint64_t id)
{
	uint32_t fds[MIRROR_REQ_MAX_CALLS];
	struct mirror_binding *b;
	unsigned int n;

	do {
		pthread_mutex_lock(&m->bind_lock);
		n = mirror_number_forget(m, id, fds, MIRROR_REQ_MAX_CALLS - 1);
		b = n < MIRROR_REQ_MAX_CALLS - 1 ? find(m, id) : NULL;
		if (b) {
			SLIST_REMOVE(&m->files[id % MIRROR_FILE_BUCKETS], b, mirror_binding, next);
			fds[n++] = b->fd;
		}
		pthread_mutex_unlock(&m->bind_lock);
		if (n)
			close_all(m, fds, n);
		free(b);
	} while (n && !b);
	/* it has what it had until it has ended */
	mirror_await_end(m);
}

void mirror_forget_file(struct mirror_pool *pool, uint64_t id)
{
	struct mirror *m, **all = NULL;
	unsigned int n = 0, max = 0;

	pthread_mutex_lock(&pool->lock);
	LIST_FOREACH(m, &pool->mirrors, next)
	max++;
	all = calloc(max ?: 1, sizeof(*all));
	if (all) {
		LIST_FOREACH(m, &pool->mirrors, next)
		{
			mirror_get(m);
			all[n++] = m;
		}
	}
	pthread_mutex_unlock(&pool->lock);
	if (!all)
		log_error("out of memory: a file stays open in its mirrors");
	for (unsigned int i = 0; i < n; i++) {
		forget(all[i], id);
		mirror_put(all[i]);
	}
	free(all);
}

void mirror_files_free(struct mirror *m)
{
	struct mirror_binding *b;

	mirror_numbers_free(m);
	for (unsigned int i = 0; i < MIRROR_FILE_BUCKETS; i++) {
		while ((b = SLIST_FIRST(&m->files[i]))) {
			SLIST_REMOVE_HEAD(&m->files[i], next);
			free(b);
		}
	}
}
