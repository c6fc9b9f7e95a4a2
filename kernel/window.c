// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows: parts of mappings shown in the window region. A part takes space there at its first
 * touch; when the region is full, the part that was touched least recently gives its space.
 */
#include <linux/genalloc.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/workqueue.h>

#include "core.h"

/* pages whose entries are set at one fault */
#define PD_FAULT_AROUND 256

int pd_windows_init(struct pd_host *host, phys_addr_t base, u64 size)
{
	struct pd_windows *w = &host->windows;
	int ret;

	if (!size || (base & ~PAGE_MASK))
		return -EINVAL;
	w->pool = gen_pool_create(PAGE_SHIFT, NUMA_NO_NODE);
	if (!w->pool)
		return -ENOMEM;
	/* the pool has addresses, since 0 means that it has none */
	ret = gen_pool_add(w->pool, base, size & PAGE_MASK, NUMA_NO_NODE);
	if (!ret && !request_mem_region(base, size, PD_NAME))
		ret = -EBUSY;
	if (ret) {
		gen_pool_destroy(w->pool);
		w->pool = NULL;
		return ret;
	}
	w->base = base;
	w->size = size;
	return 0;
}

/* the device is reset: no window is left. Mappings that programs still have give SIGBUS */
void pd_windows_exit(struct pd_host *host)
{
	struct pd_windows *w = &host->windows;

	if (!w->pool)
		return;
	mutex_lock(&w->lock);
	release_mem_region(w->base, w->size);
	w->size = 0;
	/* what was not given back goes with it */
	if (gen_pool_avail(w->pool) == gen_pool_size(w->pool))
		gen_pool_destroy(w->pool);
	w->pool = NULL;
	mutex_unlock(&w->lock);
}

static unsigned long pd_chunk_offset(const struct pd_chunk *c)
{
	return (unsigned long)(c - c->map->chunks) << c->map->chunk_shift;
}

static unsigned long pd_chunk_len(const struct pd_chunk *c)
{
	return min(BIT(c->map->chunk_shift), c->map->len - pd_chunk_offset(c));
}

/*
 * The kernel gives page table entries of device memory the caching mode that a mapping of its own
 * has reserved for it; so there is one as long as the window.
 */
static void __iomem *pd_chunk_memtype(const struct pd_chunk *c)
{
	phys_addr_t at = c->map->host->windows.base + c->window;
	unsigned long len = pd_chunk_len(c);

	switch (c->map->caching) {
	case PD_CACHE_WB:
		return ioremap_cache(at, len);
	case PD_CACHE_WC:
		return ioremap_wc(at, len);
	default:
		return ioremap(at, len);
	}
}

/* no program sees @c any more; w->lock held */
static void pd_chunk_zap(struct pd_chunk *c)
{
	struct pd_map *map = c->map;

	if (!map->mapping)
		return;
	unmap_mapping_range(map->mapping, ((loff_t)map->pgoff << PAGE_SHIFT) + pd_chunk_offset(c),
			    pd_chunk_len(c), 1);
}

/* a request that maps @c, or the opposite */
static struct pd_request *pd_window_op(const struct pd_chunk *c, enum pd_op op)
{
	struct pd_request *r = pd_req_new_sure(c->map->host, op, NULL);

	r->req.u.window.map = cpu_to_le64(c->map->handle);
	if (op == PD_OP_WINDOW_MAP)
		r->req.u.window.offset = cpu_to_le64(pd_chunk_offset(c));
	r->req.u.window.len = cpu_to_le64(pd_chunk_len(c));
	r->req.u.window.window = cpu_to_le64(c->window);
	return r;
}

/* @c, which is busy, begins to be mapped or evicted: the host will be asked; w->lock held */
static void pd_chunk_move(struct pd_windows *w, struct pd_chunk *c)
{
	w->moving++;
	c->map->moving++;
}

/* the host has answered. The map may be gone after that; w->lock held, @w->wait is to be woken */
static void pd_chunk_moved(struct pd_windows *w, struct pd_chunk *c, enum pd_chunk_state state)
{
	struct pd_map *map = c->map;

	c->state = state;
	w->moving--;
	w->moves++;
	if (!--map->moving && map->ended)
		queue_work(pd_wq, &map->work);
}

