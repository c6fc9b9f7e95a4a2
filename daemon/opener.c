// SPDX-License-Identifier: Apache-2.0
#include "opener.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"
#include "log.h"
#include "mirror.h"
#include "policy.h"

/* of one VM at once */
#define MAX_OPENINGS 512
/* Without SA_RESTART and with a handler, it makes a blocked open return. */
#define INTERRUPT SIGUSR1
/* A worker that does not read for so long is stuck for good. */
#define ANSWER_MS 10000

struct opening {
	struct opening *next;
	const void *owner;
	struct device_option device;
	uint32_t id;
	uint32_t claim;
	uint32_t oflags;
	int channel;
	pthread_t thread;
	bool cancelled;
	bool forgotten; /* nobody waits for the answer */
	bool opened; /* by now the driver has said yes or no */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct opening *openings;

static void interrupted(int signal)
{
	(void)signal;
}

int opener_setup(void)
{
	struct sigaction sa = { .sa_handler = interrupted };
	sigset_t set;

	sigemptyset(&sa.sa_mask);
	if (sigaction(INTERRUPT, &sa, NULL))
		return -errno;
	sigemptyset(&set);
	sigaddset(&set, INTERRUPT);
	return -pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* @result: a descriptor, which is used up, or a negative errno */
static void answer(const struct opening *o, int result)
{
	struct channel_msg msg;
	int err = 0;

	memset(&msg, 0, CHANNEL_HEAD);
	msg.id = o->id;
	if (result >= 0) {
		msg.type = CHANNEL_FILE;
		err = channel_send(o->channel, &msg, CHANNEL_HEAD, &result, 1, ANSWER_MS);
		close(result);
	}
	msg.type = CHANNEL_OPENED;
	msg.device_id = o->claim;
	msg.result = result < 0 ? result : 0;
	if (err != -EAGAIN)
		err = channel_send(o->channel, &msg, CHANNEL_HEAD, NULL, 0, ANSWER_MS);
	if (err != -EAGAIN)
		return;
	log_limited(LOG_ERROR, "%s: the worker that asked for it does not take it; it is ended",
		    o->device.path);
	/* for the manager the same as if it had hung up */
	shutdown(o->channel, SHUT_RDWR);
}

static void free_opening(struct opening *o)
{
	close(o->channel);
	free(o->device.path);
	free(o);
}

static void *open_thread(void *arg)
{
	struct opening *o = arg;
	bool forgotten;
	bool cancelled;
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, INTERRUPT);
	pthread_mutex_lock(&lock);
	o->thread = pthread_self();
	cancelled = o->cancelled;
	pthread_mutex_unlock(&lock);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	fd = cancelled ? -EINTR : policy_open(&o->device, o->oflags);
	pthread_sigmask(SIG_BLOCK, &set, NULL);

	pthread_mutex_lock(&lock);
	forgotten = o->forgotten;
	cancelled = o->cancelled;
	o->opened = true;
	pthread_mutex_unlock(&lock);

	/* The driver said "restart me after the signal"; libc shows that as EINTR. */
	if (fd == -EINTR && cancelled)
		fd = -ERESTARTSYS;
	if (!forgotten)
		answer(o, fd);
	else if (fd >= 0)
		close(fd);
	/* it counts until its answer is under way */
	pthread_mutex_lock(&lock);
	for (struct opening **at = &openings; *at; at = &(*at)->next)
		if (*at == o) {
			*at = o->next;
			break;
		}
	pthread_mutex_unlock(&lock);
	free_opening(o);
	return NULL;
}

static unsigned int count(const void *owner)
{
	unsigned int n = 0;

	pthread_mutex_lock(&lock);
	for (struct opening *o = openings; o; o = o->next)
		n += o->owner == owner;
	pthread_mutex_unlock(&lock);
	return n;
}

int opener_start(const void *owner, int channel, uint32_t id, const struct device_option *device,
		 uint32_t oflags, uint32_t claim)
{
	struct opening *o;
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	if (count(owner) >= MAX_OPENINGS)
		return -EBUSY;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->owner = owner;
	o->id = id;
	o->claim = claim;
	o->oflags = oflags;
	o->device = *device;
	o->device.path = strdup(device->path);
	o->device.name = NULL;
	o->channel = fcntl(channel, F_DUPFD_CLOEXEC, 0);
	if (!o->device.path || o->channel < 0) {
		free_opening(o);
		return -ENOMEM;
	}
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	pthread_mutex_lock(&lock);
	err = pthread_create(&thread, &attr, open_thread, o);
	if (!err) {
		o->thread = thread;
		o->next = openings;
		openings = o;
	}
	pthread_mutex_unlock(&lock);
	pthread_attr_destroy(&attr);
	if (err)
		free_opening(o);
	return err ? -EAGAIN : 0;
}

static void cancel(const void *owner, uint32_t id, bool all)
{
	pthread_mutex_lock(&lock);
	for (struct opening *o = openings; o; o = o->next) {
		if (o->owner != owner || (!all && o->id != id))
			continue;
		o->cancelled = true;
		o->forgotten |= all;
		if (!o->opened)
			pthread_kill(o->thread, INTERRUPT);
	}
	pthread_mutex_unlock(&lock);
}

void opener_cancel(const void *owner, uint32_t id)
{
	cancel(owner, id, false);
}

void opener_cancel_all(const void *owner)
{
	cancel(owner, 0, true);
}

bool opener_tick(void)
{
	bool again = false;

	/* A signal that came just before the driver began to wait was in vain. */
	pthread_mutex_lock(&lock);
	for (struct opening *o = openings; o; o = o->next)
		if (o->cancelled && !o->opened) {
			pthread_kill(o->thread, INTERRUPT);
			again = true;
		}
	pthread_mutex_unlock(&lock);
	return again;
}
