/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mirrors, what their files share.
 *
 *	mirror_pool.c	all mirrors of a VM, their fault thread and its events
 *	mirror_spawn.c	a mirror's start: from the program to an empty mirror of the guest's process
 *	mirror_filter.c	the system calls that a mirror may make
 *	mirror_call.c	making system calls in a mirror; its threads
 *	mirror_memory.c	the program's pages in the mirror
 *	mirror_fault.c	touches of what is not there
 *	mirror_cancel.c	interrupting operations
 *	mirror_file.c	descriptors in the mirror
 *	mirror_number.c	descriptors under the program's own numbers
 *	mirror_open.c	opening a device where the driver is to see the program's own process
 *	mirror_ops.c	the operations
 *
 * What a mirror's memory says is not to be believed: a hostile guest program can have its driver
 * write over the result slots of its own mirror. A forged result of an operation harms only that program's own
 * operations. That a list is done is told by a wake-up, which only the mirror's code can give, and what others depend on
 * (which descriptor is whose, whether a mapping is there) is read from the thread's registers (mirror_run_sure()).
 * What concerns memory is done by the mapper, which reports through a socket that the operations' threads
 * do not have.
 *
 * Locks, in this order: pool->lock, mirror->bind_lock, mirror->map_lock, mirror->lock. The worker's
 * own locks may be taken inside mirror->lock by mirror_env.fault() only.
 */
#ifndef PARADICE_MIRROR_PRIVATE_H
#define PARADICE_MIRROR_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/queue.h>

#include "mirror.h"
#include "../mirror/abi.h"

#define MIRROR_MAX_REGIONS 64
#define MIRROR_MAX_POISONED 64
#define MIRROR_MAX_EMPTIED 256
#define MIRROR_FILE_BUCKETS 64

/* the program's part of a mirror's addresses; below lies mmap_min_addr, above the kernel */
#define MIRROR_ADDR_MIN 0x10000ull
#define MIRROR_ADDR_MAX 0x7ffffffff000ull

/* One system call in a list; the layout of mirror/abi.h */
struct mirror_call {
	uint64_t nr;
	uint64_t arg[6];
	uint64_t flags;
};

struct mirror_req_slot {
	_Atomic uint32_t seq;
	uint32_t count;
	uint32_t report;
	uint32_t nslots;
	uint64_t hole;
	uint64_t result;
	uint64_t ok;
	uint64_t err;
	_Atomic uint32_t done;
	uint8_t pad[MIRROR_REQ_CALLS - 52];
	struct mirror_call calls[MIRROR_REQ_MAX_CALLS];
	uint8_t data[MIRROR_REQ_DATA_SIZE];
};

struct mirror_res_slot {
	uint8_t pad[MIRROR_RES_VALUES];
	int64_t values[MIRROR_REQ_MAX_CALLS];
	uint8_t pad2[MIRROR_RES_DATA - MIRROR_RES_VALUES - 8 * MIRROR_REQ_MAX_CALLS];
	uint8_t data[MIRROR_RES_DATA_SIZE];
};

/* struct mirror_op.state */
#define OP_FAULTING 1u /* its thread sleeps in a fault that the guest was asked about */
#define OP_ABANDONED 2u /* its faults fail */

/**
 * struct mirror_thread - a task of the mirror with its slot
 * @m: its mirror
 * @index: of its slot
 * @tid: its thread id
 * @req: the request slot, written by the worker
 * @res: the result slot, not to be trusted
 * @seq: number of the list posted last
 * @op: the operation that it runs, NULL: none; by m->lock
 * @nth_op: counts them; by m->lock
 * @doubted: the page that its last refused touch was of; by m->lock
 * @doubted_op: @nth_op then
 * @poisoned: the operation has poisoned pages
 * @free: in m->free
 */
struct mirror_thread {
	struct mirror *m;
	unsigned int index;
	pid_t tid;
	struct mirror_req_slot *req;
	struct mirror_res_slot *res;
	uint32_t seq;
	struct mirror_op *op;
	uint64_t nth_op;
	uint64_t doubted;
	uint64_t doubted_op;
	atomic_bool poisoned;
	SLIST_ENTRY(mirror_thread) free;
};

/* A file's descriptor in the mirror */
struct mirror_binding {
	uint64_t id;
	int fd;
	SLIST_ENTRY(mirror_binding) next;
};

/* A descriptor under a number that the program knows: a file's, or one that was in its way */
struct mirror_number {
	uint32_t number;
	uint64_t id; /* the file's */
	int moved; /* @id 0: a driver's new descriptor, waits here for mirror_take() */
	bool cloexec; /* of that */
	SLIST_ENTRY(mirror_number) next;
};

