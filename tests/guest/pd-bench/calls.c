// SPDX-License-Identifier: Apache-2.0
/*
 * pd-bench: one call after the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"
#include "testdev.h"

void bench_open(struct bench *b, int flags)
{
	b->fd = open(b->args[0], flags | O_CLOEXEC);
	if (b->fd < 0)
		fail("opening", b->args[0]);
}

static void open_it(struct bench *b)
{
	bench_open(b, O_RDWR);
}

void *bench_pages(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fail("memory for", "a buffer");
	memset(p, 1, size);
	return p;
}

/* a system call that does nothing */
static void no_set_up(struct bench *b)
{
	(void)b;
}

static void syscall_once(struct bench *b)
{
	(void)b;
	syscall(SYS_getppid);
}

/* ioctl:PATH:COMMAND:SIZE, the argument a buffer of that size, or 0; what it returns does not matter */
static void ioctl_set_up(struct bench *b)
{
	unsigned long size = strtoul(b->args[2], NULL, 0);

	open_it(b);
	b->number = strtoul(b->args[1], NULL, 0);
	b->buf = size ? bench_pages(size) : NULL;
}

static void ioctl_once(struct bench *b)
{
	if (ioctl(b->fd, b->number, b->buf) < 0 && errno == EIO)
		fail("ioctl of", b->args[0]);
}

/* write1:PATH, one byte: what debugfs' ping wants */
static void write1_set_up(struct bench *b)
{
	bench_open(b, O_WRONLY);
}

static void write1_once(struct bench *b)
{
	if (write(b->fd, "1", 1) != 1)
		fail("writing", b->args[0]);
}

/* stat:PATH, never answered from a cache */
static void stat_set_up(struct bench *b)
{
	bench_open(b, O_RDONLY);
}

static void stat_once(struct bench *b)
{
	struct statx st;

	if (statx(b->fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &st))
		fail("statx of", b->args[0]);
}

/* read:PATH:SIZE, one after the other */
static void read_set_up(struct bench *b)
{
	bench_open(b, O_RDONLY);
	b->number = strtoul(b->args[1], NULL, 0);
	b->buf = bench_pages(b->number);
}

static void read_once(struct bench *b)
{
	if (read(b->fd, b->buf, b->number) <= 0)
		fail("reading", b->args[0]);
}

/* memread:PATH:SIZE and memwrite:PATH:SIZE, up to 1 MiB of the test device's memory */
static void mem_set_up(struct bench *b)
{
	struct td_mode mode = { .mode = TD_MODE_MEM };

	open_it(b);
	if (ioctl(b->fd, TD_SET_MODE, &mode))
		fail("TD_SET_MODE of", b->args[0]);
	b->number = strtoul(b->args[1], NULL, 0);
	b->buf = bench_pages(b->number);
}

static void memread_once(struct bench *b)
{
	if (pread(b->fd, b->buf, b->number, 0) != (ssize_t)b->number)
		fail("reading", b->args[0]);
}

static void memwrite_once(struct bench *b)
{
	if (pwrite(b->fd, b->buf, b->number, 0) != (ssize_t)b->number)
		fail("writing", b->args[0]);
}

/* nest:PATH, pointers three deep to memory that has been used before; coldnest:PATH, to new pages each time */
struct nest {
	struct td_top top;
	struct td_mid mid;
	struct td_leaf leaf;
	char text[16];
	char out[64];
};

static void nest_fill(struct nest *n)
{
	strcpy(n->text, "three deep");
	n->leaf = (struct td_leaf){ .text = n->text, .len = 10 };
	n->mid = (struct td_mid){ .leaves = &n->leaf, .count = 1 };
	n->top = (struct td_top){
		.mids = &n->mid, .count = 1, .out = n->out, .out_len = sizeof(n->out)
	};
}

static void nest_set_up(struct bench *b)
{
	open_it(b);
	b->buf = bench_pages(sizeof(struct nest));
	nest_fill(b->buf);
}

static void nest_once(struct bench *b)
{
	struct nest *n = b->buf;

	if (ioctl(b->fd, TD_NEST, &n->top))
		fail("TD_NEST of", b->args[0]);
}

/* each structure in a page of its own, none of them known */
static void coldnest_once(struct bench *b)
{
	char *p = bench_pages(5 * 4096);
	struct td_top *top = (void *)p;
	struct td_mid *mid = (void *)(p + 4096);
	struct td_leaf *leaf = (void *)(p + 8192);

	strcpy(p + 12288, "three deep");
	*leaf = (struct td_leaf){ .text = p + 12288, .len = 10 };
	*mid = (struct td_mid){ .leaves = leaf, .count = 1 };
	*top = (struct td_top){ .mids = mid, .count = 1, .out = p + 16384, .out_len = 64 };
	if (ioctl(b->fd, TD_NEST, top))
		fail("TD_NEST of", b->args[0]);
	munmap(p, 5 * 4096);
}

/* array:PATH:COUNT, a flat array behind one pointer, warm */
static void array_set_up(struct bench *b)
{
	open_it(b);
	b->number = strtoul(b->args[1], NULL, 0);
	b->buf = bench_pages(b->number * sizeof(__u64));
}

static void array_once(struct bench *b)
{
	struct td_array a = { .items = b->buf, .count = (__u32)b->number };

	if (ioctl(b->fd, TD_ARRAY, &a))
		fail("TD_ARRAY of", b->args[0]);
}

/* openclose:PATH */
static void openclose_once(struct bench *b)
{
	open_it(b);
	close(b->fd);
}

const struct kind call_kinds[] = {
	{ "syscall", 0, no_set_up, syscall_once },     { "ioctl", 3, ioctl_set_up, ioctl_once },
	{ "write1", 1, write1_set_up, write1_once },   { "stat", 1, stat_set_up, stat_once },
	{ "read", 2, read_set_up, read_once },	       { "memread", 2, mem_set_up, memread_once },
	{ "memwrite", 2, mem_set_up, memwrite_once },  { "nest", 1, nest_set_up, nest_once },
	{ "coldnest", 1, open_it, coldnest_once },     { "array", 2, array_set_up, array_once },
	{ "openclose", 1, no_set_up, openclose_once }, { NULL, 0, NULL, NULL },
};
