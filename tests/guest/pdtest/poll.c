// SPDX-License-Identifier: Apache-2.0
/* pdtest: poll and select. */
#include "pdtest.h"

#include <sys/select.h>

static int poll_for(int fd, short events, int ms, short *revents)
{
	struct pollfd p = { .fd = fd, .events = events };
	int ret = poll(&p, 1, ms);

	*revents = p.revents;
	return ret;
}

static void say_poll(int fd, const char *what, short events, int ms)
{
	short revents;
	int ret = poll_for(fd, events, ms, &revents);

	say("%s: %s %#x", what, result(ret), revents);
}

/* In this mode the file itself says nothing. */
static int open_quiet(int flags)
{
	int fd = open_dev(flags);

	set_mode(fd, TD_MODE_DONE);
	return fd;
}

static void run_masks(void)
{
	static const unsigned int masks[] = {
		0,
		POLLIN,
		POLLOUT,
		POLLPRI,
		POLLERR,
		POLLHUP,
		POLLIN | POLLOUT,
		POLLIN | POLLHUP,
		POLLRDNORM | POLLWRNORM,
		POLLRDBAND,
		POLLWRBAND,
		POLLRDHUP,
		POLLIN | POLLOUT | POLLPRI | POLLERR | POLLHUP,
	};
	int fd = open_quiet(O_RDWR), w = open_watcher();
	char what[32];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		set_poll(w, masks[i], 0);
		snprintf(what, sizeof(what), "mask %#x, all asked", masks[i]);
		say_poll(fd, what, 0x7fff & ~POLLNVAL, 0);
		snprintf(what, sizeof(what), "mask %#x, POLLIN asked", masks[i]);
		say_poll(fd, what, POLLIN, 0);
		snprintf(what, sizeof(what), "mask %#x, none asked", masks[i]);
		say_poll(fd, what, 0, 0);
	}
	CHECK(count_of(w, TD_POLLS) > 0);
}

/* A mask is true when it is told: it follows every operation at once. */
static void run_follows(void)
{
	struct td_mode mode = { .mode = TD_MODE_LOOP, .capacity = 4096 };
	int fd = open_dev(O_RDWR), i;
	char *data = map_pages(1);

	MUST(ioctl(fd, TD_SET_MODE, &mode) == 0);
	for (i = 0; i < 3; i++) {
		say_poll(fd, "empty", POLLIN | POLLOUT, 0);
		MUST(write(fd, data, 100) == 100);
		say_poll(fd, "some", POLLIN | POLLOUT, 0);
		MUST(write(fd, data, 3996) == 3996);
		say_poll(fd, "full", POLLIN | POLLOUT, 0);
		MUST(read(fd, data, 4096) == 4096);
	}
	mode.eof = 1;
	MUST(ioctl(fd, TD_SET_MODE, &mode) == 0);
	say_poll(fd, "end", POLLIN | POLLOUT, 0);
	set_mode(fd, TD_MODE_PACKET);
	say_poll(fd, "records", POLLIN | POLLOUT, 0);
	MUST(write(fd, data, 0) == 0);
	say_poll(fd, "an empty record", POLLIN | POLLOUT, 0);
}

/* A sleeping poll wakes by the driver's timer. */
static void run_timer(void)
{
	int fd = open_quiet(O_RDWR), i;

	for (i = 0; i < 5; i++) {
		set_poll(fd, 0, 0);
		set_poll(fd, i & 1 ? POLLPRI : POLLIN, 30);
		say_poll(fd, "later", POLLIN | POLLPRI, 10000);
	}
	set_poll(fd, 0, 0);
	say_poll(fd, "timeout", POLLIN, 50);
}

struct poller {
	int fd;
	short events, revents;
	int ret;
};

static void *poll_thread(void *arg)
{
	struct poller *p = arg;

	p->ret = poll_for(p->fd, p->events, 10000, &p->revents);
	return NULL;
}

