/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker, what its files share.
 *
 *	worker.c	start, the main loop, the end
 *	vhost_user.c	messages of the VMM
 *	pool.c		threads that take requests and run them
 *	request.c	a request: reading it from a queue, answering it
 *	dispatch.c	what each request needs and who runs it
 *	ops_*.c		the requests themselves
 *	session.c	all that belongs to one start of the guest's driver
 *	mms.c		guest processes; files.c: open files; maps.c: mappings
 *	window.c	device memory shown to the guest
 *	watch.c		readiness and SIGIO of files; events.c: telling the guest
 *	devices.c	the devices of the VM; opens.c: opening them
 *
 * Locks, in this order: a queue's order lock; the windows' lock; the session's lock; the mirror
 * layer's locks; a request queue's lock (struct virtqueue); the guest memory's. No function of the
 * mirror layer is called under the last two, since it calls request_fault() with locks held.
 */
#ifndef PARADICE_WORKER_PRIVATE_H
#define PARADICE_WORKER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "channel.h"
#include "guest_memory.h"
#include "idmap.h"
#include "mirror.h"
#include "spin.h"
#include "virtqueue.h"

#define NUM_QUEUES (PD_QUEUE_REQUEST + PD_MAX_REQUEST_QUEUES)

struct events;
struct opens;
struct pool;
struct request;
struct session;
struct watch;
struct windows;

/**
 * struct counts - what happened since the worker began, for the administrator
 * @ops: requests by operation
 * @refused: operations beyond --max-inflight; files and processes: beyond their limits
 * @refused_ioctls: by the lists of their device
 * @mirrors: of sessions that are over
 */
struct counts {
	_Atomic uint64_t ops[64];
	_Atomic uint64_t faults;
	_Atomic uint64_t bytes_read;
	_Atomic uint64_t bytes_written;
	_Atomic uint64_t maps;
	_Atomic uint64_t windows;
	_Atomic uint64_t malformed;
	_Atomic uint64_t refused;
	_Atomic uint64_t refused_files;
	_Atomic uint64_t refused_processes;
	_Atomic uint64_t refused_ioctls;
	pthread_mutex_t lock;
	struct mirror_stats mirrors;
};

/**
 * struct device - one of the table of devices
 * @info: @info.wire.id is 0 while there is none
 * @identity: what /sys says of it, or of the one to come
 * @identity_len: bytes of it
 * @identity_of: the id of the device that it belongs to
 */
struct device {
	struct device_info info;
	uint8_t *identity;
	size_t identity_len;
	uint32_t identity_of;
};

/**
 * struct worker - the one of this process
 * @s: settings
 * @conn: socket to the VMM
 * @channel: to the manager; -1 when it is gone
 * @uffd: /dev/userfaultfd, or -1
 * @program: the mirror program
 * @mem: the guest's memory
 * @state: what outlives the worker
 * @resumed: it goes on for one that died
 * @first_handle: handles below are that one's
 * @vq: queues
 * @order: per queue: held while requests are taken and their memory lists applied, in order; and
 *	while the queue is stopped
 * @in_line: per queue: a thread waits for @order, before which it has seen nothing of the ring
 * @spin: per queue: looking for requests
 * @spin_max: how long at most, ns; 0: never
 * @session_lock: for @session
 * @session: the present one, or NULL
 * @sessions: those that have not ended quite, this one included
 * @next_handle: for files and mappings: never used twice
 */
struct worker {
	struct worker_settings s;
	int conn;
	_Atomic int channel;
	int uffd;
	int program;
	struct guest_memory *mem;
	struct vm_state *state;
	bool resumed;
	struct virtqueue vq[NUM_QUEUES];
	pthread_mutex_t order[NUM_QUEUES];
	atomic_bool in_line[NUM_QUEUES];
	struct spin spin[NUM_QUEUES];
	uint32_t spin_max;
	pthread_mutex_t session_lock;
	struct session *session;
	atomic_uint sessions;
	_Atomic uint64_t next_handle;
	uint64_t first_handle;
	pthread_rwlock_t devices_lock;
	struct device *devices;
	unsigned int ndevices;
	struct pool *pool;
	struct events *events;
	struct watch *watch;
	struct windows *windows;
	struct opens *opens;
	struct counts counts;
};

/* worker.c, in this order: locks and queues; what @state says (set by the caller); the rest. */
void worker_init(struct worker *w);
void worker_attach_state(struct worker *w);
/* Starts its threads, when all else is set. Returns 0 or a negative errno. */
int worker_set_up(struct worker *w);

#endif
