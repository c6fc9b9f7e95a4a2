// SPDX-License-Identifier: Apache-2.0
#include "frontend.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../daemon/vhost_io.h"

#define RINGS_AT 0x100000ull /* in the memory file */
#define RING_BYTES 0x10000ull
#define FRAMES_AT (4ull << 20 >> PD_PAGE_SHIFT)

static void die(const char *what)
{
	perror(what);
	abort();
}

void fe_open(struct fe *f, const struct fe_daemon *d)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	memset(f, 0, sizeof(*f));
	f->backend = f->memfd = -1;
	pthread_mutex_init(&f->maps_lock, NULL);
	for (unsigned int i = 0; i < FE_QUEUES; i++) {
		pthread_mutex_init(&f->q[i].lock, NULL);
		f->q[i].kick = f->q[i].call = -1;
	}
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", d->socket);
	f->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (f->sock < 0 || connect(f->sock, (struct sockaddr *)&addr, sizeof(addr)))
		die("connect");
}

static bool has_answer(uint32_t request)
{
	return request == VHOST_GET_FEATURES || request == VHOST_GET_PROTOCOL_FEATURES ||
	       request == VHOST_GET_QUEUE_NUM || request == VHOST_GET_CONFIG ||
	       request == VHOST_GET_SHMEM_CONFIG || request == VHOST_GET_VRING_BASE ||
	       request == VHOST_GET_SHARED_OBJECT;
}

int64_t fe_message(struct fe *f, uint32_t request, const void *payload, uint32_t size,
		   const int *fds, unsigned int nfds, struct vhost_message *reply)
{
	static struct vhost_message own;
	struct vhost_header head = { .request = request, .flags = VHOST_VERSION, .size = size };
	struct iovec iov[2] = { { &head, sizeof(head) }, { (void *)payload, size } };
	union pass_control control;
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	int got[VHOST_MAX_FDS];
	unsigned int n;

	if (!has_answer(request) && f->protocol & 1ull << VHOST_PROTOCOL_REPLY_ACK)
		head.flags |= VHOST_FLAG_NEED_REPLY;
	pass_put(&mh, &control, fds, nfds);
	if (sendmsg(f->sock, &mh, MSG_NOSIGNAL) != (ssize_t)(sizeof(head) + size))
		return -1;
	if (!has_answer(request) && !(head.flags & VHOST_FLAG_NEED_REPLY))
		return 0;
	if (!reply)
		reply = &own;
	if (vhost_read(f->sock, reply, got, &n) != 1 || reply->head.request != request ||
	    !(reply->head.flags & VHOST_FLAG_REPLY))
		return -1;
	return (int64_t)reply->u.u64;
}

/* What QEMU does with the requests of the back end. */
static void *backend_main(void *arg)
{
	struct fe *f = arg;
	struct vhost_message msg;
	int fds[VHOST_MAX_FDS];
	unsigned int nfds;

	while (vhost_read(f->backend, &msg, fds, &nfds) == 1) {
		uint64_t result = 0;

		if (msg.head.request == VHOST_BACKEND_SHMEM_MAP && f->hold_maps) {
			f->held_maps++;
			while (f->hold_maps)
				usleep(1000);
		}
		pthread_mutex_lock(&f->maps_lock);
		switch (msg.head.request) {
		case VHOST_BACKEND_SHMEM_MAP:
			result = nfds != 1 || f->refuse_maps;
			if (!result) {
				f->maps[f->nmaps].m = msg.u.map;
				f->maps[f->nmaps++].fd = fds[0];
				nfds = 0;
			}
			break;
		case VHOST_BACKEND_SHMEM_UNMAP:
			result = 1;
			for (unsigned int i = 0; i < f->nmaps && result; i++)
				if (f->maps[i].m.shm_offset == msg.u.map.shm_offset &&
				    f->maps[i].m.len == msg.u.map.len) {
					close(f->maps[i].fd);
					f->maps[i] = f->maps[--f->nmaps];
					result = 0;
				}
			break;
		case VHOST_BACKEND_SHARED_OBJECT_REMOVE:
			f->settles++;
			break;
		default:
			f->unknown_backend++;
			result = 1;
		}
		pthread_mutex_unlock(&f->maps_lock);
		for (unsigned int i = 0; i < nfds; i++)
			close(fds[i]);
		if (!(msg.head.flags & VHOST_FLAG_NEED_REPLY))
			continue;
		msg.head.flags = VHOST_VERSION | VHOST_FLAG_REPLY;
		msg.head.size = sizeof(msg.u.u64);
		msg.u.u64 = result;
		if (vhost_write(f->backend, &msg, NULL, 0))
			break;
	}
	return NULL;
}

