// SPDX-License-Identifier: Apache-2.0
/* pdtest: open, its flags and its errors, and what close() does. */
#include "pdtest.h"

#define SEEN (O_ACCMODE | O_NONBLOCK | O_APPEND | O_SYNC | O_TRUNC | O_EXCL)

static const struct {
	int flag;
	const char *name;
} flag_names[] = {
	{ O_NONBLOCK, "NONBLOCK" },
	{ O_APPEND, "APPEND" },
	{ O_TRUNC, "TRUNC" },
	{ O_EXCL, "EXCL" },
};

static const char *flags_text(unsigned int flags, char *text)
{
	static const char *const access[] = { "RDONLY", "WRONLY", "RDWR", "3" };
	size_t i;

	strcpy(text, access[flags & O_ACCMODE]);
	if ((flags & O_SYNC) == O_SYNC)
		strcat(text, "|SYNC");
	else if (flags & O_DSYNC)
		strcat(text, "|DSYNC");
	for (i = 0; i < ARRAY_SIZE(flag_names); i++) {
		if (flags & flag_names[i].flag) {
			strcat(text, "|");
			strcat(text, flag_names[i].name);
		}
	}
	return text;
}

static void say_flags(const char *what, int fd)
{
	char a[80], b[80];
	struct td_info info;

	MUST(ioctl(fd, TD_INFO, &info) == 0);
	say("%s: open saw %s, now %s", what, flags_text(info.open_flags & SEEN, a),
	    flags_text(info.flags & SEEN, b));
}

static void run_flags(void)
{
	static const int flags[] = {
		O_RDONLY,
		O_WRONLY,
		O_RDWR,
		O_RDWR | O_NONBLOCK,
		O_WRONLY | O_APPEND,
		O_RDWR | O_SYNC,
		O_RDWR | O_DSYNC,
		O_RDWR | O_TRUNC,
		O_RDONLY | O_EXCL,
		O_RDWR | O_NONBLOCK | O_APPEND | O_SYNC | O_TRUNC | O_CLOEXEC | O_NOCTTY,
	};
	char text[80];
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		fd = open_dev(flags[i]);
		say_flags(flags_text(flags[i] & SEEN, text), fd);
		close(fd);
	}
}

static void run_setfl(void)
{
	int fd = open_dev(O_RDWR), on = 1, off = 0;

	say("set: %s", result(fcntl(fd, F_SETFL, O_NONBLOCK)));
	say_flags("O_NONBLOCK", fd);
	say("set: %s", result(fcntl(fd, F_SETFL, O_APPEND)));
	say_flags("O_APPEND", fd);
	say("clear: %s", result(fcntl(fd, F_SETFL, 0)));
	say_flags("none", fd);
	say("FIONBIO on: %s", result(ioctl(fd, FIONBIO, &on)));
	say_flags("FIONBIO on", fd);
	say("FIONBIO off: %s", result(ioctl(fd, FIONBIO, &off)));
	say_flags("FIONBIO off", fd);
	say("F_GETFL: %s", result(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_APPEND)));
}

static void run_access(void)
{
	int r = open_dev(O_RDONLY), w = open_dev(O_WRONLY);
	char byte = 'x';

	say("write to O_RDONLY: %s", result(write(r, &byte, 1)));
	say("read from O_WRONLY: %s", result(read(w, &byte, 1)));
	say("write to O_WRONLY: %s", result(write(w, &byte, 1)));
	say("ioctl on O_WRONLY: %s", result(ioctl(w, TD_NOP)));
	say("ioctl on O_RDONLY: %s", result(ioctl(r, TD_NOP)));
}

static void run_refused(void)
{
	struct stat st;
	int fd;

	say("O_DIRECT: %s", result(open_node("", O_RDWR | O_DIRECT) < 0 ? -1 : 0));
	say("O_DIRECTORY: %s", result(open_node("", O_RDONLY | O_DIRECTORY) < 0 ? -1 : 0));
	say("O_CREAT|O_EXCL: %s", result(open_node("", O_RDWR | O_CREAT | O_EXCL) < 0 ? -1 : 0));
	fd = open_node("", O_PATH);
	MUST(fd >= 0);
	MUST(fstat(fd, &st) == 0);
	say("O_PATH: character device %d, read %s", S_ISCHR(st.st_mode), result(read(fd, &st, 1)));
	close(fd);
	fd = open_dev(O_RDWR);
	MUST(fstat(fd, &st) == 0);
	say("fstat: character device %d, size %ld", S_ISCHR(st.st_mode), (long)st.st_size);
	say("ftruncate: %s", result(ftruncate(fd, 0)));
}

static void set_open(int fd, unsigned int error, unsigned int closed)
{
	struct td_open_set set = { .fail = error, .closed = closed };

	MUST(ioctl(fd, TD_OPEN_SET, &set) == 0);
}

/* The driver's errno of open reaches the program, whichever it is. */
static void run_errno(void)
{
	int w = open_watcher(), e, fd, right = 0;

	for (e = 1; e <= 133; e++) {
		set_open(w, e, 0);
		fd = open_node("-open", O_RDWR);
		if (fd < 0 && errno == e)
			right++;
		else
			say("errno %d: %s", e, result(fd < 0 ? -1 : 0));
		if (fd >= 0)
			close(fd);
	}
	set_open(w, 0, 0);
	fd = open_node("-open", O_RDWR);
	say("errnos 1 to 133: %d right; then: %s", right, result(fd < 0 ? -1 : 0));
}

