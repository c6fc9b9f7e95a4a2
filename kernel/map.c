// SPDX-License-Identifier: GPL-2.0-only
/*
 * mmap, and what becomes of a mapping: fork, split, partial munmap, mremap, the end.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "core.h"

static const struct vm_operations_struct pd_vm_ops;

/* where in its mapping @vma begins, bytes */
static unsigned long pd_vma_offset(const struct vm_area_struct *vma)
{
	const struct pd_map *map = vma->vm_private_data;

	return (vma->vm_pgoff - map->pgoff) << PAGE_SHIFT;
}

/* runs a request that concerns a mapping in @m; what the host answers */
static long pd_map_run(struct pd_request *r, enum pd_wait how)
{
	long ret;

	r->nofault = true;
	ret = pd_req_run(&r, how);
	pd_req_free(r);
	return ret;
}

static long pd_map_munmap(struct pd_map *map, struct pd_mm *m, unsigned long addr,
			  unsigned long len, unsigned long offset, enum pd_wait how)
{
	struct pd_request *r = pd_req_new_sure(map->host, PD_OP_MUNMAP, m);

	r->req.u.mmap.map = cpu_to_le64(map->handle);
	r->req.u.mmap.addr = cpu_to_le64(addr);
	r->req.u.mmap.len = cpu_to_le64(len);
	r->req.u.mmap.offset = cpu_to_le64(offset);
	return pd_map_run(r, how);
}

static void pd_map_release(struct pd_host *host, u64 handle, enum pd_wait how)
{
	struct pd_request *r = pd_req_new_sure(host, PD_OP_MAP_RELEASE, NULL);

	r->req.u.window.map = cpu_to_le64(handle);
	pd_map_run(r, how);
}

static void pd_map_free(struct pd_map *map)
{
	mmdrop(map->mm);
	pd_host_put(map->host);
	kvfree(map);
}

/* ends @map, which no VMA shows any more; or @map->work does, when the host has answered all that was asked of it */
static void pd_map_end(struct pd_map *map)
{
	struct pd_file *pf = map->pf;

	if (map->dying) {
		pd_mm_wait_gone(map->dying, PD_EXIT_WAIT);
		pd_mm_put(map->dying);
		map->dying = NULL;
	}
	if (!pd_windows_unmap(map))
		return;
	pd_map_release(map->host, map->handle, PD_WAIT_EXIT);
	atomic_dec(&pd_stats.maps);
	if (atomic_dec_and_test(&pf->maps))
		wake_up_all(&pf->maps_wait);
	pd_file_put(pf);
	pd_map_free(map);
}

static void pd_map_end_work(struct work_struct *work)
{
	pd_map_end(container_of(work, struct pd_map, work));
}

static void pd_vm_open(struct vm_area_struct *vma)
{
	struct pd_map *map = vma->vm_private_data;

	refcount_inc(&map->ref);
	/*
	 * A child's piece is shown in the child's mirror only when a driver touches it there; until
	 * then a window keeps the mapping alive at the driver, whatever its parent does.
	 */
	if (vma->vm_mm != map->mm)
		pd_window_hold(map);
}

/* a piece of the mapping goes; the program's munmap waits here until the host's has gone */
static void pd_vm_close(struct vm_area_struct *vma)
{
	struct pd_map *map = vma->vm_private_data;
	bool exiting = !atomic_read(&vma->vm_mm->mm_users);
	struct pd_mm *m = pd_mm_find(map->host, vma->vm_mm);

	if (vma->vm_mm != map->mm)
		pd_window_unhold(map);
	/* a process that ends takes its mirror, and all mappings in it, with it */
	if (m && !exiting)
		pd_map_munmap(map, m, vma->vm_start, vma->vm_end - vma->vm_start,
			      pd_vma_offset(vma), PD_WAIT_EXIT);
	if (!refcount_dec_and_test(&map->ref)) {
		if (m)
			pd_mm_put(m);
		return;
	}
	pd_windows_hide(map);
	if (exiting) {
		map->dying = m;
		queue_work(pd_wq, &map->work);
	} else {
		if (m)
			pd_mm_put(m);
		pd_map_end(map);
	}
}

/* the VMA of the same piece of the same mapping that @new replaces; mmap_lock held */
static struct vm_area_struct *pd_vm_moved_from(struct vm_area_struct *new)
{
	struct mm_struct *mm = new->vm_mm;
	struct vm_area_struct *vma;

