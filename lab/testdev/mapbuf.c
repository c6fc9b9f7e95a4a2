// SPDX-License-Identifier: GPL-2.0-only
/* testdev: the buffers behind the mappings, and what the driver does to them. */
#include <linux/highmem.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "internal.h"

#define TD_MAP_ORDER ilog2(TD_MAP_PAGES)

/* Guards f->bufs and g->shared; never held while the caller's memory is touched. */
static DEFINE_MUTEX(bufs_lock);

static int td_mapbuf_pages(struct td_mapbuf *buf, int bank)
{
	int i;

	for (i = 0; i < TD_MAP_PAGES; i++) {
		buf->bank[bank][i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!buf->bank[bank][i])
			return -ENOMEM;
	}
	return 0;
}

static int td_mapbuf_vmalloc(struct td_mapbuf *buf)
{
	int i;

	buf->vmalloc = vmalloc_user(TD_MAP_SIZE);
	if (!buf->vmalloc)
		return -ENOMEM;
	for (i = 0; i < TD_MAP_PAGES; i++)
		buf->bank[0][i] = vmalloc_to_page(buf->vmalloc + i * PAGE_SIZE);
	return 0;
}

static int td_mapbuf_contiguous(struct td_mapbuf *buf)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_ZERO, TD_MAP_ORDER);
	int i;

	if (!page)
		return -ENOMEM;
	buf->order = TD_MAP_ORDER;
	for (i = 0; i < TD_MAP_PAGES; i++)
		buf->bank[0][i] = page + i;
	return 0;
}

void td_mapbuf_free(struct td_mapbuf *buf)
{
	int bank, i;

	if (buf->vmalloc) {
		vfree(buf->vmalloc);
	} else if (buf->order) {
		__free_pages(buf->bank[0][0], buf->order);
	} else {
		for (bank = 0; bank < 2; bank++)
			for (i = 0; i < TD_MAP_PAGES; i++)
				if (buf->bank[bank][i])
					__free_page(buf->bank[bank][i]);
	}
	kfree(buf);
}

static struct td_mapbuf *td_mapbuf_new(u32 kind)
{
	struct td_mapbuf *buf = kzalloc(sizeof(*buf), GFP_KERNEL);
	int ret;

	if (!buf)
		return NULL;
	mutex_init(&buf->lock);
	if (kind == TD_MAP_VMALLOC)
		ret = td_mapbuf_vmalloc(buf);
	else if (kind == TD_MAP_PFN)
		ret = td_mapbuf_contiguous(buf);
	else
		ret = td_mapbuf_pages(buf, 0);
	if (!ret && kind == TD_MAP_FAULT)
		ret = td_mapbuf_pages(buf, 1);
	if (ret) {
		td_mapbuf_free(buf);
		return NULL;
	}
	return buf;
}

/**
 * td_mapbuf_get() - the buffer of one kind, made when there is none yet
 * @f: the file that owns it; TD_MAP_SHARED is its group's
 * @kind: below TD_MAP_KINDS
 *
 * Return: the buffer, NULL without memory. May be called under the mmap lock.
 */
struct td_mapbuf *td_mapbuf_get(struct td_file *f, u32 kind)
{
	struct td_mapbuf **where = kind == TD_MAP_SHARED ? &f->group->shared : &f->bufs[kind];

	mutex_lock(&bufs_lock);
	if (!*where)
		*where = td_mapbuf_new(kind);
	mutex_unlock(&bufs_lock);
	return *where;
}

/**
 * td_map_io() - the driver writes the pattern into a buffer, or sums it
 * @f: the file
 * @io: the kind and the range; sum is answered for a read
 * @write: which of the two
 *
 * Return: 0, -EINVAL, -ENOMEM.
 */
long td_map_io(struct td_file *f, struct td_map_io *io, bool write)
{
	struct td_mapbuf *buf;
	u64 i;

	if (io->kind >= TD_MAP_KINDS || io->offset > TD_MAP_SIZE ||
	    io->len > TD_MAP_SIZE - io->offset)
		return -EINVAL;
	buf = td_mapbuf_get(f, io->kind);
	if (!buf)
		return -ENOMEM;
	mutex_lock(&buf->lock);
	io->sum = 0;
	for (i = io->offset; i < io->offset + io->len; i++) {
		u8 *page = kmap_local_page(buf->bank[buf->current_bank][i >> PAGE_SHIFT]);
		u8 *byte = page + (i & ~PAGE_MASK);

		if (write)
			*byte = td_byte(io->seed, i - io->offset);
		else
			io->sum = td_sum(io->sum, byte, 1);
		kunmap_local(page);
	}
	mutex_unlock(&buf->lock);
	return 0;
}

/* The other bank takes over: what is mapped of the first one goes away. */
long td_map_switch(struct td_file *f)
{
	struct td_mapbuf *buf = td_mapbuf_get(f, TD_MAP_FAULT);

	if (!buf)
		return -ENOMEM;
	mutex_lock(&buf->lock);
	buf->current_bank ^= 1;
	unmap_mapping_range(f->filp->f_mapping, (loff_t)TD_MAP_FAULT * TD_MAP_SPAN, TD_MAP_SIZE, 1);
	mutex_unlock(&buf->lock);
	return 0;
}

/**
 * td_map_free() - free a buffer, which V4L2 and others refuse while it is mapped
 * @f: the file
 * @kind: which; TD_MAP_SHARED lives as long as the group
 *
 * Return: 0, -EBUSY, -EINVAL.
 */
long td_map_free(struct td_file *f, u32 kind)
{
	struct td_mapbuf *buf;
	long ret = 0;

	if (kind >= TD_MAP_KINDS || kind == TD_MAP_SHARED)
		return -EINVAL;
	mutex_lock(&bufs_lock);
	buf = f->bufs[kind];
	if (buf && atomic_read(&buf->maps)) {
		ret = -EBUSY;
	} else if (buf) {
		f->bufs[kind] = NULL;
		td_mapbuf_free(buf);
	}
	mutex_unlock(&bufs_lock);
	return ret;
}

void td_maps_free(struct td_file *f)
{
	int kind;

	for (kind = 0; kind < TD_MAP_KINDS; kind++)
		if (f->bufs[kind])
			td_mapbuf_free(f->bufs[kind]);
}
