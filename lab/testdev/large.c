// SPDX-License-Identifier: GPL-2.0-only
/* testdev: TD_MAP_LARGE, a buffer that is found by the offset where it begins, as many drivers do. */
#include <linux/vmalloc.h>

#include "internal.h"

int td_large_map(struct td_file *f, struct vm_area_struct *vma)
{
	void *mem;

	if (vma->vm_pgoff != TD_MAP_LARGE * (TD_MAP_SPAN / 4096) ||
	    vma->vm_end - vma->vm_start > TD_MAP_LARGE_SIZE)
		return -EINVAL;
	mem = READ_ONCE(f->large);
	if (!mem) {
		mem = vmalloc_user(TD_MAP_LARGE_SIZE);
		if (!mem)
			return -ENOMEM;
		if (cmpxchg(&f->large, NULL, mem)) {
			vfree(mem);
			mem = f->large;
		}
	}
	return remap_vmalloc_range(vma, mem, 0);
}

void td_large_free(struct td_file *f)
{
	vfree(f->large);
}
