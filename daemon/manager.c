// SPDX-License-Identifier: Apache-2.0
#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cgroup.h"
#include "clock.h"
#include "confine.h"
#include "control.h"
#include "hotplug.h"
#include "locks.h"
#include "log.h"
#include "nodes.h"
#include "opener.h"
#include "vm.h"

/* How long workers may take to end once asked; then they are killed. */
#define STOP_MS 3000
#define TICK_MS 10

static struct host host = { .program = -1, .uffd = -1 };

/* The mirror program: as told, else beside us in a build tree, else where it was installed. */
static int open_program(const char *given)
{
	char self[PATH_MAX];
	char path[PATH_MAX + 64];
	char *slash;
	ssize_t n;
	int fd;

	if (given) {
		fd = open(given, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			log_error("--mirror: %s: %m", given);
		return fd;
	}
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		if (slash)
			*slash = '\0';
		snprintf(path, sizeof(path), "%s/../mirror/paradice-mirror", self);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			return fd;
	}
	fd = open(PARADICE_LIBEXECDIR "/paradice-mirror", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		log_error("the mirror program %s: %m (is Paradice installed? --mirror names it)",
			  PARADICE_LIBEXECDIR "/paradice-mirror");
	return fd;
}

static void device_changed(const char *node, bool present)
{
	for (unsigned int i = 0; i < host.nvms; i++)
		vm_device_changed(&host.vms[i], node, present);
}

static bool any_worker(void)
{
	for (unsigned int i = 0; i < host.nvms; i++)
		if (host.vms[i].worker)
			return true;
	return false;
}

static void signal_workers(int signal)
{
	for (unsigned int i = 0; i < host.nvms; i++)
		if (host.vms[i].worker)
			kill(host.vms[i].worker, signal);
}

enum { FD_SIGNAL, FD_HOTPLUG, FD_CONTROL, FD_VMS };
#define FDS_PER_VM 4

static void serve_vm(struct vm *vm, const struct pollfd *p, bool stopping)
{
	if (p[3].revents && vm->log >= 0)
		vm_log(vm);
	if (p[0].revents && !stopping)
		vm_accept(vm, &host);
	if (p[1].revents && vm->channel >= 0) {
		/* closed: the pidfd tells the rest */
		if (!vm_channel(vm, &host, control_stats) && !p[2].revents)
			return;
	}
	if (p[2].revents && vm->worker)
		vm_worker_ended(vm, &host, stopping);
}

/* False when no VM is left that could connect. */
static bool any_served(void)
{
	for (unsigned int i = 0; i < host.nvms; i++)
		if (host.vms[i].listener >= 0 || host.vms[i].worker)
			return true;
	return false;
}

static int loop(const struct options *o, int signals, struct hotplug *hotplug, int control)
{
	struct pollfd *p = calloc(FD_VMS + host.nvms * FDS_PER_VM, sizeof(*p));
	bool stopping = false;
	uint64_t stop_at = 0;
	int status = 0;

	if (!p)
		return 1;
	for (;;) {
		int timeout = control_tick();

		if (opener_tick() || stopping)
			timeout = TICK_MS;
		p[FD_SIGNAL] = (struct pollfd){ .fd = signals, .events = POLLIN };
		p[FD_HOTPLUG] = (struct pollfd){ .fd = hotplug_fd(hotplug), .events = POLLIN };
		p[FD_CONTROL] = (struct pollfd){ .fd = control, .events = POLLIN };
		for (unsigned int i = 0; i < host.nvms; i++) {
			struct vm *vm = &host.vms[i];
			struct pollfd *q = &p[FD_VMS + i * FDS_PER_VM];
			bool listen = !stopping && !(vm->worker && vm->waiting_logged);

			q[0] = (struct pollfd){ .fd = listen ? vm->listener : -1,
						.events = POLLIN };
			q[1] = (struct pollfd){ .fd = vm->channel, .events = POLLIN };
			q[2] = (struct pollfd){ .fd = vm->pidfd, .events = POLLIN };
			q[3] = (struct pollfd){ .fd = vm->log, .events = POLLIN };
		}
		if (poll(p, FD_VMS + host.nvms * FDS_PER_VM, timeout) < 0 && errno != EINTR) {
			log_error("poll: %m");
			break;
		}
		if (p[FD_SIGNAL].revents) {
			struct signalfd_siginfo si;

			if (read(signals, &si, sizeof(si)) == sizeof(si)) {
				log_info("ending on signal %u", si.ssi_signo);
				signal_workers(stopping ? SIGKILL : SIGTERM);
				stopping = true;
			}
		}
		if (p[FD_HOTPLUG].revents)
			hotplug_read(hotplug, device_changed);
		if (p[FD_CONTROL].revents)
			control_accept(&host);
		for (unsigned int i = 0; i < host.nvms; i++) {
			serve_vm(&host.vms[i], &p[FD_VMS + i * FDS_PER_VM], stopping);
			if (o->once && host.vms[i].ended && !stopping) {
				signal_workers(SIGTERM);
				stopping = true;
			}
		}
		if (stopping && !any_worker())
			break;
		if (!stopping && !any_served()) {
			log_error("no VM is left to be served");
			status = 1;
			break;
		}
		/* by the clock: workers that end have much to say */
		if (stopping && !stop_at)
			stop_at = now_ms() + STOP_MS;
		if (stopping && now_ms() >= stop_at) {
			log_warning("workers do not end; killing them");
			signal_workers(SIGKILL);
			stop_at = UINT64_MAX;
		}
	}
	free(p);
	return status;
}

/* Openings under way and what is kept for workers, of all VMs: the usual soft limit was made for select(). */
static void raise_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur == r.rlim_max)
		return;
	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r))
		log_debug("keeps its limit of open files: %m");
}

int manager_run(const struct options *o)
{
	struct hotplug *hotplug = NULL;
	int control = -1;
	int signals = -1;
	sigset_t set;
	int status = 1;

	host.o = o;
	host.program = open_program(o->mirror);
	if (host.program < 0)
		return 1;
	host.uffd = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (host.uffd < 0)
		log_debug("/dev/userfaultfd: %m; userfaultfd(2) is used instead");
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigdelset(&set, SIGPIPE);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0 || opener_setup()) {
		log_error("signals: %m");
		return 1;
	}
	if (geteuid() != 0)
		log_warning(
			"not started by root: guests' calls run as you (uid %u), with your rights",
			geteuid());
	else if (!confine_possible())
		log_warning(
			"started without CAP_SYS_ADMIN: guests' calls run among the daemon's own processes, files and networks");
	raise_limit();
	nodes_setup();
	locks_setup();
	if (cgroups_setup(o->cgroup))
		return 1;
	host.vms = calloc(o->nvms, sizeof(*host.vms));
	if (!host.vms)
		return 1;
	control = control_open(o);
	if (control == -2)
		goto out;
	/* before the devices are looked at, so that nothing is missed */
	hotplug = hotplug_open();
	for (unsigned int i = 0; i < o->nvms; i++) {
		host.nvms = i + 1;
		if (vm_setup(&host, i))
			goto out;
	}
	status = loop(o, signals, hotplug, control);
out:
	for (unsigned int i = 0; i < host.nvms; i++)
		vm_close(&host.vms[i]);
	free(host.vms);
	hotplug_close(hotplug);
	control_close(o);
	return status;
}
