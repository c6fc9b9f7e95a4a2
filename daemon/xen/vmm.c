// SPDX-License-Identifier: Apache-2.0
#include "vmm.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <paradice/xen.h>

#include "../vhost_io.h"

#define BIT(n) (1ull << (n))

/* Sends a message with its payload; @ask: waits until the worker says that it has taken it. */
static int say(int conn, uint32_t request, const void *payload, uint32_t size, const int *fds,
	       unsigned int nfds, bool ask)
{
	static struct vhost_message msg;
	int got[VHOST_MAX_FDS];
	unsigned int ngot;
	int err;

	memset(&msg, 0, sizeof(msg));
	msg.head.request = request;
	msg.head.flags = VHOST_VERSION | (ask ? VHOST_FLAG_NEED_REPLY : 0);
	msg.head.size = size;
	if (size)
		memcpy(&msg.u, payload, size);
	err = vhost_write(conn, &msg, fds, nfds);
	if (err || !ask)
		return err;
	err = vhost_read(conn, &msg, got, &ngot);
	for (unsigned int i = 0; i < ngot; i++)
		close(got[i]);
	if (err <= 0)
		return err ? err : -ECONNRESET;
	return msg.u.u64 ? -EPROTO : 0;
}

static int say_u64(int conn, uint32_t request, uint64_t v, int fd)
{
	return say(conn, request, &v, sizeof(v), &fd, fd >= 0, false);
}

static int say_state(int conn, uint32_t request, uint32_t index, uint32_t num)
{
	struct vhost_vring_state s = { .index = index, .num = num };

	return say(conn, request, &s, sizeof(s), NULL, 0, false);
}

static int say_memory(int conn, int gntdev, const struct vmm_queue *q, unsigned int n)
{
	struct vhost_memory m = { .nregions = n };
	int fds[VHOST_MAX_REGIONS];

	if (n > VHOST_MAX_REGIONS)
		return -E2BIG;
	for (unsigned int i = 0; i < n; i++) {
		m.regions[i] = (struct vhost_region){
			.gpa = q[i].base,
			.uva = q[i].base,
			.size = q[i].size,
			.mmap_offset = q[i].offset,
		};
		fds[i] = gntdev;
	}
	return say(conn, VHOST_SET_MEM_TABLE, &m,
		   (uint32_t)(offsetof(struct vhost_memory, regions) + n * sizeof(m.regions[0])),
		   fds, n, true);
}

static int say_queue(int conn, uint32_t i, const struct vmm_queue *q)
{
	struct vhost_vring_addr a = {
		.index = i,
		.desc = q->base,
		.avail = q->base + pd_xen_avail(q->num),
		.used = q->base + pd_xen_used(q->num),
	};
	int err = say_state(conn, VHOST_SET_VRING_NUM, i, q->num);

	err = err ?: say_state(conn, VHOST_SET_VRING_BASE, i, 0);
	err = err ?: say(conn, VHOST_SET_VRING_ADDR, &a, sizeof(a), NULL, 0, true);
	err = err ?: say_u64(conn, VHOST_SET_VRING_CALL, i, q->call);
	err = err ?: say_u64(conn, VHOST_SET_VRING_KICK, i, q->kick);
	return err ?: say_state(conn, VHOST_SET_VRING_ENABLE, i, 1);
}

int vmm_start(int conn, uint32_t domid, int gntdev, const struct vmm_queue *q, unsigned int n)
{
	struct vhost_vring_state domain = { .index = domid };
	int err = say_u64(conn, VHOST_SET_PROTOCOL_FEATURES, BIT(VHOST_PROTOCOL_REPLY_ACK), -1);

	err = err   ?:
		      say_u64(conn, VHOST_SET_FEATURES,
			      BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) |
				      BIT(VIRTIO_RING_F_INDIRECT_DESC) |
				      BIT(VHOST_F_PROTOCOL_FEATURES),
			      -1);
	err = err ?: say(conn, VHOST_XEN_GRANTS, &domain, sizeof(domain), &gntdev, 1, true);
	err = err ?: say_memory(conn, gntdev, q, n);
	for (unsigned int i = 0; !err && i < n; i++)
		err = say_queue(conn, i, &q[i]);
	return err;
}
