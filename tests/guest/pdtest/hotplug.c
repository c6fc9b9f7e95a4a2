// SPDX-License-Identifier: Apache-2.0
/* pdtest: the device goes away while it is open, and comes back. */
#include "pdtest.h"

static int open_ctl(void)
{
	int fd = open_node("-ctl", O_RDWR);

	MUST(fd >= 0);
	return fd;
}

/* The node follows the driver, in a guest a little later. */
static void await_node(bool there)
{
	uint64_t end = now_ms() + 10000 * patience;
	char path[256];

	snprintf(path, sizeof(path), "%s-hot", pd_device);
	while ((access(path, F_OK) == 0) != there) {
		if (now_ms() > end) {
			fail(__FILE__, __LINE__, "%s is %s after all that time", path,
			     there ? "not there" : "still there");
			_exit(1);
		}
		nap(5);
	}
}

static int open_hot(void)
{
	int fd = open_node("-hot", O_RDWR);

	MUST(fd >= 0);
	join_group(fd, false);
	return fd;
}

static void say_dead(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
	char byte = 0, *map;

	say("ioctl: %s", result(ioctl(fd, TD_NOP)));
	say("ioctl with memory: %s", result(ioctl(fd, TD_NONE_PTR, &byte)));
	say("read: %s", result(read(fd, &byte, 1)));
	say("write: %s", result(write(fd, &byte, 1)));
	say("lseek: %s", result(lseek(fd, 0, SEEK_SET)));
	say("fsync: %s", result(fsync(fd)));
	map = map_dev(fd, TD_MAP_RAM, 0, 1, PROT_READ, MAP_SHARED);
	say("mmap: %s", result(map == MAP_FAILED ? -1 : 0));
	say("poll: %s", result(poll(&p, 1, 10000)));
	say("revents %#x", p.revents);
}

static void run_unplug(void)
{
	int ctl = open_ctl(), fd, again, fresh;
	char *p;

	fd = open_hot();
	p = map_rw(fd, TD_MAP_RAM, 0, 4);
	fill(p, 1, 0, 4 * PAGE);
	say("before: %s", result(ioctl(fd, TD_NOP)));
	say("from another node: %s", result(ioctl(fd, TD_UNPLUG)));
	say("unplug: %s", result(ioctl(ctl, TD_UNPLUG)));
	say_dead(fd);
	say("its memory: %zu", matching(p, 1, 0, 4 * PAGE));
	munmap(p, 4 * PAGE);
	await_node(false);
	again = open_node("-hot", O_RDWR);
	say("open: %s", result(again < 0 ? -1 : 0));
	say("unplug again: %s", result(ioctl(ctl, TD_UNPLUG)));
	say("plug: %s", result(ioctl(ctl, TD_PLUG)));
	say("plug again: %s", result(ioctl(ctl, TD_PLUG)));
	await_node(true);
	fresh = open_hot();
	say("new: %s, old: %s", result(ioctl(fresh, TD_NOP)), result(ioctl(fd, TD_NOP)));
	say("close: %s %s", result(close(fd)), result(close(fresh)));
}

struct sleeper {
	pthread_t thread;
	int kind, fd;
	long ret;
	int err;
	short revents;
};

static void *sleep_in(void *arg)
{
	struct sleeper *s = arg;
	struct td_block block = { .how = TD_BLOCK_INTR };
	struct pollfd p = { .fd = s->fd, .events = POLLPRI };
	char byte;

	if (s->kind == 0)
		s->ret = read(s->fd, &byte, 1);
	else if (s->kind == 1)
		s->ret = ioctl(s->fd, TD_BLOCK, &block);
	else
		s->ret = poll(&p, 1, 15000);
	s->err = errno;
	s->revents = p.revents;
	return NULL;
}

/* What sleeps on it wakes. */
static void run_sleepers(void)
{
	int ctl = open_ctl(), w = open_watcher(), i;
	struct sleeper s[3];

	for (i = 0; i < 3; i++) {
		s[i] = (struct sleeper){ .kind = i, .fd = open_hot() };
		MUST(!pthread_create(&s[i].thread, NULL, sleep_in, &s[i]));
	}
	await_count(w, TD_BLOCKED, 2);
	nap(100);
	MUST(ioctl(ctl, TD_UNPLUG) == 0);
	for (i = 0; i < 3; i++) {
		pthread_join(s[i].thread, NULL);
		errno = s[i].err;
		say("sleeper %d: %s %#x", i, result(s[i].ret), i == 2 ? s[i].revents : 0);
		close(s[i].fd);
	}
	await_node(false);
	MUST(ioctl(ctl, TD_PLUG) == 0);
	await_node(true);
	say("files %u, asleep %u", count_of(w, TD_FILES), count_of(w, TD_BLOCKED));
}

static void run_repeated(void)
{
	int ctl = open_ctl(), i, right = 0;

	for (i = 0; i < 5; i++) {
		int fd = open_hot();

		right += ioctl(fd, TD_NOP) == 0;
		MUST(ioctl(ctl, TD_UNPLUG) == 0);
		right += ioctl(fd, TD_NOP) == -1 && errno == ENODEV;
		await_node(false);
		MUST(ioctl(ctl, TD_PLUG) == 0);
		await_node(true);
		close(fd);
	}
	say("right: %d of 10", right);
}

static const struct pd_case cases[] = {
	{ "unplug", run_unplug, 40 },
	{ "sleepers", run_sleepers, 40 },
	{ "repeated", run_repeated, 90 },
};

PD_GROUP(hotplug, "hotplug", "the device goes away while it is open, and comes back", PD_ALONE);