static void set_backend(struct fe *f)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		die("socketpair");
	f->backend = sv[0];
	if (fe_message(f, VHOST_SET_BACKEND_REQ_FD, NULL, 0, &sv[1], 1, NULL))
		die("SET_BACKEND_REQ_FD");
	close(sv[1]);
	if (pthread_create(&f->backend_thread, NULL, backend_main, f))
		die("pthread_create");
}

void fe_start_rings(struct fe *f, bool fresh)
{
	struct vhost_memory table = {
		.nregions = 1,
		.regions = { { .gpa = 0, .size = FE_MEMORY, .uva = FE_UVA } },
	};

	if (fe_message(f, VHOST_SET_FEATURES, &f->features, 8, NULL, 0, NULL))
		die("SET_FEATURES");
	if (f->memfd >= 0 && fe_message(f, VHOST_SET_MEM_TABLE, &table,
					8 + sizeof(table.regions[0]), &f->memfd, 1, NULL))
		die("SET_MEM_TABLE");
	for (uint32_t i = 0; i < FE_QUEUES; i++) {
		struct fe_queue *q = &f->q[i];
		struct vhost_vring_state state = { .index = i, .num = FE_RING };
		struct vhost_vring_addr addr = { .index = i };
		uint64_t index = i;

		if (fresh) {
			q->base = RINGS_AT + i * RING_BYTES;
			memset(f->mem + q->base, 0, RING_BYTES);
			q->avail = q->used = 0;
			q->nfree = FE_RING / 2;
			for (uint16_t k = 0; k < FE_RING / 2; k++)
				q->free[k] = (uint16_t)(2 * k);
			memset(q->done, 0, sizeof(q->done));
		}
		if (q->kick < 0) {
			q->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
			q->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		}
		addr.desc = FE_UVA + FE_DESC(q);
		addr.avail = FE_UVA + FE_AVAIL(q);
		addr.used = FE_UVA + FE_USED(q);
		fe_message(f, VHOST_SET_VRING_NUM, &state, sizeof(state), NULL, 0, NULL);
		state.num = q->avail;
		fe_message(f, VHOST_SET_VRING_BASE, &state, sizeof(state), NULL, 0, NULL);
		fe_message(f, VHOST_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0, NULL);
		fe_message(f, VHOST_SET_VRING_CALL, &index, 8, &q->call, 1, NULL);
		fe_message(f, VHOST_SET_VRING_KICK, &index, 8, &q->kick, 1, NULL);
		state.num = 1;
		fe_message(f, VHOST_SET_VRING_ENABLE, &state, sizeof(state), NULL, 0, NULL);
	}
}

void fe_stop_rings(struct fe *f)
{
	for (uint32_t i = 0; i < FE_QUEUES; i++) {
		struct vhost_vring_state state = { .index = i };
		struct vhost_message reply;

		fe_message(f, VHOST_SET_VRING_ENABLE, &state, sizeof(state), NULL, 0, NULL);
		if (fe_message(f, VHOST_GET_VRING_BASE, &state, sizeof(state), NULL, 0, &reply) < 0)
			die("GET_VRING_BASE");
		if (reply.u.state.num != f->q[i].avail)
			fprintf(stderr, "queue %u stopped at %u of %u\n", i, reply.u.state.num,
				f->q[i].avail);
	}
}

