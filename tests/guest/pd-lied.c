// SPDX-License-Identifier: Apache-2.0
/*
 *	pd-lied ATTACK
 *
 * Has the host, which is paradiced-hostile, tell one lie, and says what came of it: "refused", or "believed" when the
 * guest's kernel passed it on. Exit: 0 for both, 1 for anything else.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "testdev.h"
#include "../attacks/lies.h"

/* for what comes by an event */
#define EVENT_SECONDS 60
/* longer than a host that gives no sign of life is waited for (host_timeout=3) */
#define SILENCE_MS 15000
/* what is read */
#define LEN 16

static int fd;

static void __attribute__((format(printf, 1, 2), noreturn)) neither(const char *format, ...)
{
	va_list args;

	printf("neither: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	exit(1);
}

static void tell(enum lie which, uint64_t arg)
{
	ioctl(fd, LIE(which), arg);
}

/* What a call returned that was lied about: @lie, or EIO. */
static bool is(long ret, long lie)
{
	if (ret == lie)
		return true;
	if (ret != -1 || errno != EIO)
		neither("%ld, errno %d", ret, errno);
	return false;
}

static long reads(enum lie which, uint64_t arg)
{
	char buf[LEN] = { 0 };

	/* what there is to read */
	if (write(fd, buf, LEN) != LEN)
		neither("write: %s", strerror(errno));
	tell(which, arg);
	return read(fd, buf, LEN);
}

static bool tag(void)
{
	return is(reads(LIE_TAG, 0), LEN);
}

static bool length(void)
{
	return is(reads(LIE_LENGTH, 0), LEN);
}

static bool status(void)
{
	return is(reads(LIE_STATUS, 0), LEN);
}

static bool result(void)
{
	return is(reads(LIE_RESULT, 0), LIE_RESULT_TOLD);
}

/* The kernel would wait for ever, and knows that nobody says so to a read() that waits. */
static bool queued(void)
{
	return is(reads(LIE_QUEUED, 0), -LIE_EIOCBQUEUED);
}

static bool moved(void)
{
	return is(reads(LIE_MOVED, 0), 4096);
}

static bool page(void)
{
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long ret;

	if (p == MAP_FAILED)
		neither("mmap: %s", strerror(errno));
	*p = 1;
	ret = reads(LIE_PAGE, (uintptr_t)p);
	if (ret != 0 && ret != 1)
		neither("%ld, errno %d", ret, errno);
	return ret;
}

static bool position(void)
{
	struct td_mode mode = { .mode = TD_MODE_MEM };

	if (ioctl(fd, TD_SET_MODE, &mode))
		neither("TD_SET_MODE: %s", strerror(errno));
	tell(LIE_POSITION, 0);
	return is(lseek(fd, 0, SEEK_END), LIE_RESULT_TOLD);
}

/* The end of one of the two is then the end of the other. */
static bool handle(void)
{
	int first = open("/dev/testdev", O_RDWR), second;
	char byte = 1;
	int error;

	if (first < 0 || write(first, &byte, 1) != 1)
		neither("the first file: %s", strerror(errno));
	tell(LIE_HANDLE, 0);
	second = open("/dev/testdev", O_RDWR);
	error = errno;
	tell(LIE_NONE, 0);
	errno = error;
	if (second < 0)
		return is(second, 0);
	close(second);
	if (write(first, &byte, 1) >= 0 || errno != EBADF)
		neither("the first file is as before");
	return true;
}

static int made_file(enum lie which)
{
	struct td_fd_out out = { .value = 1 };

	tell(which, 0);
	if (ioctl(fd, TD_FD_OUT, &out))
		neither("TD_FD_OUT: %s", strerror(errno));
	return out.fd;
}

static bool flags(void)
{
	return fcntl(made_file(LIE_FLAGS), F_GETFL) & (O_APPEND | O_DIRECT);
}

static bool size(void)
{
	struct stat st;

	if (fstat(made_file(LIE_SIZE), &st))
		neither("fstat: %s", strerror(errno));
	return st.st_size < 0;
}

/* Waits for a device that the host tells of, which is @st then; its id is what no other has. */
static uint32_t announced(enum lie which, struct stat *st)
{
	const uint32_t id = 1000000 + 2 * (uint32_t)getpid();
	char path[64];

	tell(which, id);
	snprintf(path, sizeof(path), "/dev/lied-%u", id);
	for (int i = 0; stat(path, st); i++) {
		if (i == EVENT_SECONDS * 10)
			neither("there is no %s", path);
		usleep(100000);
	}
	return id;
}

static bool name(void)
{
	struct stat st;
	char path[64];

	/* the one of that name is the first of the two */
	snprintf(path, sizeof(path), "/dev/.lied-%u", announced(LIE_NAME, &st));
	return !stat(path, &st);
}

static bool mode(void)
{
	struct stat st;

	announced(LIE_MODE, &st);
	return !S_ISCHR(st.st_mode);
}

/* What /sys has as @name of a device that the host tells of, without its NULs; how much that is, or -1. */
static long announced_text(enum lie which, const char *name, char text[4096])
{
	char path[64];
	struct stat st;
	long n;
	int file;

	announced(which, &st);
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/%s", major(st.st_rdev), minor(st.st_rdev),
		 name);
	file = open(path, O_RDONLY);
	if (file < 0)
		return -1;
	n = read(file, text, 4095);
	if (n < 0)
		neither("%s: %s", path, strerror(errno));
	text[n] = 0;
	close(file);
	return n;
}

