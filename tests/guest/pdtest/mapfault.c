// SPDX-License-Identifier: Apache-2.0
/* pdtest: mappings whose fault handler refuses, or sleeps. */
#include "pdtest.h"

/* The driver has no page there: SIGBUS, or EFAULT from a system call. */
static void run_sigbus(void)
{
	int fd = open_dev(O_RDWR), pipes[2];
	char *p = map_dev(fd, TD_MAP_SIGBUS, 0, TD_MAP_PAGES, PROT_READ | PROT_WRITE, MAP_SHARED);
	size_t half = TD_MAP_PAGES / 2 * PAGE;

	/* in a guest; of half of them it may be shown */
	if (p == MAP_FAILED) {
		say("mmap: %s", result(-1));
		p = map_dev(fd, TD_MAP_SIGBUS, TD_MAP_PAGES / 2, 4, PROT_READ, MAP_SHARED);
		say("only bad pages: %s", result(p == MAP_FAILED ? -1 : 0));
		p = map_rw(fd, TD_MAP_SIGBUS, 0, TD_MAP_PAGES / 2);
		dev_fill(fd, TD_MAP_SIGBUS, 1, 0, half);
		say("only good pages: %zu", matching(p, 1, 0, half));
		return;
	}
	MUST(pipe(pipes) == 0);
	dev_fill(fd, TD_MAP_SIGBUS, 1, 0, half);
	say("first half: %zu", matching(p, 1, 0, half));
	say("second half: read %d, write %d", probe_read(p + half), probe_write(p + half + PAGE));
	say("write to a pipe from it: %s", result(write(pipes[1], p + half, 100)));
	say_touch(fd, "driver", TD_TOUCH_READ, p + half - 1000, 2000);
	say("first half: %zu", matching(p, 1, 0, half));
	munmap(p, TD_MAP_SIZE);
	p = map_rw(fd, TD_MAP_SIGBUS, TD_MAP_PAGES / 2, 4);
	say("only bad pages: read %d", probe_read(p));
}

struct reader {
	char *p;
	int value;
};

static void *read_slow(void *arg)
{
	struct reader *r = arg;

	r->value = *(volatile char *)r->p;
	return NULL;
}

/* A fault sleeps in the driver while the others of the process go on. */
static void run_slow(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher();
	struct reader r = { .p = map_rw(fd, TD_MAP_SLOW, 0, 4) };
	pthread_t thread;

	dev_fill(fd, TD_MAP_SLOW, 1, 0, PAGE);
	MUST(!pthread_create(&thread, NULL, read_slow, &r));
	await_count(w, TD_BLOCKED, 1);
	say("meanwhile: %s", result(ioctl(fd, TD_NOP)));
	wake(w, 1, 0);
	pthread_join(thread, NULL);
	say("read: right %d", r.value == (char)td_byte(1, 0));
}

static void run_killed(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher();
	pid_t pid = pd_fork();

	if (!pid) {
		char *p = map_rw(fd, TD_MAP_SLOW, 0, 4);

		_exit(p[0]);
	}
	await_count(w, TD_BLOCKED, 1);
	kill_and_reap(pid);
	await_count(w, TD_BLOCKED, 0);
	await_count(w, TD_MAPS, 0);
	say("gone, asleep %u, alive %u", count_of(w, TD_BLOCKED), count_of(w, TD_MAPS));
}

/* In a guest, where mmap itself sleeps: nothing is touched here. */
static void run_waits(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher();
	pid_t pid = pd_fork();

	if (!pid) {
		map_rw(fd, TD_MAP_SLOW, 0, 1);
		_exit(0);
	}
	await_count(w, TD_BLOCKED, 1);
	say("asleep in mmap; meanwhile: %s", result(ioctl(fd, TD_NOP)));
	wake(w, 1, 0);
	say("awake: %d, alive %u", reap(pid), maps_left(w));
}

static const struct pd_case cases[] = {
	{ "sigbus", run_sigbus, 0 },
	{ "slow", run_slow, 0 },
	{ "waits", run_waits, 0 },
	{ "killed", run_killed, 0 },
};

PD_GROUP(mapfault, "mapfault", "mappings whose fault handler refuses or sleeps", 0);
