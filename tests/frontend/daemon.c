// SPDX-License-Identifier: Apache-2.0
/* Starting and watching the paradiced under test. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "frontend.h"

#define MAX_ARGS 64

static void sleep_ms(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void die(const char *what)
{
	perror(what);
	exit(99);
}

/* The terminal of a daemon to be; what is written there goes to @log, by a process that ends with it. */
static int terminal(struct fe_daemon *d, int log)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	int slave;

	if (master < 0 || unlockpt(master))
		die("posix_openpt");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		die("TIOCGPTPEER");
	d->copier = fork();
	if (d->copier < 0)
		die("fork");
	if (d->copier == 0) {
		char text[4096];
		ssize_t n;

		close(slave);
		do {
			n = read(master, text, sizeof(text));
		} while (n > 0 && write(log, text, (size_t)n) == n);
		_exit(0);
	}
	close(master);
	return slave;
}

/* What daemons share out on this machine is no concern of tests, nor the other way round. */
static void leave_the_hosts_locks(void)
{
	static bool done;

	if (done || geteuid() != 0)
		return;
	done = true;
	mkdir("/run/paradice", 0755);
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/run/paradice", "tmpfs", 0, NULL))
		die("/run/paradice");
}

static void start(struct fe_daemon *d, const char *const *args, bool on_terminal)
{
	const char *program = getenv("PARADICED");
	const char *mirror = getenv("PARADICE_MIRROR");
	const char *argv[MAX_ARGS];
	char ready[160];
	int n = 0;
	int slave = -1;
	int log;

	if (!program)
		die("PARADICED is not set");
	leave_the_hosts_locks();
	strcpy(d->dir, "/tmp/paradice-test-XXXXXX");
	if (!mkdtemp(d->dir))
		die("mkdtemp");
	snprintf(d->socket, sizeof(d->socket), "%s/socket", d->dir);
	snprintf(d->stats, sizeof(d->stats), "%s/stats", d->dir);
	snprintf(d->control, sizeof(d->control), "%s/control", d->dir);
	snprintf(d->log, sizeof(d->log), "%s/log", d->dir);
	argv[n++] = program;
	argv[n++] = "--control";
	argv[n++] = d->control;
	argv[n++] = "--log-level";
	argv[n++] = "debug";
	argv[n++] = "--vm";
	argv[n++] = "test";
	argv[n++] = "--socket";
	argv[n++] = d->socket;
	argv[n++] = "--stats";
	argv[n++] = d->stats;
	if (mirror) {
		argv[n++] = "--mirror";
		argv[n++] = mirror;
	}
	while (*args && n < MAX_ARGS - 1)
		argv[n++] = *args++;
	argv[n] = NULL;
	log = open(d->log, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0666);
	if (log < 0)
		die(d->log);
	d->copier = 0;
	if (on_terminal)
		slave = terminal(d, log);
	d->pid = fork();
	if (d->pid < 0)
		die("fork");
	if (d->pid == 0) {
		if (on_terminal) {
			/* as a shell's */
			setsid();
			ioctl(slave, TIOCSCTTY, 0);
			dup2(slave, 0);
			log = slave;
		}
		/* it must not outlive a test that dies, nor keep its output open */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(log, 1);
		dup2(log, 2);
		execv(program, (char *const *)argv);
		_exit(127);
	}
	close(log);
	if (on_terminal)
		close(slave);
	snprintf(ready, sizeof(ready), "ready: test: %s", d->socket);
	if (!fe_daemon_logged(d, ready, 5000)) {
		fprintf(stderr, "%s does not get ready; its log is %s\n", program, d->log);
		exit(99);
	}
}

void fe_daemon_start(struct fe_daemon *d, const char *const *args)
{
	start(d, args, false);
}

void fe_daemon_start_on_terminal(struct fe_daemon *d, const char *const *args)
{
	start(d, args, true);
}

