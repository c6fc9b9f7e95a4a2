// SPDX-License-Identifier: Apache-2.0
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "open_files.h"

#include "../../daemon/devices.h"
#include "../../daemon/log.h"
#include "../../daemon/opens.h"
#include "../../daemon/session.h"
#include "../../daemon/vhost_io.h"
#include "../../daemon/vhost_user.h"
#include "../../daemon/vm_state.h"

#define END_MS 10000
#define ANSWER_MS 4

static struct vm vm;
static unsigned int fds_before;

#define MUST(what) ((what) ? (void)0 : failed(#what, __LINE__))

static void failed(const char *what, int line)
{
	dprintf(STDERR_FILENO, "vm.c:%d: %s: %s\n", line, what, strerror(errno));
	abort();
}

/* ---- the manager ---- */

/* What device @id is: two that answer at once, and one where every read waits. */
static int open_device(uint32_t id)
{
	static int quiet[2];

	if (id == 3) {
		if (!quiet[0])
			MUST(!pipe2(quiet, O_CLOEXEC));
		return fcntl(quiet[0], F_DUPFD_CLOEXEC, 0);
	}
	return open(id == 1 ? "/dev/zero" : "/dev/full", O_RDWR | O_CLOEXEC);
}

static void *manager_main(void *arg)
{
	static struct channel_msg msg;
	int channel = *(int *)arg;
	int fds[CHANNEL_MAX_FDS];

	while (channel_recv(channel, &msg, fds) > 0) {
		int fd;

		for (unsigned int i = 0; i < CHANNEL_MAX_FDS; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		if (msg.type != CHANNEL_OPEN)
			continue;
		fd = open_device(msg.device_id);
		msg.device_id = 0;
		msg.in_mirror = false;
		msg.result = fd < 0 ? -ENODEV : 0;
		if (fd >= 0) {
			msg.type = CHANNEL_FILE;
			channel_send(channel, &msg, CHANNEL_HEAD, &fd, 1, 1000);
			close(fd);
		}
		msg.type = CHANNEL_OPENED;
		channel_send(channel, &msg, CHANNEL_HEAD, NULL, 0, 1000);
	}
	return NULL;
}

/* the worker's end of the channel, as its main loop serves it */
static void *channel_main(void *arg)
{
	static struct channel_msg msg;
	int fds[CHANNEL_MAX_FDS];

	(void)arg;
	while (channel_recv(vm.w.channel, &msg, fds) > 0)
		if (msg.type == CHANNEL_FILE || msg.type == CHANNEL_OPENED)
			opens_answer(vm.w.opens, &msg, fds[0]);
	return NULL;
}

static void add_device(unsigned int index, const char *name)
{
	struct device_info info = { .wire.id = index + 1, .caching = PD_CACHE_WB };

	snprintf((char *)info.wire.name, sizeof(info.wire.name), "%s", name);
	MUST(!devices_set(&vm.w, index, &info, false));
}

/* ---- the VMM ---- */

/* maps and unmaps windows: says yes, or no */
static void *backend_main(void *arg)
{
	int sock = (int)(intptr_t)arg;
	static struct vhost_message msg;
	int fds[VHOST_MAX_FDS];
	unsigned int nfds;

	while (vhost_read(sock, &msg, fds, &nfds) > 0) {
		for (unsigned int i = 0; i < nfds; i++)
			close(fds[i]);
		if (!(msg.head.flags & VHOST_FLAG_NEED_REPLY))
			continue;
		msg.head.flags = VHOST_VERSION | VHOST_FLAG_REPLY;
		msg.head.size = sizeof(msg.u.u64);
		msg.u.u64 = atomic_load(&vm.refuse_maps);
		if (vhost_write(sock, &msg, NULL, 0))
			break;
	}
	close(sock);
	return NULL;
}

static void start_thread(void *(*run)(void *), void *arg)
{
	pthread_t t;

	MUST(!pthread_create(&t, NULL, run, arg));
	pthread_detach(t);
}

void vm_say(struct vm *v, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
	    const int *fds, unsigned int nfds)
{
	struct vhost_header head = { request, flags, size };
	struct iovec iov[2] = { { &head, sizeof(head) }, { (void *)payload, size } };
	union pass_control control;
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = size ? 2 : 1 };
	uint8_t thrown[8192];

	if (!v->alive)
		return;
	pass_put(&mh, &control, fds, nfds);
	MUST(sendmsg(v->sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0);
	/* a message that claims more than it has must not wait for it */
	if (size < 4096)
		v->alive = vhost_user_serve(&v->w);
	while (recv(v->sock, thrown, sizeof(thrown), MSG_DONTWAIT) > 0)
		;
}

static void say(uint32_t request, const void *payload, uint32_t size, const int *fds,
		unsigned int nfds)
{
	vm_say(&vm, request, VHOST_VERSION, payload, size, fds, nfds);
	MUST(vm.alive);
}

static void say_ring(uint32_t request, unsigned int queue, uint32_t num)
{
	struct vhost_vring_state s = { queue, num };

	say(request, &s, sizeof(s), NULL, 0);
}

static void start_ring(unsigned int q)
{
	struct vhost_vring_addr a = { .index = q,
				      .desc = VM_UVA + VM_DESC(q),
				      .avail = VM_UVA + VM_AVAIL(q),
				      .used = VM_UVA + VM_USED(q) };
	uint64_t index = q;

	vm.avail[q] = 0;
	vm.kick[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vm.call[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	say_ring(VHOST_SET_VRING_NUM, q, VM_RING);
	say_ring(VHOST_SET_VRING_BASE, q, 0);
	say(VHOST_SET_VRING_ADDR, &a, sizeof(a), NULL, 0);
	say(VHOST_SET_VRING_CALL, &index, sizeof(index), &vm.call[q], 1);
	say(VHOST_SET_VRING_KICK, &index, sizeof(index), &vm.kick[q], 1);
	say_ring(VHOST_SET_VRING_ENABLE, q, 1);
}

static void connect_vmm(void)
{
	const uint64_t features = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX |
				  1ull << VIRTIO_RING_F_INDIRECT_DESC |
				  1ull << VHOST_F_PROTOCOL_FEATURES;
	const uint64_t protocol =
		1ull << VHOST_PROTOCOL_MQ | 1ull << VHOST_PROTOCOL_REPLY_ACK |
		1ull << VHOST_PROTOCOL_CONFIG | 1ull << VHOST_PROTOCOL_RESET_DEVICE |
		1ull << VHOST_PROTOCOL_BACKEND_REQ | 1ull << VHOST_PROTOCOL_BACKEND_SEND_FD |
		1ull << VHOST_PROTOCOL_SHMEM;
	struct vhost_memory table = { .nregions = 1, .regions = { { 0, VM_MEMORY, VM_UVA, 0 } } };
	int pair[2];

	MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	vm.sock = pair[0];
	vm.w.conn = pair[1];
	vm.alive = true;
	say(VHOST_SET_PROTOCOL_FEATURES, &protocol, sizeof(protocol), NULL, 0);
	say(VHOST_SET_FEATURES, &features, sizeof(features), NULL, 0);
	MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	start_thread(backend_main, (void *)(intptr_t)pair[0]);
	say(VHOST_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1);
	close(pair[1]);
	say(VHOST_SET_MEM_TABLE, &table, sizeof(table), &vm.memfd, 1);
	for (unsigned int q = 0; q < VM_QUEUES; q++)
		start_ring(q);
}

/* ---- the guest ---- */

void vm_kick(struct vm *v, unsigned int queue)
{
	eventfd_write(v->kick[queue], 1);
}

void vm_put(struct vm *v, unsigned int queue, uint16_t head)
{
	struct vring_avail *avail = (void *)(v->mem + VM_AVAIL(queue));

	avail->ring[v->avail[queue]++ % VM_RING] = head;
	atomic_thread_fence(memory_order_release);
	*(volatile uint16_t *)&avail->idx = v->avail[queue];
}

bool vm_request(struct vm *v, unsigned int queue, const void *bytes, uint32_t len,
		struct pd_resp *resp)
{
	/* each of a ring's entries has its own two descriptors and its own place */
	const uint16_t head = v->avail[queue] % (VM_RING / 2) * 2;
	const uint32_t place = VM_FREE + (queue * VM_RING + head) * 0x800u;
	const uint32_t room = sizeof(*resp) + sizeof(struct pd_device);
	struct vring_desc *desc = (void *)(v->mem + VM_DESC(queue));
	volatile uint64_t *tag = (void *)(v->mem + place + 0x600);
	struct pollfd p = { .fd = v->call[queue], .events = POLLIN };

	len = len < 0x600 ? len : 0x600;
	memcpy(v->mem + place, bytes, len);
	memset(v->mem + place + 0x600, 0, room);
	desc[head] = (struct vring_desc){ place, len, VRING_DESC_F_NEXT, (uint16_t)(head + 1) };
	desc[head + 1] = (struct vring_desc){ place + 0x600, room, VRING_DESC_F_WRITE, 0 };
	vm_put(v, queue, head);
	vm_kick(v, queue);
	for (unsigned int i = 0; !*tag && i < ANSWER_MS; i++) {
		eventfd_t count;

		poll(&p, 1, 1);
		eventfd_read(v->call[queue], &count);
	}
	memcpy(resp, v->mem + place + 0x600, sizeof(*resp));
	return resp->tag;
}

static bool session_there(void)
{
	struct session *s = session_get(&vm.w);

	if (s)
		session_put(s);
	return s;
}

static void say_hello(void)
{
	struct pd_req req = { .op = PD_OP_HELLO, .tag = 1, .u.hello.version = PD_VERSION };
	struct pd_resp resp;

	vm_request(&vm, PD_QUEUE_CONTROL, &req, sizeof(req), &resp);
	/* all else depends on it */
	for (unsigned int i = 0; !session_there() && i < END_MS; i++)
		usleep(1000);
}

/* ---- its life ---- */

static void start(void)
{
	struct worker *w = &vm.w;
	static int channel[2];

	signal(SIGPIPE, SIG_IGN);
	log_setup("fuzz", LOG_DEBUG);
	vm.memfd = memfd_create("guest", MFD_CLOEXEC);
	MUST(vm.memfd >= 0 && !ftruncate(vm.memfd, VM_MEMORY));
	vm.mem = mmap(NULL, VM_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, vm.memfd, 0);
	MUST(vm.mem != MAP_FAILED);
	MUST(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel));
	w->channel = channel[0];
	start_thread(manager_main, &channel[1]);
	w->program = open(FUZZ_MIRROR, O_RDONLY | O_CLOEXEC);
	MUST(w->program >= 0);
	w->uffd = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	snprintf(w->s.name, sizeof(w->s.name), "fuzz");
	w->s.queues = VM_QUEUES - PD_QUEUE_REQUEST;
	w->s.max_inflight = 32;
	w->s.spin_us = 20;
	w->s.max_files = 64;
	w->s.max_processes = 4;
	w->s.window_size = 1 << 20;
	w->s.uid = (uid_t)-1;
	worker_init(w);
	w->state = vm_state_map(vm_state_create());
	MUST(w->state);
	worker_attach_state(w);
	add_device(0, "zero");
	add_device(1, "full");
	add_device(2, "pipe");
	MUST(!worker_set_up(w));
	start_thread(channel_main, NULL);
}

struct vm *vm_begin(void)
{
	if (!vm.mem)
		start();
	memset(vm.mem, 0, VM_FREE);
	atomic_store(&vm.refuse_maps, 0);
	connect_vmm();
	say_hello();
	return &vm;
}

void vm_end(struct vm *v)
{
	int pair[2];

	/* with a connection of its own, whatever became of the last one */
	close(v->sock);
	close(v->w.conn);
	MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	v->sock = pair[0];
	v->w.conn = pair[1];
	v->alive = true;
	say(VHOST_RESET_DEVICE, NULL, 0, NULL, 0);
	if (!session_wait(&v->w, END_MS)) {
		dprintf(STDERR_FILENO, "a session does not end\n");
		abort();
	}
	close(v->sock);
	close(v->w.conn);
	for (unsigned int q = 0; q < VM_QUEUES; q++) {
		close(v->kick[q]);
		close(v->call[q]);
	}
	/* the first life fills pools; of memory that has gone the worker keeps some files (MAX_GONE) */
	if (!fds_before)
		fds_before = open_files(false) + 160;
	if (open_files(false) > fds_before) {
		dprintf(STDERR_FILENO, "descriptors are left behind:\n");
		open_files(true);
		abort();
	}
}
