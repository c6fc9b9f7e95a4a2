// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an ioctl may reach through pointers in its argument, guessed where no table says it.
 *
 * A driver that touches memory which the host does not know sleeps until we have answered. Some
 * must not sleep there: plain pin_user_pages(), and long-term pins on kernels before 6.5, give
 * EFAULT instead, and nobody is asked. So the pages behind anything in the argument that looks
 * like a pointer into the program's memory are sent ahead, as far as the largest number in the
 * same structure that may be a length: one that stays within the memory pointed into. A wrong guess
 * costs some pins, and shows the driver nothing that the program's own ioctl could not show it.
 */
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "core.h"

/* of a structure: what is looked at, and what a length may be */
#define PD_GUESS_BYTES 256u
#define PD_GUESS_MAX_LEN (64u << 20)
/*
 * How many pointers away from the argument a structure's own pointers are looked at: vectors of planes
 * and the like. What lies there may be any data, of which much looks like pointers of 32 bits.
 */
#define PD_GUESS_DEPTH 2
#define PD_GUESS_DEPTH_COMPAT 1
/* structures beyond the argument that are looked at, nearest first */
#define PD_GUESS_STRUCTS 32

struct pd_guess {
	struct pd_mm *m;
	struct pd_range *out;
	unsigned int n;
	unsigned int max;
	bool compat;
	/* where structures beyond the argument are, @nstructs of them */
	unsigned int nstructs;
	unsigned long structs[PD_GUESS_STRUCTS];
};

/* what a structure has */
struct pd_words {
	unsigned long longest; /* the largest number that may be a length; 1 without */
	unsigned int n;
	u8 pointer[PD_GUESS_BYTES / sizeof(u32)]; /* which words look like pointers, @n of them */
};

static unsigned int pd_guess_depth(const struct pd_guess *g)
{
	return g->compat ? PD_GUESS_DEPTH_COMPAT : PD_GUESS_DEPTH;
}

static unsigned long pd_guess_word(const void *buf, unsigned int i, bool compat)
{
	return compat ? ((const u32 *)buf)[i] : ((const u64 *)buf)[i];
}

static bool pd_guess_pointer(const struct pd_mm *m, unsigned long word)
{
	return word >= PAGE_SIZE * 16 && word < TASK_SIZE &&
	       (word < m->hole || word >= m->hole + m->hole_len);
}

static void pd_guess_number(struct pd_words *w, u32 number, unsigned long room)
{
	if (number <= room && number > w->longest)
		w->longest = number;
}

/* looks through @size bytes, once, as each ioctl waits for it; a length is not above @room */
static void pd_guess_scan(const struct pd_guess *g, const void *buf, unsigned int size,
			  unsigned long room, struct pd_words *w)
{
	unsigned int i, per = g->compat ? sizeof(u32) : sizeof(u64);

	w->longest = 1;
	w->n = 0;
	for (i = 0; i < size / per; i++) {
		unsigned long word = pd_guess_word(buf, i, g->compat);

		if (!word)
			continue;
		if (pd_guess_pointer(g->m, word)) {
			w->pointer[w->n++] = i;
			/* half of a pointer is no length */
			if (word > U32_MAX)
				continue;
		}
		pd_guess_number(w, lower_32_bits(word), room);
		pd_guess_number(w, upper_32_bits(word), room);
	}
	if (size % per >= sizeof(u32))
		pd_guess_number(w, ((const u32 *)buf)[size / sizeof(u32) - 1], room);
}

/*
 * whether the host knows this memory or is about to; without m->lock: no page is looked into, and what
 * has changed since makes a guess no worse
 */