/* A page that answers with EFAULT until its operation is over */
struct mirror_poison {
	uint64_t addr;
	struct mirror_thread *thread;
};

/**
 * struct mirror - one guest process's double
 * @pool: where it belongs
 * @refs: those who use it; freed at 0
 * @pid: the process whose threads run operations
 * @pidfd: its descriptor
 * @mapper_pid: the process that shares its memory but not its files
 * @mapper_pidfd: its descriptor
 * @uffd: userfaultfd of its memory
 * @control: socket to the mapper
 * @reserve: file behind the addresses without a page
 * @hole: begin of the mirror's own range
 * @hole_len: its length
 * @req: request slots
 * @res: result slots
 * @destroyed: mirror_destroy() has been called
 * @dead: it has ended, or is not to be used any more
 * @ended: both its processes have
 * @bind_lock: descriptors, the seed's slot
 * @map_lock: the mapper's slot, @regions, @poisoned, @emptied
 * @lock: threads and their operations
 * @running: threads with an operation
 * @still: none may begin; by map_lock and lock
 * @moving: signalled when that is over
 * @mapper: slot 0
 * @seed: slot 1, makes threads and fetches descriptors
 * @threads: by slot, NULL where none
 * @nslots: slots that have or had a thread
 * @free: threads without an operation
 * @regions: guest memory regions whose file the mapper has, by descriptor - MIRROR_FD_FIRST_FREE
 * @nregions: number of these
 * @poisoned: pages that answer with EFAULT
 * @npoisoned: number of these
 * @emptied: pages taken back while operations ran: still the guest's file, but nobody gets at it
 * @nemptied: number of these
 * @files: descriptors by file, hashed by id; by bind_lock
 * @numbers: descriptors under the program's numbers; by bind_lock
 */
struct mirror {
	struct mirror_pool *pool;
	atomic_int refs;
	pid_t pid;
	int pidfd;
	pid_t mapper_pid;
	int mapper_pidfd;
	int uffd;
	int control;
	int reserve;
	uint64_t hole;
	uint64_t hole_len;
	struct mirror_req_slot *req;
	struct mirror_res_slot *res;
	bool destroyed;
	atomic_bool dead;
	atomic_bool ended;
	pthread_mutex_t bind_lock;
	pthread_mutex_t map_lock;
	pthread_mutex_t lock;
	unsigned int running;
	bool still;
	pthread_cond_t moving;
	struct mirror_thread *mapper;
	struct mirror_thread *seed;
	struct mirror_thread *threads[MIRROR_MAX_SLOTS];
	unsigned int nslots;
	SLIST_HEAD(, mirror_thread) free;
	uint32_t regions[MIRROR_MAX_REGIONS];
	unsigned int nregions;
	struct mirror_poison poisoned[MIRROR_MAX_POISONED];
	unsigned int npoisoned;
	struct pd_range emptied[MIRROR_MAX_EMPTIED];
	unsigned int nemptied;
	SLIST_HEAD(, mirror_binding) files[MIRROR_FILE_BUCKETS];
	SLIST_HEAD(, mirror_number) numbers;
	LIST_ENTRY(mirror) next;
	char name[32];
};

/* An operation that is to be interrupted */
struct mirror_cancel {
	struct mirror *m;
	struct mirror_thread *thread;
	uint64_t nth_op;
	bool attached;
	STAILQ_ENTRY(mirror_cancel) next;
};

struct mirror_filter {
	uint16_t len;
	uint8_t code[MIRROR_REQ_DATA_SIZE - 128]; /* struct sock_filter */
};

/* Counts, updated without a lock */
struct mirror_counts {
	_Atomic uint64_t mirrors_made, mirrors_live, calls, faults, faults_asked, faults_refused,
		pages_mapped, pages_dropped, device_maps, cancels;
};

struct mirror_pool {
	struct mirror_env env;
	unsigned int nslots; /* of each mirror */
	struct mirror_filter filter;
	bool compat; /* the host's kernel takes 32-bit calls */
	int epoll; /* userfaultfds and pidfds of all mirrors, and @wake */
	int wake; /* eventfd: ends the fault thread */
	pthread_t fault_thread;
	pthread_mutex_t lock;
	LIST_HEAD(, mirror) mirrors;
	pthread_t cancel_thread;
	pthread_mutex_t cancel_lock;
	pthread_cond_t cancel_cond;
	STAILQ_HEAD(, mirror_cancel) cancels;
	bool cancel_stop;
	struct mirror_counts counts;
};