/* takes @c, which is mapped, out of use, to be evicted; w->lock held */
static void pd_chunk_take(struct pd_windows *w, struct pd_chunk *c)
{
	list_del_init(&c->lru);
	c->state = PD_CHUNK_BUSY;
	pd_chunk_move(w, c);
}

/* @c, which had a place, has none any more. One of which the host does not say that it is free is never used again */
static void pd_chunk_gone(struct pd_windows *w, struct pd_chunk *c, bool answered)
{
	mutex_lock(&w->lock);
	if (answered && w->pool)
		gen_pool_free(w->pool, w->base + c->window, pd_chunk_len(c));
	w->count--;
	atomic_dec(&pd_stats.windows);
	pd_chunk_moved(w, c, PD_CHUNK_NONE);
	mutex_unlock(&w->lock);
	wake_up_all(&w->wait);
}

/* @c has a place, and may be seen there */
static void pd_chunk_show(struct pd_windows *w, struct pd_chunk *c)
{
	mutex_lock(&w->lock);
	list_add_tail(&c->lru, &w->lru);
	pd_chunk_moved(w, c, PD_CHUNK_MAPPED);
	mutex_unlock(&w->lock);
	wake_up_all(&w->wait);
}

/* the host has taken away a window for which nobody waited any more; or it never will */
static void pd_chunk_unmap_orphaned(struct pd_request *r)
{
	pd_chunk_gone(&r->host->windows, r->priv, r->len);
}

/*
 * Takes @c, which is busy and without page table entries, out of the region; at once, or when the host answers. Who is
 * killed before it could ask leaves it where it is.
 */
static void pd_chunk_unmap(struct pd_chunk *c, enum pd_wait how)
{
	struct pd_windows *w = &c->map->host->windows;
	struct pd_request *r = pd_window_op(c, PD_OP_WINDOW_UNMAP);

	if (how == PD_WAIT_KILL && pd_req_reserve(r, how) == -EINTR) {
		pd_chunk_show(w, c);
		pd_req_free(r);
		return;
	}
	if (c->memtype)
		iounmap(c->memtype);
	c->memtype = NULL;
	r->orphaned = pd_chunk_unmap_orphaned;
	r->priv = c;
	pd_req_run(&r, how);
	if (r)
		pd_chunk_gone(w, c, r->len);
	pd_req_free(r);
}

/* who touched @c was killed: nobody is to see it */
static void pd_chunk_map_orphaned(struct pd_request *r)
{
	struct pd_chunk *c = r->priv;

	if (r->len && r->result >= 0)
		pd_chunk_unmap(c, PD_WAIT_HOST);
	else
		pd_chunk_gone(&r->host->windows, c, r->len);
}

/* the window that was touched least recently, of those that are held (@held) or of the others; w->lock held */
static struct pd_chunk *pd_window_oldest(struct pd_windows *w, bool held)
{
	struct pd_chunk *c;

	list_for_each_entry(c, &w->lru, lru)
		if (held == (c->map->held && c == c->map->chunks))
			return c;
	return NULL;
}

/* evicts a window, with @must one that is held if there is no other; w->lock held, is given up meanwhile */
static bool pd_window_evict(struct pd_windows *w, bool must)
{
	struct pd_chunk *c = pd_window_oldest(w, false);

	if (!c && must)
		c = pd_window_oldest(w, true);
	if (!c)
		return false;
	/* its mapping may lose its last VMA meanwhile, but does not end before this does */
	pd_chunk_take(w, c);
	pd_chunk_zap(c);
	mutex_unlock(&w->lock);
	pd_chunk_unmap(c, PD_WAIT_KILL);
	mutex_lock(&w->lock);
	return true;
}

/*
 * Waits until a window that others map or evict has moved: then it can be evicted, or has left room. Those wait
 * for the host alone, never for room. w->lock held, is given up meanwhile. 0; -ENOSPC when there is none such;
 * -EIO when the host is lost, -EINTR when the task was killed
 */
static int pd_window_await(struct pd_host *host, struct pd_windows *w)
{
	unsigned int moves = w->moves;
	int ret;

	if (pd_host_lost(host))
		return -EIO;
	if (!w->moving)
		return -ENOSPC;
	mutex_unlock(&w->lock);
	ret = wait_event_killable(w->wait, READ_ONCE(w->moves) != moves || pd_host_lost(host));
	mutex_lock(&w->lock);
	return ret ? -EINTR : 0;
}

