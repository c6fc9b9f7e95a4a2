// SPDX-License-Identifier: GPL-2.0-only
/* testdev: read, write, llseek and fsync, each as the file's mode has it. */
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <linux/vmalloc.h>

#include "internal.h"

#define TD_CHUNK_WORDS (PAGE_SIZE / sizeof(u64))

static void td_note(struct td_file *f, struct kiocb *iocb, struct iov_iter *iter)
{
	mutex_lock(&f->lock);
	f->segments = iter_is_iovec(iter) ? iter->nr_segs : 1;
	f->last_count = iov_iter_count(iter);
	f->last_pos = iocb->ki_pos;
	if (f->mode.chunk)
		iov_iter_truncate(iter, f->mode.chunk);
	mutex_unlock(&f->lock);
}

static ssize_t td_mem_rw(struct td_file *f, struct kiocb *iocb, struct iov_iter *iter, bool write)
{
	size_t want, n;

	if (iocb->ki_pos >= TD_MEM_SIZE)
		return write && iov_iter_count(iter) ? -ENOSPC : 0;
	want = min_t(size_t, iov_iter_count(iter), TD_MEM_SIZE - iocb->ki_pos);
	if (mutex_lock_interruptible(&f->lock))
		return -ERESTARTSYS;
	if (write)
		n = copy_from_iter(f->mem + iocb->ki_pos, want, iter);
	else
		n = copy_to_iter(f->mem + iocb->ki_pos, want, iter);
	mutex_unlock(&f->lock);
	if (want && !n)
		return -EFAULT;
	iocb->ki_pos += n;
	return n;
}

static void td_pattern_page(u8 *page, u32 seed, u64 pos)
{
	u64 *words = (u64 *)page;
	size_t i;

	for (i = 0; i < TD_CHUNK_WORDS; i++)
		words[i] = td_word(seed, (pos >> 3) + i);
}

/* How many of @n bytes are the pattern's at @pos; @page has the pattern. */
static size_t td_same(const u8 *a, const u8 *b, size_t n)
{
	size_t i;

	for (i = 0; i < n && a[i] == b[i]; i++)
		;
	return i;
}

static ssize_t td_pattern_rw(struct td_file *f, struct kiocb *iocb, struct iov_iter *iter,
			     bool write)
{
	u8 *page = kmalloc(2 * PAGE_SIZE, GFP_KERNEL);
	ssize_t done = 0, err = 0;

	if (!page)
		return -ENOMEM;
	while (iov_iter_count(iter) && iocb->ki_pos < TD_PATTERN_SIZE) {
		size_t skip = iocb->ki_pos & 7;
		size_t want = min_t(size_t, iov_iter_count(iter), PAGE_SIZE - skip);
		size_t n, good;

		td_pattern_page(page, f->mode.seed, iocb->ki_pos);
		if (write) {
			n = copy_from_iter(page + PAGE_SIZE, want, iter);
			good = td_same(page + PAGE_SIZE, page + skip, n);
			err = good < n ? -EILSEQ : -EFAULT;
		} else {
			n = copy_to_iter(page + skip, want, iter);
			good = n;
			err = -EFAULT;
		}
		done += good;
		iocb->ki_pos += good;
		if (good < want || fatal_signal_pending(current))
			break;
		cond_resched();
	}
	kfree(page);
	return done ?: err;
}

ssize_t td_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct td_file *f = TD_FILE(iocb->ki_filp);
	bool nowait = iocb->ki_filp->f_flags & O_NONBLOCK || iocb->ki_flags & IOCB_NOWAIT;

	if (td_gone(f))
		return -ENODEV;
	td_count(f, TD_READS, 1);
	td_note(f, iocb, to);
	switch (f->mode.mode) {
	case TD_MODE_MEM:
		return td_mem_rw(f, iocb, to, false);
	case TD_MODE_PATTERN:
		return td_pattern_rw(f, iocb, to, false);
	case TD_MODE_PACKET:
		return td_packet_read(f, to, nowait);
	case TD_MODE_DONE:
		return td_done_read(f, to, nowait);
	default:
		return td_loop_read(f, to, nowait);
	}
}