	for (vma = find_vma(mm, 0); vma; vma = find_vma(mm, vma->vm_end))
		if (vma != new && vma->vm_ops == &pd_vm_ops &&
		    vma->vm_private_data == new->vm_private_data &&
		    vma->vm_pgoff == new->vm_pgoff &&
		    vma->vm_end - vma->vm_start == new->vm_end - new->vm_start)
			return vma;
	return NULL;
}

/* mremap moved a piece; the old VMA is closed next, which is no news to the host then */
static int pd_vm_mremap(struct vm_area_struct *new)
{
	struct pd_map *map = new->vm_private_data;
	struct vm_area_struct *old = pd_vm_moved_from(new);
	struct pd_request *r;
	struct pd_mm *m;
	long ret;

	m = pd_mm_find(map->host, new->vm_mm);
	if (!m)
		return 0;
	ret = 0;
	if (old) {
		r = pd_req_new_sure(map->host, PD_OP_MREMAP, m);
		r->req.u.mremap.map = cpu_to_le64(map->handle);
		r->req.u.mremap.old_addr = cpu_to_le64(old->vm_start);
		r->req.u.mremap.old_len = cpu_to_le64(old->vm_end - old->vm_start);
		r->req.u.mremap.new_addr = cpu_to_le64(new->vm_start);
		r->req.u.mremap.new_len = cpu_to_le64(new->vm_end - new->vm_start);
		r->req.u.mremap.offset = cpu_to_le64(pd_vma_offset(new));
		ret = pd_map_run(r, PD_WAIT_EXIT);
	}
	pd_mm_put(m);
	return ret < 0 ? ret : 0;
}

static vm_fault_t pd_vm_fault(struct vm_fault *vmf)
{
	return pd_window_fault(vmf->vma->vm_private_data, vmf);
}

static const struct vm_operations_struct pd_vm_ops = {
	.open = pd_vm_open,
	.close = pd_vm_close,
	.mremap = pd_vm_mremap,
	.fault = pd_vm_fault,
};

/**
 * pd_map_at() - is there a mapping of @host's at an address of the caller's?
 * @host: host
 * @addr: address
 * @cont: where it is described
 *
 * Must be called without the mmap_lock.
 */
bool pd_map_at(struct pd_host *host, unsigned long addr, struct pd_req_continue *cont)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	struct pd_map *map;
	bool found = false;

	if (mmap_read_lock_killable(mm))
		return false;
	vma = find_vma(mm, addr);
	if (vma && vma->vm_start <= addr && vma->vm_ops == &pd_vm_ops) {
		map = vma->vm_private_data;
		if (map->host == host) {
			cont->map = cpu_to_le64(map->handle);
			cont->map_addr = cpu_to_le64(vma->vm_start);
			cont->map_len = cpu_to_le64(vma->vm_end - vma->vm_start);
			cont->map_offset = cpu_to_le64(pd_vma_offset(vma));
			found = true;
		}
	}
	mmap_read_unlock(mm);
	return found;
}

/* who mapped it was killed meanwhile: nobody has the mapping */
static void pd_mmap_orphaned(struct pd_request *r)
{
	struct pd_map *map = r->priv;
	u64 handle = le64_to_cpu(r->answer.u.map.map);

	if (r->result >= 0 && handle) {
		map->handle = handle;
		/* the process is dead or dying; its mirror goes anyway */
		pd_mm_wait_gone(r->mm, PD_EXIT_WAIT);
		pd_map_release(r->host, handle, PD_WAIT_HOST);
	}
	pd_map_free(map);
}

/* asks the host for the mapping; takes over @map where it fails */
static long pd_mmap_ask(struct file *file, struct vm_area_struct *vma, struct pd_map *map,
			struct pd_mm *m, u32 *flags)
{
	struct pd_req_mmap *q;
	struct pd_request *r;
	long ret;

	r = pd_file_request(file, PD_OP_MMAP, m);
	if (!r) {
		ret = -ENOMEM;
		goto fail;
	}
	q = &r->req.u.mmap;
	q->addr = cpu_to_le64(vma->vm_start);
	q->len = cpu_to_le64(map->len);
	q->offset = cpu_to_le64((u64)vma->vm_pgoff << PAGE_SHIFT);
	q->prot = cpu_to_le32((vma->vm_flags & VM_READ ? PROT_READ : 0) |
			      (vma->vm_flags & VM_WRITE ? PROT_WRITE : 0) |
			      (vma->vm_flags & VM_EXEC ? PROT_EXEC : 0));
	q->flags = cpu_to_le32(vma->vm_flags & VM_MAYSHARE ? 0 : PD_MAP_PRIVATE);
	r->nofault = true;
	r->orphaned = pd_mmap_orphaned;
	r->priv = map;
	ret = pd_req_run(&r, PD_WAIT_KILL);
	if (!r)
		return ret; /* the orphan has @map */
	if (ret >= 0) {
		map->handle = le64_to_cpu(r->answer.u.map.map);
		map->caching = le32_to_cpu(r->answer.u.map.caching);
		*flags = le32_to_cpu(r->answer.u.map.flags);
		ret = map->handle ? 0 : -EIO;
	}
	pd_req_free(r);
	if (!ret)
		return 0;
fail:
	pd_map_free(map);
	return ret;
}

