// SPDX-License-Identifier: Apache-2.0
/* pdtest: operations that sleep in the driver, and signals that reach them. */
#include "pdtest.h"

struct sleeper {
	volatile int handled;
	volatile int ret;
	volatile int err;
	volatile unsigned int value;
};

static struct sleeper *sleeper;

static void count_signal(int sig)
{
	(void)sig;
	sleeper->handled++;
}

static int do_block(int fd, enum td_block_how how, unsigned int code, unsigned int timeout_ms)
{
	struct td_block block = { .how = how, .code = code, .timeout_ms = timeout_ms };
	int ret;

	errno = 0;
	ret = ioctl(fd, TD_BLOCK, &block);
	sleeper->value = block.value;
	return ret;
}

/* A child that sleeps in TD_BLOCK on @fd. */
static pid_t start(int fd, int w, enum td_block_how how, unsigned int code, int sa_flags)
{
	pid_t pid;

	sleeper->handled = 0;
	sleeper->ret = sleeper->err = -1;
	pid = pd_fork();
	if (!pid) {
		on_signal(SIGUSR1, count_signal, sa_flags);
		sleeper->ret = do_block(fd, how, code, how == TD_BLOCK_UNINTR ? 5000 : 0);
		sleeper->err = errno;
		_exit(0);
	}
	await_count(w, TD_BLOCKED, 1);
	return pid;
}

static void say_end(const char *what, pid_t pid)
{
	int status = reap(pid);

	errno = sleeper->err;
	say("%s: status %d, signals %d, result %s, value %u", what, status, sleeper->handled,
	    result(sleeper->ret), sleeper->value);
}

static void await_handled(int n)
{
	uint64_t end = now_ms() + 10000 * patience;

	while (sleeper->handled < n) {
		MUST(now_ms() < end);
		nap(1);
	}
}

static void run_wakes(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher();
	pid_t pid;

	sleeper = map_shared(sizeof(*sleeper));
	pid = start(fd, w, TD_BLOCK_INTR, 0, 0);
	say("meanwhile on the file: %s", result(ioctl(fd, TD_NOP)));
	say("meanwhile on another: %s", result(ioctl(w, TD_NOP)));
	wake(w, 1, 17);
	say_end("interruptible", pid);
	pid = start(fd, w, TD_BLOCK_KILLABLE, 0, 0);
	wake(w, 1, 18);
	say_end("killable", pid);
	pid = start(fd, w, TD_BLOCK_UNINTR, 0, 0);
	wake(w, 1, 19);
	say_end("uninterruptible", pid);
	say("timeout: %s", result(do_block(fd, TD_BLOCK_INTR, 0, 30)));
	say("timeout: %s", result(do_block(fd, TD_BLOCK_KILLABLE, 0, 30)));
	say("timeout: %s", result(do_block(fd, TD_BLOCK_UNINTR, 0, 30)));
	wake(w, 1, 20);
	say("no need to sleep: %s", result(do_block(fd, TD_BLOCK_INTR, 0, 0)));
}

static const struct {
	const char *name;
	unsigned int code;
} codes[] = {
	{ "ERESTARTSYS", 0 },	   { "EINTR", EINTR },	 { "ERESTARTNOINTR", 513 },
	{ "ERESTARTNOHAND", 514 }, { "EAGAIN", EAGAIN }, { "EIO", EIO },
};

/*
 * A signal ends the sleep with one code or another; whether the call starts
 * again is for the kernel to decide by the code and SA_RESTART.
 */