/*
 * Finds room for @c, which is busy; with @must at the cost of held ones, too, and waits for what others leave.
 * w->lock held, may be given up meanwhile. 0, -ENOSPC, -EIO or -EINTR
 */
static int pd_window_alloc(struct pd_windows *w, struct pd_chunk *c, bool must)
{
	unsigned long at;
	int ret;

	for (;;) {
		if (!w->pool)
			return -ENOSPC;
		if (w->count < clamp(READ_ONCE(pd_max_windows), 1u, (unsigned int)PD_MAX_WINDOWS)) {
			at = gen_pool_alloc(w->pool, pd_chunk_len(c));
			if (at) {
				c->window = at - w->base;
				w->count++;
				pd_chunk_move(w, c);
				atomic_inc(&pd_stats.windows);
				return 0;
			}
		}
		ret = 0;
		if (!pd_window_evict(w, must))
			ret = must ? pd_window_await(c->map->host, w) : -ENOSPC;
		if (fatal_signal_pending(current))
			ret = -EINTR;
		if (ret)
			return ret;
	}
}

/* maps @c, which is busy; 0, or what the fault becomes. Takes and gives w->lock. @must: as above */
static vm_fault_t pd_window_map(struct pd_windows *w, struct pd_chunk *c, bool must)
{
	struct pd_request *r;
	long ret;

	mutex_lock(&w->lock);
	ret = pd_window_alloc(w, c, must);
	if (ret)
		c->state = PD_CHUNK_NONE;
	mutex_unlock(&w->lock);
	if (ret) {
		wake_up_all(&w->wait);
		if (ret == -ENOSPC && must)
			pr_err_ratelimited(
				PD_NAME
				": no room in the window region (%llu bytes) for a mapping of %lu bytes\n",
				w->size, pd_chunk_len(c));
		return VM_FAULT_SIGBUS;
	}

	r = pd_window_op(c, PD_OP_WINDOW_MAP);
	r->orphaned = pd_chunk_map_orphaned;
	r->priv = c;
	ret = pd_req_run(&r, PD_WAIT_KILL);
	if (!r)
		return VM_FAULT_SIGBUS;
	pd_req_free(r);
	if (ret < 0) {
		pr_err_ratelimited(PD_NAME ": the host cannot show a mapping: error %ld\n", ret);
		pd_chunk_gone(w, c, true);
		return VM_FAULT_SIGBUS;
	}
	c->memtype = pd_chunk_memtype(c);
	if (!c->memtype) {
		pd_chunk_unmap(c, PD_WAIT_EXIT);
		return VM_FAULT_OOM;
	}
	pd_chunk_show(w, c);
	return 0;
}

/**
 * pd_window_hold() - has the begin of a mapping in a window from now on, until pd_window_unhold()
 * @map: mapping
 *
 * May sleep. Where there is no room it has none, and where others would get SIGBUS for want of it, it is evicted.
 */
void pd_window_hold(struct pd_map *map)
{
	struct pd_windows *w = &map->host->windows;
	struct pd_chunk *c = map->chunks;
	bool mine;

	mutex_lock(&w->lock);
	map->held++;
	mine = c->state == PD_CHUNK_NONE && !pd_host_lost(map->host) &&
	       !READ_ONCE(map->host->stopping) && w->size;
	if (mine)
		c->state = PD_CHUNK_BUSY;
	mutex_unlock(&w->lock);
	if (mine)
		pd_window_map(w, c, false);
}

/* ends one pd_window_hold(); may sleep */
void pd_window_unhold(struct pd_map *map)
{
	struct pd_windows *w = &map->host->windows;

	mutex_lock(&w->lock);
	map->held--;
	w->moves++;
	mutex_unlock(&w->lock);
	wake_up_all(&w->wait);
}

