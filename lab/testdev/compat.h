/* SPDX-License-Identifier: GPL-2.0-only */
/* What differs between kernels; Kbuild's compile probes decide (probe/). */
#ifndef TESTDEV_COMPAT_H
#define TESTDEV_COMPAT_H

#include <linux/device.h>
#include <linux/fs.h>
#include <linux/mm.h>

#ifndef TD_HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags &= ~flags;
}
#endif

#ifdef TD_HAVE_PIN_USER_PAGES_VMAS
#define td_pin_user_pages(start, n, flags, pages) pin_user_pages(start, n, flags, pages, NULL)
#else
#define td_pin_user_pages(start, n, flags, pages) pin_user_pages(start, n, flags, pages)
#endif

#ifdef TD_HAVE_COPY_SPLICE_READ
#define TD_SPLICE_READ copy_splice_read
#else
#define TD_SPLICE_READ generic_file_splice_read
#endif

#ifdef TD_HAVE_DEVNODE_CONST
typedef const struct device td_devnode_arg;
#else
typedef struct device td_devnode_arg;
#endif

#endif
