/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vhost-user front end for tests: what QEMU and the guest's module are for paradiced, in one
 * process. Real rings in real shared memory, spoken to a real paradiced.
 *
 * Guest-physical address 0 is offset 0 of the memory file. Programs of the "guest" have page
 * tables of their own (struct fe_mm); faults are answered from them by fe_wait().
 */
#ifndef PARADICE_FRONTEND_H
#define PARADICE_FRONTEND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sys/types.h>

#include <paradice/protocol.h>

#include "../../daemon/vhost_proto.h"

#define FE_QUEUES 6 /* control, events, four for requests */
#define FE_RING 256
#define FE_MEMORY (64u << 20)
#define FE_UVA 0x7e0000000000ull /* where the memory would be in the VMM */
#define FE_HOLE 0x300000000000ull
#define FE_SMALL 1024

/* The parts of a ring in the memory file */
#define FE_DESC(q) ((q)->base)
#define FE_AVAIL(q) ((q)->base + FE_RING * 16)
#define FE_USED(q) ((q)->base + 0x4000)

/* A daemon under test. */
struct fe_daemon {
	pid_t pid;
	pid_t copier;
	char dir[64];
	char socket[96];
	char stats[96];
	char control[96];
	char log[96];
};

/*
 * Starts $PARADICED (its mirror: $PARADICE_MIRROR, where that is set) with one VM called "test" and these further
 * arguments (NULL ends them), and
 * waits until it listens. Ends the test program when it does not.
 */
void fe_daemon_start(struct fe_daemon *d, const char *const *args);
/* The same, on a terminal of its own, what is said there being the log. */
void fe_daemon_start_on_terminal(struct fe_daemon *d, const char *const *args);
/* Ends it by SIGTERM and waits; returns its exit status. */
int fe_daemon_stop(struct fe_daemon *d);
/* Waits for its end (--once); returns its exit status. */
int fe_daemon_wait(struct fe_daemon *d);
/* Removes what it left in its directory. */
void fe_daemon_clean(struct fe_daemon *d);
/* True when its log holds @text, now or within @ms. */
bool fe_daemon_logged(const struct fe_daemon *d, const char *text, unsigned int ms);
/* Processes that descend from @pid; their ids into @out (up to @max). */
unsigned int fe_descendants(pid_t pid, pid_t *out, unsigned int max);
/* The only child of the daemon: the worker. */
pid_t fe_worker(const struct fe_daemon *d);
/*
 * Holds system call @nr, which a thread of @worker's only mirror is in, by ptrace: until fe_let_go() that mirror
 * cannot end, whoever kills it. Returns the thread, 0: none is in it; *@mapper: the mirror's other process.
 */
pid_t fe_hold_call(pid_t worker, long nr, pid_t *mapper);
void fe_let_go(pid_t tid);

/*
 * Changes a call of a process's and of those that it starts, on what is called @on (NULL: all), as strace's inject=
 * says. Returns its tracer.
 */
pid_t fe_inject(pid_t of, const char *what, const char *on);
void fe_inject_end(pid_t tracer);

/* A guest program's address space. */
struct fe_page {
	uint64_t addr;
	uint64_t frame;
	bool write;
	bool sent;
	struct fe_page *next;
};

struct fe_mm {
	uint64_t id;
	unsigned int queue;
	struct fe_page *pages;
	unsigned int faults;
};

struct fe_queue {
	pthread_mutex_t lock;
	uint64_t base; /* of its place in the memory file */
	int kick;
	int call;
	unsigned int kicks; /* sent */
	uint16_t avail;
	uint16_t used;
	uint16_t nfree;
	uint16_t free[FE_RING];
	uint32_t used_len[FE_RING]; /* by head */
	bool done[FE_RING];
};

struct fe_map {
	struct vhost_shmem_map m;
	int fd;
};

/**
 * struct fe - a connection
 * @refuse_maps: answer SHMEM_MAP with an error
 * @hold_maps: do not answer it for now
 * @held_maps: requests that were not answered at once
 * @maps: what is mapped by SHMEM_MAP
 */
struct fe {
	int sock;
	int backend;
	int memfd;
	uint8_t *mem;
	uint64_t features;
	uint64_t protocol;
	struct pd_config config;
	uint64_t window_size;
	uint64_t next_frame;
	uint64_t next_tag;
	uint64_t next_mm;
	struct fe_queue q[FE_QUEUES];
	pthread_t backend_thread;
	pthread_mutex_t maps_lock;
	bool refuse_maps;
	atomic_bool hold_maps;
	atomic_uint held_maps;
	struct fe_map maps[PD_MAX_WINDOWS + 8];
	unsigned int nmaps;
	unsigned int settles;
	unsigned int unknown_backend;
	uint64_t small[FE_SMALL]; /* pages of calls that are over */
	unsigned int nsmall;
};

