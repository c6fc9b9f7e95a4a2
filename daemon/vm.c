// SPDX-License-Identifier: Apache-2.0
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "channel.h"
#include "confine.h"
#include "identity.h"
#include "keep.h"
#include "listener.h"
#include "locks.h"
#include "log.h"
#include "nodes.h"
#include "opener.h"
#include "policy.h"
#include "relay.h"
#include "vm_state.h"
#include "weak.h"
#include "worker.h"
#include "xen_adapter.h"

/*
 * Each VM's processes have a user id of their own, from a range that no distribution gives out,
 * so that one VM's cannot touch another's. Its name says which, whatever daemon it is of.
 */
#define UID_BASE 0x70d10000u
#define UIDS (1u << 20)

/* So many deaths of workers within that time are too many. */
#define DEATHS 5
#define DEATHS_SECONDS 60

static uint32_t next_device_id = 1;

/* Opens the place where connections come in; 0, or -1 with the reason logged. */
static int listen_for(struct vm *vm)
{
	const struct vm_option *o = vm->o;
	char why[256];

	if (o->xen) {
		vm->listener = xen_adapter_start(o, &vm->adapter);
		if (vm->listener < 0)
			return -1;
		log_info("ready: %s: Xen's domain %s", o->name, o->xen);
		return 0;
	}
	vm->listener = listener_open(o->socket, 0660, o->socket_group, why);
	if (vm->listener < 0) {
		log_error("VM '%s': --socket: %s", o->name, why);
		return -1;
	}
	log_info("ready: %s: %s", o->name, o->socket);
	return 0;
}

/* What the manager itself must know of a device that is there. */
static void note_device(struct vm_device *d, const struct device_info *info)
{
	d->id = next_device_id++;
	d->rdev = makedev(info->wire.major, info->wire.minor);
	d->by_mirror = info->wire.flags & PD_DEVICE_OPEN_MM;
}

/* Has none of this daemon's VMs that id? Those to come choose theirs later, if they were not given one. */
static bool is_free(const struct host *host, unsigned int index, uid_t uid)
{
	for (unsigned int i = 0; i < host->o->nvms; i++)
		if ((i < index && host->vms[i].uid == uid) ||
		    (host->o->vms[i].user_given && host->o->vms[i].uid == uid))
			return false;
	return true;
}

