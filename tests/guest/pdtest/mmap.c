// SPDX-License-Identifier: Apache-2.0
/* pdtest: mappings of the device whose pages stay where they are. */
#include "pdtest.h"

#include <sys/uio.h>

static const struct {
	const char *name;
	enum td_map_kind kind;
} kinds[] = {
	{ "ram", TD_MAP_RAM },
	{ "vmalloc", TD_MAP_VMALLOC },
	{ "faulting", TD_MAP_FAULT },
	{ "shared", TD_MAP_SHARED },
};

/* What the driver writes the program sees, and the reverse, page by page. */
static void run_both_ways(void)
{
	int fd = open_dev(O_RDWR), i;
	size_t k, right;
	char *p;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		dev_fill(fd, kinds[k].kind, 1, 0, TD_MAP_SIZE);
		p = map_rw(fd, kinds[k].kind, 0, TD_MAP_PAGES);
		say("%s: driver to program %zu", kinds[k].name, matching(p, 1, 0, TD_MAP_SIZE));
		fill(p, 2, 0, TD_MAP_SIZE);
		say("%s: program to driver %d", kinds[k].name,
		    dev_sum(fd, kinds[k].kind, 0, TD_MAP_SIZE) == td_sum(0, p, TD_MAP_SIZE));
		for (right = 0, i = 0; i < 20; i++) {
			dev_fill(fd, kinds[k].kind, i, i * 3 * PAGE, PAGE);
			right += matching(p + i * 3 * PAGE, i, 0, PAGE) == PAGE;
			p[i * 3 * PAGE + 9]++;
			right += dev_sum(fd, kinds[k].kind, i * 3 * PAGE, PAGE) ==
				 td_sum(0, p + i * 3 * PAGE, PAGE);
		}
		say("%s: in turns %zu", kinds[k].name, right);
		munmap(p, TD_MAP_SIZE);
		p = map_rw(fd, kinds[k].kind, 7, 3);
		fill(p, 9, 0, 3 * PAGE);
		say("%s: in the middle %d", kinds[k].name,
		    dev_sum(fd, kinds[k].kind, 7 * PAGE, 3 * PAGE) == td_sum(0, p, 3 * PAGE));
		munmap(p, 3 * PAGE);
	}
}

static void run_errors(void)
{
	int fd = open_dev(O_RDWR), r = open_dev(O_RDONLY), w = open_dev(O_WRONLY), e, right = 0;
	char *p;

#define SAY_MAP(what, ...)                                          \
	do {                                                        \
		p = map_dev(__VA_ARGS__);                           \
		say(what ": %s", result(p == MAP_FAILED ? -1 : 0)); \
		if (p != MAP_FAILED)                                \
			munmap(p, PAGE);                            \
	} while (0)

	for (e = 1; e <= 133; e++) {
		p = map_dev(fd, TD_MAP_ERRNO, e, 1, PROT_READ, MAP_SHARED);
		if (p == MAP_FAILED && errno == e)
			right++;
		else
			say("errno %d: %s", e, result(p == MAP_FAILED ? -1 : 0));
	}
	say("errnos 1 to 133: %d right", right);
	SAY_MAP("beyond the buffer", fd, TD_MAP_RAM, 60, 5, PROT_READ, MAP_SHARED);
	SAY_MAP("far beyond", fd, TD_MAP_RAM, 100, 1, PROT_READ, MAP_SHARED);
	SAY_MAP("no such kind", fd, TD_MAP_KINDS, 0, 1, PROT_READ, MAP_SHARED);
	SAY_MAP("O_RDONLY to write", r, TD_MAP_RAM, 0, 1, PROT_READ | PROT_WRITE, MAP_SHARED);
	SAY_MAP("O_WRONLY to read", w, TD_MAP_RAM, 0, 1, PROT_READ, MAP_SHARED);
	SAY_MAP("O_WRONLY to write", w, TD_MAP_RAM, 0, 1, PROT_WRITE, MAP_SHARED);
	SAY_MAP("no access", fd, TD_MAP_RAM, 0, 1, PROT_NONE, MAP_SHARED);
	SAY_MAP("length 0", fd, TD_MAP_RAM, 0, 0, PROT_READ, MAP_SHARED);
	say("alive: %d", count_of(fd, TD_MAPS) != 0);
}