/* Behind what the host gave there is what the guest's kernel has there. */
static bool shows_more(enum lie which)
{
	char text[4096] = "";
	long n = announced_text(which, "lied", text);

	if (n >= 0 && (n != LIE_MORE || strncmp(text, "lied", 4)))
		neither("%ld bytes: %s", n, text);
	return n >= 0;
}

static bool record(void)
{
	return shows_more(LIE_RECORD);
}

static bool amount(void)
{
	return shows_more(LIE_AMOUNT);
}

static bool has_attribute(enum lie which, const char *name)
{
	char text[4096];

	return announced_text(which, name, text) >= 0;
}

static bool total(void)
{
	return has_attribute(LIE_TOTAL, "lied");
}

static bool entry(void)
{
	return has_attribute(LIE_ENTRY, ".lied");
}

static bool own(void)
{
	return has_attribute(LIE_OWN, "driver");
}

static bool path(void)
{
	return has_attribute(LIE_PATH, "lied");
}

static bool value(void)
{
	return has_attribute(LIE_VALUE, "lied");
}

static bool attributes(void)
{
	char name[32];

	snprintf(name, sizeof(name), "lied-%u", LIE_NATTRIBUTES - 1);
	return has_attribute(LIE_ATTRIBUTES, name);
}

static bool objects(void)
{
	return has_attribute(LIE_OBJECTS, "lied");
}

static bool outer(void)
{
	return has_attribute(LIE_OUTER, "lied");
}

/* What the device's events say, of which @said is part. */
static void event_text(enum lie which, const char *said, char text[4096])
{
	if (announced_text(which, "uevent", text) < 0 || !strstr(text, said))
		neither("uevent: %s", text);
}

static bool property(void)
{
	char text[4096] = "";

	event_text(LIE_PROPERTY, "LIED=1", text);
	return strstr(text, "MODALIAS=");
}

static bool string(void)
{
	char text[4096] = "";

	event_text(LIE_STRING, "LIED=1", text);
	return strstr(text, "MORE=1AAA");
}

static bool events(void)
{
	char text[4096] = "", last[32];

	event_text(LIE_EVENTS, "LIED=1\nL0=1\n", text);
	snprintf(last, sizeof(last), "L%u=1", LIE_NPROPERTIES - 1);
	return strstr(text, last);
}

