/* SPDX-License-Identifier: GPL-2.0-only */
/* Mappings and the windows that show them. Included by core.h, which has the locks. */
#ifndef PARADICE_MAP_H
#define PARADICE_MAP_H

#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <paradice/protocol.h>

struct gen_pool;
struct pd_file;
struct pd_host;
struct pd_map;
struct pd_mm;

/**
 * struct pd_windows - the window region of a host
 * @base: its guest-physical address
 * @size: bytes, 0 without one
 * @pool: what of it is free
 * @lock: see the head of this file
 * @wait: woken when any window changed its state, or may be evicted again
 * @lru: mapped windows, the least recently used first
 * @count: windows mapped, being mapped or being evicted
 * @moving: of these: being mapped or being evicted, so that there will be room
 * @moves: counts those that were
 */
struct pd_windows {
	phys_addr_t base;
	u64 size;
	struct gen_pool *pool;
	struct mutex lock; /* see above */
	wait_queue_head_t wait;
	struct list_head lru;
	unsigned int count;
	unsigned int moving;
	unsigned int moves;
};

#define PD_CHUNK_SHIFT 24 /* of the parts in which very large mappings are shown */

enum pd_chunk_state {
	PD_CHUNK_NONE,
	PD_CHUNK_BUSY, /* being mapped or evicted; pd_windows.wait tells */
	PD_CHUNK_MAPPED,
};

/**
 * struct pd_chunk - a part of a mapping, and the window that shows it
 * @map: of which it is part
 * @lru: in pd_windows.lru
 * @window: offset in the window region
 * @memtype: our own mapping of the window, which holds its caching mode
 * @state: enum pd_chunk_state
 */
struct pd_chunk {
	struct pd_map *map;
	struct list_head lru;
	u64 window;
	void __iomem *memtype; /* see above */
	enum pd_chunk_state state;
};

/**
 * struct pd_map - a mapping of a file
 * @ref: VMAs that show it, and who evicts one of its windows
 * @host: counted
 * @pf: its file, counted
 * @mapping: of the file; NULL once no VMA shows it, since the inode may go with the last
 * @mm: the address space that mapped it, held by mmgrab()
 * @handle: the host's name for the mapping
 * @pgoff: file offset of its begin, pages
 * @len: bytes
 * @caching: PD_CACHE_*
 * @held: VMAs of other address spaces that show it: while there are any its first window is evicted last
 * @moving: windows of it that are being mapped or evicted, some by requests of tasks that were killed
 * @ended: its end waits for these, and @work follows the last
 * @dying: the last address space that had it, when it ended with it
 * @work: ends it at the host
 * @chunk_shift: all of @chunks but the last have 1 << this bytes
 * @nchunks: entries of @chunks
 * @chunks: its parts
 */
struct pd_map {
	refcount_t ref;
	struct pd_host *host;
	struct pd_file *pf;
	struct address_space *mapping;
	struct mm_struct *mm;
	u64 handle;
	unsigned long pgoff;
	unsigned long len;
	u32 caching;
	unsigned int held;
	unsigned int moving;
	bool ended;
	struct pd_mm *dying;
	struct work_struct work;
	unsigned int chunk_shift;
	unsigned int nchunks;
	struct pd_chunk chunks[];
};

int pd_mmap(struct file *file, struct vm_area_struct *vma);
bool pd_map_at(struct pd_host *host, unsigned long addr, struct pd_req_continue *cont);

int pd_windows_init(struct pd_host *host, phys_addr_t base, u64 size);
void pd_windows_exit(struct pd_host *host);
void pd_window_hold(struct pd_map *map);
void pd_window_unhold(struct pd_map *map);
vm_fault_t pd_window_fault(struct pd_map *map, struct vm_fault *vmf);
void pd_windows_hide(struct pd_map *map);
bool pd_windows_unmap(struct pd_map *map);
void pd_windows_forget(struct pd_host *host);

#endif
