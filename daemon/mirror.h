/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mirrors: the host processes whose address spaces are the guest programs' own, and which make
 * the real system calls on the devices' files.
 *
 * Everything here runs in a VM's worker. What a guest sent has been checked for form by the caller
 * (lengths, alignment, handles); what concerns memory is checked here.
 *
 * Threads. Any thread may call any function unless it says otherwise. mirror_update() calls of one
 * mirror must come in the order of the guest's queue. Calls that run an operation
 * (mirror_read() ...) block until the driver has answered.
 */
#ifndef PARADICE_MIRROR_H
#define PARADICE_MIRROR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <paradice/protocol.h>

/* the kernel's own numbers, never seen by programs: how an operation that was interrupted is to go on */
#define ERESTARTSYS 512
#define ERESTART_RESTARTBLOCK 516

struct mirror;
struct mirror_pool;
struct mirror_thread;

/**
 * struct guest_extent - where a run of guest frames lies for the host
 * @region: names the memory region for the life of the worker; never used twice
 * @fd: the region's file, the caller's
 * @offset: of the first frame, in the file
 */
struct guest_extent {
	uint32_t region;
	int fd;
	uint64_t offset;
};

/**
 * struct mirror_file - an open device file, as the mirrors need it; embedded in the worker's own
 * @id: unique for the life of the worker, not 0
 * @fd: the worker's descriptor of it
 * @oflags: flags that are set in the host's file now; the mirror layer keeps it in step
 * @stream: it has no position
 */
struct mirror_file {
	uint64_t id;
	int fd;
	uint32_t oflags;
	bool stream;
};

/**
 * struct mirror_op - one operation of a guest program under way; embedded in the worker's request
 * @m: its mirror
 * @allowed: for READ and WRITE: the buffers that may be touched; NULL: all of the process's memory
 * @nallowed: number of entries of @allowed
 * @unasked: it is the worker's own: mirror_env.fault is never called for it, its faults fail
 * @thread: private: the mirror's thread that runs it
 * @fault_addr: private
 * @state: private
 *
 * Set @m, @allowed, @nallowed and @unasked, zero the rest. Alive and reachable for mirror_cancel() until the
 * function that was given it has returned.
 */
struct mirror_op {
	struct mirror *m;
	const struct pd_range *allowed;
	unsigned int nallowed;
	bool unasked;
	struct mirror_thread *thread;
	uint64_t fault_addr;
	unsigned int state;
};

/**
 * struct mirror_env - what mirrors need of the worker
 * @ctx: handed back to the functions below
 * @frames: finds where frames from @frame lie, @count of them at most; how many lie there in a row, at
 *	least one, or -EFAULT when they are not all guest RAM of one region
 * @frames_mapped: what @frames found has been mapped, or will not be; NULL where that need not be told
 * @fault: the driver touches @addr, for which no page is known; the worker asks the guest and
 *	calls mirror_fault_done() later. Must not block. Called from the mirrors' fault thread.
 *	Returns false when nobody can be asked: the driver gets EFAULT.
 * @died: a mirror ended by itself (killed); called once. Operations in it end with -EIO.
 * @uffd_dev: descriptor of /dev/userfaultfd, or -1: userfaultfd(2) is used
 * @program: descriptor of the mirror program
 * @max_threads: operations at once in one mirror
 * @open: mirror_open() will be used; only where mirrors have no file systems to speak of
 */
struct mirror_env {
	void *ctx;
	int (*frames)(void *ctx, uint64_t frame, uint32_t count, struct guest_extent *out);
	void (*frames_mapped)(void *ctx, const struct guest_extent *e, unsigned int n);
	bool (*fault)(void *ctx, struct mirror_op *op, uint64_t addr, bool write);
	void (*died)(void *ctx, struct mirror *m);
	int uffd_dev;
	int program;
	unsigned int max_threads;
	bool open;
};

/**
 * struct mirror_stats - counts since the pool was made, for the administrator
 */
struct mirror_stats {
	uint64_t mirrors_made;
	uint64_t mirrors_live;
	uint64_t calls; /* system calls made for operations */
	uint64_t faults; /* touches of an address without a page */
	uint64_t faults_asked; /* of these, the ones that went to the guest */
	uint64_t faults_refused; /* of these, the ones that ended in EFAULT */
	uint64_t pages_mapped;
	uint64_t pages_dropped;
	uint64_t device_maps;
	uint64_t cancels;
};

/**
 * mirror_pool_create() - sets up mirrors for one VM and starts the fault thread
 * @env: copied
 * @pool: where the new pool is put
 *
 * Return: 0 or a negative errno, with the reason logged.
 */
int mirror_pool_create(const struct mirror_env *env, struct mirror_pool **pool);
/* Kills all mirrors, waits for them and frees the pool. No operation may be under way. */
void mirror_pool_destroy(struct mirror_pool *pool);
void mirror_pool_stats(struct mirror_pool *pool, struct mirror_stats *stats);

/**
 * mirror_create() - starts a mirror; must be called by the thread that made the pool or any other
 * that lives as long as the worker (a mirror dies with the thread that started it)
 * @hole: page-aligned, where the mirror itself lives
 * @hole_len: at least PD_HOLE_SIZE
 * @name: for people
 *
 * Return: 0 or a negative errno.
 */
int mirror_create(struct mirror_pool *pool, uint64_t hole, uint64_t hole_len, const char *name,
		  struct mirror **m);
/*
 * Kills the mirror: operations under way in it end with -EIO, and so do later ones. Waits for the
 * process: the driver has run flush and dropped all pins when it returns. Gives up the reference
 * that mirror_create() gave.
 */
