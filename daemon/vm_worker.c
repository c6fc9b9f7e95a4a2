// SPDX-License-Identifier: Apache-2.0
#include "vm_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "channel.h"
#include "confine.h"
#include "identity.h"
#include "keep.h"
#include "log.h"
#include "policy.h"
#include "relay.h"
#include "weak.h"
#include "worker.h"

static uint64_t keep_caps(const struct vm_option *o)
{
	uint64_t mask = 0;

	for (unsigned int i = 0; i < o->ndevices; i++)
		mask |= o->devices[i].caps;
	return mask;
}

void vm_worker_kill(const struct vm *vm)
{
	syscall(SYS_pidfd_send_signal, vm->pidfd, SIGKILL, NULL, 0);
}

/* What the guest may show of it; that it cannot, or need not, is no reason to do without it. */
static int send_identity(struct vm *vm, unsigned int index, const struct device_info *info,
			 int wait_ms)
{
	static struct channel_msg msg;
	dev_t rdev = makedev(info->wire.major, info->wire.minor);
	size_t len;

	memset(&msg, 0, CHANNEL_HEAD);
	msg.type = CHANNEL_IDENTITY;
	msg.index = index;
	msg.device_id = vm->devices[index].id;
	len = identity_snapshot(rdev, vm->devices[index].o->name, msg.u.bytes, sizeof(msg.u.bytes));
	return len ? channel_send(vm->channel, &msg, CHANNEL_HEAD + len, NULL, 0, wait_ms) : 0;
}

static int send_device(struct vm *vm, unsigned int index, const struct device_info *info,
		       int wait_ms)
{
	struct channel_msg msg;
	int err = send_identity(vm, index, info, wait_ms);

	if (err)
		return err;
	memset(&msg, 0, CHANNEL_HEAD);
	msg.type = CHANNEL_DEVICE;
	msg.index = index;
	msg.device_id = vm->devices[index].id;
	msg.u.device = *info;
	msg.u.device.wire.id = msg.device_id;
	return channel_send(vm->channel, &msg, CHANNEL_HEAD + sizeof(*info), NULL, 0, wait_ms);
}

/* How long to wait for a worker that serves its VM: the others wait with us. */
#define WAIT_MS (WEAK(WAITING) ? 1000 : 0)

/* Of what channel_send() returned then. There is room for all that a worker which reads may have asked for. */
static void told(struct vm *vm, int err)
{
	if (err != -EAGAIN || vm->deaf || WEAK(WAITING))
		return;
	log_error("VM '%s': the worker does not read what it is told; it is ended", vm->o->name);
	vm->deaf = true;
	vm_worker_kill(vm);
}

void vm_tell(struct vm *vm, const struct channel_msg *msg, int fd)
{
	told(vm, channel_send(vm->channel, msg, CHANNEL_HEAD, &fd, fd >= 0 ? 1 : 0, WAIT_MS));
}

void vm_tell_device(struct vm *vm, unsigned int index, const struct device_info *info)
{
	told(vm, send_device(vm, index, info, WAIT_MS));
}

/* Waits for the worker, which does nothing but read yet, and knows no guest. */
static int send_start(struct vm *vm, const struct host *host)
{
	int fds[4] = { vm->conn, host->program, vm->state, host->uffd };
	struct channel_msg msg;
	char why[256];
	int err;

	for (unsigned int i = 0; i < vm->o->ndevices; i++) {
		struct device_info info;

		if (!vm->devices[i].id)
			continue;
		if (policy_describe(vm->devices[i].o, &info, why)) {
			log_warning("VM '%s': %s", vm->o->name, why);
			vm->devices[i].id = 0;
			continue;
		}
		err = send_device(vm, i, &info, 1000);
		if (err)
			return err;
	}
	err = keep_replay(vm->keep, vm->channel);
	if (err)
		return err;
	memset(&msg, 0, CHANNEL_HEAD + sizeof(msg.u.start));
	msg.type = CHANNEL_START;
	msg.index = vm->o->ndevices;
	snprintf(msg.u.start.name, sizeof(msg.u.start.name), "%s", vm->o->name);
	msg.u.start.log_level = log_level();
	msg.u.start.queues = vm->o->queues;
	msg.u.start.max_inflight = vm->o->max_inflight;
	msg.u.start.spin_us = vm->o->spin_us;
	msg.u.start.max_files = vm->o->max_files;
	msg.u.start.max_processes = vm->o->max_processes;
	msg.u.start.window_size = vm->o->xen ? 0 : vm->o->window_size;
	msg.u.start.xen = vm->o->xen;
	msg.u.start.keep_caps = keep_caps(vm->o);
	msg.u.start.uid = vm->uid;
	msg.u.start.gid = vm->gid;
	msg.u.start.allow_pfnmap = vm->o->allow_pfnmap;
	msg.u.start.rules = vm->o->rules;
	msg.u.start.weak = weak_now;
	return channel_send(vm->channel, &msg, CHANNEL_HEAD + sizeof(msg.u.start), fds,
			    host->uffd >= 0 ? 4 : 3, 1000);
}

