// SPDX-License-Identifier: Apache-2.0
/* pdtest: processes, signals and time. */
#include "pdtest.h"

#include <sys/prctl.h>
#include <time.h>

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

void nap(unsigned int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

pid_t pd_fork(void)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	MUST(pid >= 0);
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* The status, or -1 when the child lives on after @ms. */
static int wait_ms(pid_t pid, unsigned int ms)
{
	uint64_t end = now_ms() + ms;
	int status;
	pid_t got;

	for (;;) {
		got = waitpid(pid, &status, WNOHANG);
		if (got == pid)
			return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		MUST(got == 0);
		if (now_ms() > end)
			return -1;
		nap(1);
	}
}

int reap(pid_t pid)
{
	int status = wait_ms(pid, 10000 * patience);

	if (status < 0) {
		kill(pid, SIGKILL);
		fail(__FILE__, __LINE__, "a child did not end in time");
		_exit(1);
	}
	return status;
}

void kill_and_reap(pid_t pid)
{
	kill(pid, SIGKILL);
	if (wait_ms(pid, 10000 * patience) != 128 + SIGKILL)
		fail(__FILE__, __LINE__, "a killed child is not gone in time");
}

void on_signal(int sig, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	MUST(sigaction(sig, &action, NULL) == 0);
}