int fe_daemon_wait(struct fe_daemon *d)
{
	int status = -1;

	if (waitpid(d->pid, &status, 0) < 0)
		die("waitpid");
	d->pid = 0;
	if (d->copier && waitpid(d->copier, NULL, 0) < 0)
		die("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int fe_daemon_stop(struct fe_daemon *d)
{
	kill(d->pid, SIGTERM);
	return fe_daemon_wait(d);
}

void fe_daemon_clean(struct fe_daemon *d)
{
	unlink(d->socket);
	unlink(d->stats);
	unlink(d->control);
	if (!getenv("PARADICE_KEEP_LOGS"))
		unlink(d->log);
	rmdir(d->dir);
}

bool fe_daemon_logged(const struct fe_daemon *d, const char *text, unsigned int ms)
{
	for (unsigned int waited = 0;; waited += 5) {
		static char buf[1 << 20];
		size_t n;
		FILE *f = fopen(d->log, "re");

		if (f) {
			n = fread(buf, 1, sizeof(buf) - 1, f);
			buf[n] = '\0';
			fclose(f);
			if (strstr(buf, text))
				return true;
		}
		if (waited >= ms)
			return false;
		sleep_ms(5);
	}
}

static unsigned int children(pid_t pid, pid_t *out, unsigned int max)
{
	unsigned int n = 0;
	char path[64];
	FILE *f;

	/* children of its other threads count, too */
	snprintf(path, sizeof(path), "cat /proc/%d/task/*/children 2>/dev/null", pid);
	f = popen(path, "r");
	if (!f)
		return 0;
	while (n < max && fscanf(f, "%d", &out[n]) == 1)
		n++;
	pclose(f);
	return n;
}

unsigned int fe_descendants(pid_t pid, pid_t *out, unsigned int max)
{
	unsigned int n = children(pid, out, max);

	for (unsigned int i = 0; i < n; i++)
		n += children(out[i], out + n, max - n);
	return n;
}

pid_t fe_worker(const struct fe_daemon *d)
{
	pid_t worker = 0;

	for (int i = 0; i < 2000 && children(d->pid, &worker, 1) != 1; i++)
		sleep_ms(5);
	if (worker <= 0) {
		/* never a number that kill() takes for this program's own group */
		fprintf(stderr, "the daemon has no worker\n");
		abort();
	}
	return worker;
}

/* the thread of @pid that is in system call @nr; 0: none */
static pid_t thread_in(pid_t pid, long nr)
{
	char path[300], text[32], *end;
	struct dirent *e;
	pid_t tid = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	while (d && !tid && (e = readdir(d))) {
		ssize_t len;
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/task/%s/syscall", pid, e->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		len = read(fd, text, sizeof(text) - 1);
		close(fd);
		text[len > 0 ? len : 0] = '\0';
		/* "running", or the number of the call and its arguments */
		if (strtol(text, &end, 10) == nr && end != text)
			tid = (pid_t)strtol(e->d_name, NULL, 10);
	}
	if (d)
		closedir(d);
	return tid;
}

pid_t fe_hold_call(pid_t worker, long nr, pid_t *mapper)
{
	pid_t all[8], tid = 0, t;
	unsigned int n = fe_descendants(worker, all, 8);

	*mapper = 0;
	for (unsigned int i = 0; i < n; i++) {
		t = thread_in(all[i], nr);
		if (t)
			tid = t;
		else
			*mapper = all[i];
	}
	return tid && *mapper && !ptrace(PTRACE_SEIZE, tid, NULL, NULL) ? tid : 0;
}

void fe_let_go(pid_t tid)
{
	while (waitpid(tid, NULL, __WALL) < 0 && errno == EINTR)
		;
}

pid_t fe_inject(pid_t of, const char *what, const char *on)
{
	char pid[16], line[128], path[32], inject[96];
	pid_t tracer;

	snprintf(pid, sizeof(pid), "%d", of);
	snprintf(path, sizeof(path), "/proc/%d/status", of);
	snprintf(inject, sizeof(inject), "inject=%s", what);
	tracer = fork();
	if (!tracer) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		execlp("strace", "strace", "-qfo", "/dev/null", "-e", inject, "-p", pid,
		       on ? "-P" : NULL, on, NULL);
		_exit(127);
	}
	for (int i = 0; i < 500; i++) {
		FILE *f = fopen(path, "re");
		int by = 0;

		while (f && fgets(line, sizeof(line), f))
			sscanf(line, "TracerPid: %d", &by);
		if (f)
			fclose(f);
		if (by == tracer)
			return tracer;
		sleep_ms(10);
	}
	fprintf(stderr, "strace does not attach to %d\n", of);
	abort();
}

void fe_inject_end(pid_t tracer)
{
	kill(tracer, SIGTERM);
	if (waitpid(tracer, NULL, 0) != tracer)
		die("waitpid");
}
