// SPDX-License-Identifier: Apache-2.0
#include "vm.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "channel.h"
#include "keep.h"
#include "listener.h"
#include "log.h"
#include "opener.h"
#include "relay.h"
#include "vm_devices.h"
#include "vm_state.h"
#include "vm_user.h"
#include "vm_worker.h"
#include "xen_adapter.h"

/* So many deaths of workers within that time are too many. */
#define DEATHS 5
#define DEATHS_SECONDS 60

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

int vm_setup(const struct host *host, unsigned int index)
{
	struct vm *vm = &host->vms[index];

	vm->o = &host->o->vms[index];
	vm->pidfd = vm->channel = vm->log = vm->listener = vm->conn = vm->state = -1;
	if (vm_user_setup(host, index) || vm_devices_setup(vm))
		return -1;
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
	err = !vm->keep || vm->state < 0 ? -ENOMEM : vm_worker_start(vm, host);
	if (err) {
		log_error("VM '%s': cannot start a worker: %s", vm->o->name, strerror(-err));
		forget_connection(vm);
		return;
	}
	if (!vm->o->xen)
		vm->deaths = 0;
	log_info("VM '%s': connected (worker %d)", vm->o->name, vm->worker);
}

bool vm_channel(struct vm *vm, const struct host *host,
		void (*stats)(struct vm *vm, uint32_t id, const char *text))
{
	static struct channel_msg msg;
	int fds[CHANNEL_MAX_FDS];
	ssize_t n = channel_recv(vm->channel, &msg, fds);

	if (n <= 0) {
		if (n < 0 && n != -EAGAIN)
			log_limited(LOG_ERROR, "VM '%s': the worker's channel: %s", vm->o->name,
				    strerror((int)-n));
		/* it closes its channel when it ends; else nobody would hear it any more */
		if (!n) {
			vm_worker_kill(vm);
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
		vm_device_open(vm, host, &msg);
		break;
	case CHANNEL_CLOSED:
		vm_device_closed(vm, msg.device_id);
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
	err = vm_worker_start(vm, host);
	if (err)
		log_error("VM '%s': cannot start a worker: %s", vm->o->name, strerror(-err));
	else
		log_info("VM '%s': goes on with worker %d", vm->o->name, vm->worker);
	return !err;
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
	waitpid(vm->worker, &status, 0);
	vm_devices_unclaim(vm);
	vm_log_end(vm);
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
