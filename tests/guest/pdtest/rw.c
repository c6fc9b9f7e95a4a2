// SPDX-License-Identifier: Apache-2.0
/* pdtest: read, write and fsync. */
#include "pdtest.h"

static void run_loop(void)
{
	int fd = open_dev(O_RDWR), queued = -1;
	char in[400], out[300];
	struct td_info info;

	fill(out, 1, 0, sizeof(out));
	say("write: %s", result(write(fd, out, sizeof(out))));
	say("FIONREAD: %s", result(ioctl(fd, FIONREAD, &queued)));
	say("queued %d", queued);
	say("read 100: %s", result(read(fd, in, 100)));
	MUST(ioctl(fd, TD_INFO, &info) == 0);
	say("queued %u, asked for %llu", info.queued, (unsigned long long)info.count);
	say("read the rest: %s", result(read(fd, in + 100, 300)));
	CHECK(filled(in, 1, 300));
}

static void run_nonblock(void)
{
	struct td_mode mode = { .mode = TD_MODE_LOOP, .capacity = 8192 };
	int fd = open_dev(O_RDWR | O_NONBLOCK);
	char *data = map_pages(4);

	MUST(ioctl(fd, TD_SET_MODE, &mode) == 0);
	say("read when empty: %s", result(read(fd, data, 10)));
	say("write more than fits: %s", result(write(fd, data, 3 * PAGE)));
	say("write when full: %s", result(write(fd, data, 10)));
	say("read more than there is: %s", result(read(fd, data, 4 * PAGE)));
	say("read when empty: %s", result(read(fd, data, 10)));
	mode.eof = 1;
	MUST(ioctl(fd, TD_SET_MODE, &mode) == 0);
	say("read at the end: %s", result(read(fd, data, 10)));
	/* O_NONBLOCK set later counts as well. */
	mode.eof = 0;
	MUST(ioctl(fd, TD_SET_MODE, &mode) == 0);
	close(fd);
	fd = open_dev(O_RDWR);
	MUST(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	say("O_NONBLOCK by fcntl: %s", result(read(fd, data, 10)));
}

static void run_zero(void)
{
	int fd = open_dev(O_RDWR), p = open_dev(O_RDWR | O_NONBLOCK);
	char byte;

	say("read 0: %s", result(read(fd, &byte, 0)));
	say("write 0: %s", result(write(fd, &byte, 0)));
	say("read 0 to nowhere: %s", result(read(fd, NULL, 0)));
	set_mode(p, TD_MODE_PACKET);
	say("empty record: %s", result(write(p, &byte, 0)));
	say("read it: %s", result(read(p, &byte, 1)));
	say("no more: %s", result(read(p, &byte, 1)));
}

/* Large and odd sizes at odd addresses, content verified byte by byte. */
static void run_sizes(void)
{
	static const size_t sizes[] = {
		1,     7,     511,    4095,    4096,	       4097,
		65535, 65536, 100001, 1 << 20, (4 << 20) + 13, 16 << 20,
	};
	char *data = map_pages((16 << 20) / PAGE + 2);
	int fd = open_dev(O_RDWR);
	size_t i, skew, good;
	ssize_t n;

	set_mode_seed(fd, TD_MODE_PATTERN, 3);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		skew = i * 37 % 4096;
		MUST(lseek(fd, i * 1001, SEEK_SET) == (off_t)(i * 1001));
		n = read(fd, data + skew, sizes[i]);
		good = n > 0 ? matching(data + skew, 3, i * 1001, n) : 0;
		say("read %zu: %s, right %zu, then at %ld", sizes[i], result(n), good,
		    (long)lseek(fd, 0, SEEK_CUR) - (long)(i * 1001));
		MUST(lseek(fd, i * 1001, SEEK_SET) >= 0);
		n = write(fd, data + skew, sizes[i]);
		say("write %zu: %s", sizes[i], result(n));
	}
	data[5000]++;
	MUST(lseek(fd, 11 * 1001, SEEK_SET) >= 0);
	say("a wrong byte is found at: %s", result(write(fd, data + 11 * 37, 16 << 20)));
}