/* A file open to read: its mapping shows the driver's writes, and takes none. */
static void run_readonly_file(void)
{
	int fd = open_dev(O_RDONLY);
	char *p = map_dev(fd, TD_MAP_RAM, 0, 2, PROT_READ, MAP_SHARED);

	say("mmap: %s", result(p == MAP_FAILED ? -1 : 0));
	if (p == MAP_FAILED)
		return;
	dev_fill(fd, TD_MAP_RAM, 6, 0, 2 * PAGE);
	say("right: %zu", matching(p, 6, 0, 2 * PAGE));
	say("mprotect: %s", result(mprotect(p, 2 * PAGE, PROT_READ | PROT_WRITE)));
	say("a write: signal %d", probe_write(p));
}

/* The driver frees no buffer that is mapped; munmap is over when it returns. */
static void run_live(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher();
	size_t k;
	char *p, *q;

	for (k = 0; k < 3; k++) {
		p = map_rw(fd, kinds[k].kind, 0, 8);
		q = map_rw(fd, kinds[k].kind, 4, 8);
		p[0] = q[0] = 1;
		say("%s: free %s, alive %d", kinds[k].name,
		    result(ioctl(fd, TD_MAP_FREE, kinds[k].kind)), count_of(w, TD_MAPS) != 0);
		munmap(p, 8 * PAGE);
		say("%s: free %s, alive %d", kinds[k].name,
		    result(ioctl(fd, TD_MAP_FREE, kinds[k].kind)), count_of(w, TD_MAPS) != 0);
		munmap(q, 8 * PAGE);
		say("%s: alive %d, free %s", kinds[k].name, maps_left(w) != 0,
		    result(ioctl(fd, TD_MAP_FREE, kinds[k].kind)));
		/* A mapping that nobody touched counts as well. */
		p = map_rw(fd, kinds[k].kind, 0, 1);
		say("%s: untouched, free %s", kinds[k].name,
		    result(ioctl(fd, TD_MAP_FREE, kinds[k].kind)));
		munmap(p, PAGE);
		say("%s: free %s", kinds[k].name, result(ioctl(fd, TD_MAP_FREE, kinds[k].kind)));
	}
}

/* The file is closed, the mapping lives; release comes with its end. */
static void run_outlives(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher();
	unsigned int left;
	char *p;

	dev_fill(fd, TD_MAP_RAM, 5, 0, TD_MAP_SIZE);
	p = map_rw(fd, TD_MAP_RAM, 0, 4);
	close(fd);
	say("closed: files %u, right %zu", count_of(w, TD_FILES), matching(p, 5, 0, 4 * PAGE));
	p[100] = 1;
	munmap(p, 4 * PAGE);
	left = maps_left(w);
	say("unmapped: files %u, alive %u", count_of(w, TD_FILES), left);
}

static void run_single(void)
{
	int fd = open_dev(O_RDWR);
	char *p, *q;

	p = map_rw(fd, TD_MAP_SINGLE, 0, 4);
	p[0] = 1;
	q = map_dev(fd, TD_MAP_SINGLE, 0, 4, PROT_READ, MAP_SHARED);
	say("second: %s", result(q == MAP_FAILED ? -1 : 0));
	fill(p, 4, 0, 4 * PAGE);
	say("first: %d", dev_sum(fd, TD_MAP_SINGLE, 0, 4 * PAGE) == td_sum(0, p, 4 * PAGE));
	munmap(p, 4 * PAGE);
	q = map_dev(fd, TD_MAP_SINGLE, 0, 4, PROT_READ, MAP_SHARED);
	say("afterwards: %s, right %zu", result(q == MAP_FAILED ? -1 : 0),
	    matching(q, 4, 0, 4 * PAGE));
}

