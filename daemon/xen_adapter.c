// SPDX-License-Identifier: Apache-2.0
#include "xen_adapter.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "pass_fds.h"
#include "weak.h"

#define PROGRAM "paradice-xen"
/* how long it may take to tell the domain, in steps of 10 ms; then it is killed */
#define STOP_STEPS 200

/*
 * Linux takes back a granted page whenever its mapping goes: in a PV domain also one that a driver has
 * pinned, after which the accounts of its memory are wrong, and the grant is never given back.
 */
static bool domain_is_pv(void)
{
	char type[16] = "";
	FILE *f = fopen("/sys/hypervisor/guest_type", "re");

	if (!f)
		return false;
	if (!fgets(type, sizeof(type), f))
		type[0] = '\0';
	fclose(f);
	return !strcmp(type, "PV\n");
}

/* Beside us in a build tree, else where it was installed. */
static int open_program(void)
{
	char path[PATH_MAX + 32];
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int fd = -1;

	if (n > 0) {
		self[n] = '\0';
		*(strrchr(self, '/') ?: self) = '\0';
		snprintf(path, sizeof(path), "%s/" PROGRAM, self);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0)
		fd = open(PARADICE_LIBEXECDIR "/" PROGRAM, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		log_error("--xen: the program %s: %m (is Paradice built with Xen's libraries?)",
			  PARADICE_LIBEXECDIR "/" PROGRAM);
	return fd;
}

/* In the child. It outlives us for a moment, should we be killed: the domain is to be told. */
static void __attribute__((noreturn)) run(const struct vm_option *o, int program, int channel)
{
	char queues[16], inflight[16], level[16];
	char *const argv[] = { (char *)PROGRAM, o->name, o->xen, queues, inflight, level, NULL };
	char *const envp[] = { NULL };
	sigset_t none;

	snprintf(queues, sizeof(queues), "%u", o->queues);
	snprintf(inflight, sizeof(inflight), "%u", o->max_inflight);
	snprintf(level, sizeof(level), "%d", log_level());
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0); /* a terminal's Ctrl-C is for the manager */
	program = fcntl(program, F_DUPFD, XEN_ADAPTER_FD + 1);
	dup2(channel, XEN_ADAPTER_FD);
	if (channel == XEN_ADAPTER_FD)
		fcntl(channel, F_SETFD, 0);
	fcntl(program, F_SETFD, FD_CLOEXEC);
	syscall(SYS_execveat, program, "", argv, WEAK_ENVIRON(envp), AT_EMPTY_PATH);
	_exit(127);
}

int xen_adapter_start(const struct vm_option *o, pid_t *pid)
{
	int program;
	int sv[2];
	int err;

	if (!o->allow_pv && domain_is_pv()) {
		log_error(
			"VM '%s': --xen: this domain is PV, whose kernel is harmed when a page that a driver has pinned is taken back: run paradiced in a PVH or HVM domain, or say --allow-pv if the drivers of its devices pin nothing (sound, input and serial ports do not; cameras and GPUs do)",
			o->name);
		return -EPERM;
	}
	program = open_program();
	if (program < 0)
		return -ENOENT;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv)) {
		err = -errno;
		close(program);
		return err;
	}
	*pid = fork();
	if (!*pid)
		run(o, program, sv[1]);
	err = *pid < 0 ? -errno : 0;
	close(program);
	close(sv[1]);
	if (err) {
		close(sv[0]);
		log_error("--xen: no process for " PROGRAM ": %s", strerror(-err));
	}
	return err ?: sv[0];
}

int xen_adapter_accept(const struct vm_option *o, int fd, pid_t pid)
{
	uint32_t domid;
	int fds[PASS_MAX_FDS];
	unsigned int nfds;
	ssize_t n = pass_recv(fd, &domid, sizeof(domid), MSG_DONTWAIT, fds, &nfds);
	int status = 0;

	if (n > 0 && nfds == 1)
		return fds[0];
	while (nfds)
		close(fds[--nfds]);
	if (n == -EAGAIN)
		return -EAGAIN;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status)) {
		log_error("VM '%s': " PROGRAM " was killed by signal %d", o->name,
			  WTERMSIG(status));
		return -ECONNRESET;
	}
	log_error("VM '%s': " PROGRAM " ended with status %d", o->name, WEXITSTATUS(status));
	return -ENXIO;
}

void xen_adapter_stop(int fd, pid_t pid)
{
	close(fd);
	for (int i = 0; i < STOP_STEPS; i++) {
		if (waitpid(pid, NULL, WNOHANG))
			return;
		usleep(10000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
