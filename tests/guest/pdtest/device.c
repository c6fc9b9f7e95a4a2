// SPDX-License-Identifier: Apache-2.0
/* pdtest: calls of the test driver. */
#include "pdtest.h"

const char *pd_device = "/dev/testdev";
uint64_t pd_id;

int open_node(const char *suffix, int flags)
{
	char path[256];

	snprintf(path, sizeof(path), "%s%s", pd_device, suffix);
	return open(path, flags);
}

void join_group(int fd, bool watcher)
{
	struct td_join join = { .id = pd_id, .watcher = watcher };

	MUST(ioctl(fd, TD_JOIN, &join) == 0);
}

int open_dev(int flags)
{
	int fd = open_node("", flags);

	MUST(fd >= 0);
	join_group(fd, false);
	return fd;
}

int open_watcher(void)
{
	int fd = open_node("", O_RDWR | O_CLOEXEC);

	MUST(fd >= 0);
	join_group(fd, true);
	return fd;
}

struct td_stat stat_of(int fd)
{
	struct td_stat stat;

	MUST(ioctl(fd, TD_STAT, &stat) == 0);
	return stat;
}

unsigned int count_of(int fd, enum td_count which)
{
	return stat_of(fd).count[which];
}

static void await(int fd, enum td_count which, unsigned int least, unsigned int most)
{
	uint64_t end = now_ms() + 10000 * patience;
	unsigned int n;

	for (;;) {
		n = count_of(fd, which);
		if (n >= least && n <= most)
			return;
		if (now_ms() > end)
			break;
		nap(2);
	}
	fail(__FILE__, __LINE__, "count %d is %u after all that time, not %u", which, n, least);
	_exit(1);
}

void await_count(int fd, enum td_count which, unsigned int value)
{
	await(fd, which, value, value);
}

/*
 * In a guest the VMM lets go of a window some time after munmap has returned (docs/limits.md); a mapping
 * that stays is found all the same.
 */
unsigned int maps_left(int fd)
{
	for (int i = 0; i < 100 && count_of(fd, TD_MAPS); i++)
		usleep(10000);
	return count_of(fd, TD_MAPS);
}

void await_count_min(int fd, enum td_count which, unsigned int value)
{
	await(fd, which, value, ~0u);
}

void set_mode_seed(int fd, enum td_mode_kind mode, unsigned int seed)
{
	struct td_mode m = { .mode = mode, .seed = seed };

	MUST(ioctl(fd, TD_SET_MODE, &m) == 0);
}

void set_mode(int fd, enum td_mode_kind mode)
{
	set_mode_seed(fd, mode, 0);
}

void wake(int fd, unsigned int count, unsigned int value)
{
	struct td_wake w = { .count = count, .value = value };

	MUST(ioctl(fd, TD_WAKE, &w) == 0);
}

void set_poll(int fd, unsigned int mask, unsigned int delay_ms)
{
	struct td_poll p = { .mask = mask, .delay_ms = delay_ms };

	MUST(ioctl(fd, TD_POLL_SET, &p) == 0);
}

long touch(int fd, enum td_touch_op op, const void *addr, size_t len, struct td_touch *out)
{
	struct td_touch t = { .addr = (void *)addr, .len = len, .op = op, .seed = 5 };
	long ret = ioctl(fd, TD_TOUCH, &t);

	if (out)
		*out = t;
	return ret;
}

void say_touch(int fd, const char *name, enum td_touch_op op, const void *addr, size_t len)
{
	static const char *const names[] = {
		"read", "write", "clear", "get", "put", "strlen", "atomic",
	};
	struct td_touch t;
	long ret = touch(fd, op, addr, len, &t);

	say("%s %s: %s done=%lu", name, names[op], result(ret), (unsigned long)t.done);
}