/*
 * A mapping is shown as a whole: many drivers know their buffers by where they begin, and map none
 * from its middle. Only one that would take most of the region is shown in parts.
 */
static unsigned int pd_map_chunk_shift(const struct pd_host *host, unsigned long len)
{
	return len > host->windows.size / 2 ? PD_CHUNK_SHIFT : PAGE_SHIFT + get_order(len);
}

static struct pd_map *pd_map_new(struct file *file, struct vm_area_struct *vma)
{
	struct pd_file *pf = file->private_data;
	unsigned long len = vma->vm_end - vma->vm_start;
	unsigned int shift = pd_map_chunk_shift(pf->host, len);
	unsigned int i, n = DIV_ROUND_UP(len, BIT(shift));
	struct pd_map *map;

	map = kvzalloc(struct_size(map, chunks, n), GFP_KERNEL);
	if (!map)
		return NULL;
	refcount_set(&map->ref, 1);
	map->host = pd_host_get(pf->host);
	map->pf = pf;
	map->mapping = file->f_mapping;
	map->mm = vma->vm_mm;
	mmgrab(map->mm);
	map->pgoff = vma->vm_pgoff;
	map->len = len;
	map->chunk_shift = shift;
	map->nchunks = n;
	INIT_WORK(&map->work, pd_map_end_work);
	for (i = 0; i < n; i++) {
		map->chunks[i].map = map;
		INIT_LIST_HEAD(&map->chunks[i].lru);
	}
	return map;
}

/* what the program is told when its mapping cannot be shown; logged once each */
static int pd_mmap_check(struct pd_file *pf, const struct vm_area_struct *vma)
{
	if (pd_host_lost(pf->host))
		return -EIO;
	if (!pf->host->windows.size) {
		pr_warn_once(
			PD_NAME
			": mmap fails with ENODEV: there is no shared memory region for this device (QEMU has one from 11.1 on, Xen none)\n");
		return -ENODEV;
	}
	if ((vma->vm_flags & VM_WRITE) && !(vma->vm_flags & VM_MAYSHARE)) {
		pr_warn_once(
			PD_NAME
			": mmap fails with ENODEV: device memory cannot be shown as a writable private copy (MAP_PRIVATE with PROT_WRITE)\n");
		return -ENODEV;
	}
	return 0;
}

int pd_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct pd_file *pf = file->private_data;
	struct pd_map *map;
	struct pd_mm *m;
	u32 flags = 0;
	long ret;

	ret = pd_mmap_check(pf, vma);
	if (ret)
		return ret;
	m = pd_file_enter(pf, true, false);
	if (IS_ERR(m))
		return PTR_ERR(m);
	map = pd_map_new(file, vma);
	ret = map ? pd_mmap_ask(file, vma, map, m, &flags) : -ENOMEM;
	if (!ret && (flags & PD_MAPRESP_READONLY) && (vma->vm_flags & VM_WRITE)) {
		pd_map_munmap(map, m, vma->vm_start, map->len, 0, PD_WAIT_EXIT);
		pd_map_release(map->host, map->handle, PD_WAIT_EXIT);
		pd_map_free(map);
		ret = -EACCES;
	}
	pd_mm_put(m);
	pd_file_ran(pf);
	if (ret)
		return ret;

	refcount_inc(&pf->ref);
	atomic_inc(&pf->maps);
	atomic_inc(&pd_stats.maps);
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	/* a store to what the driver mapped read-only would end the VM */
	if ((flags & PD_MAPRESP_READONLY) || !(vma->vm_flags & VM_MAYSHARE))
		vm_flags_clear(vma, VM_MAYWRITE);
	if (map->caching == PD_CACHE_WC)
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
	else if (map->caching == PD_CACHE_UC)
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	vma->vm_ops = &pd_vm_ops;
	vma->vm_private_data = map;
	return 0;
}
