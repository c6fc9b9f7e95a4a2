// SPDX-License-Identifier: Apache-2.0
#include "opens.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "devices.h"
#include "files.h"
#include "log.h"
#include "pool.h"
#include "request.h"
#include "window.h"

struct opens {
	struct worker *w;
	pthread_mutex_t lock;
	struct idmap waiting;
	uint32_t next_id;
};

struct opens *opens_create(struct worker *w)
{
	struct opens *o = calloc(1, sizeof(*o));

	if (o) {
		o->w = w;
		pthread_mutex_init(&o->lock, NULL);
	}
	return o;
}

static int send(struct opens *o, uint32_t type, uint32_t id, uint32_t device, uint32_t oflags)
{
	int channel = o->w->channel;
	struct channel_msg msg;

	if (channel < 0)
		return -EIO;
	memset(&msg, 0, CHANNEL_HEAD);
	msg.type = type;
	msg.id = id;
	msg.device_id = device;
	msg.oflags = oflags;
	return channel_send(channel, &msg, CHANNEL_HEAD, NULL, 0, -1) ? -EIO : 0;
}

void opens_start(struct opens *o, struct request *r)
{
	struct device_info device;
	uint32_t id = 0;
	int err;

	err = devices_find(o->w, r->req.u.open.device, &device);
	if (!err) {
		pthread_mutex_lock(&o->lock);
		do {
			id = ++o->next_id;
		} while (!id || idmap_find(&o->waiting, id));
		err = idmap_insert(&o->waiting, id, r);
		if (!err) {
			request_get(r);
			r->open_id = id;
		}
		pthread_mutex_unlock(&o->lock);
	}
	if (err) {
		request_done(r, err);
		return;
	}
	err = send(o, CHANNEL_OPEN, id, r->req.u.open.device, r->req.oflags);
	if (err) {
		log_limited(LOG_ERROR, "devices cannot be opened any more: the manager has gone");
		opens_answer(o, id, 0, err, -1);
	}
}

void opens_closed(struct opens *o, uint32_t claim)
{
	if (claim)
		send(o, CHANNEL_CLOSED, 0, claim, 0);
}

void opens_cancel(struct opens *o, uint32_t id)
{
	send(o, CHANNEL_OPEN_CANCEL, id, 0, 0);
}

/* Nobody will ever release it. By a thread of its own, since closing may block. */
static void close_unwanted(struct request *r)
{
	close(r->open_fd);
	opens_closed(r->w->opens, r->open_claim);
	request_done(r, -EINTR);
}

/* A driver that says "busy" may mean a window that the VMM has not let go of yet. */
static void try_again(struct request *r)
{
	struct timespec t = { .tv_nsec = 10000000 };

	nanosleep(&t, NULL);
	opens_start(r->w->opens, r);
}

static void answer(struct request *r, uint32_t claim, int result, int fd)
{
	struct device_info device;
	struct file *f;

	if (result || fd < 0) {
		opens_closed(r->w->opens, claim);
		claim = 0;
	}
	if (result == -EBUSY && windows_lingering(r->w->windows) && !r->abandoned && !r->s->over) {
		request_get(r);
		pool_run_aside(r, try_again);
		return;
	}

	if (!result && fd < 0)
		result = -EIO;
	if (!result && (r->abandoned || r->s->over)) {
		r->open_fd = fd;
		r->open_claim = claim;
		request_get(r);
		pool_run_aside(r, close_unwanted);
		return;
	}
	/* gone meanwhile, and with it what is known of it */
	if (!result)
		result = devices_find(r->w, r->req.u.open.device, &device);
	if (!result) {
		result = file_create(r->s, fd, r->req.oflags, &device, claim, &f);
		fd = -1;
	}
	if (!result) {
		r->resp.u.open.file = f->mf.id;
		r->resp.u.open.flags = f->mf.stream ? PD_FILE_STREAM : 0;
		file_put(f);
	}
	if (fd >= 0) {
		close(fd);
		opens_closed(r->w->opens, claim);
	}
	request_done(r, result);
}

void opens_answer(struct opens *o, uint32_t id, uint32_t claim, int result, int fd)
{
	struct request *r;

	pthread_mutex_lock(&o->lock);
	r = idmap_remove(&o->waiting, id);
	pthread_mutex_unlock(&o->lock);
	if (!r) {
		if (fd >= 0)
			close(fd);
		opens_closed(o, claim);
		return;
	}
	answer(r, claim, result, fd);
	request_put(r);
}

void opens_hangup(struct opens *o)
{
	for (;;) {
		struct request *r;

		pthread_mutex_lock(&o->lock);
		r = idmap_any(&o->waiting);
		if (r)
			idmap_remove(&o->waiting, r->open_id);
		pthread_mutex_unlock(&o->lock);
		if (!r)
			return;
		answer(r, 0, -EIO, -1);
		request_put(r);
	}
}