/* mirror_pool.c: ends every use of a mirror that cannot be trusted or has died */
void mirror_kill(struct mirror *m);
/* the fault thread looks at it no more: a dead one's descriptors stay readable */
void mirror_unwatch(struct mirror *m);

/* mirror_filter.c: compiles the list, with or without openat(); 0 or a negative errno */
int mirror_filter_make(struct mirror_filter *f, bool open);

/* mirror_call.c */

/* the address that a pointer into a thread's slot has in the mirror */
uint64_t mirror_slot_addr(const struct mirror_thread *t, const void *p);
struct mirror_thread *mirror_thread_new(struct mirror *m, unsigned int index);
/*
 * Makes the @n calls in @t's request slot and waits for their end. 0, or -EIO when the mirror died.
 * Results are in the result slot, where the program can have had something else written.
 */
int mirror_run(struct mirror_thread *t, unsigned int n);
/*
 * The same; what the list's @last call returned, and its first error or 0, are what they were: read from the thread's
 * registers. Costs a look into /proc. The caller has @t until it is done with both.
 */
struct mirror_outcome {
	int64_t last;
	int64_t first_error;
};

int mirror_run_sure(struct mirror_thread *t, unsigned int n, struct mirror_outcome *out);
/* The same for the mapper, by map_lock; -EREMOTEIO when a call failed */
int mirror_run_mapper(struct mirror *m, unsigned int n);
/* takes a free thread for @op, or makes one; -EBUSY, -EIO, -ENOMEM */
int mirror_thread_get(struct mirror *m, struct mirror_op *op, struct mirror_thread **out);
void mirror_thread_put(struct mirror_thread *t);

static inline struct mirror_call *mirror_add(struct mirror_thread *t, unsigned int *n, uint64_t nr,
					     uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
					     uint64_t a4, uint64_t a5)
{
	struct mirror_call *c = &t->req->calls[(*n)++];

	*c = (struct mirror_call){ .nr = nr, .arg = { a0, a1, a2, a3, a4, a5 } };
	return c;
}

/* mirror_memory.c */
bool mirror_range_ok(const struct mirror *m, uint64_t addr, uint64_t len);
/* makes [addr, +len) unknown again; 0 or a negative errno, after which the mirror is dead */
int mirror_reserve(struct mirror *m, const struct pd_range *ranges, unsigned int n);
int mirror_wake(struct mirror *m, uint64_t addr, uint64_t len);
/* lets a touch of a page fail with EFAULT, for @t's present operation */
void mirror_poison(struct mirror *m, struct mirror_thread *t, uint64_t addr);
void mirror_unpoison(struct mirror_thread *t);
/* something else is being mapped there: forgets what it was; by map_lock */
void mirror_replaced(struct mirror *m, uint64_t addr, uint64_t len);

/* mirror_fault.c: one event of a mirror's userfaultfd */
void mirror_fault_read(struct mirror *m);

/* mirror_cancel.c */
int mirror_cancel_start(struct mirror_pool *pool);
void mirror_cancel_stop(struct mirror_pool *pool);

/* mirror_file.c: @file's descriptor in the mirror, made on first use; or a negative errno */
int mirror_fd(struct mirror *m, struct mirror_file *file);
/* the same, without making one: -1 where there is none */
int mirror_fd_peek(struct mirror *m, uint64_t id);
/* the same as mirror_fd(), by bind_lock */
int mirror_fd_locked(struct mirror *m, struct mirror_file *file);
/* a descriptor for @fd in the mirror, where device files are; or a negative errno. By bind_lock */
int mirror_fd_bring(struct mirror *m, int fd);
/* notes that the mirror has @fd for the file @id; by bind_lock. 0 or -ENOMEM */
int mirror_fd_note(struct mirror *m, uint64_t id, int fd);
/* is @fd a descriptor that we put there? By bind_lock */
bool mirror_fd_ours(struct mirror *m, int fd);
/* one call of the seed's; by bind_lock. What it really returned, or -EIO */
int64_t mirror_seed_call(struct mirror *m, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2);

/* mirror_number.c: the numbers that @id has, taken out of the list, up to @max; by bind_lock */
unsigned int mirror_number_forget(struct mirror *m, uint64_t id, uint32_t *numbers,
				  unsigned int max);
void mirror_numbers_free(struct mirror *m);
void mirror_files_free(struct mirror *m);
/* sends a descriptor to the mapper, which takes it by the call that the second adds; by map_lock */
int mirror_send_fd(struct mirror *m, int fd);
void mirror_add_recv(struct mirror_thread *t, unsigned int *n);

#define COUNT(pool, what, n) \
	atomic_fetch_add_explicit(&(pool)->counts.what, (n), memory_order_relaxed)

#endif