/* The first that is free from where its name points to (a FNV-1a hash). */
static void choose_user(const struct host *host, unsigned int index, struct vm *vm)
{
	uint32_t hash = 2166136261u;

	for (const char *p = vm->o->name; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	for (uint32_t i = 0; i < UIDS; i++) {
		vm->uid = UID_BASE + (hash + i) % UIDS;
		if (!is_free(host, index, vm->uid))
			continue;
		vm->user_lock = locks_possible() ? locks_user(vm->uid) : -1;
		if (vm->user_lock != -EBUSY)
			break;
	}
	vm->gid = vm->uid;
}

int vm_setup(const struct host *host, unsigned int index)
{
	struct vm *vm = &host->vms[index];
	const struct vm_option *o = &host->o->vms[index];
	char why[256];

	vm->o = o;
	vm->user_lock = -1;
	vm->pidfd = vm->channel = vm->log = vm->listener = vm->conn = vm->state = -1;
	vm->uid = vm->gid = (uid_t)-1;
	if (o->user_given) {
		vm->uid = o->uid;
		vm->gid = o->gid;
	} else if (geteuid() == 0) {
		choose_user(host, index, vm);
	}
	if (o->user_given && geteuid() != 0 && o->uid != geteuid()) {
		log_error("VM '%s': --user needs paradiced to be started by root", o->name);
		return -1;
	}
	vm->devices = calloc(o->ndevices, sizeof(*vm->devices));
	if (!vm->devices) {
		log_error("out of memory");
		return -1;
	}
	for (unsigned int i = 0; i < o->ndevices; i++) {
		struct device_info info;

		if (policy_describe(&o->devices[i], &info, why)) {
			log_error("VM '%s': --device: %s", o->name, why);
			return -1;
		}
		if (o->devices[i].opener == OPENER_MIRROR && !nodes_possible()) {
			log_error(
				"VM '%s': --device %s: open=mirror needs paradiced to be started by root",
				o->name, o->devices[i].path);
			return -1;
		}
		vm->devices[i].o = &o->devices[i];
		vm->devices[i].lock = -1;
		note_device(&vm->devices[i], &info);
	}
	return listen_for(vm);
}

void vm_close(struct vm *vm)
{
	if (vm->listener >= 0 && vm->o->xen) {
		xen_adapter_stop(vm->listener, vm->adapter);
	} else if (vm->listener >= 0) {
		close(vm->listener);
		unlink(vm->o->socket);
	}
	free(vm->devices);
	free(vm->stats);
}

static uint64_t keep_caps(const struct vm_option *o)
{
	uint64_t mask = 0;

	for (unsigned int i = 0; i < o->ndevices; i++)
		mask |= o->devices[i].caps;
	return mask;
}

static void end_worker(const struct vm *vm)
{
	syscall(SYS_pidfd_send_signal, vm->pidfd, SIGKILL, NULL, 0);
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
	end_worker(vm);
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
static void end_log(struct vm *vm)
{
	bool end = vm->log < 0;

	/* at most what a pipe can hold */
	for (unsigned int i = 0; i < 256 && !end && relay_some(vm->log, &end); i++)
		;
	if (vm->log >= 0)
		close(vm->log);
	vm->log = -1;
}

static int start_worker(struct vm *vm, const struct host *host)
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
		end_log(vm);
	}
	return err;
}

static void forget_connection(struct vm *vm)
{
	if (vm->conn >= 0)
		close(vm->conn);
	if (vm->state >= 0)
		close(vm->state);
	keep_destroy(vm->keep);
	vm->conn = vm->state = -1;
	vm->keep = NULL;
}

/* Something that happens too often: false. */
static bool count_death(struct vm *vm)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec - vm->last_death > DEATHS_SECONDS)
		vm->deaths = 0;
	vm->last_death = now.tv_sec;
	return ++vm->deaths <= DEATHS;
}

/* Whoever connects anew by itself would do so for ever. */
static void give_up(struct vm *vm)
{
	log_error("VM '%s': is not served any more; start paradiced anew when that is mended",
		  vm->o->name);
	vm->ended = true;
}

/* A connection of the VM's, or negative. */
static int take_connection(struct vm *vm)
{
	int conn;

	if (!vm->o->xen)
		return accept4(vm->listener, NULL, NULL, SOCK_CLOEXEC);
	conn = xen_adapter_accept(vm->o, vm->listener, vm->adapter);
	if (conn != -ECONNRESET && conn != -ENXIO)
		return conn;
	close(vm->listener);
	vm->listener = -1;
	if (conn == -ENXIO || !count_death(vm) || listen_for(vm))
		give_up(vm);
	return conn;
}

void vm_accept(struct vm *vm, const struct host *host)
{
	int err;

	if (vm->worker) {
		/* Xen: the process in between has ended, as the worker will notice, too */
		if (!vm->waiting_logged && !vm->o->xen)
			log_warning(
				"VM '%s': a second VMM connects to %s; it waits until the first has gone",
				vm->o->name, vm->o->socket);
		vm->waiting_logged = true;
		return;
	}
	vm->conn = take_connection(vm);
	if (vm->conn < 0)
		return;
	vm->waiting_logged = false;
	vm->keep = keep_create();
	vm->state = vm_state_create();
	err = !vm->keep || vm->state < 0 ? -ENOMEM : start_worker(vm, host);
	if (err) {
		log_error("VM '%s': cannot start a worker: %s", vm->o->name, strerror(-err));
		forget_connection(vm);
		return;
	}
	if (!vm->o->xen)
		vm->deaths = 0;
	log_info("VM '%s': connected (worker %d)", vm->o->name, vm->worker);
}

