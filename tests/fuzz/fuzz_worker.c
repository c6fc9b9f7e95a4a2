// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes what a worker takes from a VMM and from a guest: vhost-user messages, rings, requests. An
 * input is a list of steps in the life of one VM; afterwards the VM goes, and nothing may stay.
 */
#include <fcntl.h>
#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "input.h"
#include "vm.h"

#define HANDLES 16
#define PROG 0x10000000ull
#define MAX_STEPS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What earlier answers gave, so that an input need not guess it. */
struct known {
	uint64_t handle[HANDLES];
	unsigned int n;
	uint64_t faulted; /* tag of a request that waits for a page */
	uint64_t next_tag;
};

static uint64_t pick(struct input *in, const struct known *k)
{
	uint8_t how = take8(in);

	if (how < 0xe0)
		return k->n ? k->handle[how % k->n] : how;
	return how < 0xf0 ? 0 : take64(in);
}

/* an address: as a rule the program's */
static uint64_t address(struct input *in)
{
	uint16_t v = take16(in);

	if (v < 0xf000)
		return PROG + (v & 0xff) * 0x400ull;
	return v < 0xf800 ? VM_HOLE + (v & 0xff) * 0x1000ull : take64(in);
}

static void message(struct vm *vm, struct input *in)
{
	static const uint8_t usual[] = { VHOST_SET_MEM_TABLE,	   VHOST_SET_VRING_NUM,
					 VHOST_SET_VRING_ADDR,	   VHOST_SET_VRING_BASE,
					 VHOST_GET_VRING_BASE,	   VHOST_SET_VRING_KICK,
					 VHOST_SET_VRING_CALL,	   VHOST_SET_VRING_ENABLE,
					 VHOST_RESET_DEVICE,	   VHOST_GET_CONFIG,
					 VHOST_SET_FEATURES,	   VHOST_SET_PROTOCOL_FEATURES,
					 VHOST_SET_BACKEND_REQ_FD, VHOST_GET_SHMEM_CONFIG };
	uint8_t what = take8(in);
	uint32_t flags = VHOST_VERSION | (take8(in) & 15);
	unsigned int nfds = take8(in) & 3;
	uint8_t payload[1024];
	uint16_t len = take16(in) % sizeof(payload);
	int fds[3];

	take(in, payload, len);
	for (unsigned int i = 0; i < nfds; i++)
		fds[i] = take8(in) & 1 ? fcntl(vm->memfd, F_DUPFD_CLOEXEC, 0) :
					 eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vm_say(vm, what < 0xc0 ? usual[what % sizeof(usual)] : what, flags, payload, len, fds,
	       nfds);
	for (unsigned int i = 0; i < nfds; i++)
		close(fds[i]);
}

/* what is told apart by the operation */
static void arguments(struct input *in, struct known *k, struct pd_req *req)
{
	switch (req->op) {
	case PD_OP_OPEN:
		req->u.open.device = take8(in) & 3;
		break;
	case PD_OP_MM_CREATE:
		req->u.mm_create.hole = VM_HOLE;
		req->u.mm_create.hole_len = PD_HOLE_SIZE;
		break;
	case PD_OP_IOCTL:
		req->u.ioctl.arg = address(in);
		req->u.ioctl.cmd = (uint32_t)take64(in);
		break;
	case PD_OP_MMAP:
	case PD_OP_MUNMAP:
		req->u.mmap.map = pick(in, k);
		req->u.mmap.addr = address(in) & ~0xfffull;
		req->u.mmap.len = (take8(in) & 15) * 0x1000ull;
		req->u.mmap.prot = take8(in);
		break;
	case PD_OP_WINDOW_MAP:
	case PD_OP_WINDOW_UNMAP:
	case PD_OP_MAP_RELEASE:
		req->u.window.map = pick(in, k);
		req->u.window.offset = (take8(in) & 15) * 0x1000ull;
		req->u.window.len = (take8(in) & 15) * 0x1000ull;
		req->u.window.window = (take8(in) & 15) * 0x1000ull;
		break;
	case PD_OP_CANCEL:
		req->u.cancel.tag = k->next_tag - (take8(in) & 7);
		req->u.cancel.flags = take8(in) & 3;
		break;
	case PD_OP_CONTINUE:
		req->u.cont.tag = k->faulted;
		req->u.cont.error = take8(in) & 1 ? (uint32_t)-14 : 0;
		break;
	default:
		take(in, &req->u, sizeof(req->u));
	}
}

