// SPDX-License-Identifier: Apache-2.0
/* pdtest: descriptors that go in and out through ioctls. */
#include "pdtest.h"

#include <stddef.h>
#include <sys/socket.h>

static void say_in(int fd, const char *what, int other)
{
	struct td_fd_in in = { .fd = other };
	long ret = ioctl(fd, TD_FD_IN, &in);

	if (ret < 0)
		say("%s: %s", what, result(ret));
	else
		say("%s: type %o, access %u, ours %u, position %llu, value %llu", what, in.type,
		    in.access, in.ours, (unsigned long long)in.pos, (unsigned long long)in.value);
}

static int make_object(int fd, uint64_t value, bool cloexec)
{
	struct td_fd_out out = { .value = value, .cloexec = cloexec };

	MUST(ioctl(fd, TD_FD_OUT, &out) == 0);
	return out.fd;
}

static void run_in(void)
{
	int fd = open_dev(O_RDWR);

	say_in(fd, "the file itself", fd);
	say_in(fd, "another of the device", open_dev(O_RDONLY));
	say_in(fd, "an object", make_object(fd, 55, false));
	say_in(fd, "none", 3000);
	say_in(fd, "-1", -1);
}

/* What is no file of the driver's kernel's where the program is a guest's. */
static void run_foreign(void)
{
	int fd = open_dev(O_RDWR), file = memory_file(1, 5000), pipes[2], socks[2];
	char *data = map_pages(1);
	struct td_fd_pread p = { .fd = file, .len = 4096, .pos = 100, .addr = (uintptr_t)data };

	MUST(pipe(pipes) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, socks) == 0);
	MUST(lseek(file, 1234, SEEK_SET) == 1234);
	say_in(fd, "a file", file);
	say_in(fd, "a pipe's end", pipes[0]);
	say_in(fd, "a pipe's other end", pipes[1]);
	say_in(fd, "a socket", socks[0]);
	say("read by the driver: %s", result(ioctl(fd, TD_FD_PREAD, &p)));
	say("bytes %u, right %zu", p.len, matching(data, 1, 100, 4096));
}

static void run_out(void)
{
	int fd = open_dev(O_RDWR), obj;
	uint64_t value = 0;
	char text[32] = "", *p;
	struct pollfd pfd;
	struct td_stat before = stat_of(fd);

	obj = make_object(fd, 42, true);
	say("new: %d, O_CLOEXEC %d", obj > fd, fcntl(obj, F_GETFD) & FD_CLOEXEC);
	say("objects %u", stat_of(fd).count[TD_OBJECTS] - before.count[TD_OBJECTS]);
	say("read: %s", result(read(obj, text, sizeof(text))));
	say("text %s", strtok(text, "\n"));
	say("get: %s", result(ioctl(obj, TD_OBJ_GET, &value)));
	say("value %llu", (unsigned long long)value);
	pfd = (struct pollfd){ .fd = obj, .events = POLLIN };
	say("poll: %s", result(poll(&pfd, 1, 0)));
	value = 43;
	say("set: %s", result(ioctl(obj, TD_OBJ_SET, &value)));
	say("poll: %s", result(poll(&pfd, 1, 10000)));
	say("revents %#x", pfd.revents);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	MUST(p != MAP_FAILED);
	say("page: %d", p[0]);
	fill(p, 1, 0, PAGE);
	munmap(p, PAGE);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, obj, 0);
	say("page again: %zu", matching(p, 1, 0, PAGE));
	munmap(p, PAGE);
	say("write: %s", result(write(obj, "x", 1)));
	say("unknown ioctl: %s", result(ioctl(obj, TD_NOP)));
	close(obj);
	say("closed: objects %u", stat_of(fd).count[TD_OBJECTS] - before.count[TD_OBJECTS]);
}

/* An object goes back in, through a duplicate, a child and a socket's way. */
static void run_back(void)
{
	int fd = open_dev(O_RDWR), obj = make_object(fd, 7, false), copy = dup(obj);
	uint64_t value = 9;
	pid_t pid;

	close(obj);
	say_in(fd, "a duplicate", copy);
	pid = pd_fork();
	if (!pid) {
		struct td_fd_in in = { .fd = copy };

		if (ioctl(fd, TD_FD_IN, &in) || in.value != 7)
			_exit(1);
		_exit(ioctl(copy, TD_OBJ_SET, &value) ? 2 : 0);
	}
	say("child: %d", reap(pid));
	say_in(fd, "set by the child", copy);
	close(fd);
	fd = open_dev(O_RDWR);
	say_in(fd, "by another file", copy);
}

static void run_pread(void)
{
	int fd = open_dev(O_RDWR), other = open_dev(O_RDWR), i;
	char *data = map_pages(1);
	struct td_fd_pread p = { .fd = other, .len = 10, .pos = 100, .addr = (uintptr_t)data };

	MUST(pwrite(other, "0123456789", 10, 100) == 10);
	say("read by the driver: %s", result(ioctl(fd, TD_FD_PREAD, &p)));
	say("bytes %u, text %s", p.len, data);
	for (i = 0; i < 3; i++) {
		p = (struct td_fd_pread){ .fd = i ? 3000 : open_dev(O_WRONLY),
					  .len = 10,
					  .addr = (uintptr_t)data };
		say("bad: %s", result(ioctl(fd, TD_FD_PREAD, &p)));
	}
}

static void run_many(void)
{
	int fd = open_dev(O_RDWR), i, right = 0, objects[200];
	unsigned int before = count_of(fd, TD_OBJECTS);

	for (i = 0; i < 200; i++)
		objects[i] = make_object(fd, i, false);
	say("objects %u", count_of(fd, TD_OBJECTS) - before);
	for (i = 0; i < 200; i++) {
		struct td_fd_in in = { .fd = objects[i] };

		right += ioctl(fd, TD_FD_IN, &in) == 0 && in.value == (uint64_t)i && in.ours == 2;
		close(objects[i]);
	}
	say("right %d, objects %u", right, count_of(fd, TD_OBJECTS) - before);
}

static const struct pd_case cases[] = {
	{ "in", run_in, 0 },	 { "foreign", run_foreign, 0 }, { "out", run_out, 0 },
	{ "back", run_back, 0 }, { "pread", run_pread, 0 },	{ "many", run_many, 0 },
};

PD_GROUP(fds, "fds", "descriptors that go in and out through ioctls", PD_ALONE);

/* As options of paradiced's --device. */
int print_rules(void)
{
	printf("fd-in=%#x@%zu,fd-out=%#x@%zu,fd-in=%#x@%zu\n", (unsigned int)TD_FD_IN,
	       offsetof(struct td_fd_in, fd), (unsigned int)TD_FD_OUT,
	       offsetof(struct td_fd_out, fd), (unsigned int)TD_FD_PREAD,
	       offsetof(struct td_fd_pread, fd));
	return 0;
}
