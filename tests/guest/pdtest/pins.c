// SPDX-License-Identifier: Apache-2.0
/* pdtest: pages that the driver keeps past the call. */
#include "pdtest.h"

static const struct {
	const char *name;
	unsigned int flags;
} ways[] = {
	{ "fast", 0 },
	{ "plain", TD_PIN_PLAIN },
	{ "fast long-term", TD_PIN_LONGTERM },
	{ "plain long-term", TD_PIN_PLAIN | TD_PIN_LONGTERM },
};

static long pin(int fd, const void *addr, size_t len, unsigned int flags, unsigned int *id)
{
	struct td_pin p = { .addr = (uintptr_t)addr, .len = len, .flags = flags };
	long ret = ioctl(fd, TD_PIN, &p);

	if (id)
		*id = p.id;
	return ret;
}

static long pin_write(int fd, unsigned int id, unsigned int seed, size_t off, size_t len)
{
	struct td_pin_io io = { .id = id, .seed = seed, .offset = off, .len = len };

	return ioctl(fd, TD_PIN_WRITE, &io);
}

static uint64_t pin_sum(int fd, unsigned int id, size_t off, size_t len)
{
	struct td_pin_io io = { .id = id, .offset = off, .len = len };

	MUST(ioctl(fd, TD_PIN_READ, &io) == 0);
	return io.sum;
}

/* Pin, let the driver write later, read what it wrote; the reverse as well. */
static void run_later(void)
{
	int fd = open_dev(O_RDWR);
	unsigned int id;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		char *p = map_pages(6);

		say("%s: %s", ways[i].name,
		    result(pin(fd, p + 100, 5 * PAGE, ways[i].flags | TD_PIN_WRITABLE, &id)));
		say("%s written: %s", ways[i].name, result(pin_write(fd, id, 3, 0, 5 * PAGE)));
		say("%s right: %zu", ways[i].name, matching(p + 100, 3, 0, 5 * PAGE));
		fill(p + 100, 4, 0, 5 * PAGE);
		CHECK(pin_sum(fd, id, 0, 5 * PAGE) == td_sum(0, p + 100, 5 * PAGE));
		say("%s held: %u", ways[i].name, count_of(fd, TD_PINNED));
		say("%s freed: %s", ways[i].name, result(ioctl(fd, TD_PIN_FREE, id)));
		say("%s held: %u", ways[i].name, count_of(fd, TD_PINNED));
		munmap(p, 6 * PAGE);
	}
	say("freed twice: %s", result(ioctl(fd, TD_PIN_FREE, id)));
	say("written after: %s", result(pin_write(fd, id, 3, 0, 10)));
}

/* What cannot be pinned: the errno, and nothing held. */
static void run_refused(void)
{
	char *edge = map_edge(2), *fixed = map_pages(2);
	int fd = open_dev(O_RDWR);
	size_t i;

	memset(fixed, 1, 2 * PAGE);
	MUST(mprotect(fixed, 2 * PAGE, PROT_READ) == 0);
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		unsigned int w = ways[i].flags | TD_PIN_WRITABLE;

		say("%s over the edge: %s", ways[i].name, result(pin(fd, edge, 3 * PAGE, w, NULL)));
		say("%s past the edge: %s", ways[i].name,
		    result(pin(fd, edge + 2 * PAGE, PAGE, w, NULL)));
		say("%s read-only, to write: %s", ways[i].name,
		    result(pin(fd, fixed, 2 * PAGE, w, NULL)));
		say("%s read-only, to read: %s", ways[i].name,
		    result(pin(fd, fixed, 2 * PAGE, ways[i].flags, NULL)));
		say("%s at nowhere: %s", ways[i].name, result(pin(fd, NULL, PAGE, w, NULL)));
	}
	say("held: %u", count_of(fd, TD_PINNED));
}

/*
 * The program unmaps what the driver still writes to. Natively the pin keeps
 * the pages from everybody else, so nothing that comes after may be touched.
 */
