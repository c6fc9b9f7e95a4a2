// SPDX-License-Identifier: GPL-2.0-only
/* testdev: the loop buffer, which gives back what was written. */
#include <linux/uio.h>
#include <linux/vmalloc.h>

#include "internal.h"

/* The buffer exists from the first use on. Called with f->lock held. */
static int td_ring_make(struct td_ring *ring)
{
	if (ring->size)
		return 0;
	ring->data = vmalloc(65536);
	if (!ring->data)
		return -ENOMEM;
	ring->size = 65536;
	return 0;
}

/* Move bytes between buffer and caller; what could not be touched stays out. */
static size_t td_ring_copy(struct td_ring *ring, u32 at, size_t n, struct iov_iter *iter,
			   bool write)
{
	size_t done = 0, part, moved;

	while (done < n) {
		u32 pos = (at + done) % ring->size;

		part = min_t(size_t, n - done, ring->size - pos);
		if (write)
			moved = copy_from_iter(ring->data + pos, part, iter);
		else
			moved = copy_to_iter(ring->data + pos, part, iter);
		done += moved;
		if (moved < part)
			break;
	}
	return done;
}

ssize_t td_loop_read(struct td_file *f, struct iov_iter *to, bool nowait)
{
	struct td_ring *ring = &f->ring;
	size_t n, done;
	int ret;

	for (;;) {
		if (mutex_lock_interruptible(&f->lock))
			return -ERESTARTSYS;
		if (ring->len || f->mode.eof || !iov_iter_count(to))
			break;
		mutex_unlock(&f->lock);
		if (nowait)
			return -EAGAIN;
		ret = td_wait(f, f->wait, READ_ONCE(ring->len) || READ_ONCE(f->mode.eof));
		if (ret)
			return ret;
	}
	n = min_t(size_t, iov_iter_count(to), ring->len);
	done = n ? td_ring_copy(ring, ring->head, n, to, false) : 0;
	if (ring->size)
		ring->head = (ring->head + done) % ring->size;
	ring->len -= done;
	mutex_unlock(&f->lock);
	if (n && !done)
		return -EFAULT;
	if (done)
		wake_up_interruptible_poll(&f->wait, EPOLLOUT | EPOLLWRNORM);
	return done;
}

ssize_t td_loop_write(struct td_file *f, struct iov_iter *from, bool nowait)
{
	struct td_ring *ring = &f->ring;
	size_t n, done;
	int ret;

	for (;;) {
		if (mutex_lock_interruptible(&f->lock))
			return -ERESTARTSYS;
		ret = td_ring_make(ring);
		if (ret) {
			mutex_unlock(&f->lock);
			return ret;
		}
		if (ring->len < ring->size || !iov_iter_count(from))
			break;
		mutex_unlock(&f->lock);
		if (nowait)
			return -EAGAIN;
		ret = td_wait(f, f->wait, READ_ONCE(ring->len) < READ_ONCE(ring->size));
		if (ret)
			return ret;
	}
	n = min_t(size_t, iov_iter_count(from), ring->size - ring->len);
	done = td_ring_copy(ring, ring->head + ring->len, n, from, true);
	ring->len += done;
	mutex_unlock(&f->lock);
	if (n && !done)
		return -EFAULT;
	if (done) {
		wake_up_interruptible_poll(&f->wait, EPOLLIN | EPOLLRDNORM);
		kill_fasync(&f->fasync, SIGIO, POLL_IN);
	}
	return done;
}
