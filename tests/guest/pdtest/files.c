// SPDX-License-Identifier: Apache-2.0
/* pdtest: files shared by duplicates, children, exec and strangers. */
#include "pdtest.h"
#include "groups.h"

#include <sys/socket.h>
#include <sys/syscall.h>

/* Use a file for a bit of everything: 0, or the number of what failed. */
static int exercise(int fd, unsigned int seed)
{
	char *data = map_pages(4), *p;
	struct td_pair pair = { .in = seed };
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	fill(data, seed, 0, 5000);
	if (ioctl(fd, TD_NOP) != 0)
		return 1;
	if (ioctl(fd, TD_NONE_PTR, &pair) || pair.out != seed * 3 + 1)
		return 2;
	if (write(fd, data, 5000) != 5000)
		return 3;
	if (poll(&pfd, 1, 10000) != 1 || !(pfd.revents & POLLIN))
		return 4;
	memset(data, 0, 5000);
	if (read(fd, data, 5000) != 5000 || !filled(data, seed, 5000))
		return 5;
	munmap(data, 4 * PAGE);
	if (without_maps)
		return 0;
	p = map_dev(fd, TD_MAP_RAM, seed % 60, 2, PROT_READ | PROT_WRITE, MAP_SHARED);
	if (p == MAP_FAILED)
		return 6;
	fill(p, seed, 0, 2 * PAGE);
	if (dev_sum(fd, TD_MAP_RAM, seed % 60 * PAGE, 2 * PAGE) != td_sum(0, p, 2 * PAGE))
		return 7;
	munmap(p, 2 * PAGE);
	return 0;
}

static void run_dup(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher(), a = dup(fd), b = dup2(fd, 200),
	    c = fcntl(fd, F_DUPFD_CLOEXEC, 300);

	say("uses: %d %d %d %d", exercise(fd, 1), exercise(a, 2), exercise(b, 3), exercise(c, 4));
	close(fd);
	close(b);
	say("files %u, uses: %d %d", count_of(w, TD_FILES), exercise(a, 5), exercise(c, 6));
	close(a);
	say("files %u", count_of(w, TD_FILES));
	close(c);
	say("files %u", count_of(w, TD_FILES));
}

static void run_fork(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher(), status;
	char text[8] = "";
	pid_t pid;

	/* Inherited unused, and inherited after use. */
	pid = pd_fork();
	if (!pid)
		_exit(exercise(fd, 1));
	say("child: %d", reap(pid));
	say("parent: %d", exercise(fd, 2));
	pid = pd_fork();
	if (!pid)
		_exit(exercise(fd, 3));
	say("child: %d", reap(pid));
	say("files %u", count_of(w, TD_FILES));
	/* One open file: what the child writes the parent reads. */
	pid = pd_fork();
	if (!pid)
		_exit(write(fd, "child", 5) == 5 ? 0 : 1);
	status = reap(pid);
	say("child: %d, parent reads %s %s", status, result(read(fd, text, 8)), text);
	/* The parent closes; the child has it still. */
	pid = pd_fork();
	if (!pid) {
		await_count(w, TD_TICKETS, 1);
		_exit(exercise(fd, 4));
	}
	close(fd);
	say("parent closed: files %u", count_of(w, TD_FILES));
	wake(w, 1, 0);
	say("child: %d", reap(pid));
	await_count(w, TD_FILES, 0);
	say("child gone: files %u", count_of(w, TD_FILES));
}

/* A child closes its copy: the parent's lives. */
static void run_close(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher();
	pid_t pid = pd_fork();

	if (!pid) {
		close(fd);
		_exit(count_of(w, TD_FILES));
	}
	say("child sees files %d, parent uses %d", reap(pid), exercise(fd, 1));
	say("releases %u", count_of(w, TD_RELEASES));
}

/* Four generations, each using what the first opened. */
static void run_generations(void)
{
	int fd = open_dev(O_RDWR), depth;
	pid_t pid = 0;

	for (depth = 0; depth < 4; depth++) {
		pid = pd_fork();
		if (pid)
			break;
		if (exercise(fd, depth + 10))
			_exit(depth + 1);
	}
	if (depth == 4)
		_exit(0);
	if (depth) {
		int status = reap(pid);

		_exit(status ? status : exercise(fd, depth + 20));
	}
	say("generations: %d", reap(pid));
}

int after_exec(int argc, char **argv)
{
	int fd, w, status;

	if (argc != 4)
		return 2;
	pd_device = argv[0];
	pd_id = strtoull(argv[1], NULL, 0);
	snprintf(pd_label, sizeof(pd_label), "%s", argv[2]);
	fd = atoi(argv[3]);
	status = exercise(fd, 30);
	if (status)
		return status;
	w = open_watcher();
	return count_of(w, TD_FILES) == 1 && count_of(w, TD_MAPS) == 0 ? 0 : 20;
}

static void exec_self(int fd)
{
	char id[32], number[16];
	char *argv[] = { "pdtest", "after-exec", (char *)pd_device, id, pd_label, number, NULL };

	snprintf(id, sizeof(id), "%#llx", (unsigned long long)pd_id);
	snprintf(number, sizeof(number), "%d", fd);
	execv("/proc/self/exe", argv);
	_exit(99);
}

