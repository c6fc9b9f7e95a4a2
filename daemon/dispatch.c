// SPDX-License-Identifier: Apache-2.0
#include "dispatch.h"

#include <errno.h>
#include <string.h>

#include "files.h"
#include "log.h"
#include "mms.h"
#include "ops.h"

#define FILE_OP (NEED_SESSION | NEED_FILE | TAKES_LISTS)
#define MM_OP (FILE_OP | NEED_MM)

static const struct op_info ops[] = {
	[PD_OP_OPEN] = { "open", NEED_SESSION | TAKES_LISTS | NEVER_BLOCKS, op_open },
	[PD_OP_RELEASE] = { "release", FILE_OP | MUST_RUN, op_release },
	[PD_OP_FLUSH] = { "flush", MM_OP | MUST_RUN, op_flush },
	[PD_OP_READ] = { "read", MM_OP | TAKES_VECS, op_read },
	[PD_OP_WRITE] = { "write", MM_OP | TAKES_VECS, op_write },
	[PD_OP_LLSEEK] = { "llseek", FILE_OP, op_llseek },
	[PD_OP_FSYNC] = { "fsync", FILE_OP, op_fsync },
	[PD_OP_POLL] = { "poll", FILE_OP, op_poll },
	[PD_OP_IOCTL] = { "ioctl", MM_OP | TAKES_FDS, op_ioctl },
	[PD_OP_FD_TAKE] = { "fd_take", MM_OP, op_take },
	[PD_OP_FASYNC] = { "fasync", FILE_OP, op_fasync },
	[PD_OP_MMAP] = { "mmap", MM_OP, op_mmap },
	[PD_OP_MUNMAP] = { "munmap", NEED_SESSION | NEED_MM | TAKES_LISTS | MUST_RUN, op_munmap },
	[PD_OP_MREMAP] = { "mremap", NEED_SESSION | NEED_MM | TAKES_LISTS | MUST_RUN, op_mremap },
	[PD_OP_MAP_RELEASE] = { "map_release", NEED_SESSION | TAKES_LISTS | MUST_RUN,
				op_map_release },
	[PD_OP_WINDOW_MAP] = { "window_map", NEED_SESSION | TAKES_LISTS, op_window_map },
	[PD_OP_WINDOW_UNMAP] = { "window_unmap", NEED_SESSION | TAKES_LISTS | MUST_RUN,
				 op_window_unmap },
	[PD_OP_DROP] = { "drop", NEED_SESSION | NEED_MM | TAKES_LISTS | NEVER_BLOCKS | NOT_LISTED,
			 op_nothing },
	[PD_OP_CONTINUE] = { "continue",
			     NEED_SESSION | NEED_MM | TAKES_LISTS | NEVER_BLOCKS | NOT_LISTED,
			     op_continue },
	[PD_OP_PING] = { "ping", NEVER_BLOCKS | NOT_LISTED, op_nothing },
};

/* instead of any that names a dead mirror: it gives up pages, and waits */
static const struct op_info mirror_ends = { "request", MUST_RUN, op_mirror_ends };

static const char *const control_names[] = {
	[PD_OP_HELLO] = "hello",	 [PD_OP_DEVICE] = "device",
	[PD_OP_MM_CREATE] = "mm_create", [PD_OP_MM_DESTROY] = "mm_destroy",
	[PD_OP_CANCEL] = "cancel",	 [PD_OP_RULES] = "rules",
	[PD_OP_IDENTITY] = "identity",
};

const struct op_info *dispatch_op(unsigned int op)
{
	return op < sizeof(ops) / sizeof(ops[0]) && ops[op].run ? &ops[op] : NULL;
}

const char *dispatch_op_name(unsigned int op)
{
	const struct op_info *info = dispatch_op(op);

	if (info)
		return info->name;
	return op < sizeof(control_names) / sizeof(control_names[0]) ? control_names[op] : NULL;
}

static int refused(struct request *r, int err, const char *why)
{
	log_limited(LOG_WARNING, "%s refused: %s", r->info ? r->info->name : "a request", why);
	atomic_fetch_add(&r->w->counts.malformed, 1);
	return err;
}