/*
 * In the child: becomes the worker program, with the channel as descriptor 3, @log as standard error (or ours),
 * and nothing else.
 */
static void __attribute__((noreturn)) exec_worker(int channel, int log, char *title)
{
	int null = open("/dev/null", O_RDWR);
	char *const argv[] = { title, (char *)WORKER_ARGUMENT, NULL };
	char *const envp[] = { NULL };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* a terminal is the manager's, with its Ctrl-C */
	if (setsid() < 0 || null < 0 || (log >= 0 && dup2(log, STDERR_FILENO) < 0) ||
	    dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		_exit(127);
	if (channel != WORKER_CHANNEL)
		dup2(channel, WORKER_CHANNEL);
	else
		fcntl(channel, F_SETFD, 0);
	close_range(WORKER_CHANNEL + 1, ~0u, 0);
	execve("/proc/self/exe", argv, envp);
	_exit(127);
}

/*
 * A process of root's is the first of a pid namespace: the kernel ends with it whatever it started,
 * even what it had no time to make depend on it.
 */
static pid_t fork_worker(void)
{
	if (geteuid() || !confine_possible() || WEAK(PIDS))
		return fork();
	return (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
}

/*
 * Each mirror is two processes, and has a thread more for each of its operations under way; those
 * stay, so that a guest could have a thread for each program and operation at once. Nobody needs that.
 */
static uint64_t tasks_max(const struct vm_option *o)
{
	return 2ull * o->max_processes + 8ull * o->max_inflight + 256;
}

static void close_both(const int fds[2])
{
	for (unsigned int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* The worker has ended; its last words may be what tells why. */
void vm_log_end(struct vm *vm)
{
	bool end = vm->log < 0;

	/* at most what a pipe can hold */
	for (unsigned int i = 0; i < 256 && !end && relay_some(vm->log, &end); i++)
		;
	if (vm->log >= 0)
		close(vm->log);
	vm->log = -1;
}

int vm_worker_start(struct vm *vm, const struct host *host)
{
	char title[VM_NAME_MAX + 32];
	/* what it may have asked for at once, all answered before it reads */
	int size = (1 << 20) + 1024 * (int)vm->o->max_inflight;
	int log[2];
	int sv[2];
	pid_t pid;
	int err = relay_open(log);

	if (err)
		return err;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv)) {
		err = -errno;
		close_both(log);
		return err;
	}
	if (setsockopt(sv[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(sv[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	fcntl(sv[0], F_SETFL, O_NONBLOCK);
	snprintf(title, sizeof(title), "paradiced: worker %s", vm->o->name);
	pid = fork_worker();
	if (pid < 0) {
		err = -errno;
		close_both(sv);
		close_both(log);
		return err;
	}
	if (pid == 0)
		exec_worker(sv[1], log[1], title);
	close(sv[1]);
	if (log[1] >= 0)
		close(log[1]);
	vm->log = log[0];
	vm->deaf = false;
	vm->worker = pid;
	vm->channel = sv[0];
	/* it does nothing before the first message */
	cgroup_enter(vm->o->name, vm->o->memory_max, tasks_max(vm->o), pid);
	vm->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	err = vm->pidfd < 0 ? -errno : send_start(vm, host);
	if (err) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(vm->channel);
		if (vm->pidfd >= 0)
			close(vm->pidfd);
		vm->channel = vm->pidfd = -1;
		vm->worker = 0;
		vm_log_end(vm);
	}
	return err;
}

void vm_log(struct vm *vm)
{
	bool end;

	relay_some(vm->log, &end);
	if (end) {
		close(vm->log);
		vm->log = -1;
	}
}