static struct vm_device *device_by_id(struct vm *vm, uint32_t id)
{
	for (unsigned int i = 0; id && i < vm->o->ndevices; i++)
		if (vm->devices[i].id == id)
			return &vm->devices[i];
	return NULL;
}

/* Has another VM open what this one, or that one, is to have alone? */
static bool taken(const struct host *host, const struct vm *vm, const struct vm_device *d)
{
	for (unsigned int i = 0; i < host->nvms; i++) {
		const struct vm *other = &host->vms[i];

		for (unsigned int k = 0; other != vm && k < other->o->ndevices; k++)
			if (other->devices[k].claims && other->devices[k].rdev == d->rdev)
				return true;
	}
	return false;
}

/* Is it exclusive for anyone? Then of all who share it it must be known who has it. */
static bool claimable(const struct host *host, const struct vm_device *d)
{
	for (unsigned int i = 0; i < host->nvms; i++)
		for (unsigned int k = 0; k < host->vms[i].o->ndevices; k++)
			if (host->vms[i].o->devices[k].exclusive &&
			    host->vms[i].devices[k].rdev == d->rdev)
				return true;
	return false;
}

/* One of several that are the same device: what concerns all is there. */
static struct vm_device *first_of(struct vm *vm, const struct vm_device *d)
{
	struct vm_device *first = vm->devices;

	while (first->rdev != d->rdev)
		first++;
	return first;
}

/* The same between daemons. False: a VM of another one has it. */
static bool share_out(struct vm *vm, const struct vm_device *d)
{
	struct vm_device *first = first_of(vm, d);
	bool alone = false;

	if (first->lock >= 0 || !locks_possible())
		return true;
	for (unsigned int i = 0; i < vm->o->ndevices; i++)
		alone |= vm->devices[i].rdev == d->rdev && vm->devices[i].o->exclusive;
	first->lock = locks_device(d->rdev, alone);
	return first->lock != -EBUSY;
}

/* What it has claimed of a device is given back, or all of it. */
static void unclaim(struct vm *vm, struct vm_device *d, unsigned int n)
{
	struct vm_device *first = first_of(vm, d);
	bool any = false;

	d->claims -= n;
	for (unsigned int i = 0; i < vm->o->ndevices; i++)
		any |= vm->devices[i].rdev == d->rdev && vm->devices[i].claims;
	if (any)
		return;
	locks_release(first->lock);
	first->lock = -1;
}

static void open_refused(struct vm *vm, uint32_t id, uint32_t claim, int result)
{
	struct channel_msg msg;

	memset(&msg, 0, CHANNEL_HEAD);
	msg.type = CHANNEL_OPENED;
	msg.id = id;
	msg.device_id = claim;
	msg.result = result;
	told(vm, channel_send(vm->channel, &msg, CHANNEL_HEAD, NULL, 0, WAIT_MS));
}

/* Lets a mirror open it. */
static void open_granted(struct vm *vm, uint32_t id, uint32_t claim,
			 const struct device_option *device, uint32_t oflags)
{
	int node = policy_grant(device, oflags, vm->gid);
	struct channel_msg msg;

	memset(&msg, 0, CHANNEL_HEAD);
	msg.type = CHANNEL_OPENED;
	msg.id = id;
	msg.device_id = claim;
	msg.result = node < 0 ? node : 0;
	msg.in_mirror = true;
	told(vm, channel_send(vm->channel, &msg, CHANNEL_HEAD, &node, node >= 0 ? 1 : 0, WAIT_MS));
	if (node >= 0)
		close(node);
}

