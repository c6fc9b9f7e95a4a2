// SPDX-License-Identifier: Apache-2.0
/*
 * ioctl, and the descriptors that it passes: in, the mirror has the file under the program's own
 * number; out, the worker takes the new file and gives it a handle.
 */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "files.h"
#include "log.h"
#include "weak.h"
#include "window.h"

/* Has the mirror know the descriptors that the driver will look for. */
static int place(struct request *r)
{
	for (unsigned int i = 0; i < r->req.nfds; i++) {
		const struct pd_fd *fd = &r->fds[i];
		struct file *f = NULL;
		int err;

		if (fd->file) {
			f = file_find(r->s, fd->file);
			if (!f)
				return -EBADF;
		}
		err = mirror_place(r->mop.m, f ? &f->mf : NULL, fd->number);
		if (f)
			file_put(f);
		if (err)
			return err;
	}
	return 0;
}

/*
 * A driver that frees no buffer that is mapped, and says "busy", may mean a window of this file's
 * that the VMM has not let go of yet, though the program's munmap is over.
 */
static int64_t run(struct request *r)
{
	const struct pd_req_ioctl *q = &r->req.u.ioctl;
	struct timespec t = { .tv_nsec = 2000000 };
	int64_t ret;

	for (;;) {
		ret = mirror_ioctl(&r->mop, &r->file->mf, r->req.oflags, q->cmd, q->arg,
				   q->flags & PD_IOCTL_COMPAT);
		if (ret != -EBUSY || !windows_lingers(r->file->window_ended) || r->abandoned)
			return ret;
		nanosleep(&t, NULL);
	}
}

void op_ioctl(struct request *r)
{
	const struct pd_req_ioctl *q = &r->req.u.ioctl;
	int err;

	if (q->flags & ~PD_IOCTL_COMPAT) {
		request_done(r, -EINVAL);
		return;
	}
	if (!WEAK(IOCTLS) && !ioctl_allowed(&r->file->ioctls, q->cmd, q->flags & PD_IOCTL_COMPAT)) {
		log_limited(LOG_WARNING,
			    "ioctl %#x refused (EPERM) by the device's allow-ioctl= or deny-ioctl=",
			    q->cmd);
		atomic_fetch_add(&r->w->counts.refused_ioctls, 1);
		request_done(r, -EPERM);
		return;
	}
	err = place(r);
	if (err) {
		request_done(r, err);
		return;
	}
	request_done(r, run(r));
}

/* What kind of file it is, for people: "sync_file" of "anon_inode:sync_file". */
static void kind(int fd, uint8_t *out, size_t size)
{
	char link[32];
	char target[256];
	const char *name;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	name = strncmp(target, "anon_inode:", 11) ? target + (*target == '/') : target + 11;
	snprintf((char *)out, size, "%.*s", (int)size - 1, name);
}

/* The open flags that the protocol has, of a file that a driver opened. */
static uint32_t open_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? PD_O_ACCMODE & O_RDWR :
			   (uint32_t)flags & (PD_O_ACCMODE | PD_O_APPEND | PD_O_NONBLOCK |
					      PD_O_DSYNC | PD_O_DIRECT | PD_O_SYNC);
}

void op_take(struct request *r)
{
	struct pd_resp_open *out = &r->resp.u.open;
	struct file *f;
	struct stat st;
	bool cloexec;
	uint64_t id;
	int err;
	int fd;

	id = atomic_fetch_add(&r->w->next_handle, 1);
	err = mirror_take(r->mop.m, r->req.u.take.number, id, &fd, &cloexec);
	if (err) {
		request_done(r, err);
		return;
	}
	out->size = fstat(fd, &st) ? 0 : (uint64_t)st.st_size;
	out->oflags = open_flags(fd);
	kind(fd, out->name, sizeof(out->name));
	err = file_create_taken(r->s, fd, out->oflags, id, r->file, &f);
	if (err) {
		mirror_forget_file(r->s->pool, id);
		request_done(r, err);
		return;
	}
	out->file = id;
	out->flags = file_flags(f) | (cloexec ? PD_FILE_CLOEXEC : 0);
	/* a dma-buf says its size so, and nothing else */
	if (lseek(fd, 0, SEEK_CUR) >= 0 || errno != ESPIPE)
		out->flags |= PD_FILE_LSEEK;
	file_put(f);
	request_done(r, 0);
}
