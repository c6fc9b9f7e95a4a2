/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the module share: the objects, who owns them, and the locks.
 *
 * Objects
 *   struct pd_host	a daemon at the other end of a transport. Counted; held by everything below.
 *   struct pd_node	a device of the host's: a device number and its node in /dev.
 *   struct pd_file	an open file; lives from open to release, known to the host by its handle.
 *   struct pd_mm	an address space that uses the host's files, or the kernel's own. Counted;
 *			held by its host's table until it is destroyed, and by requests.
 *   struct pd_pin	a page of it that the host may touch, or might still touch.
 *   struct pd_map	a mapping of a file. Counted by the VMAs that show it.
 *   struct pd_request	an operation under way. Owned by the task that waits for it, or, when that
 *			task was killed, by itself ("orphan").
 *
 * Locks, outermost first
 *   mm->mmap_lock	may be held by whoever calls .mmap, .fault and the like.
 *   pd_file.asks	mutex: one question for its readiness at a time. Held while waiting for the host.
 *   pd_windows.lock	mutex: the window region's allocation and every window's state. Not held
 *			while waiting for the host, only while page table entries are set.
 *   pd_mm.lock		spinlock: the sets of pages. Taken by the mmu notifier, hence nothing that
 *			sleeps or allocates from reclaim under it. Requests that carry pages are
 *			queued under it: the queue's order is that of the changes of the sets.
 *   pd_file.lock	spinlock, interrupts off: what is known of its readiness.
 *   pd_request.lock	spinlock, interrupts off: whether it is answered, whose it is.
 *   the transport's queue locks: spinlocks, interrupts off; no other lock is taken under them.
 *
 * Nothing waits for the host in a notifier, in a completion or with a spinlock held. Every wait
 * for it ends when the host is lost.
 */
#ifndef PARADICE_CORE_H
#define PARADICE_CORE_H

#include <linux/atomic.h>
#include <linux/cdev.h>
#include <linux/dcache.h>
#include <linux/device.h>
#include <linux/kref.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <paradice/protocol.h>

/* how a task waits for the host */
enum pd_wait {
	PD_WAIT_INTR, /* signals interrupt the operation as the driver decides */
	PD_WAIT_KILL, /* only a fatal one ends the wait */
	PD_WAIT_EXIT, /* for at most PD_EXIT_WAIT once the task is dying */
	PD_WAIT_HOST, /* until answered or the host is lost */
};

#include "identity.h"
#include "map.h"
#include "mm.h"

#define PD_NAME "paradice"

/* handles and tags are 64 bits wide and used as indices of XArrays */
static_assert(BITS_PER_LONG == 64);
static_assert(PAGE_SIZE == PD_PAGE_SIZE);

struct pd_queue;
struct pd_transport_ops;
struct pd_bounce;
struct gen_pool;

/* how long a wait lasts when nobody could be told if it were longer */
#define PD_EXIT_WAIT (10 * HZ)

/* stats.c: counters shown in debugfs */
struct pd_stats {
	atomic_t requests;
	atomic_t faults;
	atomic_t cancels;
	atomic_t pins; /* pages pinned, of all kinds */
	atomic_t known; /* of these: the host may touch them */
	atomic_t stale; /* gone from the program, the host has not said that it let go of them */
	atomic_t kept; /* gone from the program and from the host, a driver may still use them */
	atomic_t held; /* gone from the program, the host still has them mapped */
	atomic_t leaked; /* of hosts that were lost: never to be freed */
	atomic_t bounce; /* pages of the kernel's own for its callers */
	atomic_t windows;
	atomic_t maps;
	atomic_t orphans;
	atomic_t files;
	atomic_t mms;
	atomic_t objects; /* of the host's, in /sys */
};

extern struct pd_stats pd_stats;
extern struct dentry *pd_stats_dir;
void pd_stats_init(void);
void pd_stats_exit(void);

/* ping.c */
void pd_ping_init(struct pd_host *host);
void pd_ping_exit(struct pd_host *host);

/* main.c */
extern struct workqueue_struct *pd_wq;
extern struct workqueue_struct *pd_quick_wq;
extern unsigned int pd_warm_pages;
extern unsigned int pd_max_windows;
extern unsigned int pd_kept_pages;
extern unsigned int pd_host_timeout;
extern unsigned int pd_spin_us;

/* ---- hosts ---- */