static bool pd_guess_known(const struct pd_guess *g, unsigned long addr, unsigned long len)
{
	unsigned long first = addr >> PAGE_SHIFT, last = (addr + len - 1) >> PAGE_SHIFT, from, to;
	unsigned int i;

	for (i = 0; i < g->n; i++) {
		from = le64_to_cpu(g->out[i].addr);
		to = from + le64_to_cpu(g->out[i].len) - 1;
		if (from >> PAGE_SHIFT <= first && last <= to >> PAGE_SHIFT)
			return true;
	}
	return xa_load(&g->m->known, first) && xa_load(&g->m->known, last);
}

/* how much memory that can be sent there is from @addr on */
static unsigned long pd_guess_room(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma;
	unsigned long end = 0;

	if (mmap_read_lock_killable(mm))
		return 0;
	vma = find_vma(mm, addr);
	if (vma && vma->vm_start <= addr && !(vma->vm_flags & (VM_PFNMAP | VM_IO)))
		end = vma->vm_end;
	mmap_read_unlock(mm);
	return end > addr ? end - addr : 0;
}

/*
 * adds what a pointer to @addr may mean, in the structure @buf whose largest number is @longest;
 * false: it leads nowhere
 */
static bool pd_guess_at(struct pd_guess *g, const void *buf, unsigned int size, unsigned long addr,
			unsigned long longest)
{
	unsigned long len = longest, room;
	struct pd_words fitting;

	if (pd_guess_known(g, addr, len))
		return true;
	room = pd_guess_room(g->m->mm, addr);
	if (!room)
		return false;
	if (len > room) {
		pd_guess_scan(g, buf, size, room, &fitting);
		len = fitting.longest;
		if (pd_guess_known(g, addr, len))
			return true;
	}
	g->out[g->n].addr = cpu_to_le64(addr);
	g->out[g->n++].len = cpu_to_le64(len);
	return true;
}

/* @depth: how many pointers led to the structure @buf */
static void pd_guess_struct(struct pd_guess *g, const void *buf, unsigned int size,
			    unsigned int depth)
{
	struct pd_words w;
	unsigned int i;

	pd_guess_scan(g, buf, size, PD_GUESS_MAX_LEN, &w);
	for (i = 0; i < w.n && g->n < g->max; i++) {
		unsigned long addr = pd_guess_word(buf, w.pointer[i], g->compat);

		if (g->compat && depth && addr % sizeof(u32))
			continue;
		if (pd_guess_at(g, buf, size, addr, w.longest) && depth < pd_guess_depth(g) &&
		    g->nstructs < PD_GUESS_STRUCTS)
			g->structs[g->nstructs++] = addr;
	}
}

/**
 * pd_guess() - what an ioctl of the caller's may reach through its argument
 * @m: the caller's address space
 * @cmd: command; only those that pass a structure are looked at
 * @arg: the argument
 * @compat: of a 32-bit program
 * @out: room for the ranges
 * @max: their number
 *
 * Return: ranges found that the host does not know yet.
 */
unsigned int pd_guess(struct pd_mm *m, unsigned int cmd, unsigned long arg, bool compat,
		      struct pd_range *out, unsigned int max)
{
	unsigned int size = min_t(unsigned int, _IOC_SIZE(cmd), PD_GUESS_BYTES);
	struct pd_guess g = { .m = m, .out = out, .max = max, .compat = compat };
	unsigned int depth, end, i = 0;
	u64 buf[PD_GUESS_BYTES / sizeof(u64)];

	if (!(_IOC_DIR(cmd) & _IOC_WRITE) || size < sizeof(u64) || !m->mm)
		return 0;
	if (copy_from_user(buf, (void __user *)arg, size))
		return 0;
	pd_guess_struct(&g, buf, size, 0);
	for (depth = 1; depth <= pd_guess_depth(&g); depth++) {
		for (end = g.nstructs; i < end && g.n < g.max; i++) {
			size = min_t(unsigned long, sizeof(buf),
				     PAGE_SIZE - offset_in_page(g.structs[i]));
			if (!copy_from_user_nofault(buf, (void __user *)g.structs[i], size))
				pd_guess_struct(&g, buf, size, depth);
		}
	}
	return g.n;
}
