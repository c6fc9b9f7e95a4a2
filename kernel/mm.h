/* SPDX-License-Identifier: GPL-2.0-only */
/* Address spaces and their pages; bounce buffers. Included by core.h, which has the locks. */
#ifndef PARADICE_MM_H
#define PARADICE_MM_H

#include <linux/mmu_notifier.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

struct pd_host;
struct pd_request;

#define PD_PIN_WRITE 1 /* the program may write there */
#define PD_PIN_SHORT 2 /* may be pinned for the operation only */
#define PD_PIN_EXPOSED 4 /* an ioctl ran while the host knew it */
#define PD_PIN_KERNEL 8 /* a page of ours, not pinned but owned */

/**
 * struct pd_pin - a page that the host may touch, or might still touch
 * @link: in one of the lists of struct pd_mm, or held (pin.c)
 * @host: counted while it is held
 * @page: pinned
 * @frame: the host's name for it
 * @index: address >> PAGE_SHIFT
 * @seq: stale: the message that dropped it
 * @birth: value of pd_mm.ioctls when it became known
 * @flags: PD_PIN_*
 */
struct pd_pin {
	struct list_head link;
	struct pd_host *host;
	struct page *page;
	u64 frame;
	unsigned long index;
	u64 seq;
	u32 birth;
	u32 flags;
};

enum pd_mm_state {
	PD_MM_NEW, /* the host is being told */
	PD_MM_LIVE,
	PD_MM_FAILED, /* the host did not take it; @error of the struct says why */
	PD_MM_DYING, /* ends, no new requests */
	PD_MM_GONE, /* the host uses none of its frames any more */
};

#define PD_SEEN 4

/**
 * struct pd_seen - a range of pages that was wholly known
 * @first: page index
 * @last: page index
 * @losses: that of its address space then: while it is the same, it is known still
 */
struct pd_seen {
	unsigned long first;
	unsigned long last;
	u32 losses;
};

/**
 * struct pd_mm - an address space that uses the host's files
 * @notifier: tells when its pages change
 * @ref: count
 * @link: in the list of all of them
 * @host: counted
 * @mm: held by mmgrab(); NULL for the kernel's own
 * @id: the host's name for it
 * @queue: all its requests go there
 * @hole: where the mirror lives: never sent
 * @hole_len: bytes
 * @error: why it failed
 * @wait: for changes of @state
 * @lock: protects all that follows
 * @state: where it is in its life
 * @known: struct pd_pin by page index: what the host may touch
 * @warm: the same, the least recently used last
 * @stale: gone from the program; the next message drops them
 * @dropping: dropped by a message of theirs that is not known to be read yet, in order
 * @kept: gone, but the driver may use them until the files are released
 * @kept_pfns: the same by frame number
 * @nknown: entries of @known
 * @losses: counts what has left @known
 * @seen: long ranges that were wholly known
 * @next_seen: entry of @seen to use next
 * @nstale: entries of @stale
 * @nkept: entries of @kept
 * @seq: messages sent
 * @seq_done: messages known to be read by the host
 * @ioctls: ioctls begun that may keep pages
 * @ioctls_now: those under way
 * @ioctl_files: files that are open and were used for such ioctls
 * @files: files that are open and were used
 * @suspect: an operation gave EIO: the host may know it no longer
 * @idle_work: ends it when its files have been closed for a while
 * @drop_work: drops what is stale when no request comes along
 * @destroy_work: ends it
 */
struct pd_mm {
	struct mmu_interval_notifier notifier;
	refcount_t ref;
	struct list_head link;
	struct pd_host *host;
	struct mm_struct *mm;
	u64 id;
	unsigned int queue;
	u64 hole;
	u64 hole_len;
	int error;
	wait_queue_head_t wait;
	spinlock_t lock; /* see above */
	enum pd_mm_state state;
	struct xarray known;
	struct list_head warm;
	struct list_head stale;
	struct list_head dropping;
	struct list_head kept;
	struct xarray kept_pfns;
	unsigned long nknown;
	u32 losses;
	struct pd_seen seen[PD_SEEN];
	unsigned int next_seen;
	unsigned long nstale;
	unsigned long nkept;
	u64 seq;
	u64 seq_done;
	u32 ioctls;
	u32 ioctls_now;
	u32 ioctl_files;
	u32 files;
	bool suspect;
	struct delayed_work idle_work;
	struct delayed_work drop_work;
	struct work_struct destroy_work;
};

/* mm.c */
struct pd_mm *pd_mm_current(struct pd_host *host, bool mmap_locked);
struct pd_mm *pd_mm_kernel(struct pd_host *host);
struct pd_mm *pd_mm_find(struct pd_host *host, struct mm_struct *mm);
struct pd_mm *pd_mm_get(struct pd_mm *m);
void pd_mm_put(struct pd_mm *m);
void pd_mm_wait_gone(struct pd_mm *m, unsigned long timeout);
bool pd_mm_use(struct pd_mm *m);
void pd_mm_unuse(struct pd_mm *m);
void pd_mm_renew(struct pd_host *host, struct mm_struct *mm);
void pd_mm_destroy_all(struct pd_host *host);
unsigned long pd_mm_shrink_all(unsigned long pages);
int pd_mm_shrinker_init(void);
void pd_mm_shrinker_exit(void);

/* pages.c */
int pd_mm_send(struct pd_request *r, enum pd_wait how, unsigned long fault, bool is_fault);
void pd_mm_answered(struct pd_mm *m, u64 seq);
void pd_mm_stale_range(struct pd_mm *m, unsigned long first, unsigned long last);
unsigned long pd_mm_shrink(struct pd_mm *m, unsigned long pages);
unsigned long pd_mm_evict(struct pd_mm *m, unsigned long pages);
void pd_mm_drop_short(struct pd_mm *m);
void pd_mm_drop_work(struct work_struct *work);
void pd_mm_release_kept(struct pd_mm *m);
void pd_mm_free_pages(struct pd_mm *m, bool leak);

/* pin.c */
int pd_pins_init(void);
void pd_pins_stop(void);
void pd_pins_exit(void);

/* ---- bounce buffers (bounce.c) ---- */

#define PD_BOUNCE_PAGES 64u

/**
 * struct pd_bounce - a buffer for the kernel's own reads and writes
 * @m: the kernel's address space, counted
 * @addr: where the host sees it
 * @pages: of it
 * @npages: how many
 */
struct pd_bounce {
	struct pd_mm *m;
	unsigned long addr;
	unsigned int npages;
	struct page *pages[PD_BOUNCE_PAGES];
};

struct pd_bounce *pd_bounce_new(struct pd_mm *m, size_t len);
void pd_bounce_free(struct pd_bounce *b);

#endif