/* sets the entries of the page at @offset of @c's mapping and of some behind it; w->lock held */
static vm_fault_t pd_window_insert(struct pd_chunk *c, struct vm_fault *vmf, unsigned long offset)
{
	struct pd_windows *w = &c->map->host->windows;
	struct vm_area_struct *vma = vmf->vma;
	unsigned long addr = vmf->address & PAGE_MASK;
	unsigned long in_chunk = offset - pd_chunk_offset(c);
	unsigned long pfn = (w->base + c->window + in_chunk) >> PAGE_SHIFT;
	unsigned long n, i;
	vm_fault_t ret;

	n = min3((pd_chunk_len(c) - in_chunk) >> PAGE_SHIFT, (vma->vm_end - addr) >> PAGE_SHIFT,
		 (unsigned long)PD_FAULT_AROUND);
	ret = vmf_insert_pfn_prot(vma, addr, pfn, vma->vm_page_prot);
	for (i = 1; i < n && ret == VM_FAULT_NOPAGE; i++)
		if (vmf_insert_pfn_prot(vma, addr + i * PAGE_SIZE, pfn + i, vma->vm_page_prot) !=
		    VM_FAULT_NOPAGE)
			break;
	return ret;
}

/**
 * pd_window_fault() - a program touched a page of a mapping that is not there
 * @map: mapping
 * @vmf: fault
 */
vm_fault_t pd_window_fault(struct pd_map *map, struct vm_fault *vmf)
{
	struct pd_windows *w = &map->host->windows;
	unsigned long offset = (vmf->pgoff - map->pgoff) << PAGE_SHIFT;
	struct pd_chunk *c;
	vm_fault_t ret;

	if (vmf->pgoff < map->pgoff || offset >= map->len)
		return VM_FAULT_SIGBUS;
	c = &map->chunks[offset >> map->chunk_shift];
	for (;;) {
		mutex_lock(&w->lock);
		if (pd_host_lost(map->host) || READ_ONCE(map->host->stopping) || !w->size) {
			mutex_unlock(&w->lock);
			return VM_FAULT_SIGBUS;
		}
		if (c->state == PD_CHUNK_MAPPED) {
			list_move_tail(&c->lru, &w->lru);
			ret = pd_window_insert(c, vmf, offset);
			mutex_unlock(&w->lock);
			return ret;
		}
		if (c->state == PD_CHUNK_NONE) {
			c->state = PD_CHUNK_BUSY;
			mutex_unlock(&w->lock);
			ret = pd_window_map(w, c, true);
			if (ret)
				return ret;
			continue;
		}
		mutex_unlock(&w->lock);
		if (wait_event_killable(w->wait, READ_ONCE(c->state) != PD_CHUNK_BUSY ||
							 pd_host_lost(map->host)))
			return VM_FAULT_SIGBUS;
	}
}

/* the last VMA of @map is closing: nobody sees its windows, and the inode need not be there from now on */
void pd_windows_hide(struct pd_map *map)
{
	struct pd_windows *w = &map->host->windows;

	mutex_lock(&w->lock);
	map->mapping = NULL;
	mutex_unlock(&w->lock);
}

/*
 * Takes all windows of a mapping that no VMA shows any more. False: the host has not answered all that was asked of
 * it for some time, as others did who may be dead; map->work is queued when it has. May sleep
 */
bool pd_windows_unmap(struct pd_map *map)
{
	struct pd_windows *w = &map->host->windows;
	struct pd_chunk *c;
	unsigned int i;
	bool gone;

	for (i = 0; i < map->nchunks; i++) {
		c = &map->chunks[i];
		mutex_lock(&w->lock);
		if (c->state == PD_CHUNK_MAPPED) {
			pd_chunk_take(w, c);
			mutex_unlock(&w->lock);
			pd_chunk_unmap(c, PD_WAIT_EXIT);
		} else {
			mutex_unlock(&w->lock);
		}
	}
	if (!current_work())
		wait_event_timeout(w->wait, !READ_ONCE(map->moving), PD_EXIT_WAIT);
	mutex_lock(&w->lock);
	gone = !map->moving;
	map->ended = !gone;
	mutex_unlock(&w->lock);
	return gone;
}

/* the region vanishes: no program may see it any more. The host is stopping; may sleep */
void pd_windows_forget(struct pd_host *host)
{
	struct pd_windows *w = &host->windows;
	struct pd_chunk *c;

	for (;;) {
		mutex_lock(&w->lock);
		c = list_first_entry_or_null(&w->lru, struct pd_chunk, lru);
		if (!c) {
			mutex_unlock(&w->lock);
			return;
		}
		pd_chunk_take(w, c);
		pd_chunk_zap(c);
		mutex_unlock(&w->lock);
		pd_chunk_unmap(c, PD_WAIT_HOST);
	}
}
