// SPDX-License-Identifier: GPL-2.0-only
/* testdev: records, one for each write, as tun and uhid have them. */
#include <linux/slab.h>
#include <linux/uio.h>

#include "internal.h"

#define TD_PACKET_MAX (16UL << 20)

struct td_packet {
	struct list_head node;
	size_t len;
	u8 data[];
};

/* One record; what does not fit into the caller's buffer is lost. */
ssize_t td_packet_read(struct td_file *f, struct iov_iter *to, bool nowait)
{
	struct td_packet *p;
	size_t want, n;
	int ret;

	for (;;) {
		mutex_lock(&f->lock);
		p = list_first_entry_or_null(&f->packets, struct td_packet, node);
		if (p) {
			list_del(&p->node);
			mutex_unlock(&f->lock);
			break;
		}
		mutex_unlock(&f->lock);
		if (nowait)
			return -EAGAIN;
		ret = td_wait(f, f->wait, !list_empty_careful(&f->packets));
		if (ret)
			return ret;
	}
	want = min(p->len, iov_iter_count(to));
	n = copy_to_iter(p->data, want, to);
	kvfree(p);
	return n == want ? n : -EFAULT;
}

ssize_t td_packet_write(struct td_file *f, struct iov_iter *from)
{
	size_t len = iov_iter_count(from);
	struct td_packet *p;

	if (len > TD_PACKET_MAX)
		return -EMSGSIZE;
	p = kvmalloc(sizeof(*p) + len, GFP_KERNEL);
	if (!p)
		return -ENOMEM;
	p->len = len;
	if (!copy_from_iter_full(p->data, len, from)) {
		kvfree(p);
		return -EFAULT;
	}
	mutex_lock(&f->lock);
	list_add_tail(&p->node, &f->packets);
	mutex_unlock(&f->lock);
	wake_up_interruptible_poll(&f->wait, EPOLLIN | EPOLLRDNORM);
	return len;
}

void td_packets_free(struct td_file *f)
{
	struct td_packet *p, *next;

	list_for_each_entry_safe(p, next, &f->packets, node)
		kvfree(p);
}