void mirror_destroy(struct mirror *m);
/*
 * Waits until both processes of a mirror that was killed, or has died, have ended: with them go descriptors,
 * mappings and pins, and no driver that was at work for them writes to the guest's pages any more. At once for one
 * that lives. A driver may take its time: not by a lock that others need.
 */
void mirror_await_end(struct mirror *m);
pid_t mirror_pid(const struct mirror *m);
/* Whoever may still call a function while another thread destroys the mirror holds it meanwhile. */
void mirror_get(struct mirror *m);
void mirror_put(struct mirror *m);

/**
 * mirror_update() - drops, then shows, pages of the program
 *
 * Return: 0, -EINVAL for addresses out of the program's range or in the hole, -EFAULT for frames
 * that are not guest RAM, -ENOMEM when the mirror's map is full, -EIO when it is dead. On error
 * every drop has been applied all the same.
 */
int mirror_update(struct mirror *m, const struct pd_range *drops, unsigned int ndrops,
		  const struct pd_pages *pages, unsigned int npages);

/*
 * mirror_fault_done() - lets an operation that met mirror_env.fault go on: touching again (@error
 * 0, after mirror_update() or mirror_map()), or with EFAULT (negative @error).
 * -ENOENT when the operation does not wait for a fault.
 */
int mirror_fault_done(struct mirror_op *op, int error);

/**
 * mirror_cancel() - interrupts an operation as a signal would, without waiting for its end
 * @abandon: also let all its faults fail from now on
 *
 * Return: 0, or -ENOENT when it has ended or not begun.
 */
int mirror_cancel(struct mirror_op *op, bool abandon);

/**
 * mirror_open() - opens a device, whose driver sees the mirror do it
 * @node: O_PATH descriptor of its node, which mirrors may open; stays the caller's
 * @flags: as for open(2)
 * @id: of the new file, see struct mirror_file
 * @fd: the worker's descriptor, the caller's. What it is of is to be checked
 *
 * Return: 0 or a negative errno, as the operations below. mirror_forget_file() closes it in the mirror.
 */
int mirror_open(struct mirror_op *op, int node, uint32_t flags, uint64_t id, int *fd);

/*
 * The operations. @file gets a descriptor in the mirror on first use. @oflags are the guest's
 * present flags. All return what the system call returned: >= 0 or a negative errno, restart
 * codes (-512 to -516) included when mirror_cancel() interrupted it; -EIO when the mirror is dead,
 * -EBUSY beyond max_threads.
 */
int64_t mirror_read(struct mirror_op *op, struct mirror_file *file, uint32_t oflags,
		    const struct pd_range *vecs, unsigned int nvecs, uint64_t pos, uint32_t rwf);
int64_t mirror_write(struct mirror_op *op, struct mirror_file *file, uint32_t oflags,
		     const struct pd_range *vecs, unsigned int nvecs, uint64_t pos, uint32_t rwf);
int64_t mirror_ioctl(struct mirror_op *op, struct mirror_file *file, uint32_t oflags, uint32_t cmd,
		     uint64_t arg, bool compat);
int64_t mirror_lseek(struct mirror_op *op, struct mirror_file *file, int64_t offset, int whence);
int64_t mirror_fsync(struct mirror_op *op, struct mirror_file *file, bool datasync);
/* runs the driver's flush, where @file has a descriptor in the mirror; else nothing, 0 */
int64_t mirror_flush(struct mirror_op *op, struct mirror_file *file);
/* poll without waiting: >= 0 is the mask (POLL* == EPOLL* bits) */
int64_t mirror_poll(struct mirror_op *op, struct mirror_file *file, uint32_t events);
/* maps the device at @addr of the program; 0 or the driver's errno */
int64_t mirror_map(struct mirror_op *op, struct mirror_file *file, uint64_t addr, uint64_t len,
		   uint32_t prot, bool private, uint64_t offset);
/* the opposite, for any part; the range is the program's (unknown) memory again */
int mirror_unmap(struct mirror *m, uint64_t addr, uint64_t len);
/*
 * What the mapping at [addr, +len) in the mirror is: bits MIRROR_MAP_*, or a negative errno.
 * Touches its pages first, so that a driver's lazy mapping is there or shows that it refuses.
 */
#define MIRROR_MAP_PFN 1 /* VM_PFNMAP or VM_IO: pages without references of their own */
#define MIRROR_MAP_SIGBUS 2 /* the driver refused to show (part of) it */
int mirror_map_kind(struct mirror_op *op, uint64_t addr, uint64_t len);

/**
 * mirror_place() - has the driver find @file behind a descriptor number of the program's
 * @file: NULL: nothing of ours may be there
 * @number: 0 to PD_MAX_FD_NUMBER
 *
 * It stays there until another takes its place or the file is forgotten.
 *
 * Return: 0, or a negative errno: -EMFILE when the mirror needs that number for itself.
 */
int mirror_place(struct mirror *m, struct mirror_file *file, uint32_t number);

/**
 * mirror_take() - takes over a descriptor that a driver has made in the mirror
 * @number: as the driver told it
 * @id: of the file from now on, see struct mirror_file
 * @fd: the worker's descriptor, the caller's
 * @cloexec: it was made with O_CLOEXEC
 *
 * Return: 0, or -EBADF when no driver made it. mirror_forget_file() closes it in the mirror.
 */
int mirror_take(struct mirror *m, uint32_t number, uint64_t id, int *fd, bool *cloexec);

/* closes @file's descriptors in all mirrors of the pool; the worker closes its own afterwards */
void mirror_forget_file(struct mirror_pool *pool, uint64_t id);

#endif