void fe_connect(struct fe *f, const struct fe_daemon *d, const struct fe_options *o)
{
	static const struct fe_options none;
	struct vhost_config config = { .size = sizeof(struct pd_config) };
	struct pd_req hello = { .op = PD_OP_HELLO, .u.hello = { .version = PD_VERSION } };
	struct vhost_message reply;
	struct fe_call c = { 0 };
	uint64_t protocol;
	int64_t err;

	if (!o)
		o = &none;
	fe_open(f, d);
	f->next_tag = 1;
	f->next_mm = 1;
	f->next_frame = FRAMES_AT;
	f->memfd = memfd_create("guest", MFD_CLOEXEC);
	if (f->memfd < 0 || ftruncate(f->memfd, FE_MEMORY))
		die("memfd");
	f->mem = mmap(NULL, FE_MEMORY, PROT_READ | PROT_WRITE,
		      o->private_memory ? MAP_PRIVATE : MAP_SHARED, f->memfd, 0);
	if (f->mem == MAP_FAILED)
		die("mmap");
	if (o->no_memory) {
		close(f->memfd);
		f->memfd = -1;
	}
	f->features = (uint64_t)fe_message(f, VHOST_GET_FEATURES, NULL, 0, NULL, 0, NULL);
	if (o->no_event_idx)
		f->features &= ~(1ull << VIRTIO_RING_F_EVENT_IDX);
	protocol = (uint64_t)fe_message(f, VHOST_GET_PROTOCOL_FEATURES, NULL, 0, NULL, 0, NULL);
	if (o->no_shmem)
		protocol &= ~(1ull << VHOST_PROTOCOL_SHMEM | 1ull << VHOST_PROTOCOL_SHARED_OBJECT |
			      1ull << VHOST_PROTOCOL_BACKEND_REQ |
			      1ull << VHOST_PROTOCOL_BACKEND_SEND_FD);
	if (fe_message(f, VHOST_SET_PROTOCOL_FEATURES, &protocol, 8, NULL, 0, NULL))
		die("SET_PROTOCOL_FEATURES");
	f->protocol = protocol;
	fe_message(f, VHOST_SET_OWNER, NULL, 0, NULL, 0, NULL);
	if (f->protocol & 1ull << VHOST_PROTOCOL_BACKEND_REQ)
		set_backend(f);
	if (f->protocol & 1ull << VHOST_PROTOCOL_SHMEM) {
		fe_message(f, VHOST_GET_SHMEM_CONFIG, NULL, 0, NULL, 0, &reply);
		f->window_size = reply.u.shmem.sizes[0];
	}
	fe_message(f, VHOST_GET_CONFIG, &config,
		   (uint32_t)offsetof(struct vhost_config, region) + config.size, NULL, 0, &reply);
	memcpy(&f->config, reply.u.config.region, sizeof(f->config));
	fe_start_rings(f, true);
	if (o->no_hello)
		return;
	err = fe_control(f, &hello, &c);
	if (err) {
		fprintf(stderr, "HELLO: %lld\n", (long long)err);
		abort();
	}
}

void fe_close(struct fe *f)
{
	close(f->sock);
	if (f->backend >= 0) {
		shutdown(f->backend, SHUT_RDWR);
		pthread_join(f->backend_thread, NULL);
		close(f->backend);
	}
	for (unsigned int i = 0; i < f->nmaps; i++)
		close(f->maps[i].fd);
	for (unsigned int i = 0; i < FE_QUEUES; i++)
		if (f->q[i].kick >= 0) {
			close(f->q[i].kick);
			close(f->q[i].call);
		}
	if (f->mem)
		munmap(f->mem, FE_MEMORY);
	if (f->memfd >= 0)
		close(f->memfd);
}

uint64_t fe_frames(struct fe *f, unsigned int n)
{
	uint64_t first = __atomic_fetch_add(&f->next_frame, n, __ATOMIC_RELAXED);

	if ((first + n) << PD_PAGE_SHIFT > FE_MEMORY) {
		fprintf(stderr, "the test's guest is out of memory\n");
		abort();
	}
	memset(f->mem + (first << PD_PAGE_SHIFT), 0, (size_t)n << PD_PAGE_SHIFT);
	return first;
}

void *fe_frame(struct fe *f, uint64_t frame)
{
	return f->mem + (frame << PD_PAGE_SHIFT);
}
