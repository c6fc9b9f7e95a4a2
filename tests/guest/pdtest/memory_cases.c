// SPDX-License-Identifier: Apache-2.0
/* pdtest: programs change their memory between calls; the driver sees what is there now. */
#include "pdtest.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define HUGE (2UL << 20)

/* What the driver reads at an address is what the program has there. */
static bool sees(int fd, const char *p, size_t len)
{
	struct td_touch t;

	return touch(fd, TD_TOUCH_READ, p, len, &t) == 0 && t.done == len &&
	       t.sum == td_sum(0, p, len);
}

static bool writes(int fd, char *p, size_t len)
{
	memset(p, 0, len);
	return touch(fd, TD_TOUCH_WRITE, p, len, NULL) == 0 && filled(p, 5, len);
}

/* Both sides of a fork write to their own copies of a buffer the driver knows. */
static void run_fork(void)
{
	int fd = open_dev(O_RDWR), i, good = 0;
	char *p = map_pages(16);

	for (i = 0; i < 10; i++) {
		pid_t pid;

		fill(p, i, 0, 16 * PAGE);
		MUST(sees(fd, p, 16 * PAGE) && writes(fd, p, 8 * PAGE));
		fill(p, i, 0, 16 * PAGE);
		pid = pd_fork();
		if (!pid) {
			bool child = filled(p, i, 16 * PAGE) && sees(fd, p, 16 * PAGE);

			fill(p, i + 50, 0, 16 * PAGE);
			child = child && sees(fd, p, 16 * PAGE) && writes(fd, p, 4 * PAGE);
			_exit(child && matching(p + 4 * PAGE, i + 50, 4 * PAGE, 12 * PAGE) ==
						      12 * PAGE ?
				      0 :
				      1);
		}
		/* The parent breaks the sharing, by itself and by the driver. */
		fill(p + 8 * PAGE, i + 70, 0, 4 * PAGE);
		good += sees(fd, p, 16 * PAGE);
		good += touch(fd, TD_TOUCH_WRITE, p, 4 * PAGE, NULL) == 0 && filled(p, 5, 4 * PAGE);
		good += sees(fd, p, 16 * PAGE);
		good += reap(pid) == 0;
		good += filled(p, 5, 4 * PAGE) &&
			matching(p + 4 * PAGE, i, 4 * PAGE, 4 * PAGE) == 4 * PAGE &&
			filled(p + 8 * PAGE, i + 70, 4 * PAGE);
		good += sees(fd, p, 16 * PAGE) && writes(fd, p, 16 * PAGE);
	}
	say("right: %d of 60", good);
}

/* What the driver writes after a fork belongs to the caller alone. */
static void run_fork_driver(void)
{
	int fd = open_dev(O_RDWR), *step = map_shared(sizeof(*step));
	char *p = map_pages(8);
	pid_t pid;

	fill(p, 1, 0, 8 * PAGE);
	MUST(touch(fd, TD_TOUCH_WRITE, p, PAGE, NULL) == 0);
	fill(p, 1, 0, 8 * PAGE);
	pid = pd_fork();
	if (!pid) {
		while (!__atomic_load_n(step, __ATOMIC_SEQ_CST))
			nap(1);
		_exit(filled(p, 1, 8 * PAGE) && sees(fd, p, 8 * PAGE) ? 0 : 1);
	}
	MUST(touch(fd, TD_TOUCH_WRITE, p, 8 * PAGE, NULL) == 0);
	__atomic_store_n(step, 1, __ATOMIC_SEQ_CST);
	say("child %d", reap(pid));
	say("parent %zu", matching(p, 5, 0, 8 * PAGE));
}

