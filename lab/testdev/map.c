// SPDX-License-Identifier: GPL-2.0-only
/* testdev: mmap in the ways that drivers have. */
#include <linux/vmalloc.h>

#include "internal.h"

#define TD_SPAN_PAGES (TD_MAP_SPAN / 4096)

static u32 td_vma_kind(struct vm_area_struct *vma)
{
	return vma->vm_pgoff / TD_SPAN_PAGES;
}

static struct td_mapbuf *td_vma_buf(struct vm_area_struct *vma)
{
	return td_mapbuf_get(TD_FILE(vma->vm_file), td_vma_kind(vma));
}

static void td_vma_open(struct vm_area_struct *vma)
{
	atomic_inc(&td_vma_buf(vma)->maps);
	td_count(TD_FILE(vma->vm_file), TD_MAPS, 1);
}

static void td_vma_close(struct vm_area_struct *vma)
{
	atomic_dec(&td_vma_buf(vma)->maps);
	td_count(TD_FILE(vma->vm_file), TD_MAPS, -1);
}

static vm_fault_t td_vma_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct td_file *f = TD_FILE(vma->vm_file);
	u32 index = vmf->pgoff % TD_SPAN_PAGES, kind = td_vma_kind(vma);
	struct td_mapbuf *buf = td_vma_buf(vma);
	struct page *page;
	vm_fault_t ret;

	td_count(f, TD_FAULTS, 1);
	if (kind == TD_MAP_SIGBUS && index >= TD_MAP_PAGES / 2)
		return VM_FAULT_SIGBUS;
	if (kind == TD_MAP_SLOW) {
		int killed;

		td_count(f, TD_BLOCKED, 1);
		killed = wait_event_killable(f->group->wait, td_group_take(f->group, NULL));
		td_count(f, TD_BLOCKED, -1);
		if (killed)
			return VM_FAULT_SIGBUS;
	}
	mutex_lock(&buf->lock);
	page = buf->bank[buf->current_bank][index];
	if (kind == TD_MAP_PFN_FAULT)
		ret = vmf_insert_pfn(vma, vmf->address, page_to_pfn(page));
	else
		ret = vmf_insert_page(vma, vmf->address, page);
	mutex_unlock(&buf->lock);
	return ret;
}

static const struct vm_operations_struct td_vm_ops = {
	.open = td_vma_open,
	.close = td_vma_close,
};

static const struct vm_operations_struct td_fault_vm_ops = {
	.open = td_vma_open,
	.close = td_vma_close,
	.fault = td_vma_fault,
};

static int td_map_insert(struct vm_area_struct *vma, struct td_mapbuf *buf, u32 first)
{
	unsigned long i;
	int ret = 0;

	for (i = 0; i < vma_pages(vma) && !ret; i++)
		ret = vm_insert_page(vma, vma->vm_start + i * PAGE_SIZE, buf->bank[0][first + i]);
	return ret;
}

static int td_map_fill_vma(struct vm_area_struct *vma, struct td_mapbuf *buf, u32 first)
{
	switch (td_vma_kind(vma)) {
	case TD_MAP_VMALLOC:
		return remap_vmalloc_range(vma, buf->vmalloc, first);
	case TD_MAP_PFN:
		if (!(vma->vm_flags & VM_SHARED))
			return -EINVAL;
		return remap_pfn_range(vma, vma->vm_start, page_to_pfn(buf->bank[0][first]),
				       vma->vm_end - vma->vm_start, vma->vm_page_prot);
	case TD_MAP_PFN_FAULT:
		if (!(vma->vm_flags & VM_SHARED))
			return -EINVAL;
		vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
		return 0;
	case TD_MAP_FAULT:
	case TD_MAP_SIGBUS:
	case TD_MAP_SLOW:
		vm_flags_set(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTDUMP);
		return 0;
	case TD_MAP_READONLY:
		if (vma->vm_flags & VM_WRITE)
			return -EACCES;
		vm_flags_clear(vma, VM_MAYWRITE);
		fallthrough;
	default:
		vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
		return td_map_insert(vma, buf, first);
	}
}

/**
 * td_mmap() - map a buffer of the file
 * @filp: the file
 * @vma: its offset names the kind and the first page
 *
 * Return: 0, -EINVAL beyond the buffer, -EBUSY, -EACCES, -ENODEV, or for
 * TD_MAP_ERRNO the one that the offset asks for.
 */
int td_mmap(struct file *filp, struct vm_area_struct *vma)
{
	u32 first = vma->vm_pgoff % TD_SPAN_PAGES, kind = td_vma_kind(vma);
	struct td_file *f = TD_FILE(filp);
	struct td_mapbuf *buf;
	int ret;

	if (td_gone(f))
		return -ENODEV;
	if (kind == TD_MAP_ERRNO)
		return -(int)first;
	if (kind == TD_MAP_LARGE)
		return td_large_map(f, vma);
	if (vma->vm_pgoff >= TD_MAP_KINDS * TD_SPAN_PAGES || first >= TD_MAP_PAGES ||
	    vma_pages(vma) > TD_MAP_PAGES - first)
		return -EINVAL;
	buf = td_mapbuf_get(f, kind);
	if (!buf)
		return -ENOMEM;

	if (atomic_inc_return(&buf->maps) > 1 && kind == TD_MAP_SINGLE)
		ret = -EBUSY;
	else
		ret = td_map_fill_vma(vma, buf, first);
	if (ret) {
		atomic_dec(&buf->maps);
		return ret;
	}
	td_count(f, TD_MAPS, 1);
	if (kind == TD_MAP_FAULT || kind == TD_MAP_SIGBUS || kind == TD_MAP_SLOW ||
	    kind == TD_MAP_PFN_FAULT)
		vma->vm_ops = &td_fault_vm_ops;
	else
		vma->vm_ops = &td_vm_ops;
	return 0;
}