#define PD_SPIN_BITS 6

/**
 * struct pd_spin - for how long to look for the answer to one kind of operation
 * @limit: ns; 0: it has been of no use lately
 * @skipped: how often nobody has looked since
 */
struct pd_spin {
	u32 limit;
	u32 skipped;
};

/**
 * struct pd_host - a daemon at the other end of a transport
 * @ref: count
 * @ops: the transport's; called only while @lost is false, or as its documentation says
 * @parent: the device under which the nodes appear; valid until pd_host_stop()
 * @nqueues: request queues
 * @queues: by index; the transport's, until pd_transport_ops.free
 * @window_size: size of the window region
 * @lost: no answer will come any more; final
 * @stopping: the device goes: nothing new is begun
 * @next_tag: for requests
 * @next_mm: for address spaces
 * @next_queue: for address spaces, round robin
 * @inflight: requests at the host
 * @spin: what is known of how long answers take, by kind of operation
 * @space: waited on by who finds a queue full
 * @files: struct pd_file by handle, RCU, its lock taken with interrupts off
 * @mms: struct pd_mm by address of the mm_struct, 0 for the kernel's
 * @rules: struct pd_rules, see rules.h
 * @nodes: struct pd_node by device id, its lock taken with interrupts off; PD_NODE_LEAVING marks those that go
 * @nodes_lock: serialises the coming and going of nodes
 * @directory: the host's below /sys/devices, or NULL
 * @places: struct pd_place (identity.h), what is in it
 * @buses: struct pd_bus, of the objects among them
 * @windows: the window region
 * @hotplug: makes nodes come and go as events told
 * @rescan: an event told of a device that there may be no node for
 * @watch: asks for a sign of life while requests wait
 * @limit: loses it when its end takes too long
 * @debug: its directory in debugfs
 * @ping: a PING is under way
 * @ping_time: runs of @watch since it was sent, or since the control queue gave the last answer
 */
struct pd_host {
	struct kref ref;
	const struct pd_transport_ops *ops;
	struct device *parent;
	unsigned int nqueues;
	struct pd_queue *queues[PD_QUEUE_REQUEST + PD_MAX_REQUEST_QUEUES];
	u64 window_size;
	bool lost;
	bool stopping;
	atomic64_t next_tag;
	atomic64_t next_mm;
	atomic_t next_queue;
	atomic_t inflight;
	struct pd_spin spin[1 << PD_SPIN_BITS];
	wait_queue_head_t space;
	struct xarray files;
	struct xarray mms;
	struct xarray rules;
	struct xarray nodes;
	struct mutex nodes_lock; /* see above */
	struct kobject *directory;
	struct list_head places;
	struct list_head buses;
	struct pd_windows windows;
	struct work_struct hotplug;
	bool rescan;
	struct delayed_work watch;
	struct delayed_work limit;
	struct dentry *debug;
	bool ping;
	unsigned long ping_time;
};

void pd_host_init(struct pd_host *host, const struct pd_transport_ops *ops, struct device *parent);
int pd_host_version(struct device *dev, u32 min, u32 max);
int pd_host_start(struct pd_host *host);
void pd_host_stop(struct pd_host *host);
void pd_host_lose(struct pd_host *host, const char *why);
void pd_host_put(struct pd_host *host);
void pd_host_busy(struct pd_host *host);
void pd_host_alive(struct pd_host *host);
bool pd_host_in_use(struct pd_host *host);

/* how many queues there are, control and event among them */
static inline unsigned int pd_host_queues(const struct pd_host *host)
{
	return PD_QUEUE_REQUEST + host->nqueues;
}

static inline struct pd_host *pd_host_get(struct pd_host *host)
{
	kref_get(&host->ref);
	return host;
}

static inline bool pd_host_lost(const struct pd_host *host)
{
	return READ_ONCE(host->lost);
}

/* ---- requests ---- */

enum pd_req_state {
	PD_REQ_NEW,
	PD_REQ_SENT,
	PD_REQ_ANSWERED,
};

#define PD_REQ_INLINE 288 /* a request fits in a kilobyte */
#define PD_AHEAD 8