static void open_device(struct vm *vm, const struct host *host, const struct channel_msg *msg)
{
	struct vm_device *d = device_by_id(vm, msg->device_id);
	bool claim;
	int err;

	if (!d) {
		open_refused(vm, msg->id, 0, -ENODEV);
		return;
	}
	claim = claimable(host, d);
	if (!WEAK(EXCLUSIVE) && ((claim && taken(host, vm, d)) || !share_out(vm, d))) {
		log_limited(LOG_WARNING,
			    "VM '%s': open of %s refused (EBUSY): another VM has it, exclusively",
			    vm->o->name, d->o->path);
		open_refused(vm, msg->id, 0, -EBUSY);
		return;
	}
	claim |= first_of(vm, d)->lock >= 0;
	d->claims += claim;
	/* whether it is to be in a mirror is the worker's word; whether it may be is not */
	if (msg->in_mirror && (d->by_mirror || WEAK(OPENERS)) && nodes_possible()) {
		open_granted(vm, msg->id, claim ? d->id : 0, d->o, msg->oflags);
		return;
	}
	err = opener_start(vm, vm->channel, msg->id, d->o, msg->oflags, claim ? d->id : 0);
	if (err)
		open_refused(vm, msg->id, claim ? d->id : 0, err);
}

bool vm_channel(struct vm *vm, const struct host *host,
		void (*stats)(struct vm *vm, uint32_t id, const char *text))
{
	static struct channel_msg msg;
	struct vm_device *d;
	int fds[CHANNEL_MAX_FDS];
	ssize_t n = channel_recv(vm->channel, &msg, fds);

	if (n <= 0) {
		if (n < 0 && n != -EAGAIN)
			log_limited(LOG_ERROR, "VM '%s': the worker's channel: %s", vm->o->name,
				    strerror((int)-n));
		/* it closes its channel when it ends; else nobody would hear it any more */
		if (!n) {
			end_worker(vm);
			close(vm->channel);
			vm->channel = -1;
		}
		return false;
	}
	if (msg.type == CHANNEL_KEEP && vm->keep) {
		unsigned int nfds = 0;

		while (nfds < CHANNEL_MAX_FDS && fds[nfds] >= 0)
			nfds++;
		keep_store(vm->keep, &msg.u.vhost, fds, nfds);
		return true;
	}
	for (unsigned int i = 0; i < CHANNEL_MAX_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	switch (msg.type) {
	case CHANNEL_OPEN:
		open_device(vm, host, &msg);
		break;
	case CHANNEL_CLOSED:
		d = device_by_id(vm, msg.device_id);
		if (d && d->claims)
			unclaim(vm, d, 1);
		break;
	case CHANNEL_OPEN_CANCEL:
		opener_cancel(vm, msg.id);
		break;
	case CHANNEL_STATS:
		if (msg.id && stats) {
			stats(vm, msg.id, msg.u.text);
		} else if (!msg.id) {
			free(vm->stats);
			vm->stats = strdup(msg.u.text);
		}
		break;
	default:
		log_limited(LOG_WARNING, "VM '%s': the worker sent an unknown message %u",
			    vm->o->name, msg.type);
	}
	return true;
}

static void write_stats(const struct vm *vm)
{
	FILE *f;

	if (!vm->o->stats)
		return;
	f = fopen(vm->o->stats, "we");
	if (f && (fputs(vm->stats ? vm->stats : "{\"error\":\"the worker died\"}", f) < 0 ||
		  fputc('\n', f) < 0)) {
		fclose(f);
		f = NULL;
	}
	if (!f || fclose(f))
		log_error("VM '%s': cannot write %s: %m", vm->o->name, vm->o->stats);
}

/* Tells the domain that it is over; what is no domain of Xen's notices by itself. */
static void stop_adapter(struct vm *vm)
{
	if (!vm->o->xen || vm->listener < 0)
		return;
	xen_adapter_stop(vm->listener, vm->adapter);
	vm->listener = -1;
	give_up(vm);
}

/* A worker that died is replaced, unless that happens all the time or there is nobody to serve. */
static bool replace_worker(struct vm *vm, const struct host *host)
{
	struct pollfd p = { .fd = vm->conn, .events = POLLRDHUP };
	int err;

	if (!keep_any(vm->keep) || poll(&p, 1, 0) != 0)
		return false;
	if (!count_death(vm)) {
		log_error("VM '%s': its workers die one after the other; the VMM is let go",
			  vm->o->name);
		stop_adapter(vm);
		return false;
	}
	/* its areas can be mapped once only: the front-end shall make others */
	if (vm->o->xen)
		return false;
	err = start_worker(vm, host);
	if (err)
		log_error("VM '%s': cannot start a worker: %s", vm->o->name, strerror(-err));
	else
		log_info("VM '%s': goes on with worker %d", vm->o->name, vm->worker);
	return !err;
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

void vm_worker_ended(struct vm *vm, const struct host *host, bool stopping)
{
	bool starved;
	bool died;
	int status = 0;

	/* what it sent before its end */
	while (vm->channel >= 0 && vm_channel(vm, host, NULL))
		;
	opener_cancel_all(vm);
	for (unsigned int i = 0; i < vm->o->ndevices; i++)
		vm->devices[i].claims = 0;
	waitpid(vm->worker, &status, 0);
	for (unsigned int i = 0; i < vm->o->ndevices; i++)
		unclaim(vm, &vm->devices[i], 0);
	end_log(vm);
	starved = cgroup_leave(vm->o->name);
	if (WIFSIGNALED(status) && starved)
		log_error(
			"VM '%s': the worker was killed: it and its mirrors took more memory than --memory-max (%lluM)",
			vm->o->name, (unsigned long long)vm->o->memory_max >> 20);
	else if (WIFSIGNALED(status))
		log_error("VM '%s': the worker was killed by signal %d (%s)", vm->o->name,
			  WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status))
		log_error("VM '%s': the worker ended with status %d", vm->o->name,
			  WEXITSTATUS(status));
	else
		log_info("VM '%s': gone", vm->o->name);
	if (vm->channel >= 0)
		close(vm->channel);
	close(vm->pidfd);
	vm->channel = vm->pidfd = -1;
	vm->worker = 0;
	died = WIFSIGNALED(status) || WEXITSTATUS(status);
	if (died && !stopping && replace_worker(vm, host))
		return;
	forget_connection(vm);
	write_stats(vm);
	free(vm->stats);
	vm->stats = NULL;
	vm->ended = true;
}

void vm_device_changed(struct vm *vm, const char *node, bool present)
{
	for (unsigned int i = 0; i < vm->o->ndevices; i++) {
		struct vm_device *d = &vm->devices[i];
		struct channel_msg msg;
		struct device_info info;
		char why[256];

		if (strcmp(d->o->path, node) || present == (d->id != 0))
			continue;
		if (present) {
			if (policy_describe(d->o, &info, why)) {
				log_warning("VM '%s': %s", vm->o->name, why);
				continue;
			}
			/* others of the VM's may have been the same device, and have it open still */
			locks_release(d->lock);
			d->lock = -1;
			note_device(d, &info);
			log_info("VM '%s': %s is there", vm->o->name, node);
			if (vm->channel >= 0)
				told(vm, send_device(vm, i, &info, WAIT_MS));
			continue;
		}
		log_info("VM '%s': %s is gone", vm->o->name, node);
		memset(&msg, 0, CHANNEL_HEAD);
		msg.type = CHANNEL_DEVICE_GONE;
		msg.device_id = d->id;
		/* what is open is of a device that nobody can open any more */
		unclaim(vm, d, d->claims);
		d->id = 0;
		if (vm->channel >= 0)
			told(vm, channel_send(vm->channel, &msg, CHANNEL_HEAD, NULL, 0, WAIT_MS));
	}
}

bool vm_ask_stats(struct vm *vm, uint32_t id)
{
	struct channel_msg msg;

	if (vm->channel < 0)
		return false;
	memset(&msg, 0, CHANNEL_HEAD);
	msg.type = CHANNEL_STATS_ASK;
	msg.id = id;
	return !channel_send(vm->channel, &msg, CHANNEL_HEAD, NULL, 0, 0);
}
