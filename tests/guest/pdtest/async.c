// SPDX-License-Identifier: Apache-2.0
/* pdtest: jobs submitted by an ioctl and completed later. */
#include "pdtest.h"

static long submit(int fd, void *addr, size_t len, uint64_t cookie, unsigned int delay_ms)
{
	struct td_submit s = {
		.addr = (uintptr_t)addr,
		.len = len,
		.cookie = cookie,
		.delay_ms = delay_ms,
		.seed = (unsigned int)cookie,
	};

	return ioctl(fd, TD_SUBMIT, &s);
}

static void say_done(int fd, const char *what)
{
	struct td_done done = { 0 };
	long ret = read(fd, &done, sizeof(done));

	say("%s: %s cookie %llu result %d", what, result(ret), (unsigned long long)done.cookie,
	    done.result);
}

static void run_complete(void)
{
	int fd = open_dev(O_RDWR);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char *data = map_pages(8);
	uint64_t never = 99;

	set_mode(fd, TD_MODE_DONE);
	MUST(submit(fd, data + 7 * PAGE, PAGE, never, 9000) == 0);
	say("poll at once: %s", result(poll(&p, 1, 0)));
	say("submit: %s", result(submit(fd, data + 10, 5 * PAGE, 7, 50)));
	say("poll: %s", result(poll(&p, 1, 10000)));
	say("revents %#x", p.revents);
	say_done(fd, "done");
	say("right: %zu", matching(data + 10, 7, 0, 5 * PAGE));
	say("poll: %s", result(poll(&p, 1, 0)));
	say("cancel: %s", result(ioctl(fd, TD_CANCEL, &never)));
	say_done(fd, "cancelled");
	say("held: %u", count_of(fd, TD_PINNED));
	say("a small read: %s", result(read(fd, data, 5)));
	say("bad memory: %s", result(submit(fd, NULL, 100, 8, 0)));
}

/* The read sleeps until a job ends. */
static void run_blocking(void)
{
	int fd = open_dev(O_RDWR);
	char *data = map_pages(8);
	uint64_t slow = 2;

	set_mode(fd, TD_MODE_DONE);
	MUST(submit(fd, data, 3 * PAGE, slow, 9000) == 0);
	MUST(submit(fd, data + 4 * PAGE, 3 * PAGE, 1, 80) == 0);
	say_done(fd, "first");
	say("right: %zu", matching(data + 4 * PAGE, 1, 0, 3 * PAGE));
	MUST(ioctl(fd, TD_CANCEL, &slow) == 0);
	say_done(fd, "second");
	say("untouched: %d", data[0] == 0 && data[3 * PAGE - 1] == 0);
	MUST(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	say_done(fd, "no more");
}

/* The memory is gone from the program when the job writes to it. */
static void run_unmapped(void)
{
	int fd = open_dev(O_RDWR);
	char *data = map_pages(16);
	size_t i, bad = 0;

	set_mode(fd, TD_MODE_DONE);
	memset(data, 1, 16 * PAGE);
	MUST(submit(fd, data, 16 * PAGE, 3, 100) == 0);
	MUST(munmap(data, 16 * PAGE) == 0);
	MUST(mmap(data, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		  -1, 0) == data);
	memset(data, 0x77, 16 * PAGE);
	say_done(fd, "done");
	for (i = 0; i < 16 * PAGE; i++)
		bad += data[i] != 0x77;
	say("bytes harmed: %zu", bad);
}

static void run_cancel(void)
{
	uint64_t cookie = 5;
	int fd = open_dev(O_RDWR);
	char *data = map_pages(2);

	set_mode(fd, TD_MODE_DONE);
	MUST(submit(fd, data, PAGE, 5, 9000) == 0);
	say("jobs: %u", count_of(fd, TD_JOBS));
	say("cancel: %s", result(ioctl(fd, TD_CANCEL, &cookie)));
	say_done(fd, "cancelled");
	say("again: %s", result(ioctl(fd, TD_CANCEL, &cookie)));
	say("untouched: %d", data[0] == 0);
}

/* Many in flight; close ends what is left, which takes longer than all before. */
static void run_many(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher(), i, right = 0;
	char *data = map_pages(100);
	struct td_done done[10];

	set_mode(fd, TD_MODE_DONE);
	for (i = 0; i < 100; i++)
		MUST(submit(fd, data + i * PAGE, PAGE, i, i < 50 ? i % 7 : 60000) == 0);
	for (i = 0; i < 50; i++) {
		MUST(read(fd, done, sizeof(done)) == sizeof(done[0]));
		right += done[0].result == (int)PAGE && done[0].cookie < 50 &&
			 filled(data + done[0].cookie * PAGE, done[0].cookie, PAGE);
	}
	say("right: %d, left: %u jobs, %u pages", right, count_of(w, TD_JOBS),
	    count_of(w, TD_PINNED));
	close(fd);
	say("after close: %u jobs, %u pages", count_of(w, TD_JOBS), count_of(w, TD_PINNED));
}

static const struct pd_case cases[] = {
	{ "complete", run_complete, 0 }, { "blocking", run_blocking, 0 },
	{ "unmapped", run_unmapped, 0 }, { "cancel", run_cancel, 0 },
	{ "many", run_many, 0 },
};

PD_GROUP(async, "async", "jobs submitted by an ioctl and completed later", 0);