/* A program that another started with the file open; its mappings are gone. */
static void run_exec(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher();
	pid_t pid;

	MUST(exercise(fd, 1) == 0);
	pid = pd_fork();
	if (!pid)
		exec_self(fd);
	say("inherited: %d", reap(pid));
	pid = pd_fork();
	if (!pid) {
		map_rw(fd, TD_MAP_RAM, 0, 8)[5] = 1;
		if (exercise(fd, 2))
			_exit(98);
		exec_self(fd);
	}
	say("used before: %d", reap(pid));
	/* vfork shares the memory until exec. */
	pid = vfork();
	if (!pid)
		exec_self(fd);
	say("vfork: %d", reap(pid));
	MUST(fcntl(fd, F_SETFD, FD_CLOEXEC) == 0);
	pid = pd_fork();
	if (!pid)
		exec_self(fd);
	/* No such descriptor: the first thing that it tries fails. */
	say("O_CLOEXEC: %d", reap(pid));
	say("parent: %d, files %u", exercise(fd, 3), count_of(w, TD_FILES));
}

static void send_fd(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 'f';
	struct iovec v = { &byte, 1 };
	struct msghdr m = {
		.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	MUST(sendmsg(sock, &m, 0) == 1);
}

static int receive_fd(int sock)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec v = { &byte, 1 };
	struct msghdr m = {
		.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	int fd;

	MUST(recvmsg(sock, &m, 0) == 1);
	c = CMSG_FIRSTHDR(&m);
	MUST(c && c->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(c), sizeof(int));
	return fd;
}

/* A process that never opened the device gets a file over a Unix socket. */
static void run_passed(void)
{
	int socks[2], fd, w;
	pid_t pid;

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, socks) == 0);
	pid = pd_fork();
	if (!pid) {
		char text[8] = "";

		fd = receive_fd(socks[1]);
		if (read(fd, text, 5) != 5 || strcmp(text, "hello"))
			_exit(50);
		_exit(exercise(fd, 6));
	}
	fd = open_dev(O_RDWR);
	w = open_watcher();
	MUST(write(fd, "hello", 5) == 5);
	send_fd(socks[0], fd);
	close(fd);
	say("stranger: %d", reap(pid));
	await_count(w, TD_FILES, 0);

	/* On its way when the sender is gone. */
	pid = pd_fork();
	if (!pid) {
		fd = open_dev(O_RDWR);
		MUST(write(fd, "later", 5) == 5);
		send_fd(socks[1], fd);
		_exit(0);
	}
	say("sender: %d", reap(pid));
	say("files %u", count_of(w, TD_FILES));
	fd = receive_fd(socks[0]);
	{
		char text[8] = "";

		say("read: %s %s", result(read(fd, text, 5)), text);
	}
	say("uses: %d", exercise(fd, 7));
	close(fd);
	say("files %u", count_of(w, TD_FILES));

	/* Sent and never received. */
	fd = open_dev(O_RDWR);
	send_fd(socks[0], fd);
	close(fd);
	say("in flight: files %u", count_of(w, TD_FILES));
	close(socks[0]);
	close(socks[1]);
	await_count(w, TD_FILES, 0);
	say("dropped: files %u", count_of(w, TD_FILES));
}

/* A file taken out of another process. */
static void run_taken(void)
{
	int *number = map_shared(sizeof(*number)), w = open_watcher(), pidfd, fd;
	pid_t pid = pd_fork();

	if (!pid) {
		fd = open_dev(O_RDWR);
		__atomic_store_n(number, fd, __ATOMIC_SEQ_CST);
		for (;;)
			pause();
	}
	while (!__atomic_load_n(number, __ATOMIC_SEQ_CST))
		nap(1);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	MUST(pidfd >= 0);
	fd = syscall(SYS_pidfd_getfd, pidfd, *number, 0);
	MUST(fd >= 0);
	say("uses: %d", exercise(fd, 8));
	kill_and_reap(pid);
	say("owner gone: %d, files %u", exercise(fd, 9), count_of(w, TD_FILES));
}

/* /proc/self/fd opens the device anew. */
static void run_reopened(void)
{
	int fd = open_dev(O_RDWR), again;
	char path[64], byte;

	MUST(write(fd, "x", 1) == 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_NONBLOCK);
	MUST(again >= 0);
	say("the new one reads %s", result(read(again, &byte, 1)));
	say("uses: %d", exercise(again, 1));
	say("the old one reads %s", result(read(fd, &byte, 1)));
}

struct use {
	pthread_t thread;
	int fd, seed, status;
};

static void *use_file(void *arg)
{
	struct use *u = arg;
	int i;

	for (i = 0; i < 10 && !u->status; i++)
		u->status = exercise(u->fd, u->seed + i);
	return NULL;
}

static void run_threads(void)
{
	struct use uses[8];
	int i, bad = 0;

	for (i = 0; i < 8; i++) {
		uses[i] = (struct use){ .fd = open_dev(O_RDWR), .seed = i * 100 };
		MUST(!pthread_create(&uses[i].thread, NULL, use_file, &uses[i]));
	}
	for (i = 0; i < 8; i++) {
		pthread_join(uses[i].thread, NULL);
		bad += uses[i].status;
	}
	say("8 threads: %d", bad);
}

static const struct pd_case cases[] = {
	{ "dup", run_dup, 0 },	       { "fork", run_fork, 0 },
	{ "close", run_close, 0 },     { "generations", run_generations, 0 },
	{ "exec", run_exec, 0 },       { "passed", run_passed, 0 },
	{ "taken", run_taken, 0 },     { "reopened", run_reopened, 0 },
	{ "threads", run_threads, 0 },
};

PD_GROUP(files, "files", "files shared by duplicates, children, exec and strangers", 0);