static void run_signals(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher(), restart, again;
	unsigned int interrupted;
	char what[64];
	pid_t pid;
	size_t i;

	sleeper = map_shared(sizeof(*sleeper));
	for (i = 0; i < ARRAY_SIZE(codes); i++) {
		for (restart = 0; restart < 2; restart++) {
			snprintf(what, sizeof(what), "%s%s", codes[i].name,
				 restart ? " SA_RESTART" : "");
			interrupted = count_of(w, TD_INTERRUPTED);
			pid = start(fd, w, TD_BLOCK_INTR, codes[i].code, restart ? SA_RESTART : 0);
			kill(pid, SIGUSR1);
			await_handled(1);
			again = codes[i].code == 513 || (restart && codes[i].code == 0);
			await_count_min(w, TD_INTERRUPTED, interrupted + 1);
			if (again) {
				await_count(w, TD_BLOCKED, 1);
				wake(w, 1, 30 + i);
			}
			say_end(what, pid);
			await_count(w, TD_BLOCKED, 0);
		}
	}
	say("tickets left: %u", count_of(w, TD_TICKETS));
}

/* A sleep that signals do not end goes on, and its result is what counts. */
static void run_deaf(void)
{
	static const char *const names[] = { "", "killable", "uninterruptible" };
	int fd = open_dev(O_RDWR), w = open_watcher(), how, i;
	pid_t pid;

	sleeper = map_shared(sizeof(*sleeper));
	for (how = TD_BLOCK_KILLABLE; how <= TD_BLOCK_UNINTR; how++) {
		pid = start(fd, w, how, 0, 0);
		for (i = 0; i < 3; i++) {
			kill(pid, SIGUSR1);
			nap(20);
		}
		say("%s: handled %d, asleep %u", names[how], sleeper->handled,
		    count_of(w, TD_BLOCKED));
		wake(w, 1, 44);
		say_end(names[how], pid);
	}
}

