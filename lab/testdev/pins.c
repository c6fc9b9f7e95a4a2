// SPDX-License-Identifier: GPL-2.0-only
/* testdev: pages of the caller kept past the call, as DMA does. */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "internal.h"

static long td_pin_call(unsigned long start, long n, const struct td_pin *pin, struct page **pages)
{
	unsigned int flags = pin->flags & TD_PIN_WRITABLE ? FOLL_WRITE : 0;
	long got;

	if (pin->flags & TD_PIN_LONGTERM)
		flags |= FOLL_LONGTERM;
	if (!(pin->flags & TD_PIN_PLAIN))
		return pin_user_pages_fast(start, n, flags, pages);
	mmap_read_lock(current->mm);
	got = td_pin_user_pages(start, n, flags, pages);
	mmap_read_unlock(current->mm);
	return got;
}

/**
 * td_pin_pages() - pin a range of the caller's memory
 * @f: whose counter counts the pages
 * @pin: the range, and how
 *
 * Return: the pins, to be ended with td_unpin_pages(); an ERR_PTR of -EINVAL,
 * -ENOMEM, -EFAULT when not every page could be pinned, or the kernel's error.
 */
struct td_pinned *td_pin_pages(struct td_file *f, const struct td_pin *pin)
{
	unsigned long start = pin->addr & PAGE_MASK;
	long n = DIV_ROUND_UP((pin->addr & ~PAGE_MASK) + pin->len, PAGE_SIZE);
	struct td_pinned *p;
	long got;

	if (!pin->len || pin->len > TD_PIN_MAX * PAGE_SIZE || n > TD_PIN_MAX ||
	    pin->addr + pin->len < pin->addr)
		return ERR_PTR(-EINVAL);
	p = kzalloc(sizeof(*p), GFP_KERNEL);
	if (!p)
		return ERR_PTR(-ENOMEM);
	p->pages = kvcalloc(n, sizeof(*p->pages), GFP_KERNEL);
	if (!p->pages) {
		kfree(p);
		return ERR_PTR(-ENOMEM);
	}
	p->offset = pin->addr & ~PAGE_MASK;
	p->len = pin->len;
	p->writable = pin->flags & TD_PIN_WRITABLE;

	got = td_pin_call(start, n, pin, p->pages);
	p->n = max(got, 0L);
	td_count(f, TD_PINNED, p->n);
	if (got < n) {
		td_unpin_pages(f, p);
		return ERR_PTR(got < 0 ? got : -EFAULT);
	}
	return p;
}

void td_unpin_pages(struct td_file *f, struct td_pinned *p)
{
	unpin_user_pages_dirty_lock(p->pages, p->n, p->writable);
	td_count(f, TD_PINNED, -p->n);
	kvfree(p->pages);
	kfree(p);
}

/* Call @visit for each piece of a range that lies in one page. */
static void td_pin_walk(struct td_pinned *p, unsigned long offset, unsigned long len,
			void (*visit)(u8 *piece, size_t n, struct td_pin_io *io),
			struct td_pin_io *io)
{
	unsigned long at = p->offset + offset;

	while (len) {
		size_t n = min(len, PAGE_SIZE - (at & ~PAGE_MASK));
		u8 *page = kmap_local_page(p->pages[at >> PAGE_SHIFT]);

		visit(page + (at & ~PAGE_MASK), n, io);
		kunmap_local(page);
		at += n;
		len -= n;
	}
}

static void td_pin_put(u8 *piece, size_t n, struct td_pin_io *io)
{
	while (n--)
		*piece++ = td_byte(io->seed, io->sum++);
}

static void td_pin_add(u8 *piece, size_t n, struct td_pin_io *io)
{
	io->sum = td_sum(io->sum, piece, n);
}

/* Write the pattern @seed into pinned pages; sum serves as the position. */
void td_pin_fill(struct td_pinned *p, unsigned long offset, unsigned long len, u32 seed)
{
	struct td_pin_io io = { .seed = seed };

	td_pin_walk(p, offset, len, td_pin_put, &io);
}

long td_pin(struct td_file *f, struct td_pin *pin)
{
	struct td_pinned *p = td_pin_pages(f, pin);

	if (IS_ERR(p))
		return PTR_ERR(p);
	mutex_lock(&f->lock);
	p->id = ++f->next_pin;
	pin->id = p->id;
	list_add(&p->node, &f->pins);
	mutex_unlock(&f->lock);
	return p->n;
}

static struct td_pinned *td_pin_find(struct td_file *f, u32 id)
{
	struct td_pinned *p;

	list_for_each_entry(p, &f->pins, node)
		if (p->id == id)
			return p;
	return NULL;
}

/**
 * td_pin_io() - write the pattern into pinned pages, or sum what they hold
 * @f: the file that holds them
 * @io: which, and where; sum is answered for a read
 * @write: which of the two
 *
 * Return: 0, -ENOENT, -EINVAL beyond the range, -EACCES when pinned for reading.
 */
long td_pin_io(struct td_file *f, struct td_pin_io *io, bool write)
{
	struct td_pinned *p;
	long ret = 0;

	mutex_lock(&f->lock);
	p = td_pin_find(f, io->id);
	if (!p) {
		ret = -ENOENT;
	} else if (io->offset > p->len || io->len > p->len - io->offset) {
		ret = -EINVAL;
	} else if (write && !p->writable) {
		ret = -EACCES;
	} else if (write) {
		td_pin_fill(p, io->offset, io->len, io->seed);
	} else {
		io->sum = 0;
		td_pin_walk(p, io->offset, io->len, td_pin_add, io);
	}
	mutex_unlock(&f->lock);
	return ret;
}

long td_pin_free(struct td_file *f, u32 id)
{
	struct td_pinned *p;

	mutex_lock(&f->lock);
	p = td_pin_find(f, id);
	if (p)
		list_del(&p->node);
	mutex_unlock(&f->lock);
	if (!p)
		return -ENOENT;
	td_unpin_pages(f, p);
	return 0;
}

void td_pins_free(struct td_file *f)
{
	struct td_pinned *p, *next;

	list_for_each_entry_safe(p, next, &f->pins, node)
		td_unpin_pages(f, p);
}
