/* SPDX-License-Identifier: Apache-2.0 */
/* The manager's view of a VM's devices: which are there, and which VM has them open. */
#ifndef PARADICE_VM_DEVICES_H
#define PARADICE_VM_DEVICES_H

#include "channel.h"
#include "vm.h"

/* Looks at all of them. Returns 0, or -1 with the reason logged. */
int vm_devices_setup(struct vm *vm);

/* The worker asks for an opening: it is told what came of it, now or later. */
void vm_device_open(struct vm *vm, const struct host *host, const struct channel_msg *msg);
/* It has closed one of the openings that CHANNEL_OPENED named so; 0 and unknown names count for nothing. */
void vm_device_closed(struct vm *vm, uint32_t id);
/* The worker has ended, and has nothing open any more. */
void vm_devices_unclaim(struct vm *vm);

#endif