/**
 * struct pd_request - an operation, and the messages that carry it
 * @req: the message's head, as the host reads it
 * @resp: the answer, as the host writes it
 * @tail: what follows the answer, freed with the request; requests with lists have none
 * @tail_len: bytes that it can hold
 * @room: what the transport needs for long lists, or for a long tail; NULL without
 * @inline_lists: the lists where they are short
 * @lists: the message's lists
 * @lists_len: bytes of them
 * @lists_size: bytes that @lists can hold
 * @link: in the transport's queue while it is there, under the queue's lock
 * @len: bytes that the host wrote, set by the transport
 * @host: counted
 * @mm: the address space, counted; NULL without one
 * @queue: queue index
 * @op: its operation; @req has that of the message under way
 * @tag: the operation's
 * @chain_tag: that of the message under way
 * @seq: place of the message in its address space's order
 * @sent: when it was, local_clock()
 * @found: its answer came while the task looked for it
 * @starved: a page that it needs could not be shared
 * @room_tries: how often others were given back for it
 * @vecs: buffers of a READ or WRITE; freed with the request
 * @nvecs: entries of @vecs
 * @fds: descriptors of an IOCTL; freed with the request
 * @nfds: entries of @fds
 * @bounce: the kernel's buffer that @vecs lie in
 * @hint: what the operation likely touches; sent along
 * @ahead: further memory that the operation may touch; sent along
 * @nahead: entries of @ahead
 * @nofault: the caller may not touch its memory: faults fail
 * @nowait: the caller may not wait for a place in the queue
 * @cancellable: PD_OP_CANCEL applies
 * @cancelled: the host was asked to interrupt it, and did
 * @reserved: a place in the queue is kept for it
 * @awaited: the task that sends it waits for the answer at once
 * @short_pins: it pinned pages that must not stay pinned
 * @lock: protects @state and @orphan
 * @state: of the message under way
 * @orphan: nobody waits
 * @wait: for the answer
 * @work: runs orphans
 * @backoff: of orphans, jiffies
 * @orphaned: called from @work when an orphan has its final answer; may be NULL
 * @priv: for @orphaned
 * @status: PD_ST_*, taken from the answer
 * @result: likewise
 * @answer: likewise, a copy that the host cannot change
 */
struct pd_request {
	struct pd_req req;
	struct pd_resp resp;
	void *tail;
	size_t tail_len;
	void *room;
	u8 inline_lists[PD_REQ_INLINE];
	void *lists;
	size_t lists_len;
	size_t lists_size;
	struct list_head link;
	u32 len;
	struct pd_host *host;
	struct pd_mm *mm;
	unsigned int queue;
	enum pd_op op;
	u64 tag;
	u64 chain_tag;
	u64 seq;
	u64 sent;
	bool found;
	bool starved;
	u8 room_tries;
	const struct pd_range *vecs;
	unsigned int nvecs;
	const struct pd_fd *fds;
	unsigned int nfds;
	struct pd_bounce *bounce;
	struct pd_range hint;
	struct pd_range ahead[PD_AHEAD];
	unsigned int nahead;
	bool nofault;
	bool nowait;
	bool cancellable;
	bool cancelled;
	bool reserved;
	bool awaited;
	bool short_pins;
	spinlock_t lock; /* see above */
	enum pd_req_state state;
	bool orphan;
	wait_queue_head_t wait;
	struct delayed_work work;
	unsigned long backoff;
	void (*orphaned)(struct pd_request *r);
	void *priv;
	u32 status;
	long result;
	struct pd_resp answer;
};

struct pd_request *pd_req_new(struct pd_host *host, enum pd_op op, struct pd_mm *mm);
struct pd_request *pd_req_new_sure(struct pd_host *host, enum pd_op op, struct pd_mm *mm);
void pd_req_free(struct pd_request *r);
long pd_req_run(struct pd_request **rp, enum pd_wait how);
int pd_req_lists(struct pd_request *r, size_t size);
int pd_req_tail(struct pd_request *r, size_t size);
int pd_req_reserve(struct pd_request *r, enum pd_wait how);
void pd_req_unreserve(struct pd_request *r);
int pd_req_submit(struct pd_request *r);
int pd_req_post(struct pd_request *r);
bool pd_killed(void);

/* ---- nodes (device.c) ---- */

/**
 * struct pd_node - a device of the host's
 * @object: the device, with the host's identity or under class "paradice"; its release frees the node
 * @cdev: its character device
 * @place: where it is in /sys; NULL without identity
 * @name: in /dev
 * @minor: of our own numbers, or negative
 * @host: counted
 * @id: the host's name for it
 * @mode: permissions of the node in /dev
 * @uid: owner
 * @gid: group
 * @gone: the host took it away: no new open
 */
