/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must survive a worker that dies: which requests it had taken, and which windows are mapped.
 * In memory that the manager keeps and gives to the next worker. The worker writes it as it goes;
 * each step leaves it so that the next worker can tell what was done.
 */
#ifndef PARADICE_VM_STATE_H
#define PARADICE_VM_STATE_H

#include <stdint.h>

#include <paradice/protocol.h>

#define STATE_QUEUES (PD_QUEUE_REQUEST + PD_MAX_REQUEST_QUEUES)
#define STATE_HEADS 1024 /* a ring's size at most */
#define STATE_TAKEN 0x10000u

/**
 * struct queue_state - of a queue
 * @last_avail: the next entry of the available ring to take
 * @pushing: the head that is being given back, +1; 0: none
 * @push_used: the used index before that
 * @head: by head: STATE_TAKEN and the index in the available ring where it was taken, or 0
 */
struct queue_state {
	uint16_t last_avail;
	uint16_t push_used;
	uint32_t pushing;
	uint32_t head[STATE_HEADS];
};

struct window_state {
	uint64_t offset;
	uint64_t len;
};

/**
 * struct vm_state - of a VM
 * @lives: workers that the VM has had
 * @serving: a message of the VMM that is not answered, +1; 0: none
 * @nwindows: entries of @windows
 */
struct vm_state {
	uint32_t lives;
	uint32_t serving;
	uint32_t nwindows;
	uint32_t pad;
	struct window_state windows[PD_MAX_WINDOWS];
	struct queue_state q[STATE_QUEUES];
};

/* New memory, all zero: a descriptor, or a negative errno. */
int vm_state_create(void);
/* Maps it; NULL on error. */
struct vm_state *vm_state_map(int fd);

#endif