static void run_readonly(void)
{
	int fd = open_dev(O_RDWR);
	char *p;

	p = map_dev(fd, TD_MAP_READONLY, 0, 4, PROT_READ | PROT_WRITE, MAP_SHARED);
	say("to write: %s", result(p == MAP_FAILED ? -1 : 0));
	dev_fill(fd, TD_MAP_READONLY, 3, 0, TD_MAP_SIZE);
	p = map_dev(fd, TD_MAP_READONLY, 0, 4, PROT_READ, MAP_SHARED);
	say("to read: %s", result(p == MAP_FAILED ? -1 : 0));
	if (p == MAP_FAILED)
		return;
	say("right %zu", matching(p, 3, 0, 4 * PAGE));
	say("a write: signal %d", probe_write(p));
	say("mprotect: %s", result(mprotect(p, 4 * PAGE, PROT_READ | PROT_WRITE)));
	say("a write: signal %d", probe_write(p));
	dev_fill(fd, TD_MAP_READONLY, 4, 0, TD_MAP_SIZE);
	say("right: %zu", matching(p, 4, 0, 4 * PAGE));
}

static void run_protection(void)
{
	int fd = open_dev(O_RDWR);
	char *p = map_rw(fd, TD_MAP_RAM, 0, 4);

	fill(p, 1, 0, 4 * PAGE);
	say("read-only: %s", result(mprotect(p + PAGE, PAGE, PROT_READ)));
	say("read %d, write %d, write beside %d %d", probe_read(p + PAGE), probe_write(p + PAGE),
	    probe_write(p), probe_write(p + 2 * PAGE));
	say("closed: %s", result(mprotect(p + PAGE, PAGE, PROT_NONE)));
	say("read %d, read beside %d", probe_read(p + PAGE), probe_read(p + 2 * PAGE));
	say("opened: %s", result(mprotect(p, 4 * PAGE, PROT_READ | PROT_WRITE)));
	say("write %d, right %zu", probe_write(p + PAGE), matching(p, 1, 0, 4 * PAGE));
	say("a mapping made closed: %d",
	    (p = map_dev(fd, TD_MAP_RAM, 0, 1, PROT_NONE, MAP_SHARED)) != MAP_FAILED);
	say("read %d", probe_read(p));
	say("opened: %s", result(mprotect(p, PAGE, PROT_READ | PROT_WRITE)));
	say("write %d, right %zu", probe_write(p), matching(p, 1, 0, PAGE));
}

/* Unmap pieces at the ends and in the middle: the rest works, and still counts. */
static void run_split(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher();
	size_t k;

	for (k = 0; k < 3; k++) {
		char *p = map_rw(fd, kinds[k].kind, 0, 16);

		dev_fill(fd, kinds[k].kind, 7, 0, TD_MAP_SIZE);
		MUST(munmap(p + 6 * PAGE, 3 * PAGE) == 0);
		say("%s: before %zu, after %zu, hole signal %d", kinds[k].name,
		    matching(p, 7, 0, 6 * PAGE), matching(p + 9 * PAGE, 7, 9 * PAGE, 7 * PAGE),
		    probe_read(p + 7 * PAGE));
		MUST(munmap(p, 2 * PAGE) == 0 && munmap(p + 14 * PAGE, 2 * PAGE) == 0);
		dev_fill(fd, kinds[k].kind, 8, 0, TD_MAP_SIZE);
		say("%s: before %zu, after %zu, free %s", kinds[k].name,
		    matching(p + 2 * PAGE, 8, 2 * PAGE, 4 * PAGE),
		    matching(p + 9 * PAGE, 8, 9 * PAGE, 5 * PAGE),
		    result(ioctl(fd, TD_MAP_FREE, kinds[k].kind)));
		MUST(munmap(p + 2 * PAGE, 4 * PAGE) == 0);
		p[9 * PAGE] = 1;
		say("%s: free %s", kinds[k].name, result(ioctl(fd, TD_MAP_FREE, kinds[k].kind)));
		MUST(munmap(p + 9 * PAGE, 5 * PAGE) == 0);
		say("%s: alive %u, free %s", kinds[k].name, maps_left(w),
		    result(ioctl(fd, TD_MAP_FREE, kinds[k].kind)));
	}
}

