/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A build for tests only (PARADICE_WEAKNESSES) leaves out the defences that $PARADICE_WEAK names, so that
 * tests/attacks can show that each attack succeeds without its defence. In every other build nothing of
 * this is there, and WEAK() is false.
 */
#ifndef PARADICE_WEAK_H
#define PARADICE_WEAK_H

#include <stdbool.h>
#include <stdint.h>

/* The defences. */
enum weakness {
	WEAK_READONLY, /* "ro", where the manager is asked */
	WEAK_IOCTLS, /* "allow-ioctl=", "deny-ioctl=" */
	WEAK_EXCLUSIVE, /* "exclusive" */
	WEAK_FILES, /* --max-files */
	WEAK_PROCESSES, /* --max-processes */
	WEAK_INFLIGHT, /* --max-inflight */
	WEAK_PAGES, /* pages shown for reading only are not written */
	WEAK_RAM, /* addresses in rings are in the guest's RAM */
	WEAK_TAKE, /* FD_TAKE gives only what a driver made */
	WEAK_ROOT, /* the worker has no file systems */
	WEAK_CALLS, /* the worker's system call filter */
	WEAK_CAPS, /* the worker is not root, and has no capabilities */
	WEAK_PIDS, /* the worker sees no process but its own */
	WEAK_MIRROR, /* the mirror's system call filter */
	WEAK_RESULTS, /* numbers of descriptors are not read where a program can have them written */
	WEAK_MEMORY, /* --memory-max (tests/vm/test_host_limits.py) */
	WEAK_NODES, /* a read-only device's node is for reading only */
	WEAK_WAITING, /* the manager waits for no worker */
	WEAK_KEEP, /* what is kept for another worker has the descriptors that belong to it, and no more */
	WEAK_OPENERS, /* nodes are given of devices that mirrors open, and of no others */
	WEAK_HOLE, /* nothing of a program's lies where its mirror's own memory is */
	WEAK_WINDOWS, /* a window shows what was mapped */
	WEAK_REGION, /* windows lie in the VM's region, and beside each other */
	WEAK_COUNT, /* PD_MAX_WINDOWS */
	WEAK_RING, /* chains lie in their ring or table, and are no more than it holds */
	WEAK_LOOPS, /* chains end */
	WEAK_SEGMENTS, /* and have no more segments than are kept */
	WEAK_LISTS, /* a request's lists are no longer than what takes them */
	WEAK_DONE, /* the end of a list of calls is not read where a program can have it written */
	WEAK_REQUESTS, /* a mirror can read its requests, and no more */
	WEAK_REPLY, /* an answer's room has no more pieces than are kept */
	WEAK_QUEUES, /* paradice-xen: a front-end has no more queues than there is room for */
	WEAK_AREA, /* paradice-xen: the page that describes a queue's area does */
	WEAK_END, /* nothing is answered about a mirror that was killed before it has ended */
};

struct mirror_pool;

#ifdef PARADICE_WEAKNESSES

extern uint64_t weak_now;

#define WEAK(name) ((weak_now & (1ull << WEAK_##name)) != 0)

/* The manager's and paradice-xen's, from $PARADICE_WEAK: names in small letters, with commas between. */
void weak_read(void);
/* The environment of a program that the manager starts, which is @none where it is not the manager's own. */
#define WEAK_ENVIRON(none) ((void)(none), environ)
/* What a worker does that an attacker has taken over: attack @which, with @number. @channel: to the manager */
int64_t weak_attack(int channel, struct mirror_pool *pool, uint32_t which, uint32_t number);

static inline void weak_set(uint64_t mask)
{
	weak_now = mask;
}

#else

#define weak_now 0ull
#define WEAK(name) false
#define WEAK_ENVIRON(none) (none)

static inline void weak_read(void)
{
}

static inline void weak_set(uint64_t mask)
{
	(void)mask;
}

#endif

/* A VMM's message, in builds for tests only, that makes a worker attack. */
#define VHOST_TEST_ATTACK 0x7a77

enum attack {
	ATTACK_OPEN, /* opens a file of the host's by its path */
	ATTACK_SOCKET, /* makes a socket */
	ATTACK_ROOT, /* becomes root */
	ATTACK_KILL, /* looks for process @number */
	ATTACK_MIRROR, /* makes a mirror make a call that no operation needs */
	ATTACK_MIRROR_OPEN, /* makes a mirror open a file of the host's by its path */
	ATTACK_NODE, /* asks for device @number for reading, and makes a mirror open its node for writing, too */
	ATTACK_DEAF, /* asks for device @number again and again, and reads no answer */
	ATTACK_KEEP, /* has descriptors kept for another worker */
	ATTACK_ASK, /* asks for the node of device @number */
};

#endif
