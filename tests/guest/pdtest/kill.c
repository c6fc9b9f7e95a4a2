// SPDX-License-Identifier: Apache-2.0
/* pdtest: kill -9 while an operation sleeps in the driver. */
#include "pdtest.h"

#include <sys/epoll.h>
#include <sys/select.h>

static int kill_fd;
static struct td_mode full = { .mode = TD_MODE_LOOP, .capacity = 4096, .fsync_blocks = 1 };

static void block_how(enum td_block_how how)
{
	struct td_block block = { .how = how, .timeout_ms = how == TD_BLOCK_UNINTR ? 800 : 0 };

	ioctl(kill_fd, TD_BLOCK, &block);
}

static void op_ioctl(void)
{
	block_how(TD_BLOCK_INTR);
}

static void op_killable(void)
{
	block_how(TD_BLOCK_KILLABLE);
}

static void op_uninterruptible(void)
{
	block_how(TD_BLOCK_UNINTR);
}

static void op_read(void)
{
	char data[10];

	if (read(kill_fd, data, sizeof(data)) < 0)
		_exit(1);
}

static void op_write(void)
{
	static char data[8192];

	if (write(kill_fd, data, sizeof(data)) < 0 || write(kill_fd, data, sizeof(data)) < 0)
		_exit(1);
}

static void op_fsync(void)
{
	fsync(kill_fd);
}

static void op_poll(void)
{
	struct pollfd p = { .fd = kill_fd, .events = POLLPRI };

	poll(&p, 1, -1);
}

static void op_select(void)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(kill_fd, &set);
	select(kill_fd + 1, NULL, NULL, &set, NULL);
}

static void op_epoll(void)
{
	struct epoll_event event = { .events = EPOLLPRI };
	int e = epoll_create1(0);

	if (epoll_ctl(e, EPOLL_CTL_ADD, kill_fd, &event))
		_exit(1);
	epoll_wait(e, &event, 1, -1);
}

static void op_open(void)
{
	open_node("-open", O_RDWR);
}

static void *thread_of(void *op)
{
	((void (*)(void))(uintptr_t)op)();
	return NULL;
}

/* As many threads, each asleep, die at once. */
static void op_threads(void)
{
	pthread_t thread;
	int i;

	for (i = 0; i < 15; i++)
		pthread_create(&thread, NULL, thread_of, (void *)(uintptr_t)op_ioctl);
	op_ioctl();
}

struct victim {
	void (*op)(void);
	enum td_count count; /* what tells that it sleeps; TD_COUNTS: nothing does */
	unsigned int asleep;
};

/*
 * Kill a child whose operation sleeps. It has the file from its parent or has
 * opened it itself; in both cases nothing of it stays behind.
 */
static void kill_one(int w, const struct victim *v, bool own_file)
{
	int fd = own_file ? -1 : open_dev(O_RDWR), *ready = map_shared(sizeof(*ready));
	pid_t pid = pd_fork();

	if (!pid) {
		kill_fd = own_file ? open_dev(O_RDWR) : fd;
		if (ioctl(kill_fd, TD_SET_MODE, &full))
			_exit(1);
		__atomic_store_n(ready, 1, __ATOMIC_SEQ_CST);
		v->op();
		_exit(0);
	}
	while (!__atomic_load_n(ready, __ATOMIC_SEQ_CST))
		nap(1);
	if (v->count == TD_COUNTS)
		nap(100);
	else
		await_count(w, v->count, v->asleep);
	kill_and_reap(pid);
	if (v->count != TD_COUNTS)
		await_count(w, v->count, 0);
	await_count(w, TD_FILES, own_file ? 0 : 1);
	if (!own_file) {
		/* The survivor's file works on. */
		CHECK(ioctl(fd, TD_NOP) == 0);
		close(fd);
		await_count(w, TD_FILES, 0);
	}
	munmap(ready, sizeof(*ready));
}

static void kill_both(const struct victim *v)
{
	int w = open_watcher();

	kill_one(w, v, true);
	kill_one(w, v, false);
	say("gone, files %u, asleep %u", count_of(w, TD_FILES), count_of(w, TD_BLOCKED));
}

#define KILL_CASE(name, what, n)                                   \
	static void run_##name(void)                               \
	{                                                          \
		kill_both(&(struct victim){ op_##name, what, n }); \
	}

KILL_CASE(read, TD_BLOCKED, 1)
KILL_CASE(write, TD_BLOCKED, 1)
KILL_CASE(fsync, TD_BLOCKED, 1)
KILL_CASE(ioctl, TD_BLOCKED, 1)
KILL_CASE(killable, TD_BLOCKED, 1)
KILL_CASE(uninterruptible, TD_BLOCKED, 1)
KILL_CASE(poll, TD_COUNTS, 0)
KILL_CASE(select, TD_COUNTS, 0)
KILL_CASE(epoll, TD_COUNTS, 0)
KILL_CASE(threads, TD_BLOCKED, 16)

static void run_open(void)
{
	struct td_open_set set = { .closed = 1 };
	int w = open_watcher();

	MUST(ioctl(w, TD_OPEN_SET, &set) == 0);
	kill_one(w, &(struct victim){ op_open, TD_OPEN_BLOCKED, 1 }, true);
	set.closed = 0;
	MUST(ioctl(w, TD_OPEN_SET, &set) == 0);
	say("gone, files %u, open %u", count_of(w, TD_FILES), count_of(w, TD_OPEN_LIVE));
}

/* A process dies that is not asleep but in the middle of work. */
static void run_busy(void)
{
	int w = open_watcher(), i;

	for (i = 0; i < 8; i++) {
		pid_t pid = pd_fork();

		if (!pid) {
			int fd = open_dev(O_RDWR);
			char *data = map_pages(256);

			set_mode(fd, TD_MODE_PATTERN);
			for (;;)
				if (pread(fd, data, 256 * PAGE, 0) < 0)
					_exit(1);
		}
		await_count_min(w, TD_READS, 1);
		nap(i * 7);
		kill_and_reap(pid);
		await_count(w, TD_FILES, 0);
	}
	say("gone, files %u", count_of(w, TD_FILES));
}

static const struct pd_case cases[] = {
	{ "read", run_read, 0 },	 { "write", run_write, 0 },
	{ "fsync", run_fsync, 0 },	 { "ioctl", run_ioctl, 0 },
	{ "killable", run_killable, 0 }, { "uninterruptible", run_uninterruptible, 30 },
	{ "poll", run_poll, 0 },	 { "select", run_select, 0 },
	{ "epoll", run_epoll, 0 },	 { "threads", run_threads, 0 },
	{ "open", run_open, 0 },	 { "busy", run_busy, 30 },
};

PD_GROUP(kill, "kill", "kill -9 while an operation sleeps in the driver", PD_ALONE);
