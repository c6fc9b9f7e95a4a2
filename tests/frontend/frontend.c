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

#define DESC(q) ((q)->base)
#define AVAIL(q) ((q)->base + FE_RING * 16)
#define USED(q) ((q)->base + 0x4000)

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
	union {
		char buf[CMSG_SPACE(sizeof(int) * VHOST_MAX_REGIONS)];
		struct cmsghdr align;
	} control = { 0 };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	int got[VHOST_MAX_FDS];
	unsigned int n;

	if (!has_answer(request) && f->protocol & 1ull << VHOST_PROTOCOL_REPLY_ACK)
		head.flags |= VHOST_FLAG_NEED_REPLY;
	if (nfds) {
		struct cmsghdr *c;

		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
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
		if (vhost_write(f->backend, &msg, -1))
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
	if (f->memfd >= 0 &&
	    fe_message(f, VHOST_SET_MEM_TABLE, &table, 8 + sizeof(table.regions[0]), &f->memfd, 1,
		       NULL))
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
		addr.desc = FE_UVA + DESC(q);
		addr.avail = FE_UVA + AVAIL(q);
		addr.used = FE_UVA + USED(q);
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

/* Puts a chain of one readable and one writable descriptor; returns its head. */
static uint16_t put(struct fe *f, unsigned int queue, uint64_t in, uint32_t in_len, uint64_t out,
		    uint32_t out_len)
{
	struct fe_queue *q = &f->q[queue];
	struct vring_desc *desc = (void *)(f->mem + DESC(q));
	struct vring_avail *avail = (void *)(f->mem + AVAIL(q));
	struct vring_used *used = (void *)(f->mem + USED(q));
	uint16_t *avail_event = (uint16_t *)&used->ring[FE_RING];
	uint16_t head;
	uint16_t old;
	bool kick;

	pthread_mutex_lock(&q->lock);
	if (!q->nfree) {
		fprintf(stderr, "queue %u is full\n", queue);
		abort();
	}
	head = q->free[--q->nfree];
	q->done[head] = false;
	if (in_len)
		desc[head] = (struct vring_desc){ in, in_len,
						  out_len ? VRING_DESC_F_NEXT : 0,
						  (uint16_t)(head + 1) };
	if (out_len)
		desc[in_len ? head + 1 : head] =
			(struct vring_desc){ out, out_len, VRING_DESC_F_WRITE, 0 };
	avail->ring[q->avail % FE_RING] = head;
	old = q->avail++;
	atomic_thread_fence(memory_order_release);
	*(volatile uint16_t *)&avail->idx = q->avail;
	atomic_thread_fence(memory_order_seq_cst);
	if (f->features & 1ull << VIRTIO_RING_F_EVENT_IDX)
		kick = (uint16_t)(q->avail - *(volatile uint16_t *)avail_event - 1) <
		       (uint16_t)(q->avail - old);
	else
		kick = !(*(volatile uint16_t *)&used->flags & VRING_USED_F_NO_NOTIFY);
	pthread_mutex_unlock(&q->lock);
	if (kick)
		eventfd_write(q->kick, 1);
	return head;
}

/* by the queue's lock */
static void take_used(struct fe *f, struct fe_queue *q)
{
	struct vring_used *used = (void *)(f->mem + USED(q));
	struct vring_avail *avail = (void *)(f->mem + AVAIL(q));

	for (;;) {
		while (q->used != *(volatile uint16_t *)&used->idx) {
			struct vring_used_elem e;

			atomic_thread_fence(memory_order_acquire);
			e = used->ring[q->used % FE_RING];
			if (e.id >= FE_RING) {
				fprintf(stderr, "a used id of %u\n", e.id);
				abort();
			}
			q->used++;
			q->done[e.id] = true;
			q->used_len[e.id] = e.len;
		}
		*(volatile uint16_t *)&avail->ring[FE_RING] = q->used;
		atomic_thread_fence(memory_order_seq_cst);
		if (q->used == *(volatile uint16_t *)&used->idx)
			return;
	}
}

/* Waits for the chain with this head. Returns its length or -ETIME. */
static int64_t wait_head(struct fe *f, unsigned int queue, uint16_t head, int ms)
{
	struct fe_queue *q = &f->q[queue];
	struct timespec begin;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (;;) {
		struct pollfd p = { .fd = q->call, .events = POLLIN };
		eventfd_t v;
		int64_t len = -1;
		long left;

		pthread_mutex_lock(&q->lock);
		take_used(f, q);
		if (q->done[head]) {
			q->done[head] = false;
			q->free[q->nfree++] = head;
			len = q->used_len[head];
		}
		pthread_mutex_unlock(&q->lock);
		if (len >= 0)
			return len;
		clock_gettime(CLOCK_MONOTONIC, &now);
		left = ms - ((now.tv_sec - begin.tv_sec) * 1000 +
			     (now.tv_nsec - begin.tv_nsec) / 1000000);
		if (left <= 0)
			return -ETIME;
		/* others may have taken the interrupt that was ours */
		poll(&p, 1, left > 20 ? 20 : (int)left);
		eventfd_read(q->call, &v);
	}
}

static void submit(struct fe *f, struct fe_call *c, unsigned int queue, const void *bytes,
		   size_t len, size_t room)
{
	size_t need = ((len + 63) & ~63ull) + room;

	/* one page-aligned buffer per call, for the request and behind it the answer */
	c->page = 0;
	pthread_mutex_lock(&f->maps_lock);
	if (need <= PD_PAGE_SIZE && f->nsmall)
		c->page = f->small[--f->nsmall];
	pthread_mutex_unlock(&f->maps_lock);
	if (!c->page)
		c->page = fe_frames(f, (unsigned int)((need + PD_PAGE_SIZE - 1) / PD_PAGE_SIZE));
	c->small = need <= PD_PAGE_SIZE;
	c->buffer = c->page << PD_PAGE_SHIFT;
	memcpy(f->mem + c->buffer, bytes, len);
	c->queue = queue;
	c->head = put(f, queue, c->buffer, (uint32_t)len,
		      c->buffer + ((len + 63) & ~63ull), (uint32_t)room);
	c->buffer += (len + 63) & ~63ull;
}

void fe_submit_raw(struct fe *f, struct fe_call *c, unsigned int queue, const void *bytes,
		   size_t len, size_t room)
{
	submit(f, c, queue, bytes, len, room);
}

void fe_submit(struct fe *f, struct fe_call *c, unsigned int queue, struct pd_req *req,
	       const struct pd_range *drops, const struct pd_pages *pages,
	       const struct pd_range *vecs)
{
	size_t ld = req->ndrops * sizeof(*drops);
	size_t lp = req->npages * sizeof(*pages);
	size_t lv = req->nvecs * sizeof(*vecs);
	uint8_t *bytes = malloc(sizeof(*req) + ld + lp + lv);
	uint8_t *at = bytes + sizeof(*req);

	if (!req->tag)
		req->tag = __atomic_fetch_add(&f->next_tag, 1, __ATOMIC_RELAXED);
	c->tag = c->first_tag = req->tag;
	memcpy(bytes, req, sizeof(*req));
	if (ld)
		memcpy(at, drops, ld);
	if (lp)
		memcpy(at + ld, pages, lp);
	if (lv)
		memcpy(at + ld + lp, vecs, lv);
	submit(f, c, queue, bytes, sizeof(*req) + ld + lp + lv,
	       sizeof(struct pd_resp) + (req->op == PD_OP_DEVICE ? sizeof(struct pd_device) : 0));
	free(bytes);
}

int64_t fe_wait_raw(struct fe *f, struct fe_call *c, int ms)
{
	int64_t len = wait_head(f, c->queue, c->head, ms);

	if (len < 0)
		return len;
	c->len = len;
	memset(&c->resp, 0, sizeof(c->resp));
	if (len >= (int64_t)sizeof(c->resp))
		memcpy(&c->resp, f->mem + c->buffer, sizeof(c->resp));
	if (len >= (int64_t)(sizeof(c->resp) + sizeof(c->device)))
		memcpy(&c->device, f->mem + c->buffer + sizeof(c->resp), sizeof(c->device));
	pthread_mutex_lock(&f->maps_lock);
	if (c->small && f->nsmall < FE_SMALL)
		f->small[f->nsmall++] = c->page;
	pthread_mutex_unlock(&f->maps_lock);
	if (len >= (int64_t)sizeof(c->resp) && c->tag && c->resp.tag != c->tag) {
		fprintf(stderr, "an answer to %llu instead of %llu\n",
			(unsigned long long)c->resp.tag, (unsigned long long)c->tag);
		abort();
	}
	return (int64_t)c->resp.result;
}

void fe_continue(struct fe *f, struct fe_call *c, int error, const struct pd_pages *pages,
		 unsigned int npages, const struct pd_req_continue *map)
{
	struct pd_req req = { .op = PD_OP_CONTINUE, .mm = c->mm->id, .npages = npages };
	uint64_t first = c->first_tag;

	if (map)
		req.u.cont = *map;
	req.u.cont.tag = first;
	req.u.cont.error = (uint32_t)error;
	fe_submit(f, c, c->queue, &req, NULL, pages, NULL);
	c->first_tag = first;
}

static struct fe_page *find_page(struct fe_mm *mm, uint64_t addr)
{
	for (struct fe_page *p = mm->pages; p; p = p->next)
		if (p->addr == (addr & ~(uint64_t)(PD_PAGE_SIZE - 1)))
			return p;
	return NULL;
}

int64_t fe_wait(struct fe *f, struct fe_call *c, int ms)
{
	for (;;) {
		int64_t ret = fe_wait_raw(f, c, ms);
		struct fe_page *page;
		struct pd_pages run;

		if (ret == -ETIME || c->resp.status != PD_ST_FAULT)
			return ret;
		c->mm->faults++;
		page = find_page(c->mm, c->resp.u.fault.addr);
		if (!page || (c->resp.u.fault.flags & PD_FAULT_WRITE && !page->write)) {
			fe_continue(f, c, -EFAULT, NULL, 0, NULL);
			continue;
		}
		run = (struct pd_pages){ page->addr, page->frame, 1,
					 page->write ? PD_PAGES_WRITE : 0 };
		fe_continue(f, c, 0, &run, 1, NULL);
	}
}

int64_t fe_control(struct fe *f, struct pd_req *req, struct fe_call *c)
{
	fe_submit(f, c, PD_QUEUE_CONTROL, req, NULL, NULL, NULL);
	return fe_wait(f, c, 5000);
}

int64_t fe_call(struct fe *f, struct fe_mm *mm, struct pd_req *req, const struct pd_range *vecs)
{
	struct fe_call c = { .mm = mm };

	req->mm = mm ? mm->id : 0;
	fe_submit(f, &c, mm ? mm->queue : PD_QUEUE_REQUEST, req, NULL, NULL, vecs);
	return fe_wait(f, &c, 5000);
}

int64_t fe_mm_create(struct fe *f, struct fe_mm *mm)
{
	struct pd_req req = {
		.op = PD_OP_MM_CREATE,
		.u.mm_create = { .hole = FE_HOLE, .hole_len = PD_HOLE_SIZE, .pid = 4711,
				 .comm = "prog" },
	};
	struct fe_call c = { 0 };

	memset(mm, 0, sizeof(*mm));
	mm->id = req.mm = f->next_mm++;
	mm->queue = (unsigned int)(PD_QUEUE_REQUEST + mm->id % (FE_QUEUES - PD_QUEUE_REQUEST));
	return fe_control(f, &req, &c);
}

int64_t fe_mm_destroy(struct fe *f, struct fe_mm *mm)
{
	struct pd_req req = { .op = PD_OP_MM_DESTROY, .mm = mm->id };
	struct fe_call c = { 0 };

	while (mm->pages) {
		struct fe_page *p = mm->pages;

		mm->pages = p->next;
		free(p);
	}
	return fe_control(f, &req, &c);
}

void fe_mm_add(struct fe *f, struct fe_mm *mm, uint64_t addr, unsigned int n, bool write)
{
	uint64_t frame = fe_frames(f, n);

	for (unsigned int i = 0; i < n; i++) {
		struct fe_page *p = calloc(1, sizeof(*p));

		if (!p)
			die("calloc");
		p->addr = addr + (uint64_t)i * PD_PAGE_SIZE;
		p->frame = frame + i;
		p->write = write;
		p->next = mm->pages;
		mm->pages = p;
	}
}

void *fe_mm_at(struct fe *f, struct fe_mm *mm, uint64_t addr)
{
	struct fe_page *p = find_page(mm, addr);

	return p ? (uint8_t *)fe_frame(f, p->frame) + addr % PD_PAGE_SIZE : NULL;
}

int64_t fe_dev_open(struct fe *f, uint32_t device, uint32_t oflags)
{
	struct pd_req req = { .op = PD_OP_OPEN, .oflags = oflags, .u.open.device = device };
	struct fe_call c = { 0 };
	int64_t ret;

	fe_submit(f, &c, PD_QUEUE_REQUEST, &req, NULL, NULL, NULL);
	ret = fe_wait(f, &c, 5000);
	return ret < 0 ? ret : (int64_t)c.resp.u.open.file;
}

int64_t fe_release(struct fe *f, uint64_t file)
{
	struct pd_req req = { .op = PD_OP_RELEASE, .file = file };

	return fe_call(f, NULL, &req, NULL);
}

static int64_t rw(struct fe *f, struct fe_mm *mm, uint16_t op, uint64_t file, uint64_t addr,
		  uint64_t len)
{
	struct pd_req req = { .op = op, .file = file, .nvecs = 1, .oflags = 2 };
	struct pd_range vec = { addr, len };

	return fe_call(f, mm, &req, &vec);
}

int64_t fe_read(struct fe *f, struct fe_mm *mm, uint64_t file, uint64_t addr, uint64_t len)
{
	return rw(f, mm, PD_OP_READ, file, addr, len);
}

int64_t fe_write(struct fe *f, struct fe_mm *mm, uint64_t file, uint64_t addr, uint64_t len)
{
	return rw(f, mm, PD_OP_WRITE, file, addr, len);
}

int64_t fe_ioctl(struct fe *f, struct fe_mm *mm, uint64_t file, uint32_t cmd, uint64_t arg)
{
	struct pd_req req = { .op = PD_OP_IOCTL, .file = file, .oflags = 2,
			      .u.ioctl = { .arg = arg, .cmd = cmd } };

	return fe_call(f, mm, &req, NULL);
}

int64_t fe_cancel(struct fe *f, uint64_t tag, uint32_t flags)
{
	struct pd_req req = { .op = PD_OP_CANCEL, .u.cancel = { .tag = tag, .flags = flags } };
	struct fe_call c = { 0 };

	return fe_control(f, &req, &c);
}

void fe_post_events(struct fe *f, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		uint64_t at = fe_frames(f, 1) << PD_PAGE_SHIFT;

		put(f, PD_QUEUE_EVENT, 0, 0, at, sizeof(struct pd_event));
	}
}

int fe_event(struct fe *f, struct pd_event *ev, int ms)
{
	struct fe_queue *q = &f->q[PD_QUEUE_EVENT];
	struct vring_desc *desc = (void *)(f->mem + DESC(q));

	for (int waited = 0;; waited += 5) {
		struct pollfd p = { .fd = q->call, .events = POLLIN };
		eventfd_t v;

		pthread_mutex_lock(&q->lock);
		take_used(f, q);
		for (uint16_t head = 0; head < FE_RING; head++)
			if (q->done[head]) {
				q->done[head] = false;
				q->free[q->nfree++] = head;
				memcpy(ev, f->mem + desc[head].addr, sizeof(*ev));
				pthread_mutex_unlock(&q->lock);
				return 0;
			}
		pthread_mutex_unlock(&q->lock);
		if (waited >= ms)
			return -ETIME;
		poll(&p, 1, 5);
		eventfd_read(q->call, &v);
	}
}
