/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transport made for fuzzing: the worker's code in this process, and around it what it speaks
 * with: a VMM, a manager that opens harmless files, and a guest's memory with rings in it.
 */
#ifndef PARADICE_FUZZ_VM_H
#define PARADICE_FUZZ_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "../../daemon/vhost_proto.h"
#include "../../daemon/worker_private.h"

#define VM_MEMORY (4u << 20)
#define VM_UVA 0x7e0000000000ull
#define VM_RING 64
#define VM_QUEUES 6
#define VM_HOLE 0x300000000000ull

/* A ring's parts in the guest's memory. */
#define VM_DESC(q) ((q)*0x4000u)
#define VM_AVAIL(q) (VM_DESC(q) + 0x1000u)
#define VM_USED(q) (VM_DESC(q) + 0x2000u)
/* What lies behind the rings. */
#define VM_FREE (VM_QUEUES * 0x4000u)

/**
 * struct vm - the one of this process
 * @mem: the guest's memory
 * @sock: the VMM's end
 * @alive: the worker has not given the VMM up
 * @avail: entries put into each ring
 */
struct vm {
	struct worker w;
	uint8_t *mem;
	int memfd;
	int sock;
	int kick[VM_QUEUES];
	int call[VM_QUEUES];
	bool alive;
	uint16_t avail[VM_QUEUES];
	atomic_uint refuse_maps;
};

/* The one VM; started on first use, with all rings running and HELLO said. */
struct vm *vm_begin(void);
/* The VMM goes away. Aborts when something stays: a session, a descriptor. */
void vm_end(struct vm *vm);

/* The VMM says something, and the worker serves it; answers are thrown away. */
void vm_say(struct vm *vm, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
	    const int *fds, unsigned int nfds);

/* Puts a chain that begins at descriptor @head into a ring. */
void vm_put(struct vm *vm, unsigned int queue, uint16_t head);
void vm_kick(struct vm *vm, unsigned int queue);
/* Puts a request and waits a little for its answer, which @resp gets. False: it has none yet. */
bool vm_request(struct vm *vm, unsigned int queue, const void *bytes, uint32_t len,
		struct pd_resp *resp);

#endif