/* Unmapped and mapped again at the same address with other content. */
static void run_remapped(void)
{
	int fd = open_dev(O_RDWR), i, good = 0;
	char *p = map_pages(8);

	for (i = 0; i < 100; i++) {
		fill(p, i, 0, 8 * PAGE);
		good += sees(fd, p, 8 * PAGE) && writes(fd, p, 8 * PAGE);
		MUST(munmap(p, 8 * PAGE) == 0);
		MUST(mmap(p, 8 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
		/* Half of the time the driver is the first to touch it. */
		if (i & 1)
			good += touch(fd, TD_TOUCH_WRITE, p, 8 * PAGE, NULL) == 0 &&
				filled(p, 5, 8 * PAGE);
		else
			good += sees(fd, p, 8 * PAGE);
	}
	say("right: %d of 200", good);
}

/* A heap that grows, shrinks and moves. */
static void run_heap(void)
{
	int fd = open_dev(O_RDWR), i, good = 0;
	char *p = NULL;

	for (i = 0; i < 150; i++) {
		size_t size = 1000 + td_word(1, i) % 300000;

		p = realloc(p, size);
		MUST(p);
		fill(p, i, 0, size);
		good += sees(fd, p, size);
		good += writes(fd, p, size);
		if (i % 10 == 9) {
			free(p);
			p = NULL;
		}
	}
	free(p);
	say("right: %d of 300", good);
}

/* First read by the driver (the zero page), then written by the program. */
static void run_zero_page(void)
{
	int fd = open_dev(O_RDWR), i, good = 0;

	for (i = 0; i < 20; i++) {
		char *p = map_pages(8);

		good += sees(fd, p, 8 * PAGE);
		fill(p, i, 0, 8 * PAGE);
		good += sees(fd, p, 8 * PAGE);
		MUST(madvise(p, 8 * PAGE, MADV_DONTNEED) == 0);
		good += sees(fd, p, 8 * PAGE) && p[0] == 0;
		good += touch(fd, TD_TOUCH_WRITE, p, 8 * PAGE, NULL) == 0 && filled(p, 5, 8 * PAGE);
		munmap(p, 8 * PAGE);
	}
	say("right: %d of 80", good);
}

/* Huge pages, made, split and made again. */
static void run_huge(void)
{
	int fd = open_dev(O_RDWR), good = 0, i;
	char *area = map_pages(4 * HUGE / PAGE), *p;

	p = (char *)(((uintptr_t)area + HUGE - 1) & ~(HUGE - 1));
	madvise(p, 2 * HUGE, MADV_HUGEPAGE);
	fill(p, 1, 0, 2 * HUGE);
	good += sees(fd, p, 2 * HUGE);
	good += writes(fd, p + 1234, HUGE);
	MUST(munmap(p + HUGE / 2, 3 * PAGE) == 0);
	good += sees(fd, p, HUGE / 2);
	good += touch(fd, TD_TOUCH_READ, p, HUGE, NULL) == -1 && errno == EFAULT;
	MUST(mprotect(p + HUGE, PAGE, PROT_READ) == 0);
	good += touch(fd, TD_TOUCH_WRITE, p + HUGE - PAGE, 2 * PAGE, NULL) == -1;
	MUST(mprotect(p + HUGE, PAGE, PROT_READ | PROT_WRITE) == 0);
	for (i = 0; i < 2; i++) {
		fill(p + HUGE, i, 0, HUGE);
		good += sees(fd, p + HUGE, HUGE);
		/* Moves the content into other pages; older kernels refuse. */
		madvise(p + HUGE, HUGE, MADV_COLLAPSE);
		good += filled(p + HUGE, i, HUGE) && sees(fd, p + HUGE, HUGE);
		good += writes(fd, p + HUGE, HUGE);
		madvise(p + HUGE, HUGE, MADV_DONTNEED);
	}
	say("right: %d of 11", good);
}

/* Buffers that move to another address, and back. */
static void run_moved(void)
{
	int fd = open_dev(O_RDWR), i, good = 0;
	char *a = map_pages(8), *b = map_pages(8);

	for (i = 0; i < 50; i++) {
		fill(a, i, 0, 8 * PAGE);
		MUST(sees(fd, a, 8 * PAGE));
		MUST(mremap(a, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, b) == b);
		good += touch(fd, TD_TOUCH_READ, a, 10, NULL) == -1;
		good += filled(b, i, 8 * PAGE) && sees(fd, b, 8 * PAGE);
		good += writes(fd, b, 8 * PAGE);
		MUST(mremap(b, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, a) == a);
		good += filled(a, 5, 8 * PAGE) && sees(fd, a, 8 * PAGE);
	}
	say("right: %d of 200", good);
}

/* Files in memory, changed through the file, another mapping or another process. */
static void run_files(void)
{
	int fd = open_dev(O_RDWR), file = memory_file(1, 8 * PAGE), i, good = 0;
	char *p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	char *q = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	char *private = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	char *data = map_pages(8);
	pid_t pid;

	MUST(p != MAP_FAILED && q != MAP_FAILED && private != MAP_FAILED);
	for (i = 0; i < 20; i++) {
		fill(data, i, 0, 8 * PAGE);
		MUST(pwrite(file, data, 8 * PAGE, 0) == 8 * (long)PAGE);
		good += sees(fd, p, 8 * PAGE);
		good += touch(fd, TD_TOUCH_WRITE, p, 3 * PAGE, NULL) == 0 && filled(q, 5, 3 * PAGE);
		q[5 * PAGE]++;
		good += sees(fd, p, 8 * PAGE) && sees(fd, q, 8 * PAGE) &&
			sees(fd, private, 8 * PAGE);
	}
	private[0]++;
	good += sees(fd, private, 8 * PAGE);
	pid = pd_fork();
	if (!pid) {
		fill(q, 30, 0, 8 * PAGE);
		_exit(sees(fd, p, 8 * PAGE) && writes(fd, p + PAGE, PAGE) ? 0 : 1);
	}
	good += reap(pid) == 0;
	good += filled(p, 30, PAGE) && filled(p + PAGE, 5, PAGE) && sees(fd, p, 8 * PAGE);
	say("right: %d of 63", good);
	MUST(ftruncate(file, PAGE) == 0);
	say_touch(fd, "file cut short", TD_TOUCH_READ, p, 8 * PAGE);
	MUST(ftruncate(file, 8 * PAGE) == 0);
	say_touch(fd, "file long again", TD_TOUCH_READ, p, 8 * PAGE);
	CHECK(sees(fd, p, 8 * PAGE) && p[3 * PAGE] == 0);
}

/* The kernel moves pages about; the driver goes by addresses. */
static void run_migrated(void)
{
	int fd = open_dev(O_RDWR), i, good = 0;
	char *p = map_pages(256);

	for (i = 0; i < 5; i++) {
		int compact = open("/proc/sys/vm/compact_memory", O_WRONLY);

		fill(p, i, 0, 256 * PAGE);
		good += sees(fd, p, 256 * PAGE);
		if (compact >= 0) {
			if (write(compact, "1", 1) != 1)
				say("compaction: %s", result(-1));
			close(compact);
		}
		good += filled(p, i, 256 * PAGE) && sees(fd, p, 256 * PAGE);
		good += writes(fd, p, 256 * PAGE);
	}
	say("right: %d of 15", good);
}

struct mapper {
	int fd;
	volatile bool stop;
	int rounds;
};

static void *churn(void *arg)
{
	struct mapper *m = arg;

	while (!m->stop) {
		char *q = map_pages(64);

		memset(q, 1, 64 * PAGE);
		munmap(q, 64 * PAGE);
		m->rounds++;
	}
	return NULL;
}

/* Another thread maps and unmaps elsewhere all the time. */
static void run_churn(void)
{
	struct mapper m = { .fd = open_dev(O_RDWR) };
	char *p = map_pages(16);
	pthread_t thread;
	int i, good = 0;

	MUST(!pthread_create(&thread, NULL, churn, &m));
	for (i = 0; i < 100; i++) {
		fill(p, i, 0, 16 * PAGE);
		good += sees(m.fd, p, 16 * PAGE) && writes(m.fd, p, 16 * PAGE);
	}
	m.stop = true;
	pthread_join(thread, NULL);
	CHECK(m.rounds > 0);
	say("right: %d of 100", good);
}

static const struct pd_case cases[] = {
	{ "fork", run_fork, 0 },	   { "fork-driver", run_fork_driver, 0 },
	{ "remapped", run_remapped, 0 },   { "heap", run_heap, 30 },
	{ "zero-page", run_zero_page, 0 }, { "huge", run_huge, 40 },
	{ "moved", run_moved, 0 },	   { "files", run_files, 0 },
	{ "migrated", run_migrated, 30 },  { "churn", run_churn, 0 },
};

PD_GROUP(memory, "memory", "memory that changes between calls", 0);
