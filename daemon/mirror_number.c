// SPDX-License-Identifier: Apache-2.0
/*
 * Descriptors under the program's own numbers, for ioctls whose argument names one: the driver finds
 * there what the program has there, and the argument is not touched.
 *
 * Drivers make new descriptors in the mirror, too, with the lowest number that is free; the program
 * may have a file of its own under that number. So a number is taken only where nothing is, and
 * what is in the way is moved aside until mirror_take() asks for it by its old number.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "mirror_private.h"
#include "weak.h"

/* A driver that has reserved a number and not filled it in yet soon will, or gives it back. */
#define RESERVED_TRIES 1000

static struct mirror_number *find(struct mirror *m, uint32_t number, bool moved)
{
	struct mirror_number *n;

	SLIST_FOREACH(n, &m->numbers, next)
	if (n->number == number && !n->id == moved)
		return n;
	return NULL;
}

static struct mirror_number *add(struct mirror *m, uint32_t number, uint64_t id)
{
	struct mirror_number *n = calloc(1, sizeof(*n));

	if (n) {
		n->number = number;
		n->id = id;
		SLIST_INSERT_HEAD(&m->numbers, n, next);
	}
	return n;
}

static void discard(struct mirror *m, struct mirror_number *n)
{
	SLIST_REMOVE(&m->numbers, n, mirror_number, next);
	free(n);
}

/* a driver's new descriptor is in the way: it waits elsewhere */
static int move_aside(struct mirror *m, uint32_t number)
{
	struct mirror_number *n = add(m, number, 0);
	int64_t flags, got;

	if (!n)
		return -ENOMEM;
	flags = mirror_seed_call(m, SYS_fcntl, number, F_GETFD, 0);
	got = mirror_seed_call(m, SYS_fcntl, number, F_DUPFD_CLOEXEC, MIRROR_FD_FILES);
	if (got < 0 || got > INT32_MAX) {
		discard(m, n);
		return got < 0 ? (int)got : -EIO;
	}
	n->moved = (int)got;
	n->cloexec = flags & FD_CLOEXEC;
	return 0;
}

/* @fd of the mirror's under @number, where nothing of ours is; by bind_lock */
static int place_new(struct mirror *m, int fd, uint32_t number)
{
	struct timespec t = { .tv_nsec = 1000000 };
	int64_t got;
	int err;

	for (unsigned int i = 0; i < RESERVED_TRIES; i++) {
		got = mirror_seed_call(m, SYS_fcntl, fd, F_DUPFD_CLOEXEC, number);
		if (got < 0 || got == number)
			return got < 0 ? (int)got : 0;
		mirror_seed_call(m, SYS_close, got, 0, 0);
		err = move_aside(m, number);
		if (!err) {
			got = mirror_seed_call(m, SYS_dup3, fd, number, O_CLOEXEC);
			return got < 0 ? (int)got : 0;
		}
		if (err != -EBADF)
			return err;
		nanosleep(&t, NULL);
	}
	return -EBUSY;
}

static int place(struct mirror *m, struct mirror_file *file, uint32_t number)
{
	struct mirror_number *n = find(m, number, false);
	int64_t got;
	int fd, err;

	if (n && n->id == file->id)
		return 0;
	fd = mirror_fd_locked(m, file);
	if (fd < 0)
		return fd;
	if (n) {
		got = mirror_seed_call(m, SYS_dup3, fd, number, O_CLOEXEC);
		if (got < 0)
			return (int)got;
		n->id = file->id;
		return 0;
	}
	if (mirror_fd_ours(m, (int)number)) {
		log_limited(LOG_WARNING,
			    "%s passes descriptor %u to a driver: too large a number (EMFILE)",
			    m->name, number);
		return -EMFILE;
	}
	n = add(m, number, file->id);
	if (!n)
		return -ENOMEM;
	err = place_new(m, fd, number);
	if (err)
		discard(m, n);
	return err;
}

/* nothing of ours under @number any more; what a driver put there stays */
static void clear(struct mirror *m, uint32_t number)
{
	struct mirror_number *n = find(m, number, false);

	if (!n)
		return;
	discard(m, n);
	mirror_seed_call(m, SYS_close, number, 0, 0);
}

int mirror_place(struct mirror *m, struct mirror_file *file, uint32_t number)
{
	int err = 0;

	pthread_mutex_lock(&m->bind_lock);
	if (file)
		err = place(m, file, number);
	else
		clear(m, number);
	pthread_mutex_unlock(&m->bind_lock);
	return err;
}

/* where the new descriptor is now: moved aside before, or from its number to where files are */
static int settle(struct mirror *m, uint32_t number, bool *cloexec)
{
	struct mirror_number *n;
	int fd, err;

	n = find(m, number, true);
	if (!n) {
		if (!WEAK(TAKE) && (find(m, number, false) || mirror_fd_ours(m, (int)number)))
			return -EBADF;
		err = move_aside(m, number);
		if (err)
			return err;
		mirror_seed_call(m, SYS_close, number, 0, 0);
		n = find(m, number, true);
	}
	fd = n->moved;
	*cloexec = n->cloexec;
	discard(m, n);
	return fd;
}

int mirror_take(struct mirror *m, uint32_t number, uint64_t id, int *out, bool *cloexec)
{
	int fd, err = 0;

	*out = -1;
	if (number > PD_MAX_FD_NUMBER)
		return -EBADF;
	pthread_mutex_lock(&m->bind_lock);
	fd = settle(m, number, cloexec);
	if (fd < 0) {
		err = fd;
		goto unlock;
	}
	*out = (int)syscall(SYS_pidfd_getfd, m->pidfd, fd, 0);
	err = *out < 0 ? -errno : mirror_fd_note(m, id, fd);
	if (err)
		mirror_seed_call(m, SYS_close, fd, 0, 0);
unlock:
	pthread_mutex_unlock(&m->bind_lock);
	if (err && *out >= 0)
		close(*out);
	return err;
}

unsigned int mirror_number_forget(struct mirror *m, uint64_t id, uint32_t *numbers,
				  unsigned int max)
{
	struct mirror_number *n, *after;
	unsigned int count = 0;

	for (n = SLIST_FIRST(&m->numbers); n && count < max; n = after) {
		after = SLIST_NEXT(n, next);
		if (n->id != id)
			continue;
		numbers[count++] = n->number;
		discard(m, n);
	}
	return count;
}

void mirror_numbers_free(struct mirror *m)
{
	struct mirror_number *n;

	while ((n = SLIST_FIRST(&m->numbers)))
		discard(m, n);
}