/* Every page's first and last byte, so that no page is missed or doubled. */
static void run_positions(void)
{
	char *data = map_pages(64);
	int fd = open_dev(O_RDWR);
	size_t right = 0;
	int i;

	set_mode_seed(fd, TD_MODE_PATTERN, 4);
	for (i = 0; i < 64; i++)
		right += pread(fd, data + i * PAGE, PAGE, (63 - i) * 70001L) == (ssize_t)PAGE &&
			 matching(data + i * PAGE, 4, (63 - i) * 70001L, PAGE) == PAGE;
	say("pread of 64 pages: %zu right", right);
	say("far: %s", result(pread(fd, data, 100, TD_PATTERN_SIZE - 50)));
	CHECK(matching(data, 4, TD_PATTERN_SIZE - 50, 50) == 50);
	say("at the end: %s", result(pread(fd, data, 100, TD_PATTERN_SIZE)));
	say("position untouched: %ld", (long)lseek(fd, 0, SEEK_CUR));
	say("negative: %s", result(pread(fd, data, 100, -1)));
}

static void run_mem(void)
{
	char *data = map_pages(4);
	int fd = open_dev(O_RDWR);

	set_mode(fd, TD_MODE_MEM);
	fill(data, 6, 0, 10000);
	say("write: %s", result(write(fd, data, 10000)));
	say("pwrite: %s", result(pwrite(fd, data, 5000, 20000)));
	memset(data, 0, 16384);
	say("read after: %s", result(read(fd, data, 100)));
	CHECK(data[0] == 0 && !memcmp(data, data + 100, 100));
	say("pread: %s", result(pread(fd, data, 10000, 0)));
	CHECK(filled(data, 6, 10000));
	say("pread: %s", result(pread(fd, data, 5000, 20000)));
	CHECK(filled(data, 6, 5000));
	say("position: %ld", (long)lseek(fd, 0, SEEK_CUR));
	say("short at the end: %s", result(pwrite(fd, data, 5000, TD_MEM_SIZE - 100)));
	say("past the end: %s", result(pwrite(fd, data, 5000, TD_MEM_SIZE)));
	say("read past the end: %s", result(pread(fd, data, 5000, TD_MEM_SIZE)));
}

static void run_partial(void)
{
	struct td_mode mode = { .mode = TD_MODE_PATTERN, .chunk = 1000 };
	char *data = map_pages(2);
	int fd = open_dev(O_RDWR);

	MUST(ioctl(fd, TD_SET_MODE, &mode) == 0);
	say("read 5000 of at most 1000: %s", result(read(fd, data, 5000)));
	say("and again: %s", result(read(fd, data + 1000, 5000)));
	CHECK(filled(data, 0, 2000));
	say("position %ld", (long)lseek(fd, 0, SEEK_CUR));
	MUST(lseek(fd, 0, SEEK_SET) == 0);
	say("write 2000: %s", result(write(fd, data, 2000)));
}

static void *write_later(void *arg)
{
	int *fds = arg;

	await_count(fds[1], TD_BLOCKED, 1);
	MUST(write(fds[0], "late", 4) == 4);
	return NULL;
}

static void *read_later(void *arg)
{
	int *fds = arg;
	char data[4096];

	await_count(fds[1], TD_BLOCKED, 1);
	MUST(read(fds[0], data, sizeof(data)) == sizeof(data));
	return NULL;
}

