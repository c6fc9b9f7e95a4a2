/* SPDX-License-Identifier: Apache-2.0 */
/* The manager's view of a VM: its socket, its devices, and its worker while a VMM is connected. */
#ifndef PARADICE_VM_H
#define PARADICE_VM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "options.h"

struct keep;

/**
 * struct vm_device - a device of a VM
 * @o: as the administrator gave it
 * @id: what guests call it; 0 while it is not there
 * @rdev: its number
 * @by_mirror: mirrors open it, and nobody else may ask for its node
 * @claims: where it must be known who has it: openings of the VM's, under way and done
 * @lock: for all of the VM's that are the same device, what it has of locks.h while there are such; else -1
 */
struct vm_device {
	const struct device_option *o;
	uint32_t id;
	dev_t rdev;
	bool by_mirror;
	unsigned int claims;
	int lock;
};

/**
 * struct vm - a VM
 * @o: as the administrator gave it
 * @listener: the listening socket; for a domain of Xen's where xen_adapter.h has connections
 * @adapter: then: the process that has them
 * @worker: process id of the worker, 0 without one
 * @pidfd: descriptor of it
 * @channel: to it; -1 without one, and when it has closed it
 * @log: what it logs, to be copied (relay.h); -1 without one
 * @user_lock: locks.h: that no other daemon's VM has @uid; -1 without
 * @devices: one per option
 * @deaf: it is being ended, since it does not read
 * @ended: a worker has ended, so --once may end the daemon
 * @waiting_logged: it was said that a second VMM waits
 * @stats: the newest text of counts, or NULL
 * @conn: the VMM's connection, -1 without one
 * @state: what outlives a worker (vm_state.h)
 * @keep: likewise, the VMM's words
 * @deaths: of workers of this connection (of all of Xen's), lately
 * @last_death: seconds
 */
struct vm {
	const struct vm_option *o;
	int listener;
	pid_t adapter;
	pid_t worker;
	int pidfd;
	int channel;
	int log;
	uid_t uid;
	gid_t gid;
	int user_lock;
	struct vm_device *devices;
	bool deaf;
	bool ended;
	bool waiting_logged;
	char *stats;
	int conn;
	int state;
	struct keep *keep;
	unsigned int deaths;
	time_t last_death;
};

/**
 * struct host - what all VMs share
 * @program: descriptor of the mirror program
 * @uffd: descriptor of /dev/userfaultfd, or -1
 */
struct host {
	const struct options *o;
	struct vm *vms;
	unsigned int nvms;
	int program;
	int uffd;
};

/*
 * Sets up the VM of that number, those before it being set up: looks at all devices and listens. Returns 0, or
 * -1 with the reason logged.
 */
int vm_setup(const struct host *host, unsigned int index);
/* Removes the socket's file. */
void vm_close(struct vm *vm);

/* A VMM connects: accepts it and starts a worker for it. */
void vm_accept(struct vm *vm, const struct host *host);
/* The worker's channel is readable. Returns false when it is closed. */
bool vm_channel(struct vm *vm, const struct host *host,
		void (*stats)(struct vm *vm, uint32_t id, const char *text));
/* Copies what the worker has logged. */
void vm_log(struct vm *vm);
/* The worker has ended: reaps it, and starts another if it died; else writes the counts. */
void vm_worker_ended(struct vm *vm, const struct host *host, bool stopping);

/* The device node @node came or went. */
void vm_device_changed(struct vm *vm, const char *node, bool present);
/* Asks the worker for its counts, under the name @id. Returns false without a worker. */
bool vm_ask_stats(struct vm *vm, uint32_t id);

#endif
