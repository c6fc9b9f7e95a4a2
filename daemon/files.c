// SPDX-License-Identifier: Apache-2.0
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "opens.h"
#include "request.h"
#include "watch.h"
#include "weak.h"

bool file_is_stream(int fd)
{
	/*
	 * The kernel looks whether the file has positions first, and then finds that no program
	 * has memory there, before it would call the driver. By syscall(2), since the compiler
	 * knows pread() and that this cannot be a buffer.
	 */
	return syscall(SYS_pread64, fd, -4096L, 1L, 0L) < 0 && errno == ESPIPE;
}

static void file_free(struct file *f)
{
	close(f->mf.fd);
	opens_closed(f->s->w->opens, f->claim);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* Puts @f, which is set up but for what is the same for all, into the table; frees it on error. */
static int file_add(struct file *f)
{
	struct session *s = f->s;
	int err;

	atomic_init(&f->refs, 2); /* the table's and the caller's */
	pthread_mutex_init(&f->lock, NULL);
	f->access = f->mf.oflags & PD_O_ACCMODE;
	f->mf.stream = file_is_stream(f->mf.fd);
	pthread_mutex_lock(&s->lock);
	err = s->over ? -EIO : s->files.count >= s->w->s.max_files && !WEAK(FILES) ? -EMFILE : 0;
	if (!err)
		err = idmap_insert(&s->files, f->mf.id, f);
	if (!err)
		s->live_files++;
	pthread_mutex_unlock(&s->lock);
	if (!err)
		return 0;
	if (err == -EMFILE) {
		log_limited(LOG_WARNING,
			    "open refused (EMFILE): %u files are open (--max-files %u)",
			    s->w->s.max_files, s->w->s.max_files);
		atomic_fetch_add(&s->w->counts.refused_files, 1);
	}
	file_free(f);
	return err;
}

int file_create(struct session *s, int fd, uint32_t oflags, uint64_t id,
		const struct device_info *device, uint32_t claim, struct file **out)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f) {
		close(fd);
		opens_closed(s->w->opens, claim);
		return -ENOMEM;
	}
	*out = f;
	f->s = s;
	f->caching = device->caching;
	f->keeps_nothing = device->keeps_nothing;
	f->ioctls = device->ioctls;
	f->claim = claim;
	f->mf.id = id;
	f->mf.fd = fd;
	f->mf.oflags = oflags;
	return file_add(f);
}

int file_create_taken(struct session *s, int fd, uint32_t oflags, uint64_t id,
		      const struct file *from, struct file **out)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	*out = f;
	f->s = s;
	f->caching = from->caching;
	f->keeps_nothing = from->keeps_nothing;
	f->ioctls = from->ioctls;
	f->mf.id = id;
	f->mf.fd = fd;
	f->mf.oflags = oflags;
	return file_add(f);
}

uint32_t file_flags(const struct file *f)
{
	return (f->mf.stream ? PD_FILE_STREAM : 0) | (f->keeps_nothing ? PD_FILE_KEEPS_NOTHING : 0);
}

struct file *file_find(struct session *s, uint64_t id)
{
	struct file *f;

	pthread_mutex_lock(&s->lock);
	f = idmap_find(&s->files, id);
	if (f)
		atomic_fetch_add(&f->refs, 1);
	pthread_mutex_unlock(&s->lock);
	return f;
}

struct file *file_take(struct session *s, uint64_t id)
{
	struct file *f;

	pthread_mutex_lock(&s->lock);
	f = idmap_remove(&s->files, id);
	pthread_mutex_unlock(&s->lock);
	return f;
}

void file_put(struct file *f)
{
	struct session *s = f->s;
	struct request *r;

	if (atomic_fetch_sub(&f->refs, 1) != 1)
		return;
	r = f->releasing;
	/* an operation that was under way may have given it to a mirror once more */
	mirror_forget_file(s->pool, f->mf.id);
	file_free(f);
	if (r)
		request_done(r, 0);
	pthread_mutex_lock(&s->lock);
	s->live_files--;
	pthread_cond_broadcast(&s->idle);
	pthread_mutex_unlock(&s->lock);
}

void file_release(struct file *f, struct request *r)
{
	watch_forget(f->s->w->watch, f);
	mirror_forget_file(f->s->pool, f->mf.id);
	f->releasing = r;
	file_put(f);
}