static void run_remap(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher();
	char *p, *q;
	size_t k;

	for (k = 0; k < 3; k++) {
		p = map_rw(fd, kinds[k].kind, 0, 16);
		dev_fill(fd, kinds[k].kind, 11, 0, TD_MAP_SIZE);
		p[0] = p[0];
		q = map_pages(16);
		MUST(mremap(p, 16 * PAGE, 16 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
		say("%s: moved %zu, old place signal %d", kinds[k].name,
		    matching(q, 11, 0, 16 * PAGE), probe_read(p));
		fill(q, 12, 0, 16 * PAGE);
		say("%s: moved, to the driver %d", kinds[k].name,
		    dev_sum(fd, kinds[k].kind, 0, 16 * PAGE) == td_sum(0, q, 16 * PAGE));
		p = mremap(q, 16 * PAGE, 5 * PAGE, 0);
		MUST(p == q);
		say("%s: shrunk %zu, beyond signal %d", kinds[k].name, matching(p, 12, 0, 5 * PAGE),
		    probe_read(p + 5 * PAGE));
		p = mremap(q, 5 * PAGE, 6 * PAGE, MREMAP_MAYMOVE);
		say("%s: grown %s", kinds[k].name, result(p == MAP_FAILED ? -1 : 0));
		/* A piece of the middle moves away. */
		p = map_pages(1);
		MUST(mremap(q + 2 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p);
		say("%s: piece %zu, hole signal %d, rest %zu", kinds[k].name,
		    matching(p, 12, 2 * PAGE, PAGE), probe_read(q + 2 * PAGE),
		    matching(q + 3 * PAGE, 12, 3 * PAGE, 2 * PAGE));
		munmap(p, PAGE);
		munmap(q, 5 * PAGE);
		say("%s: alive %u", kinds[k].name, maps_left(w));
	}
}

/* Mapped over another mapping, at a given place. */
static void run_fixed(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher();
	char *p = map_pages(8);

	fill(p, 1, 0, 8 * PAGE);
	dev_fill(fd, TD_MAP_RAM, 2, 0, TD_MAP_SIZE);
	MUST(mmap(p + 2 * PAGE, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		  (off_t)TD_MAP_RAM * TD_MAP_SPAN) == p + 2 * PAGE);
	say("before %zu, inside %zu, after %zu", matching(p, 1, 0, 2 * PAGE),
	    matching(p + 2 * PAGE, 2, 0, 3 * PAGE), matching(p + 5 * PAGE, 1, 5 * PAGE, 3 * PAGE));
	say_touch(fd, "across all three", TD_TOUCH_READ, p + PAGE, 6 * PAGE);
	MUST(mmap(p + 3 * PAGE, PAGE, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + 3 * PAGE);
	say("over it: %d, beside %zu", p[3 * PAGE], matching(p + 4 * PAGE, 2, 2 * PAGE, PAGE));
	munmap(p, 8 * PAGE);
	say("alive %u", maps_left(w));
}

/* fork: child and parent see the same pages; each unmaps its own. */
static void run_fork(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher();
	int *unmapped = map_shared(sizeof(*unmapped));
	size_t k;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		char *p = map_rw(fd, kinds[k].kind, 0, 8);
		pid_t pid;

		*unmapped = 0;
		dev_fill(fd, kinds[k].kind, 3, 0, 8 * PAGE);
		p[0] = p[0];
		pid = pd_fork();
		if (!pid) {
			bool good = filled(p, 3, 8 * PAGE);

			fill(p, 4, 0, 4 * PAGE);
			good = good &&
			       dev_sum(fd, kinds[k].kind, 0, 4 * PAGE) == td_sum(0, p, 4 * PAGE);
			munmap(p, 2 * PAGE);
			_exit(good ? 0 : 1);
		}
		say("%s: child %d", kinds[k].name, reap(pid));
		say("%s: parent %zu %zu", kinds[k].name, matching(p, 4, 0, 4 * PAGE),
		    matching(p + 4 * PAGE, 3, 4 * PAGE, 4 * PAGE));
		/* The child keeps it when the parent lets go. */
		pid = pd_fork();
		if (!pid) {
			while (!__atomic_load_n(unmapped, __ATOMIC_SEQ_CST))
				nap(1);
			_exit(filled(p, 4, 4 * PAGE) ? 0 : 1);
		}
		munmap(p, 8 * PAGE);
		if (kinds[k].kind != TD_MAP_SHARED)
			say("%s: free %s", kinds[k].name,
			    result(ioctl(fd, TD_MAP_FREE, kinds[k].kind)));
		__atomic_store_n(unmapped, 1, __ATOMIC_SEQ_CST);
		say("%s: child %d", kinds[k].name, reap(pid));
		await_count(w, TD_MAPS, 0);
	}
	say("alive %u", count_of(w, TD_MAPS));
}

static void run_advice(void)
{
	int fd = open_dev(O_RDWR);
	char *p = map_rw(fd, TD_MAP_FAULT, 0, 8);

	fill(p, 6, 0, 8 * PAGE);
	/* Some kernels and kinds refuse it; the content is the driver's anyway. */
	madvise(p, 8 * PAGE, MADV_DONTNEED);
	say("MADV_DONTNEED: %zu", matching(p, 6, 0, 8 * PAGE));
	dev_fill(fd, TD_MAP_FAULT, 7, 0, 8 * PAGE);
	madvise(p + 2 * PAGE, PAGE, MADV_DONTNEED);
	say("MADV_DONTNEED: %zu", matching(p, 7, 0, 8 * PAGE));
	say("MADV_DONTFORK: %s", result(madvise(p, 8 * PAGE, MADV_DONTFORK)));
	say("msync: %s", result(msync(p, 8 * PAGE, MS_SYNC)));
}

/* Mappings as the buffers of other calls, the device's own included. */
static void run_as_buffer(void)
{
	int fd = open_dev(O_RDWR), other = open_dev(O_RDWR), file, pipes[2];
	char *back = map_pages(8);
	size_t k;

	set_mode_seed(other, TD_MODE_PATTERN, 14);
	MUST(pipe(pipes) == 0);
	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		char *p = map_rw(fd, kinds[k].kind, 0, 8);

		file = memory_file(13, 8 * PAGE);
		say("%s: file into it %s", kinds[k].name, result(pread(file, p, 8 * PAGE, 0)));
		say("%s: right %d", kinds[k].name,
		    dev_sum(fd, kinds[k].kind, 0, 8 * PAGE) == td_sum(0, p, 8 * PAGE) &&
			    filled(p, 13, 8 * PAGE));
		say("%s: pattern into it %s", kinds[k].name,
		    result(pread(other, p + 5, 7 * PAGE, 0)));
		say("%s: right %zu", kinds[k].name, matching(p + 5, 14, 0, 7 * PAGE));
		say("%s: out of it %s", kinds[k].name, result(pwrite(other, p + 5, 7 * PAGE, 0)));
		say("%s: to a file %s", kinds[k].name, result(pwrite(file, p + 5, 7 * PAGE, 0)));
		MUST(pread(file, back, 7 * PAGE, 0) == 7 * (long)PAGE);
		CHECK(filled(back, 14, 7 * PAGE));
		say("%s: to a pipe %s", kinds[k].name, result(write(pipes[1], p, 5000)));
		say("%s: and back %s", kinds[k].name, result(read(pipes[0], p + 20000, 5000)));
		CHECK(!memcmp(p, p + 20000, 5000));
		/* On the very file that it is a mapping of. */
		MUST(write(fd, p, 3 * PAGE) == 3 * (long)PAGE);
		memset(p, 0, 3 * PAGE);
		say("%s: its own file %s", kinds[k].name, result(read(fd, p + 100, 3 * PAGE)));
		CHECK(!memcmp(p + 105, back, 2 * PAGE));
		say_touch(fd, kinds[k].name, TD_TOUCH_WRITE, p, 8 * PAGE);
		CHECK(filled(p, 5, 8 * PAGE));
		munmap(p, 8 * PAGE);
		close(file);
	}
}

/* Two files: one buffer each, or one for the group. */
static void run_files(void)
{
	int a = open_dev(O_RDWR), b = open_dev(O_RDWR);
	char *pa = map_rw(a, TD_MAP_RAM, 0, 2), *pb = map_rw(b, TD_MAP_RAM, 0, 2);

	fill(pa, 1, 0, 2 * PAGE);
	fill(pb, 2, 0, 2 * PAGE);
	say("own: %zu %zu", matching(pa, 1, 0, 2 * PAGE), matching(pb, 2, 0, 2 * PAGE));
	pa = map_rw(a, TD_MAP_SHARED, 0, 2);
	pb = map_rw(b, TD_MAP_SHARED, 0, 2);
	fill(pa, 3, 0, 2 * PAGE);
	say("shared: %zu", matching(pb, 3, 0, 2 * PAGE));
	pb[50]++;
	say("back: %zu", matching(pa, 3, 0, 2 * PAGE));
}

/* A buffer that its driver maps from its begin only, larger than others. */
static void run_large(void)
{
	int fd = open_dev(O_RDWR);
	const size_t n = TD_MAP_LARGE_SIZE / PAGE;
	char *p = map_rw(fd, TD_MAP_LARGE, 0, n), *q;
	size_t i, right = 0;

	for (i = 0; i < n; i++)
		*(volatile size_t *)(p + i * PAGE) = i;
	q = map_rw(fd, TD_MAP_LARGE, 0, n);
	for (i = 0; i < n; i++)
		right += *(volatile size_t *)(q + i * PAGE) == i;
	say("pages that are right: %zu of %zu", right, n);
	p = map_dev(fd, TD_MAP_LARGE, 1, 1, PROT_READ, MAP_SHARED);
	say("from its middle: %s", result(p == MAP_FAILED ? -1 : 0));
}

/* Memory of more pieces than a message can speak of is read into, and given back. */
static void use_pieces(int fd)
{
	static struct iovec v[300];
	char *p = map_pages(2 * ARRAY_SIZE(v));
	size_t i;

	for (i = 0; i < ARRAY_SIZE(v); i++)
		v[i] = (struct iovec){ p + 2 * i * PAGE, 10 };
	MUST(preadv(fd, v, ARRAY_SIZE(v), 0) == 10 * ARRAY_SIZE(v));
	MUST(munmap(p, 2 * ARRAY_SIZE(v) * PAGE) == 0);
}

/* Much memory was given back just before the mappings change. */
static void run_after_pieces(void)
{
	int fd = open_dev(O_RDWR);
	char *p, *q;

	set_mode_seed(fd, TD_MODE_PATTERN, 2);
	dev_fill(fd, TD_MAP_RAM, 4, 0, 4 * PAGE);
	use_pieces(fd);
	p = map_rw(fd, TD_MAP_RAM, 0, 4);
	say("mapped: %zu", matching(p, 4, 0, 4 * PAGE));
	q = map_pages(4);
	use_pieces(fd);
	MUST(mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
	say("moved: %zu", matching(q, 4, 0, 4 * PAGE));
	use_pieces(fd);
	say("unmapped: %s", result(munmap(q, 4 * PAGE)));
	say("alive: %u", maps_left(fd));
}

static const struct pd_case cases[] = {
	{ "both-ways", run_both_ways, 0 },
	{ "errors", run_errors, 0 },
	{ "live", run_live, 0 },
	{ "outlives", run_outlives, 0 },
	{ "single", run_single, 0 },
	{ "readonly", run_readonly, 0 },
	{ "readonly-file", run_readonly_file, 0 },
	{ "protection", run_protection, 0 },
	{ "split", run_split, 0 },
	{ "remap", run_remap, 0 },
	{ "fixed", run_fixed, 0 },
	{ "fork", run_fork, 0 },
	{ "advice", run_advice, 0 },
	{ "as-buffer", run_as_buffer, 0 },
	{ "files", run_files, 0 },
	{ "large", run_large, 0 },
	{ "after-pieces", run_after_pieces, 0 },
};

PD_GROUP(mmap, "mmap", "mappings of RAM pages", 0);
