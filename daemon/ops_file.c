// SPDX-License-Identifier: Apache-2.0
#include "ops.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "dispatch.h"
#include "files.h"
#include "log.h"
#include "opens.h"
#include "watch.h"

/* what the kernel moves at once at most */
#define MAX_RW_BYTES (INT_MAX & ~(PD_PAGE_SIZE - 1))

void op_open(struct request *r)
{
	opens_start(r->w->opens, r);
}

void op_release(struct request *r)
{
	struct file *f = file_take(r->s, r->req.file);

	if (!f) {
		request_done(r, -EBADF);
		return;
	}
	/* our own reference must not keep it open */
	file_put(r->file);
	r->file = NULL;
	request_get(r);
	file_release(f, r);
	request_put(r);
}

void op_flush(struct request *r)
{
	request_done(r, mirror_flush(&r->mop, &r->file->mf));
}

static void rw(struct request *r, bool write)
{
	const struct pd_req_rw *q = &r->req.u.rw;
	unsigned int n = r->req.nvecs;
	uint64_t sum = 0;
	int64_t ret;

	for (unsigned int i = 0; i < n; i++) {
		if (r->vecs[i].len > MAX_RW_BYTES ||
		    r->vecs[i].addr + r->vecs[i].len < r->vecs[i].addr)
			sum = ~0ull >> 1;
		else
			sum += r->vecs[i].len;
	}
	if (!n || sum > MAX_RW_BYTES) {
		log_limited(LOG_WARNING, "%s refused: its buffers are none or too long",
			    r->info->name);
		request_done(r, -EINVAL);
		return;
	}
	r->mop.allowed = r->vecs;
	r->mop.nallowed = n;
	if (write)
		ret = mirror_write(&r->mop, &r->file->mf, r->req.oflags, r->vecs, n, q->pos,
				   q->rwf);
	else
		ret = mirror_read(&r->mop, &r->file->mf, r->req.oflags, r->vecs, n, q->pos, q->rwf);
	if (ret > 0)
		atomic_fetch_add(write ? &r->w->counts.bytes_written : &r->w->counts.bytes_read,
				 (uint64_t)ret);
	request_done(r, ret);
}

void op_read(struct request *r)
{
	rw(r, false);
}

void op_write(struct request *r)
{
	rw(r, true);
}

void op_llseek(struct request *r)
{
	const struct pd_req_seek *q = &r->req.u.seek;
	int64_t offset = (int64_t)q->offset;
	int64_t pos;

	if (q->whence > SEEK_HOLE || q->whence == SEEK_CUR) {
		request_done(r, -EINVAL);
		return;
	}
	if (r->mm) {
		pos = mirror_lseek(&r->mop, &r->file->mf, offset, (int)q->whence);
	} else {
		/* the guest's kernel: no memory is concerned */
		pos = lseek(r->file->mf.fd, offset, (int)q->whence);
		if (pos < 0)
			pos = -errno;
	}
	if (pos >= 0)
		r->resp.u.seek.pos = (uint64_t)pos;
	request_done(r, pos < 0 ? pos : 0);
}

void op_fsync(struct request *r)
{
	bool datasync = r->req.u.fsync.datasync;
	int64_t ret;

	if (r->mm)
		ret = mirror_fsync(&r->mop, &r->file->mf, datasync);
	else
		ret = (datasync ? fdatasync(r->file->mf.fd) : fsync(r->file->mf.fd)) ? -errno : 0;
	request_done(r, ret);
}

/*
 * Here and not in the mirror: no memory of the program's is concerned, and the watch asks the
 * driver in the same way.
 */
void op_poll(struct request *r)
{
	uint32_t want = r->req.u.poll.events;
	struct pollfd p = { .fd = r->file->mf.fd };

	if (!want)
		want = POLLIN | POLLPRI | POLLOUT | POLLRDNORM | POLLRDBAND | POLLWRNORM |
		       POLLWRBAND | POLLMSG | POLLRDHUP;
	/* before the driver is asked, so that no edge is missed */
	if (r->req.u.poll.flags & PD_POLL_EDGE)
		watch_arm(r->w->watch, r->file, want, true);
	p.events = (short)want;
	if (poll(&p, 1, 0) < 0) {
		request_done(r, -errno);
		return;
	}
	r->resp.u.poll.mask = (uint16_t)p.revents;
	if (!((uint16_t)p.revents & (want | POLLERR | POLLHUP)))
		r->resp.u.poll.armed = !watch_arm(r->w->watch, r->file, want, false);
	request_done(r, 0);
}

void op_fasync(struct request *r)
{
	request_done(r, watch_async(r->w->watch, r->file, r->req.u.fasync.on));
}