/* Somebody waits for the driver; the host is lost when it is taken for dead. */
static bool silence(void)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };
	struct td_block block = { 0 };
	pid_t pid = fork();
	int ready;

	if (!pid) {
		ioctl(fd, TD_BLOCK, &block);
		_exit(0);
	}
	tell(LIE_SILENCE, 0);
	/* what is not ready: an event that will not come, or the file's end */
	ready = poll(&p, 1, SILENCE_MS);
	kill(pid, SIGKILL);
	if (ready < 0 || waitpid(pid, NULL, 0) != pid)
		neither("poll, or the wait for who waits: %s", strerror(errno));
	return !(p.revents & (POLLERR | POLLHUP));
}

static bool fault(void)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	tell(LIE_FAULT, 0);
	if (poll(&p, 1, 1000) != 1 || !(p.revents & POLLERR))
		neither("poll says %#x", p.revents);
	return false;
}

/* The guest's kernel ends, or the program is not told anything else than that its host is lost. */
static bool id(void)
{
	return is(reads(LIE_ID, 0), LEN);
}

static bool too_long(void)
{
	return is(reads(LIE_LONG, 0), LEN);
}

static void *blocks(void *unused)
{
	struct td_block block = { 0 };

	ioctl(fd, TD_BLOCK, &block);
	return unused;
}

/*
 * Of two requests that are under way then, one is never answered: both have the descriptor that is free twice. The
 * other may get its answer instead.
 */
static bool twice(void)
{
	struct td_stat stat = { 0 };
	char buf[LEN] = { 0 };
	pthread_t thread;
	pid_t pid;

	/* another request is under way in that queue, or there would be more answers than are asked for */
	if (pthread_create(&thread, NULL, blocks, NULL))
		neither("no thread");
	while (!stat.all[TD_BLOCKED])
		if (ioctl(fd, TD_STAT, &stat))
			neither("TD_STAT: %s", strerror(errno));
	/* the host may be lost before the program has the first answer */
	if (reads(LIE_TWICE, 0) != LEN)
		return is(-1, 0);
	tell(LIE_NONE, 0);
	if (write(fd, buf, LEN) != LEN)
		return is(-1, 0);
	if (read(fd, buf, LEN) != LEN)
		neither("read once more: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		/* who waits for what we say shall not wait for the reader */
		close(STDOUT_FILENO);
		_exit(read(fd, buf, LEN) != LEN);
	}
	sleep(2);
	if (write(fd, buf, LEN) != LEN && errno != EIO)
		neither("write: %s", strerror(errno));
	sleep(10);
	if (waitpid(pid, NULL, WNOHANG))
		neither("the reader has ended");
	kill(pid, SIGKILL);
	return true;
}

static const struct {
	const char *name;
	bool (*believed)(void);
} attacks[] = {
	{ "tag", tag },		{ "length", length },	{ "status", status },
	{ "result", result },	{ "queued", queued },	{ "moved", moved },
	{ "page", page },	{ "fault", fault },	{ "position", position },
	{ "handle", handle },	{ "flags", flags },	{ "size", size },
	{ "name", name },	{ "mode", mode },	{ "property", property },
	{ "record", record },	{ "amount", amount },	{ "total", total },
	{ "entry", entry },	{ "own", own },		{ "path", path },
	{ "string", string },	{ "value", value },	{ "attributes", attributes },
	{ "events", events },	{ "objects", objects }, { "outer", outer },
	{ "silence", silence }, { "id", id },		{ "twice", twice },
	{ "long", too_long },
};

int main(int argc, char **argv)
{
	const size_t n = sizeof(attacks) / sizeof(attacks[0]);
	size_t i = 0;

	while (i < n && (argc != 2 || strcmp(argv[1], attacks[i].name)))
		i++;
	if (i == n) {
		fprintf(stderr, "usage: pd-lied ATTACK\n");
		return 2;
	}
	fd = open("/dev/testdev", O_RDWR);
	if (fd < 0)
		neither("/dev/testdev: %s", strerror(errno));
	puts(attacks[i].believed() ? "believed" : "refused");
	tell(LIE_NONE, 0);
	return 0;
}
