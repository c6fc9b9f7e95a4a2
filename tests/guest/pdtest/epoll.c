// SPDX-License-Identifier: Apache-2.0
/* pdtest: epoll, level and edge triggered. */
#include "pdtest.h"

#include <sys/epoll.h>

static int watch(int e, int op, int fd, unsigned int events)
{
	struct epoll_event event = { .events = events, .data.u32 = 7 };

	return epoll_ctl(e, op, fd, &event);
}

static void say_wait(int e, const char *what, int ms)
{
	struct epoll_event event = { 0 };
	int ret = epoll_wait(e, &event, 1, ms);

	say("%s: %s %#x %u", what, result(ret), event.events, event.data.u32);
}

static int open_quiet(void)
{
	int fd = open_dev(O_RDWR);

	set_mode(fd, TD_MODE_DONE);
	return fd;
}

static void run_level(void)
{
	int fd = open_quiet(), e = epoll_create1(0);

	MUST(watch(e, EPOLL_CTL_ADD, fd, EPOLLIN) == 0);
	say_wait(e, "none", 0);
	set_poll(fd, POLLIN, 30);
	say_wait(e, "later", 10000);
	say_wait(e, "still", 0);
	set_poll(fd, POLLOUT, 0);
	say_wait(e, "other", 0);
	MUST(watch(e, EPOLL_CTL_MOD, fd, EPOLLOUT) == 0);
	say_wait(e, "asked for it", 0);
	set_poll(fd, 0, 0);
	say_wait(e, "gone", 0);
	set_poll(fd, POLLHUP, 20);
	say_wait(e, "hup unasked", 10000);
	say("removed: %s", result(watch(e, EPOLL_CTL_DEL, fd, 0)));
	say_wait(e, "removed", 20);
}

/* One event for each transition. */
static void run_edge(void)
{
	int fd = open_quiet(), e = epoll_create1(0), i;

	MUST(watch(e, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET) == 0);
	say_wait(e, "none", 0);
	for (i = 0; i < 3; i++) {
		set_poll(fd, POLLIN, i == 1 ? 30 : 0);
		say_wait(e, "rise", 10000);
		say_wait(e, "once", 50);
		set_poll(fd, 0, 0);
		say_wait(e, "fall", 20);
	}
	/* What is ready when it is added counts as a transition. */
	set_poll(fd, POLLIN, 0);
	MUST(watch(e, EPOLL_CTL_DEL, fd, 0) == 0);
	MUST(watch(e, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET) == 0);
	say_wait(e, "ready when added", 10000);
	say_wait(e, "once", 50);
}

/* A loop that reads until EAGAIN, as event loops do, misses nothing. */
static void run_drain(void)
{
	int fd = open_dev(O_RDWR | O_NONBLOCK), e = epoll_create1(0), total = 0, waits = 0;
	struct epoll_event event;
	char data[1000];
	pid_t pid;

	MUST(watch(e, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET) == 0);
	pid = pd_fork();
	if (!pid) {
		int i;

		for (i = 0; i < 50; i++) {
			if (write(fd, data, 300) != 300)
				_exit(1);
			nap(i % 5);
		}
		_exit(0);
	}
	while (total < 50 * 300) {
		ssize_t n;

		if (epoll_wait(e, &event, 1, 10000) != 1)
			break;
		waits++;
		while ((n = read(fd, data, sizeof(data))) > 0)
			total += n;
		CHECK(n == -1 && errno == EAGAIN);
	}
	say("child %d, read %d", reap(pid), total);
	CHECK(waits > 0);
}

static void run_oneshot(void)
{
	int fd = open_quiet(), e = epoll_create1(0);

	MUST(watch(e, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLONESHOT) == 0);
	set_poll(fd, POLLIN, 20);
	say_wait(e, "first", 10000);
	say_wait(e, "disarmed", 20);
	MUST(watch(e, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT) == 0);
	say_wait(e, "armed again", 0);
	say_wait(e, "disarmed", 20);
}

/* Closing the file takes it out of the epoll; a duplicate keeps it in. */
static void run_closed(void)
{
	int fd = open_quiet(), copy = dup(fd), w = open_watcher(), e = epoll_create1(0);

	MUST(watch(e, EPOLL_CTL_ADD, fd, EPOLLIN) == 0);
	set_poll(w, POLLIN, 0);
	close(fd);
	say_wait(e, "duplicate open", 0);
	close(copy);
	say_wait(e, "closed", 0);
	say("files: %u", count_of(w, TD_FILES));
}

/* An epoll in an epoll, and one that a poll waits for. */
static void run_nested(void)
{
	int fd = open_quiet(), inner = epoll_create1(0), outer = epoll_create1(0);
	struct pollfd p = { .fd = outer, .events = POLLIN };

	MUST(watch(inner, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET) == 0);
	MUST(watch(outer, EPOLL_CTL_ADD, inner, EPOLLIN) == 0);
	say("none: %s", result(poll(&p, 1, 0)));
	set_poll(fd, POLLIN, 30);
	say("later: %s", result(poll(&p, 1, 10000)));
	say("revents %#x", p.revents);
	say_wait(outer, "outer", 0);
	say_wait(inner, "inner", 0);
	say_wait(inner, "once", 20);
}

static const struct pd_case cases[] = {
	{ "level", run_level, 0 },     { "edge", run_edge, 0 },	    { "drain", run_drain, 0 },
	{ "oneshot", run_oneshot, 0 }, { "closed", run_closed, 0 }, { "nested", run_nested, 0 },
};

PD_GROUP(epoll, "epoll", "epoll, level and edge triggered", 0);
