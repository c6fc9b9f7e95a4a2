// SPDX-License-Identifier: Apache-2.0
/* pdtest: FASYNC and SIGIO. */
#include "pdtest.h"

struct seen {
	volatile int signals;
	volatile int code;
	volatile long band;
	volatile int fd;
};

static struct seen *seen;

static void on_io(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	seen->code = info->si_code;
	seen->band = info->si_band;
	seen->fd = info->si_fd;
	seen->signals++;
}

static void catch_io(int sig)
{
	struct sigaction action = { .sa_sigaction = on_io, .sa_flags = SA_SIGINFO | SA_RESTART };

	MUST(sigaction(sig, &action, NULL) == 0);
}

static void trigger(int fd, unsigned int band, unsigned int delay_ms)
{
	struct td_poll p = { .mask = band, .delay_ms = delay_ms };

	MUST(ioctl(fd, TD_SIGIO, &p) == 0);
}

static bool await_signals(int n, int ms)
{
	uint64_t end = now_ms() + ms;

	while (seen->signals < n && now_ms() < end)
		nap(1);
	return seen->signals >= n;
}

static void enable(int fd)
{
	MUST(fcntl(fd, F_SETOWN, getpid()) == 0);
	MUST(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC) == 0);
}

static void run_plain(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher();

	seen = map_shared(sizeof(*seen));
	catch_io(SIGIO);
	trigger(w, POLL_IN, 0);
	nap(20);
	say("not enabled: %d", seen->signals);
	enable(fd);
	say("files with FASYNC: %u", count_of(w, TD_ASYNC_FILES));
	trigger(w, POLL_IN, 0);
	await_signals(1, 10000);
	say("enabled: %d", seen->signals);
	trigger(w, POLL_OUT, 30);
	await_signals(2, 10000);
	say("by timer: %d", seen->signals);
	MUST(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_ASYNC) == 0);
	say("files with FASYNC: %u", count_of(w, TD_ASYNC_FILES));
	trigger(w, POLL_IN, 0);
	nap(50);
	say("disabled: %d", seen->signals);
}

/* With a signal of one's own choice it tells the descriptor and the band. */
static void run_info(void)
{
	static const unsigned int bands[] = { POLL_IN, POLL_OUT, POLL_ERR, POLL_PRI, POLL_HUP };
	int fd = open_dev(O_RDWR), w = open_watcher();
	size_t i;

	seen = map_shared(sizeof(*seen));
	catch_io(SIGRTMIN + 1);
	MUST(fcntl(fd, F_SETSIG, SIGRTMIN + 1) == 0);
	enable(fd);
	for (i = 0; i < ARRAY_SIZE(bands); i++) {
		trigger(w, bands[i], 0);
		await_signals(i + 1, 10000);
		say("band %u: code %d, band %#lx, descriptor right %d", bands[i], seen->code,
		    seen->band, seen->fd == fd);
	}
}

/* FIOASYNC does as fcntl does; data that arrives tells of itself. */
static void run_data(void)
{
	int fd = open_dev(O_RDWR), on = 1;
	pid_t pid;

	seen = map_shared(sizeof(*seen));
	catch_io(SIGIO);
	MUST(fcntl(fd, F_SETOWN, getpid()) == 0);
	say("FIOASYNC: %s", result(ioctl(fd, FIOASYNC, &on)));
	pid = pd_fork();
	if (!pid)
		_exit(write(fd, "hello", 5) != 5);
	say("child %d", reap(pid));
	say("signalled %d", await_signals(1, 10000));
}

/* The signal goes to the owner, be it another process. */
static void run_owner(void)
{
	int fd = open_dev(O_RDWR), w = open_watcher();
	pid_t pid;

	seen = map_shared(sizeof(*seen));
	catch_io(SIGIO);
	pid = pd_fork();
	if (!pid) {
		seen->fd = -2;
		_exit(await_signals(1, 10000) ? 0 : 1);
	}
	while (seen->fd != -2)
		nap(1);
	catch_io(SIGIO);
	on_signal(SIGIO, SIG_DFL, 0); /* would end us */
	MUST(fcntl(fd, F_SETOWN, pid) == 0);
	MUST(fcntl(fd, F_SETFL, O_ASYNC) == 0);
	trigger(w, POLL_IN, 0);
	say("owner: %d", reap(pid));
	close(fd);
	say("files with FASYNC after close: %u", count_of(w, TD_ASYNC_FILES));
}

/* Every file of the group is told, once each. */
static void run_several(void)
{
	int fds[5], w = open_watcher(), i;

	seen = map_shared(sizeof(*seen));
	catch_io(SIGRTMIN);
	for (i = 0; i < 5; i++) {
		fds[i] = open_dev(O_RDWR);
		MUST(fcntl(fds[i], F_SETSIG, SIGRTMIN) == 0);
		enable(fds[i]);
	}
	trigger(w, POLL_IN, 0);
	await_signals(5, 10000);
	nap(30);
	say("five files: %d", seen->signals);
	close(fds[0]);
	trigger(w, POLL_IN, 0);
	await_signals(9, 10000);
	nap(30);
	say("then four: %d", seen->signals);
}

static const struct pd_case cases[] = {
	{ "plain", run_plain, 0 }, { "info", run_info, 0 },	  { "data", run_data, 0 },
	{ "owner", run_owner, 0 }, { "several", run_several, 0 },
};

PD_GROUP(sigio, "sigio", "FASYNC and SIGIO", 0);
