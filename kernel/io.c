// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading and writing: of programs, straight from and to their pages; of the kernel, through
 * bounce buffers.
 */
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "compat/compat.h"
#include "core.h"
#include "weak.h"

/* the RWF_* flags that @iocb has beyond what its file has */
static u32 pd_rwf(const struct kiocb *iocb)
{
	static const struct {
		int iocb;
		u32 rwf;
	} map[] = {
		{ IOCB_HIPRI, (__force u32)RWF_HIPRI },
		{ IOCB_SYNC, (__force u32)RWF_SYNC },
		{ IOCB_DSYNC, (__force u32)RWF_DSYNC },
		{ IOCB_NOWAIT, (__force u32)RWF_NOWAIT },
		{ IOCB_APPEND, (__force u32)RWF_APPEND },
	};
	int flags = iocb->ki_flags & ~iocb_flags(iocb->ki_filp);
	unsigned int i;
	u32 ret = 0;

	for (i = 0; i < ARRAY_SIZE(map); i++)
		if (flags & map[i].iocb)
			ret |= map[i].rwf;
	return ret;
}

static struct pd_request *pd_rw_request(struct kiocb *iocb, enum pd_op op, struct pd_mm *m,
					unsigned int nvecs, struct pd_range **vecs)
{
	struct pd_request *r = pd_file_request(iocb->ki_filp, op, m);

	*vecs = kcalloc(max(nvecs, 1u), sizeof(**vecs), GFP_KERNEL);
	if (!r || !*vecs) {
		kfree(*vecs);
		pd_req_free(r);
		return NULL;
	}
	r->vecs = *vecs;
	r->nowait = iocb->ki_flags & IOCB_NOWAIT;
	r->req.u.rw.pos = cpu_to_le64(iocb->ki_pos);
	r->req.u.rw.rwf = cpu_to_le32(pd_rwf(iocb));
	return r;
}

/* runs @r and bounds what the host says of it by @len */
static ssize_t pd_rw_run(struct kiocb *iocb, struct pd_request **rp, size_t len)
{
	struct pd_file *pf = iocb->ki_filp->private_data;
	long ret = pd_req_run(rp, PD_WAIT_INTR);

	pd_file_ran(pf);
	/* who can wait elsewhere (io_uring) does so for drivers that do not know of NOWAIT */
	if (ret == -EOPNOTSUPP && (iocb->ki_flags & IOCB_NOWAIT) && !is_sync_kiocb(iocb))
		return -EAGAIN;
	if (ret == -EIOCBQUEUED && !PD_WEAK(QUEUED))
		return -EIO; /* the kernel would wait for more */
	if (ret < 0)
		return ret;
	if (ret > len && !PD_WEAK(MOVED)) {
		pr_err_ratelimited(PD_NAME ": the host moved %ld bytes where %zu were asked for: taken as an I/O error\n",
				   ret, len);
		return -EIO;
	}
	return ret;
}

static ssize_t pd_rw_user(struct kiocb *iocb, struct iov_iter *iter, enum pd_op op,
			  struct pd_mm *m)
{
	struct pd_request *r;
	struct pd_range *vecs;
	unsigned int i, n;
	struct iovec seg;
	size_t len = 0;
	ssize_t ret;

	n = iter_is_ubuf(iter) ? 1 : min_t(unsigned long, iter->nr_segs, PD_MAX_VECS);
	r = pd_rw_request(iocb, op, m, n, &vecs);
	if (!r)
		return -ENOMEM;
	/* those without length, too: what a driver is asked for is what it natively is asked for */
	for (i = 0; i < n; i++) {
		seg = pd_iter_segment(iter, i, len);
		vecs[i].addr = cpu_to_le64((unsigned long)seg.iov_base);
		vecs[i].len = cpu_to_le64(seg.iov_len);
		len += seg.iov_len;
	}
	r->nvecs = n;
	ret = pd_rw_run(iocb, &r, len);
	pd_req_free(r);
	if (ret > 0)
		iov_iter_advance(iter, ret);
	return ret;
}

/* who waited for it was killed: its buffer goes now */
static void pd_rw_orphaned(struct pd_request *r)
{
	pd_bounce_free(r->bounce);
}

/*
 * Copies between the buffer and a kernel iterator; how much was copied. Not by copy_page_to_iter(),
 * which gives a pipe the page itself, as one of the page cache.
 */
static size_t pd_bounce_copy(struct pd_bounce *b, struct iov_iter *iter, size_t len, bool read)
{
	size_t done = 0, n, got;
	unsigned int i;
	void *at;

	for (i = 0; done < len && i < b->npages; i++) {
		n = min_t(size_t, len - done, PAGE_SIZE);
		at = page_address(b->pages[i]);
		if (read)
			got = copy_to_iter(at, n, iter);
		else
			got = copy_from_iter(at, n, iter);
		done += got;
		if (got < n)
			break;
	}
	return done;
}

static ssize_t pd_rw_kernel(struct kiocb *iocb, struct iov_iter *iter, enum pd_op op,
			    struct pd_mm *m)
{
	size_t len = iov_iter_count(iter), copied;
	struct iov_iter start = *iter;
	struct pd_request *r = NULL;
	struct pd_range *vecs;
	struct pd_bounce *b;
	ssize_t ret;

	b = pd_bounce_new(m, len);
	if (!b)
		return -ENOMEM;
	len = min_t(size_t, len, b->npages * PAGE_SIZE);
	ret = -EFAULT;
	if (op == PD_OP_WRITE && pd_bounce_copy(b, &start, len, false) != len)
		goto out;
	ret = -ENOMEM;
	r = pd_rw_request(iocb, op, m, 1, &vecs);
	if (!r)
		goto out;
	vecs[0].addr = cpu_to_le64(b->addr);
	vecs[0].len = cpu_to_le64(len);
	r->nvecs = len ? 1 : 0;
	r->bounce = b;
	r->orphaned = pd_rw_orphaned;
	ret = pd_rw_run(iocb, &r, len);
	if (!r)
		return ret;
	if (ret > 0 && op == PD_OP_WRITE) {
		iov_iter_advance(iter, ret);
	} else if (ret > 0) {
		copied = pd_bounce_copy(b, iter, ret, true);
		ret = copied ?: -EFAULT;
	}
out:
	pd_req_free(r);
	pd_bounce_free(b);
	return ret;
}

static ssize_t pd_rw(struct kiocb *iocb, struct iov_iter *iter, enum pd_op op)
{
	struct pd_file *pf = iocb->ki_filp->private_data;
	struct pd_mm *m;
	ssize_t ret;

	if (user_backed_iter(iter)) {
		m = pd_file_enter(pf, false, false);
		if (IS_ERR(m))
			return PTR_ERR(m);
		ret = pd_rw_user(iocb, iter, op, m);
	} else {
		m = pd_mm_kernel(pf->host);
		if (IS_ERR(m))
			return PTR_ERR(m);
		ret = pd_rw_kernel(iocb, iter, op, m);
	}
	pd_mm_put(m);
	if (ret > 0 && !pf->stream)
		iocb->ki_pos += ret;
	return ret;
}

ssize_t pd_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	return pd_rw(iocb, to, PD_OP_READ);
}

ssize_t pd_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	return pd_rw(iocb, from, PD_OP_WRITE);
}