static void run_unmapped(void)
{
	int fd = open_dev(O_RDWR);
	size_t i, k, bad = 0;
	unsigned int id;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		char *p = map_pages(32), *others;

		memset(p, 1, 32 * PAGE);
		MUST(pin(fd, p, 32 * PAGE, ways[i].flags | TD_PIN_WRITABLE, &id) == 32);
		MUST(munmap(p, 32 * PAGE) == 0);
		/* At the same address, and then everywhere: likely to get freed pages. */
		MUST(mmap(p, 32 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
		memset(p, 0x5a, 32 * PAGE);
		others = map_pages(2048);
		memset(others, 0x5a, 2048 * PAGE);
		say("%s written: %s", ways[i].name, result(pin_write(fd, id, 6, 0, 32 * PAGE)));
		for (k = 0; k < 32 * PAGE; k++)
			bad += p[k] != 0x5a;
		for (k = 0; k < 2048 * PAGE; k++)
			bad += others[k] != 0x5a;
		fill(others, 6, 0, 32 * PAGE);
		say("%s kept: %d", ways[i].name,
		    pin_sum(fd, id, 0, 32 * PAGE) == td_sum(0, others, 32 * PAGE));
		MUST(ioctl(fd, TD_PIN_FREE, id) == 0);
		munmap(p, 32 * PAGE);
		munmap(others, 2048 * PAGE);
	}
	say("bytes harmed: %zu", bad);
}

/* A pinned buffer moves, and the driver writes to it where it is now. */
static void run_moved(void)
{
	char *p = map_pages(4), *q = map_pages(8);
	int fd = open_dev(O_RDWR);
	unsigned int id;

	MUST(pin(fd, p, 4 * PAGE, TD_PIN_WRITABLE, &id) == 4);
	MUST(mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
	say("written: %s", result(pin_write(fd, id, 2, 0, 4 * PAGE)));
	say("right at the new place: %zu", matching(q, 2, 0, 4 * PAGE));
	say("the driver at the old place: %s", result(touch(fd, TD_TOUCH_READ, p, PAGE, NULL)));
	MUST(ioctl(fd, TD_PIN_FREE, id) == 0);
}

/* Files in memory, pinned: what the driver writes is in the file. */
static void run_files(void)
{
	int fd = open_dev(O_RDWR), file = memory_file(1, 4 * PAGE);
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	char *back = map_pages(4);
	unsigned int id;

	MUST(p != MAP_FAILED);
	say("pinned: %s", result(pin(fd, p, 4 * PAGE, TD_PIN_WRITABLE | TD_PIN_LONGTERM, &id)));
	MUST(munmap(p, 4 * PAGE) == 0);
	say("written: %s", result(pin_write(fd, id, 9, PAGE, 2 * PAGE)));
	MUST(pread(file, back, 4 * PAGE, 0) == 4 * (long)PAGE);
	say("in the file: %zu, before it %zu", matching(back + PAGE, 9, 0, 2 * PAGE),
	    matching(back, 1, 0, PAGE));
}

/* Many at once, and all of them freed by close. */
static void run_close(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher(), i;
	char *p = map_pages(64);

	for (i = 0; i < 64; i++)
		MUST(pin(fd, p + (i % 60) * PAGE, 4 * PAGE, TD_PIN_WRITABLE, NULL) == 4);
	say("held: %u", count_of(w, TD_PINNED));
	close(fd);
	say("held after close: %u", count_of(w, TD_PINNED));
}

/* The process dies, the file lives on in its parent, and the driver writes. */
static void run_orphans(void)
{
	int fd = open_dev(O_RDWR), *id = map_shared(sizeof(*id));
	pid_t pid = pd_fork();
	char *p;

	if (!pid) {
		p = map_pages(8);
		fill(p, 1, 0, 8 * PAGE);
		_exit(pin(fd, p, 8 * PAGE, TD_PIN_WRITABLE, (unsigned int *)id) == 8 ? 0 : 1);
	}
	say("child: %d", reap(pid));
	p = map_pages(512);
	memset(p, 0x33, 512 * PAGE);
	say("written: %s", result(pin_write(fd, *id, 8, 0, 4 * PAGE)));
	CHECK(!memchr(p, 0, 512 * PAGE) && p[0] == 0x33 && !memcmp(p, p + 1, 512 * PAGE - 1));
	fill(p, 8, 0, 4 * PAGE);
	fill(p + 4 * PAGE, 1, 4 * PAGE, 4 * PAGE);
	say("kept: %d", pin_sum(fd, *id, 0, 8 * PAGE) == td_sum(0, p, 8 * PAGE));
	MUST(ioctl(fd, TD_PIN_FREE, *id) == 0);
}

static pthread_barrier_t closing;

/* Closes the file that it is given, at the same time as somebody opens another. */
static void *closer(void *arg)
{
	pthread_barrier_wait(&closing);
	close(*(int *)arg);
	return NULL;
}

/* A page is pinned and unmapped while another thread closes the last file that was there before. */
static void run_last_closed(void)
{
	char *p, *others = map_pages(512);
	unsigned int id;
	size_t k, bad = 0;
	int i;

	MUST(!pthread_barrier_init(&closing, NULL, 2));
	for (i = 0; i < 20; i++) {
		int old = open_dev(O_RDWR), fd;
		pthread_t thread;

		MUST(!pthread_create(&thread, NULL, closer, &old));
		p = map_pages(8);
		memset(p, 1, 8 * PAGE);
		pthread_barrier_wait(&closing);
		usleep(i * 200);
		fd = open_dev(O_RDWR);
		MUST(pin(fd, p, 8 * PAGE, TD_PIN_WRITABLE, &id) == 8);
		MUST(munmap(p, 8 * PAGE) == 0);
		/* which tells that it is gone */
		MUST(count_of(fd, TD_PINNED) == 8);
		pthread_join(thread, NULL);
		memset(others, 0x5a, 512 * PAGE);
		MUST(pin_write(fd, id, 6, 0, 8 * PAGE) == 0);
		for (k = 0; k < 512 * PAGE; k++)
			bad += others[k] != 0x5a;
		MUST(madvise(others, 512 * PAGE, MADV_DONTNEED) == 0);
		close(fd);
	}
	say("bytes harmed: %zu", bad);
}

/* Many processes use one file, one after the other, which stays open; then somebody opens another. */
static void run_ended(void)
{
	int fd = open_dev(O_RDWR), i, bad = 0;
	struct td_info info;

	for (i = 0; i < 60; i++) {
		pid_t pid = pd_fork();

		if (!pid)
			_exit(ioctl(fd, TD_INFO, &info) ? 1 : 0);
		bad += reap(pid) != 0;
	}
	say("processes whose ioctl failed: %d", bad);
	say("another file: %s", result(ioctl(open_node("", O_RDWR), TD_INFO, &info)));
}

static const struct pd_case cases[] = {
	{ "later", run_later, 0 },
	{ "refused", run_refused, 0 },
	{ "unmapped", run_unmapped, 40 },
	{ "moved", run_moved, 0 },
	{ "files", run_files, 0 },
	{ "close", run_close, 0 },
	{ "orphans", run_orphans, 0 },
	{ "ended", run_ended, 60 },
	{ "last-closed", run_last_closed, 30 },
};

PD_GROUP(pins, "pins", "pages that the driver keeps past the call", 0);