/* A read sleeps until another thread writes to the same file, and the reverse. */
static void run_wakes(void)
{
	struct td_mode mode = { .mode = TD_MODE_LOOP, .capacity = 8192 };
	int fds[2] = { open_dev(O_RDWR), open_watcher() };
	char *data = map_pages(2);
	pthread_t thread;

	MUST(ioctl(fds[0], TD_SET_MODE, &mode) == 0);
	MUST(!pthread_create(&thread, NULL, write_later, fds));
	say("read: %s %.4s", result(read(fds[0], data, 100)), data);
	pthread_join(thread, NULL);
	MUST(write(fds[0], data, 8192) == 8192);
	MUST(!pthread_create(&thread, NULL, read_later, fds));
	say("write: %s", result(write(fds[0], data, 100)));
	pthread_join(thread, NULL);
	say("reads %u, writes %u", count_of(fds[1], TD_READS), count_of(fds[1], TD_WRITES));
}

static void run_fsync(void)
{
	struct td_mode mode = { .mode = TD_MODE_LOOP, .fsync_errno = EIO };
	int fd = open_dev(O_RDWR), w = open_watcher();

	say("fsync: %s", result(fsync(fd)));
	say("fdatasync: %s", result(fdatasync(fd)));
	say("counted: %u", count_of(w, TD_FSYNCS));
	MUST(ioctl(fd, TD_SET_MODE, &mode) == 0);
	say("fsync with an error: %s", result(fsync(fd)));
	mode.fsync_errno = ENOSPC;
	MUST(ioctl(fd, TD_SET_MODE, &mode) == 0);
	say("fdatasync with an error: %s", result(fdatasync(fd)));
	say("counted: %u", count_of(w, TD_FSYNCS));
	close(fd);
	/* An O_SYNC file: the kernel calls fsync only where the driver asks for it. */
	fd = open_dev(O_RDWR | O_SYNC);
	say("write with O_SYNC: %s", result(write(fd, "x", 1)));
	say("counted: %u", count_of(w, TD_FSYNCS));
}

/* Reads and writes that fault in the middle give what went before. */
static void run_faulting(void)
{
	char *edge = map_edge(2), *hole = map_pages(3);
	int fd = open_dev(O_RDWR);

	MUST(munmap(hole + PAGE, PAGE) == 0);
	set_mode_seed(fd, TD_MODE_PATTERN, 8);
	say("read over the edge: %s", result(pread(fd, edge, 3 * PAGE, 0)));
	CHECK(filled(edge, 8, 2 * PAGE));
	say("read at an odd place: %s", result(pread(fd, edge + 1000, 3 * PAGE, 0)));
	say("read over a hole: %s", result(pread(fd, hole, 3 * PAGE, 0)));
	say("read past the edge: %s", result(pread(fd, edge + 2 * PAGE, PAGE, 0)));
	say("read to nowhere: %s", result(pread(fd, nowhere, PAGE, 0)));
	say("read to the kernel: %s", result(pread(fd, (char *)-8192, PAGE, 0)));
	fill(edge, 8, 0, 2 * PAGE);
	say("write over the edge: %s", result(pwrite(fd, edge, 3 * PAGE, 0)));
	say("write past the edge: %s", result(pwrite(fd, edge + 2 * PAGE, PAGE, 0)));
	set_mode(fd, TD_MODE_LOOP);
	say("loop write over the edge: %s", result(write(fd, edge + PAGE, 3 * PAGE)));
	say("loop read over the edge: %s", result(read(fd, edge + PAGE + 96, 3 * PAGE)));
	say("loop read of the rest: %s", result(read(fd, edge, 3 * PAGE)));
	set_mode(fd, TD_MODE_PACKET);
	say("record over the edge: %s", result(write(fd, edge + PAGE, 3 * PAGE)));
}

static const struct pd_case cases[] = {
	{ "loop", run_loop, 0 },	   { "nonblock", run_nonblock, 0 },
	{ "zero", run_zero, 0 },	   { "sizes", run_sizes, 0 },
	{ "positions", run_positions, 0 }, { "mem", run_mem, 0 },
	{ "partial", run_partial, 0 },	   { "wakes", run_wakes, 0 },
	{ "fsync", run_fsync, 0 },	   { "faulting", run_faulting, 0 },
};

PD_GROUP(rw, "rw", "read, write and fsync", 0);