/* An ignored signal does not end a sleep; a stop and continue neither. */
static void run_ignored(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher(), status;
	pid_t pid;

	sleeper = map_shared(sizeof(*sleeper));
	pid = start(fd, w, TD_BLOCK_INTR, 0, 0);
	kill(pid, SIGWINCH);
	kill(pid, SIGCHLD);
	nap(30);
	say("ignored: asleep %u", count_of(w, TD_BLOCKED));
	kill(pid, SIGSTOP);
	MUST(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	kill(pid, SIGCONT);
	await_count(w, TD_BLOCKED, 1);
	wake(w, 1, 5);
	say_end("stopped and continued", pid);
}

static void *block_thread(void *arg)
{
	struct td_block block = { .how = TD_BLOCK_INTR };

	return (void *)(intptr_t)(ioctl(*(int *)arg, TD_BLOCK, &block) == 0 ? block.value : 1000);
}

/* Threads of one process asleep on one file, let go one by one. */
static void run_threads(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher(), i;
	pthread_t threads[16];
	intptr_t sum = 0;
	void *value;

	for (i = 0; i < 16; i++)
		MUST(!pthread_create(&threads[i], NULL, block_thread, &fd));
	await_count(w, TD_BLOCKED, 16);
	say("asleep: %u", count_of(w, TD_BLOCKED));
	for (i = 0; i < 16; i++) {
		wake(w, 1, i);
		await_count(w, TD_BLOCKED, 15 - i);
	}
	for (i = 0; i < 16; i++) {
		pthread_join(threads[i], &value);
		sum += (intptr_t)value;
	}
	say("sum of values: %ld", (long)sum);
}

static void noop(int sig)
{
	(void)sig;
}

static void *read_thread(void *arg)
{
	char byte;
	long ret = read(*(int *)arg, &byte, 1);

	return (void *)(intptr_t)(ret < 0 ? -errno : ret);
}

/* A signal sent to one thread ends the sleep of that thread only. */
static void run_one_thread(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher(), i;
	pthread_t threads[4];
	void *value;

	on_signal(SIGUSR1, noop, 0);
	for (i = 0; i < 4; i++)
		MUST(!pthread_create(&threads[i], NULL, read_thread, &fd));
	await_count(w, TD_BLOCKED, 4);
	pthread_kill(threads[2], SIGUSR1);
	pthread_join(threads[2], &value);
	say("the one: %s", result((errno = -(intptr_t)value, -1)));
	say("asleep: %u", count_of(w, TD_BLOCKED));
	MUST(write(fd, "abc", 3) == 3);
	for (i = 0; i < 4; i++) {
		if (i == 2)
			continue;
		pthread_join(threads[i], &value);
		say("another: %ld", (long)(intptr_t)value);
	}
}

/* It is about to poll; give it time to sleep, though it need not. */
static void await_polling(void)
{
	while (!sleeper->value)
		nap(1);
	nap(50);
}

/* The other operations that sleep: a signal ends each as natively. */
static void run_kinds(void)
{
	static const char *const names[] = { "read", "write", "fsync", "poll" };
	struct td_mode mode = { .mode = TD_MODE_LOOP, .capacity = 4096, .fsync_blocks = 1 };
	int w = open_watcher(), kind, restart, fd;
	struct pollfd p;
	char *data = map_pages(2);
	pid_t pid;

	sleeper = map_shared(sizeof(*sleeper));
	for (kind = 0; kind < 4; kind++) {
		for (restart = 0; restart < 2; restart++) {
			fd = open_dev(O_RDWR);
			MUST(ioctl(fd, TD_SET_MODE, &mode) == 0);
			if (kind == 1)
				MUST(write(fd, data, 4096) == 4096);
			sleeper->handled = sleeper->value = 0;
			pid = pd_fork();
			if (!pid) {
				sigset_t usr1, none;

				/* Only the poll itself lets the signal in: none comes too early. */
				sigemptyset(&none);
				sigemptyset(&usr1);
				sigaddset(&usr1, SIGUSR1);
				if (kind == 3)
					sigprocmask(SIG_BLOCK, &usr1, NULL);
				on_signal(SIGUSR1, count_signal, restart ? SA_RESTART : 0);
				p = (struct pollfd){ .fd = fd, .events = POLLPRI };
				errno = 0;
				sleeper->value = 1;
				sleeper->ret = kind == 0 ? read(fd, data, 100) :
					       kind == 1 ? write(fd, data, 100) :
					       kind == 2 ? fsync(fd) :
							   ppoll(&p, 1, NULL, &none);
				sleeper->err = errno;
				_exit(0);
			}
			if (kind < 3)
				await_count(w, TD_BLOCKED, 1);
			else
				await_polling();
			kill(pid, SIGUSR1);
			await_handled(1);
			if (restart && kind < 3) {
				await_count_min(w, TD_INTERRUPTED, 1);
				await_count(w, TD_BLOCKED, 1);
				if (kind == 0)
					MUST(write(fd, data, 10) == 10);
				else if (kind == 1)
					MUST(read(fd, data, 10) == 10);
				else
					wake(w, 1, 0);
			}
			reap(pid);
			errno = sleeper->err;
			say("%s%s: %s", names[kind], restart ? " SA_RESTART" : "",
			    result(sleeper->ret));
			close(fd);
			await_count(w, TD_BLOCKED, 0);
		}
	}
}

/* A file closed by one thread while another sleeps on it stays alive for that. */
static void run_closed(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher(), copy = dup(fd);
	pthread_t thread;
	void *value;

	MUST(!pthread_create(&thread, NULL, read_thread, &fd));
	await_count(w, TD_BLOCKED, 1);
	close(fd);
	say("files %u, asleep %u", count_of(w, TD_FILES), count_of(w, TD_BLOCKED));
	MUST(write(copy, "x", 1) == 1);
	pthread_join(thread, &value);
	say("read: %ld", (long)(intptr_t)value);
	close(copy);
	say("files %u", count_of(w, TD_FILES));
}

static const struct pd_case cases[] = {
	{ "wakes", run_wakes, 0 },     { "signals", run_signals, 40 },
	{ "deaf", run_deaf, 0 },       { "ignored", run_ignored, 0 },
	{ "threads", run_threads, 0 }, { "one-thread", run_one_thread, 0 },
	{ "kinds", run_kinds, 30 },    { "closed", run_closed, 0 },
};

PD_GROUP(blocking, "blocking", "operations that sleep in the driver, and signals", 0);