static uint32_t lists(struct input *in, struct known *k, struct pd_req *req, uint8_t *out)
{
	uint8_t counts = take8(in);
	uint8_t *at = out;

	/* seldom what the counts say */
	req->ndrops = counts & 3;
	req->npages = counts >> 2 & 3;
	req->nvecs = counts >> 4 & 3;
	req->nfds = counts >> 6;
	for (unsigned int i = 0; i < req->ndrops; i++) {
		struct pd_range r = { address(in) & ~0xfffull, (take8(in) & 7) * 0x1000ull };

		memcpy(at, &r, sizeof(r));
		at += sizeof(r);
	}
	for (unsigned int i = 0; i < req->npages; i++) {
		struct pd_pages p = { address(in) & ~0xfffull, take16(in) % 0x500, take8(in) & 3,
				      take8(in) & 1 };

		memcpy(at, &p, sizeof(p));
		at += sizeof(p);
	}
	for (unsigned int i = 0; i < req->nvecs; i++) {
		struct pd_range r = { address(in), take16(in) };

		memcpy(at, &r, sizeof(r));
		at += sizeof(r);
	}
	for (unsigned int i = 0; i < req->nfds; i++) {
		struct pd_fd f = { take16(in), 0, pick(in, k) };

		memcpy(at, &f, sizeof(f));
		at += sizeof(f);
	}
	return (uint32_t)(at - out);
}

static void remember(struct known *k, const struct pd_req *req, const struct pd_resp *resp)
{
	if (resp->status == PD_ST_FAULT)
		k->faulted = req->tag;
	if (resp->status != PD_ST_DONE || (int64_t)resp->result < 0)
		return;
	if (req->op == PD_OP_MM_CREATE)
		k->handle[k->n++ % HANDLES] = req->mm;
	else if (req->op == PD_OP_OPEN || req->op == PD_OP_FD_TAKE)
		k->handle[k->n++ % HANDLES] = resp->u.open.file;
	else if (req->op == PD_OP_MMAP)
		k->handle[k->n++ % HANDLES] = resp->u.map.map;
	if (k->n > HANDLES)
		k->n = HANDLES;
}

static void request(struct vm *vm, struct input *in, struct known *k)
{
	uint8_t op = take8(in);
	uint8_t queue = take8(in);
	struct pd_req req = { .op = op % 40, .tag = k->next_tag++ };
	uint8_t bytes[sizeof(req) + 1024];
	struct pd_resp resp;
	uint32_t len;

	req.mm = op == PD_OP_MM_CREATE ? 1u + queue % 6 : pick(in, k);
	req.file = pick(in, k);
	req.oflags = take16(in);
	arguments(in, k, &req);
	len = lists(in, k, &req, bytes + sizeof(req));
	/* sometimes any of its bytes */
	memcpy(bytes, &req, sizeof(req));
	if (op >= 200)
		take(in, bytes + take8(in) % (sizeof(req) - 8), 8);
	if (op >= 240)
		len = take16(in) % 1024;
	if (req.op < PD_OP_OPEN)
		queue = PD_QUEUE_CONTROL;
	else
		queue = queue < 250 ? PD_QUEUE_REQUEST + queue % 4 : queue % VM_QUEUES;
	if (vm_request(vm, queue, bytes, (uint32_t)sizeof(req) + len, &resp))
		remember(k, &req, &resp);
}

/* The ring as no driver would write it. */
static void ring(struct vm *vm, struct input *in)
{
	unsigned int queue = take8(in) % VM_QUEUES;
	uint8_t what = take8(in);
	struct vring_desc *desc = (void *)(vm->mem + VM_DESC(queue));

	if (what < 0x80) {
		struct vring_desc d;

		take(in, &d, sizeof(d));
		if (d.addr >> 56)
			d.addr %= VM_MEMORY;
		desc[what % VM_RING] = d;
		vm_put(vm, queue, take8(in));
	} else {
		uint32_t at = VM_DESC(queue) + take16(in) % 0x4000u;

		take(in, vm->mem + at, what & 15);
	}
	vm_kick(vm, queue);
}

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct known k = { .next_tag = 100 };
	struct vm *vm = vm_begin();

	for (unsigned int i = 0; in.left && i < MAX_STEPS; i++) {
		uint8_t step = take8(&in);

		if (step < 0xa0)
			request(vm, &in, &k);
		else if (step < 0xc8)
			ring(vm, &in);
		else if (step < 0xf0)
			message(vm, &in);
		else if (step < 0xf8)
			atomic_store(&vm->refuse_maps, step & 1);
		else
			pause_a_little();
	}
	vm_end(vm);
	return 0;
}
