// SPDX-License-Identifier: Apache-2.0
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "confine.h"
#include "control_queue.h"
#include "devices.h"
#include "events.h"
#include "log.h"
#include "opens.h"
#include "pool.h"
#include "session.h"
#include "stats.h"
#include "vhost_user.h"
#include "vm_state.h"
#include "watch.h"
#include "weak.h"
#include "window.h"
#include "worker_private.h"

/* How long operations may take to end when the VM is gone. */
#define END_MS 2000

static struct worker worker;

/* A message that a worker before us had taken; until all is set up. */
struct replayed {
	struct replayed *next;
	struct vhost_message msg;
	int fds[CHANNEL_MAX_FDS];
	unsigned int nfds;
};

static struct replayed *replayed;
static struct replayed **replayed_end = &replayed;

static int remember(const struct vhost_message *msg, const int *fds)
{
	struct replayed *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->msg = *msg;
	while (r->nfds < CHANNEL_MAX_FDS && fds[r->nfds] >= 0) {
		r->fds[r->nfds] = fds[r->nfds];
		r->nfds++;
	}
	*replayed_end = r;
	replayed_end = &r->next;
	return 0;
}

/* The manager's words before the start: devices, what is known of the VMM, then the settings. */
static int receive_start(struct worker *w)
{
	static struct channel_msg msg;
	int fds[CHANNEL_MAX_FDS];

	for (;;) {
		ssize_t n = channel_recv(w->channel, &msg, fds);

		if (n <= 0)
			return n < 0 ? (int)n : -EPIPE;
		if (msg.type == CHANNEL_DEVICE) {
			if (devices_set(w, msg.index, &msg.u.device, false))
				return -ENOMEM;
			continue;
		}
		if (msg.type == CHANNEL_IDENTITY) {
			if (devices_set_identity(w, msg.index, msg.device_id, msg.u.bytes,
						 (size_t)n - CHANNEL_HEAD))
				return -ENOMEM;
			continue;
		}
		if (msg.type == CHANNEL_REPLAY) {
			if (remember(&msg.u.vhost, fds))
				return -ENOMEM;
			continue;
		}
		if (msg.type != CHANNEL_START || fds[0] < 0 || fds[1] < 0 || fds[2] < 0)
			return -EPROTO;
		w->s = msg.u.start;
		w->conn = fds[0];
		w->program = fds[1];
		w->state = vm_state_map(fds[2]);
		w->uffd = fds[3];
		close(fds[2]);
		if (!w->state)
			return -EINVAL;
		return devices_grow(w, msg.index);
	}
}

void worker_init(struct worker *w)
{
	pthread_mutex_init(&w->session_lock, NULL);
	pthread_mutex_init(&w->counts.lock, NULL);
	pthread_rwlock_init(&w->devices_lock, NULL);
	for (unsigned int i = 0; i < NUM_QUEUES; i++) {
		vq_init(&w->vq[i], i);
		pthread_mutex_init(&w->order[i], NULL);
	}
}

void worker_attach_state(struct worker *w)
{
	w->resumed = w->state->lives++ > 0;
	w->first_handle = ((uint64_t)w->state->lives << 40) + 1;
	w->next_handle = w->first_handle;
	for (unsigned int i = 0; i < NUM_QUEUES; i++)
		vq_attach(&w->vq[i], &w->state->q[i]);
}

int worker_set_up(struct worker *w)
{
	spin_init(w);
	w->mem = gmem_create();
	w->events = events_create(w);
	w->opens = opens_create(w);
	w->windows = windows_create(w);
	if (!w->mem || !w->events || !w->opens || !w->windows)
		return -ENOMEM;
	w->watch = watch_create(w);
	if (!w->watch)
		return -EIO;
	w->pool = pool_create(w);
	if (!w->pool)
		return -EIO;
	return control_queue_start(w);
}

