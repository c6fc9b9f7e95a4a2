// SPDX-License-Identifier: Apache-2.0
/*
 * Opening a device in the mirror. The node comes as a descriptor that only names it (O_PATH), so a
 * mirror needs no path to it, and can open nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mirror_private.h"

static void close_node(struct mirror *m, int at)
{
	pthread_mutex_lock(&m->bind_lock);
	mirror_seed_call(m, SYS_close, at, 0, 0);
	pthread_mutex_unlock(&m->bind_lock);
}

/* the new descriptor's number in the mirror, or a negative errno */
static int64_t open_node(struct mirror_op *op, int at, uint32_t flags)
{
	struct mirror_outcome out;
	struct mirror_thread *t;
	unsigned int n = 0;
	int64_t ret = mirror_thread_get(op->m, op, &t);

	if (ret)
		return ret;
	snprintf((char *)t->req->data, MIRROR_REQ_DATA_SIZE, "/proc/self/fd/%d", at);
	mirror_add(t, &n, SYS_openat, AT_FDCWD, mirror_slot_addr(t, t->req->data), flags, 0, 0, 0);
	ret = mirror_run_sure(t, n, &out) ?: out.last;
	mirror_thread_put(t);
	return ret;
}

int mirror_open(struct mirror_op *op, int node, uint32_t flags, uint64_t id, int *fd)
{
	struct mirror *m = op->m;
	int64_t number;
	bool cloexec;
	int at;

	pthread_mutex_lock(&m->bind_lock);
	at = mirror_fd_bring(m, node);
	pthread_mutex_unlock(&m->bind_lock);
	if (at < 0)
		return at;
	number = open_node(op, at, flags);
	close_node(m, at);
	if (number < 0)
		return (int)number;
	return number > INT32_MAX ? -EIO : mirror_take(m, (uint32_t)number, id, fd, &cloexec);
}