/* How fe_connect() differs from what QEMU does. */
struct fe_options {
	bool no_shmem;
	bool no_event_idx;
	bool private_memory;
	bool no_memory;
	bool no_hello;
};

/* Connects and sets everything up, up to HELLO. */
void fe_connect(struct fe *f, const struct fe_daemon *d, const struct fe_options *o);
/* Only connects. */
void fe_open(struct fe *f, const struct fe_daemon *d);
void fe_close(struct fe *f);
/* Stops all rings, as at a reset of the device or a pause of the VM; they keep their state. */
void fe_stop_rings(struct fe *f);
/* Starts them; anew when @fresh. */
void fe_start_rings(struct fe *f, bool fresh);

/* Sends a message; for those with an answer, waits for it. Returns the answer's u64, or -1. */
int64_t fe_message(struct fe *f, uint32_t request, const void *payload, uint32_t size,
		   const int *fds, unsigned int nfds, struct vhost_message *reply);

/* Frames of the guest that nothing else uses, zeroed; returns the first one's number. */
uint64_t fe_frames(struct fe *f, unsigned int n);
void *fe_frame(struct fe *f, uint64_t frame);

/* A request under way. */
struct fe_call {
	struct fe_mm *mm;
	unsigned int queue;
	uint16_t head;
	uint64_t tag;
	uint64_t first_tag;
	struct pd_resp resp;
	struct pd_device device;
	uint64_t buffer;
	uint64_t page;
	bool small;
	int64_t len; /* of the last answer */
};

/* Puts a request on a queue. Lists go where @req's counts say. A tag is chosen when it is 0. */
void fe_submit(struct fe *f, struct fe_call *c, unsigned int queue, struct pd_req *req,
	       const struct pd_range *drops, const struct pd_pages *pages,
	       const struct pd_range *vecs);
/* The same with raw bytes as request, and room for the answer. */
void fe_submit_raw(struct fe *f, struct fe_call *c, unsigned int queue, const void *bytes,
		   size_t len, size_t room);
/*
 * Waits for the answer, answering faults from c->mm. Returns its result; -ETIME after @ms. The
 * status is in c->resp.
 */
int64_t fe_wait(struct fe *f, struct fe_call *c, int ms);
/* Waits for the next answer only, even if it is a fault. */
int64_t fe_wait_raw(struct fe *f, struct fe_call *c, int ms);
/* Sends CONTINUE for a call that has been answered with a fault. */
void fe_continue(struct fe *f, struct fe_call *c, int error, const struct pd_pages *pages,
		 unsigned int npages, const struct pd_req_continue *map);

/* submit and wait, on the control queue */
int64_t fe_control(struct fe *f, struct pd_req *req, struct fe_call *c);
/* submit and wait, on a program's queue */
int64_t fe_call(struct fe *f, struct fe_mm *mm, struct pd_req *req, const struct pd_range *vecs);

int64_t fe_mm_create(struct fe *f, struct fe_mm *mm);
int64_t fe_mm_destroy(struct fe *f, struct fe_mm *mm);
/* Gives the program @n pages at @addr. */
void fe_mm_add(struct fe *f, struct fe_mm *mm, uint64_t addr, unsigned int n, bool write);
/* What the program has at @addr, NULL if nothing; valid up to the page's end. */
void *fe_mm_at(struct fe *f, struct fe_mm *mm, uint64_t addr);

/* Shorthands: results as the driver gave them. */
int64_t fe_dev_open(struct fe *f, uint32_t device, uint32_t oflags);
int64_t fe_release(struct fe *f, uint64_t file);
int64_t fe_read(struct fe *f, struct fe_mm *mm, uint64_t file, uint64_t addr, uint64_t len);
int64_t fe_write(struct fe *f, struct fe_mm *mm, uint64_t file, uint64_t addr, uint64_t len);
int64_t fe_ioctl(struct fe *f, struct fe_mm *mm, uint64_t file, uint32_t cmd, uint64_t arg);
/* The mapping and how it is cached are in @c's answer. */
int64_t fe_mmap(struct fe *f, struct fe_mm *mm, uint64_t file, uint64_t addr, uint64_t len,
		uint32_t prot, struct fe_call *c);
/* PD_OP_WINDOW_MAP or PD_OP_WINDOW_UNMAP: @offset in the mapping, @at in the window region, in bytes */
int64_t fe_window(struct fe *f, uint16_t op, uint64_t map, uint64_t offset, uint64_t len,
		  uint64_t at);
int64_t fe_cancel(struct fe *f, uint64_t tag, uint32_t flags);

/* Posts buffers for events; takes the next event: 0, or -ETIME. */
void fe_post_events(struct fe *f, unsigned int n);
int fe_event(struct fe *f, struct pd_event *ev, int ms);

#endif
