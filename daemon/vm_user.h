/* SPDX-License-Identifier: Apache-2.0 */
/* Which user a VM's processes are. */
#ifndef PARADICE_VM_USER_H
#define PARADICE_VM_USER_H

#include "vm.h"

/*
 * The administrator's choice, or one of its own, for the VM of that number, those before it having theirs; of a daemon
 * that root did not start, none. Returns 0, or -1 with the reason logged.
 */
int vm_user_setup(const struct host *host, unsigned int index);

#endif
