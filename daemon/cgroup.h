/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A control group (version 2) for each VM's worker and mirrors: what they cost the host's memory, and
 * how many they are. By the manager's main thread only.
 */
#ifndef PARADICE_CGROUP_H
#define PARADICE_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * cgroups_setup() - finds the group below which the VMs' will be
 * @given: its path, made if it is not there; NULL: the daemon's own, if it was delegated to it (systemd:
 *	Delegate=yes). Without one there are no groups.
 *
 * Return: 0, or -1 when @given cannot be used, with the reason logged.
 */
int cgroups_setup(const char *given);

/**
 * cgroup_enter() - makes the VM's group and puts its worker in
 * @memory_max: bytes, 0 for no limit
 * @tasks_max: processes and threads
 *
 * Failure is logged; the VM is served all the same.
 */
void cgroup_enter(const char *vm, uint64_t memory_max, uint64_t tasks_max, pid_t worker);

/* When its processes have ended. True: the kernel killed some for want of memory. */
bool cgroup_leave(const char *vm);

/**
 * struct cgroup_use - what a VM uses of its group
 * @memory: bytes
 * @tasks: processes and threads
 */
struct cgroup_use {
	uint64_t memory;
	uint64_t tasks;
};

/* False without a group. */
bool cgroup_use(const char *vm, struct cgroup_use *use);

#endif