struct gate {
	volatile int handled;
	volatile int ret;
	volatile int err;
};

static struct gate *gate;

static void count_signal(int sig)
{
	(void)sig;
	gate->handled++;
}

/* A child that opens the closed node; its end is in *gate. */
static pid_t start_opener(int w, int flags, int sa_flags)
{
	pid_t pid;

	gate->handled = 0;
	gate->ret = gate->err = -1;
	pid = pd_fork();
	if (!pid) {
		on_signal(SIGUSR1, count_signal, sa_flags);
		errno = 0;
		gate->ret = open_node("-open", flags);
		gate->err = errno;
		_exit(gate->ret < 0);
	}
	if (!(flags & O_NONBLOCK))
		await_count(w, TD_OPEN_BLOCKED, 1);
	return pid;
}

static void say_opener(const char *what, pid_t pid)
{
	int status = reap(pid);

	errno = gate->err;
	say("%s: status %d, signals %d, open %s", what, status, gate->handled,
	    result(gate->ret < 0 ? -1 : 0));
}

static void run_gate(void)
{
	int w = open_watcher();
	pid_t pid;

	gate = map_shared(sizeof(*gate));
	set_open(w, 0, 1);
	say_opener("O_NONBLOCK", start_opener(w, O_RDWR | O_NONBLOCK, 0));

	pid = start_opener(w, O_RDWR, 0);
	say("while one waits, another node: %s", result(close(open_node("", O_RDWR))));
	set_open(w, 0, 0);
	say_opener("let in", pid);

	set_open(w, 0, 1);
	pid = start_opener(w, O_RDWR, 0);
	kill(pid, SIGUSR1);
	say_opener("signal", pid);

	pid = start_opener(w, O_RDWR, SA_RESTART);
	kill(pid, SIGUSR1);
	while (!gate->handled)
		nap(1);
	await_count(w, TD_OPEN_BLOCKED, 1);
	set_open(w, 0, 0);
	say_opener("signal, SA_RESTART", pid);
	await_count(w, TD_OPEN_BLOCKED, 0);
}

static void run_exclusive(void)
{
	int a, b;

	a = open_node("-open", O_RDWR);
	b = open_node("-open", O_RDWR | O_EXCL);
	say("O_EXCL when open: %s", result(b < 0 ? -1 : 0));
	close(a);
	b = open_node("-open", O_RDWR | O_EXCL);
	say("O_EXCL when closed: %s", result(b < 0 ? -1 : 0));
	a = open_node("-open", O_RDWR);
	say("another meanwhile: %s", result(a < 0 ? -1 : 0));
	close(b);
	a = open_node("-open", O_RDWR);
	say("another afterwards: %s", result(a < 0 ? -1 : 0));
}

/* The driver's flush and release ran when close() returns. */
static void run_close(void)
{
	int w = open_watcher(), a = open_dev(O_RDWR), b = dup(a);
	unsigned int flushed;

	say("files %u, releases %u", count_of(w, TD_FILES), count_of(w, TD_RELEASES));
	flushed = count_of(w, TD_FLUSHES);
	close(b);
	say("after close of a duplicate: files %u, releases %u, flushed %d", count_of(w, TD_FILES),
	    count_of(w, TD_RELEASES), count_of(w, TD_FLUSHES) > flushed);
	flushed = count_of(w, TD_FLUSHES);
	close(a);
	say("after close: files %u, releases %u, flushed %d", count_of(w, TD_FILES),
	    count_of(w, TD_RELEASES), count_of(w, TD_FLUSHES) > flushed);
}

/* What one open file holds, another does not see. */
static void run_separate(void)
{
	int a = open_dev(O_RDWR), b = open_dev(O_RDWR | O_NONBLOCK);
	char text[8];

	MUST(write(a, "hello", 5) == 5);
	say("the other: %s", result(read(b, text, sizeof(text))));
	say("the same: %s", result(read(a, text, sizeof(text))));
	CHECK(!memcmp(text, "hello", 5));
}

/* The driver sees one process open it and call it; forwarded, with open=mirror. */
static void run_opener(void)
{
	int fd = open_dev(O_RDWR);
	__u32 same = 0;

	MUST(ioctl(fd, TD_OPENER, &same) == 0);
	say("the same process %d, the same credentials %d", !!(same & TD_OPENER_PROCESS),
	    !!(same & TD_OPENER_CREDENTIALS));
}

static const struct pd_case cases[] = {
	{ "flags", run_flags, 0 },	   { "setfl", run_setfl, 0 },
	{ "access", run_access, 0 },	   { "refused", run_refused, 0 },
	{ "errno", run_errno, 0 },	   { "gate", run_gate, 0 },
	{ "exclusive", run_exclusive, 0 }, { "close", run_close, 0 },
	{ "separate", run_separate, 0 },   { "opener", run_opener, 0 },
};

PD_GROUP(open, "open", "open, its flags and errors, close", PD_ALONE);
