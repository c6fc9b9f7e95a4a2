/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's worker, as the manager starts it, talks to it and ends it. */
#ifndef PARADICE_VM_WORKER_H
#define PARADICE_VM_WORKER_H

#include "channel.h"
#include "vm.h"

/* Starts one for the connection that the VM has. Returns 0 or a negative error, and then there is none. */
int vm_worker_start(struct vm *vm, const struct host *host);
/* Kills it; vm_worker_ended() follows. */
void vm_worker_kill(const struct vm *vm);

/*
 * Tells it something of no length, with a descriptor, or -1. A worker that does not read is killed: the other VMs
 * would wait with us.
 */
void vm_tell(struct vm *vm, const struct channel_msg *msg, int fd);
/* Likewise, of the device of that number. */
void vm_tell_device(struct vm *vm, unsigned int index, const struct device_info *info);

/* Copies the rest of what a worker that has ended has logged. */
void vm_log_end(struct vm *vm);

#endif