ssize_t td_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct td_file *f = TD_FILE(iocb->ki_filp);
	bool nowait = iocb->ki_filp->f_flags & O_NONBLOCK || iocb->ki_flags & IOCB_NOWAIT;

	if (td_gone(f))
		return -ENODEV;
	td_count(f, TD_WRITES, 1);
	td_note(f, iocb, from);
	switch (f->mode.mode) {
	case TD_MODE_MEM:
		return td_mem_rw(f, iocb, from, true);
	case TD_MODE_PATTERN:
		return td_pattern_rw(f, iocb, from, true);
	case TD_MODE_PACKET:
		return td_packet_write(f, from);
	case TD_MODE_DONE:
		return -EINVAL;
	default:
		return td_loop_write(f, from, nowait);
	}
}

loff_t td_llseek(struct file *filp, loff_t offset, int whence)
{
	struct td_file *f = TD_FILE(filp);

	if (td_gone(f))
		return -ENODEV;
	switch (f->mode.mode) {
	case TD_MODE_MEM:
		return fixed_size_llseek(filp, offset, whence, TD_MEM_SIZE);
	case TD_MODE_PATTERN:
		return fixed_size_llseek(filp, offset, whence, TD_PATTERN_SIZE);
	default:
		return -ESPIPE;
	}
}

int td_fsync(struct file *filp, loff_t start, loff_t end, int datasync)
{
	struct td_file *f = TD_FILE(filp);
	int ret;

	if (td_gone(f))
		return -ENODEV;
	td_count(f, TD_FSYNCS, 1);
	if (f->mode.fsync_blocks) {
		ret = td_wait(f, f->group->wait, td_group_take(f->group, NULL));
		if (ret)
			return ret;
	}
	return -(int)f->mode.fsync_errno;
}

/**
 * td_set_mode() - say what read and write do from now on
 * @f: the file
 * @mode: the mode; a loop buffer of another size loses what it holds
 *
 * Return: 0, -EINVAL, -ENOMEM.
 */
int td_set_mode(struct td_file *f, const struct td_mode *mode)
{
	u32 size = mode->capacity ?: 65536;
	int ret = -ENOMEM;
	u8 *data;

	if (mode->mode > TD_MODE_DONE || size > (16 << 20) || mode->fsync_errno > MAX_ERRNO)
		return -EINVAL;
	mutex_lock(&f->lock);
	if (mode->mode == TD_MODE_MEM && !f->mem) {
		f->mem = vzalloc(TD_MEM_SIZE);
		if (!f->mem)
			goto out;
	}
	if (mode->mode == TD_MODE_LOOP && f->ring.size != size) {
		data = vmalloc(size);
		if (!data)
			goto out;
		vfree(f->ring.data);
		f->ring = (struct td_ring){ .data = data, .size = size };
	}
	f->mode = *mode;
	ret = 0;
out:
	mutex_unlock(&f->lock);
	wake_up_poll(&f->wait, td_rw_ready(f));
	return ret;
}

/* What poll says of the file by its mode alone. */
__poll_t td_rw_ready(struct td_file *f)
{
	__poll_t mask = 0;

	switch (READ_ONCE(f->mode.mode)) {
	case TD_MODE_MEM:
	case TD_MODE_PATTERN:
		return EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM;
	case TD_MODE_PACKET:
		if (!list_empty_careful(&f->packets))
			mask |= EPOLLIN | EPOLLRDNORM;
		return mask | EPOLLOUT | EPOLLWRNORM;
	case TD_MODE_DONE:
		return list_empty_careful(&f->done) ? 0 : EPOLLIN | EPOLLRDNORM;
	default:
		if (READ_ONCE(f->ring.len) || READ_ONCE(f->mode.eof))
			mask |= EPOLLIN | EPOLLRDNORM;
		if (!f->ring.size || READ_ONCE(f->ring.len) < f->ring.size)
			mask |= EPOLLOUT | EPOLLWRNORM;
		return mask;
	}
}

void td_rw_free(struct td_file *f)
{
	vfree(f->ring.data);
	vfree(f->mem);
	td_packets_free(f);
}