static int check_form(struct request *r)
{
	const struct pd_req *q = &r->req;
	unsigned int needs;

	r->info = dispatch_op(q->op);
	if (!r->info) {
		log_limited(LOG_WARNING, "unknown operation %u on a request queue", q->op);
		atomic_fetch_add(&r->w->counts.malformed, 1);
		return -ENOSYS;
	}
	needs = r->info->needs;
	if (q->nvecs && !(needs & TAKES_VECS))
		return refused(r, -EINVAL, "it has vecs");
	if (q->nfds && !(needs & TAKES_FDS))
		return refused(r, -EINVAL, "it has descriptors");
	if ((q->ndrops || q->npages) && (!(needs & TAKES_LISTS) || !q->mm))
		return refused(r, -EINVAL, "it has pages or drops without an address space");
	if ((needs & NEED_MM) && !q->mm)
		return refused(r, -EINVAL, "it names no address space");
	if ((needs & NEED_FILE) && !q->file)
		return refused(r, -EINVAL, "it names no file");
	for (unsigned int i = 0; i < q->ndrops; i++)
		if (!r->drops[i].len || (r->drops[i].addr | r->drops[i].len) & (PD_PAGE_SIZE - 1) ||
		    r->drops[i].addr + r->drops[i].len < r->drops[i].addr)
			return refused(r, -EINVAL, "a drop that is no range of pages");
	for (unsigned int i = 0; i < q->npages; i++)
		if (!r->pages[i].count || r->pages[i].addr & (PD_PAGE_SIZE - 1) ||
		    r->pages[i].flags & ~PD_PAGES_WRITE)
			return refused(r, -EINVAL, "an entry of pages that is no run of pages");
	for (unsigned int i = 0; i < q->nfds; i++)
		if (r->fds[i].number > PD_MAX_FD_NUMBER)
			return refused(r, -EINVAL, "a descriptor with too large a number");
	return 0;
}

/* One queue per address space: what keeps the order of its lists. */
static bool right_queue(struct mm *mm, struct virtqueue *q)
{
	unsigned int none = 0;

	return atomic_compare_exchange_strong(&mm->vq_index, &none, q->index) || none == q->index;
}

static int find_all(struct request *r)
{
	unsigned int needs = r->info->needs;
	const struct pd_req *q = &r->req;

	if (!(needs & NEED_SESSION))
		return 0;
	r->s = session_get(r->w);
	if (!r->s) {
		log_limited(
			LOG_WARNING,
			"the guest goes on after a reset without HELLO; its requests fail (EIO)");
		return -EIO;
	}
	if (q->mm) {
		r->mm = mm_find(r->s, q->mm);
		if (!r->mm)
			return -EIO;
		if (!right_queue(r->mm, r->vq))
			return refused(r, -EINVAL, "its address space belongs to another queue");
		r->mop.m = r->mm->mirror;
	}
	if (q->file) {
		r->file = file_find(r->s, q->file);
		if (!r->file && r->w->resumed && q->file < r->w->first_handle)
			return -EIO; /* it was open when the last worker died */
		if (!r->file)
			return refused(r, -EBADF, "there is no such file");
	}
	return 0;
}

bool dispatch_prepare(struct request *r)
{
	const struct pd_req *q = &r->req;
	int err = check_form(r);

	if (!err) {
		atomic_fetch_add(&r->w->counts.ops[q->op], 1);
		err = find_all(r);
	}
	if (!err && q->op == PD_OP_CONTINUE)
		err = op_continue_prepare(r);
	if (!err && r->mm && (q->ndrops || q->npages)) {
		err = mirror_update(r->mm->mirror, r->drops, q->ndrops, r->pages, q->npages);
		if (err == -EIO) {
			r->info = &mirror_ends;
			return true;
		}
		if (err)
			log_limited(LOG_WARNING, "%s: pages for %s: %s", r->info->name, r->mm->name,
				    strerror(-err));
		/* the operation it continues must hear of it */
		if (err && q->op == PD_OP_CONTINUE) {
			r->req.u.cont.error = (uint32_t)-EFAULT;
			err = 0;
		}
	}
	if (!err && !(r->info->needs & NOT_LISTED)) {
		err = session_add_request(r->s, r);
		if (err == -EEXIST)
			err = refused(r, -EINVAL, "its tag is in use");
	}
	if (err)
		request_done(r, err);
	return !err;
}