/* A sleeping poll wakes by what another file, or another process, does. */
static void run_others(void)
{
	int fd = open_quiet(O_RDWR), w = open_watcher();
	struct poller p = { .fd = fd, .events = POLLIN };
	pthread_t thread;
	pid_t pid;

	MUST(!pthread_create(&thread, NULL, poll_thread, &p));
	nap(50);
	set_poll(w, POLLPRI, 0); /* not what it waits for */
	nap(30);
	set_poll(w, POLLIN | POLLPRI, 0);
	pthread_join(thread, NULL);
	say("another file: %s %#x", result(p.ret), p.revents);

	set_poll(w, 0, 0);
	pid = pd_fork();
	if (!pid) {
		nap(60);
		set_poll(open_watcher(), POLLHUP, 0);
		_exit(0);
	}
	say_poll(fd, "another process", POLLIN, 10000);
	say("child: %d", reap(pid));
}

/* Two ask for different events at the same moment: each is woken by its own. */
static void run_pair(void)
{
	int fd = open_quiet(O_RDWR), w = open_watcher(), i, woken = 0;
	struct poller p[2] = { { .fd = fd, .events = POLLIN }, { .fd = fd, .events = POLLOUT } };
	pthread_t threads[2];

	for (i = 0; i < 30 && woken == 2 * i; i++) {
		struct poller *first = &p[i & 1], *second = &p[!(i & 1)];

		set_poll(w, 0, 0);
		MUST(!pthread_create(&threads[0], NULL, poll_thread, first));
		MUST(!pthread_create(&threads[1], NULL, poll_thread, second));
		nap(10);
		set_poll(w, first->events, 0);
		pthread_join(threads[0], NULL);
		woken += first->ret == 1 && first->revents == first->events;
		set_poll(w, second->events, 0);
		pthread_join(threads[1], NULL);
		woken += second->ret == 1 && second->revents == second->events;
	}
	say("woken %d times", woken);
}

static void run_several(void)
{
	int a = open_quiet(O_RDWR), b = open_dev(O_RDWR), pipes[2], ret;
	struct pollfd p[4];

	MUST(pipe(pipes) == 0);
	p[0] = (struct pollfd){ .fd = a, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = b, .events = POLLIN };
	p[2] = (struct pollfd){ .fd = pipes[0], .events = POLLIN };
	p[3] = (struct pollfd){ .fd = -1, .events = POLLIN };
	say("none: %s", result(poll(p, 4, 0)));
	MUST(write(b, "x", 1) == 1);
	ret = poll(p, 4, 0);
	say("a file: %s %#x %#x %#x", result(ret), p[0].revents, p[1].revents, p[2].revents);
	MUST(write(pipes[1], "x", 1) == 1);
	ret = poll(p, 4, 0);
	say("a pipe too: %s %#x %#x %#x", result(ret), p[0].revents, p[1].revents, p[2].revents);
	set_poll(a, POLLIN, 0);
	ret = poll(p, 4, 10000);
	say("all: %s %#x %#x %#x", result(ret), p[0].revents, p[1].revents, p[2].revents);
}

static void say_select(int fd, const char *what, int ms)
{
	struct timeval t = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	fd_set in, out, pri;
	int ret;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&pri);
	FD_SET(fd, &in);
	FD_SET(fd, &out);
	FD_SET(fd, &pri);
	ret = select(fd + 1, &in, &out, &pri, &t);
	say("%s: %s %d%d%d", what, result(ret), !!FD_ISSET(fd, &in), !!FD_ISSET(fd, &out),
	    !!FD_ISSET(fd, &pri));
}

static void run_select(void)
{
	int fd = open_quiet(O_RDWR);

	say_select(fd, "none", 10);
	set_poll(fd, POLLIN, 0);
	say_select(fd, "in", 0);
	set_poll(fd, POLLOUT | POLLPRI, 0);
	say_select(fd, "out, pri", 0);
	set_poll(fd, POLLHUP, 0);
	say_select(fd, "hup", 0);
	set_poll(fd, POLLERR, 0);
	say_select(fd, "err", 0);
	set_poll(fd, 0, 0);
	set_poll(fd, POLLPRI, 40);
	say_select(fd, "later", 10000);
}

static const struct pd_case cases[] = {
	{ "masks", run_masks, 0 },   { "follows", run_follows, 0 }, { "timer", run_timer, 0 },
	{ "others", run_others, 0 }, { "pair", run_pair, 30 },	    { "several", run_several, 0 },
	{ "select", run_select, 0 },
};

PD_GROUP(poll, "poll", "poll and select", 0);