/*
 * Goes on where the last worker died: the guest does not say HELLO again. What was open is lost,
 * and fails with EIO; new programs and new opens are served.
 */
static int resume(struct worker *w)
{
	int err = session_begin(w);

	if (err)
		return err;
	windows_recover(w->windows);
	while (replayed) {
		struct replayed *r = replayed;

		replayed = r->next;
		vhost_user_replay(w, &r->msg, r->fds, r->nfds);
		free(r);
	}
	events_lost(w->events);
	log_warning("the worker has died; a new one goes on, without what was open (EIO)");
	return 0;
}

static void manager_gone(struct worker *w)
{
	log_warning("the manager has gone: open files go on, nothing new can be opened");
	/* not closed: others may be about to send, and nobody else may get its number */
	w->channel = -1;
	opens_hangup(w->opens);
}

static void serve_channel(struct worker *w)
{
	static struct channel_msg msg;
	int fds[CHANNEL_MAX_FDS];
	ssize_t n = channel_recv(w->channel, &msg, fds);

	if (n <= 0) {
		manager_gone(w);
		return;
	}
	switch (msg.type) {
	case CHANNEL_IDENTITY:
		devices_set_identity(w, msg.index, msg.device_id, msg.u.bytes,
				     (size_t)n - CHANNEL_HEAD);
		break;
	case CHANNEL_DEVICE:
		devices_set(w, msg.index, &msg.u.device, true);
		break;
	case CHANNEL_DEVICE_GONE:
		devices_gone(w, msg.device_id);
		break;
	case CHANNEL_FILE:
	case CHANNEL_OPENED:
		opens_answer(w->opens, &msg, fds[0]);
		fds[0] = -1;
		break;
	case CHANNEL_STATS_ASK:
		stats_send(w, msg.id);
		break;
	default:
		log_error("the manager sent an unknown message %u", msg.type);
	}
	for (unsigned int i = 0; i < CHANNEL_MAX_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void serve(struct worker *w, int signals)
{
	for (;;) {
		struct pollfd p[3] = {
			{ .fd = w->conn, .events = POLLIN },
			{ .fd = w->channel, .events = POLLIN },
			{ .fd = signals, .events = POLLIN },
		};

		if (poll(p, 3, -1) < 0 && errno != EINTR) {
			log_error("poll: %m");
			return;
		}
		if (p[2].revents)
			return;
		if (p[0].revents && !vhost_user_serve(w))
			return;
		if (p[1].revents)
			serve_channel(w);
	}
}

int worker_main(void)
{
	struct worker *w = &worker;
	sigset_t set;
	int signals;
	int err;

	prctl(PR_SET_NAME, "paradiced-vm");
	w->channel = WORKER_CHANNEL;
	fcntl(WORKER_CHANNEL, F_SETFD, FD_CLOEXEC);
	worker_init(w);
	err = receive_start(w);
	if (err) {
		log_error("this is no place to start a worker: the manager does that (%s)",
			  strerror(-err));
		return 1;
	}
	log_setup(w->s.name, (enum log_level)w->s.log_level);
	weak_set(w->s.weak);
	worker_attach_state(w);
	if (w->resumed && w->state->serving) {
		log_error("the last worker died in the middle of message %u; the VMM is let go",
			  w->state->serving - 1);
		return 0;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigdelset(&set, SIGPIPE);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals < 0 || confine_worker(&w->s))
		return 1;
	err = worker_set_up(w);
	if (err) {
		log_error("cannot start: %s", strerror(-err));
		return 1;
	}
	if (w->resumed && resume(w)) {
		log_error("cannot go on for the worker that died");
		return 1;
	}
	serve(w, signals);

	windows_hangup(w->windows);
	session_end(w);
	if (!session_wait(w, END_MS))
		log_warning("a driver does not end its operations; left to the kernel");
	stats_send(w, 0);
	/* without exit()'s cleaning up: other threads still run */
	_exit(0);
}