struct pd_node {
	struct pd_object object;
	struct cdev cdev;
	struct pd_place *place;
	const char *name;
	int minor;
	struct pd_host *host;
	u32 id;
	bool open_mm; /* the host's driver is to see who opens it */
	umode_t mode;
	kuid_t uid;
	kgid_t gid;
	bool gone;
};

#define PD_NODE_LEAVING XA_MARK_1

int pd_node_init(void);
void pd_node_exit(void);
int pd_node_scan(struct pd_host *host);
void pd_node_remove_leaving(struct pd_host *host);
void pd_node_remove_all(struct pd_host *host);

/* ---- files ---- */

/**
 * struct pd_file - an open file
 * @ref: count; the open file has one, and its mappings
 * @host: counted
 * @handle: the host's name for it
 * @stream: it has no position
 * @keeps_nothing: its driver uses no page after the ioctl that named it
 * @users: address spaces that used it, by id, each counted; PD_USED_IOCTL marks those with ioctls
 *	that may keep pages
 * @kept: pages that are kept for those of them that are gone; under the lock of @users
 * @asks: held by who asks the host for its readiness
 * @lock: protects the next nine
 * @asked: EPOLL* bits that the host is being asked for
 * @armed: EPOLL* bits that were not ready, of which the host will tell when they are
 * @edge: EPOLL* bits of whose every edge the host tells
 * @events: counts what the host told of its readiness
 * @ops: counts operations on it
 * @fresh: value of @ops when @armed was found
 * @told: EPOLL* bits that an event told to be ready, not believed by anybody yet
 * @told_of: what was armed then
 * @told_at: jiffies then
 * @wait: for poll
 * @fasync: for SIGIO
 * @maps: mappings of it that the host still has
 * @maps_wait: for the last of them
 * @rcu: events find files under RCU
 */
struct pd_file {
	refcount_t ref;
	struct pd_host *host;
	u64 handle;
	bool stream;
	bool keeps_nothing;
	struct xarray users;
	unsigned long kept;
	struct mutex asks; /* see above */
	spinlock_t lock; /* see above */
	u32 asked;
	u32 armed;
	u32 edge;
	u32 events;
	u32 ops;
	u32 fresh;
	u32 told;
	u32 told_of;
	unsigned long told_at;
	wait_queue_head_t wait;
	struct fasync_struct *fasync;
	atomic_t maps;
	wait_queue_head_t maps_wait;
	struct rcu_head rcu;
};

#define PD_USED_IOCTL XA_MARK_1

extern const struct file_operations pd_fops;

struct pd_file *pd_file_new(struct pd_host *host);
int pd_file_settle(struct pd_file *pf, const struct pd_resp_open *open);
void pd_file_free(struct pd_file *pf);
void pd_file_released(struct pd_file *pf);
void pd_file_release_handle(struct pd_host *host, u64 handle);
void pd_open_orphaned(struct pd_request *r);
struct pd_request *pd_file_request(struct file *file, enum pd_op op, struct pd_mm *mm);
struct pd_mm *pd_file_enter(struct pd_file *pf, bool mmap_locked, bool ioctl);
void pd_file_put(struct pd_file *pf);
void pd_file_forget_mm(struct pd_host *host, struct pd_mm *mm);
u32 pd_oflags(const struct file *file);

/* io.c, ioctl.c, poll.c */
ssize_t pd_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t pd_write_iter(struct kiocb *iocb, struct iov_iter *from);
long pd_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
long pd_compat_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
__poll_t pd_poll(struct file *file, struct poll_table_struct *wait);
int pd_fasync(int fd, struct file *file, int on);
unsigned int pd_guess(struct pd_mm *m, unsigned int cmd, unsigned long arg, bool compat,
		      struct pd_range *out, unsigned int max);
void pd_file_ran(struct pd_file *pf);
void pd_file_event(struct pd_file *pf, u32 events);
void pd_file_sigio(struct pd_file *pf, u32 events);

/* event.c */
void pd_event(struct pd_host *host, const struct pd_event *ev);
void pd_hotplug_work(struct work_struct *work);
int pd_event_init(void);
void pd_event_exit(void);

#endif
