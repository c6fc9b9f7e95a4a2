// SPDX-License-Identifier: Apache-2.0
#include "opens.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "devices.h"
#include "files.h"
#include "policy.h"
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

static int ask(struct opens *o, uint32_t type, uint32_t id, uint32_t device,
	       const struct request *r)
{
	int channel = o->w->channel;
	struct channel_msg msg;

	if (channel < 0)
		return -EIO;
	memset(&msg, 0, CHANNEL_HEAD);
	msg.type = type;
	msg.id = id;
	msg.device_id = device;
	if (r) {
		msg.oflags = r->req.oflags;
		msg.in_mirror = r->open_in_mirror;
	}
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
			r->open_in_mirror = r->mm && device.wire.flags & PD_DEVICE_OPEN_MM;
			r->open_id = id;
			r->open_fd = -1;
		}
		pthread_mutex_unlock(&o->lock);
	}
	if (err) {
		request_done(r, err);
		return;
	}
	err = ask(o, CHANNEL_OPEN, id, r->req.u.open.device, r);
	if (err) {
		struct channel_msg msg = { .type = CHANNEL_OPENED, .id = id, .result = err };

		/* the manager has gone, of which worker.c tells */
		opens_answer(o, &msg, -1);
	}
}

void opens_closed(struct opens *o, uint32_t claim)
{
	if (claim)
		ask(o, CHANNEL_CLOSED, 0, claim, NULL);
}

int opens_cancel(struct opens *o, const struct request *r)
{
	/* the manager has nothing to wait for, and the mirror has not begun */
	if (r->open_in_mirror)
		return -ENOENT;
	ask(o, CHANNEL_OPEN_CANCEL, r->open_id, 0, NULL);
	return 0;
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

static bool unwanted(const struct request *r)
{
	return r->abandoned || r->s->over;
}

/* Goes on with @r by a thread of its own. */
static void aside(struct request *r, void (*run_it)(struct request *r))
{
	request_get(r);
	pool_run_aside(r, run_it);
}

/* Gives the file the handle @id. */
static int make_file(struct request *r, uint64_t id, uint32_t claim, int fd)
{
	struct device_info device;
	struct file *f;
	/* gone meanwhile, and with it what is known of it? */
	int err = devices_find(r->w, r->req.u.open.device, &device);

	if (err) {
		close(fd);
		opens_closed(r->w->opens, claim);
		return err;
	}
	err = file_create(r->s, fd, r->req.oflags, id, &device, claim, &f);
	if (err)
		return err;
	r->resp.u.open.file = f->mf.id;
	r->resp.u.open.flags = file_flags(f);
	file_put(f);
	return 0;
}

/* The driver has said no. */
static void failed(struct request *r, uint32_t claim, int result)
{
	opens_closed(r->w->opens, claim);
	if (result == -EBUSY && windows_lingering(r->w->windows) && !unwanted(r))
		aside(r, try_again);
	else
		request_done(r, result);
}

/* A mirror says what it opened: it must be that device. */
static int check_device(const struct request *r, int fd)
{
	struct device_info device;
	struct stat st;

	if (devices_find(r->w, r->req.u.open.device, &device))
		return -ENODEV;
	if (fstat(fd, &st) || !S_ISCHR(st.st_mode) || major(st.st_rdev) != device.wire.major ||
	    minor(st.st_rdev) != device.wire.minor)
		return -EIO;
	return 0;
}

static void open_in_mirror(struct request *r)
{
	const uint64_t id = atomic_fetch_add(&r->w->next_handle, 1);
	const uint32_t claim = r->open_claim;
	int node = r->open_fd;
	int err;
	int fd;

	err = unwanted(r) ? -EINTR :
			    mirror_open(&r->mop, node, POLICY_OPEN(r->req.oflags), id, &fd);
	close(node);
	if (err) {
		failed(r, claim, err);
		return;
	}
	err = unwanted(r) ? -EINTR : check_device(r, fd);
	if (err) {
		close(fd);
		opens_closed(r->w->opens, claim);
	} else {
		err = make_file(r, id, claim, fd);
	}
	if (err)
		mirror_forget_file(r->s->pool, id);
	request_done(r, err);
}

static void answer(struct request *r, const struct channel_msg *msg)
{
	int result = !msg->result && r->open_fd < 0 ? -EIO : msg->result;

	r->open_id = 0;
	r->open_claim = msg->device_id;
	if (result && r->open_fd >= 0)
		close(r->open_fd);
	if (result)
		failed(r, msg->device_id, result);
	else if (msg->in_mirror && r->mm)
		aside(r, open_in_mirror);
	else if (unwanted(r))
		aside(r, close_unwanted);
	else
		request_done(r, make_file(r, atomic_fetch_add(&r->w->next_handle, 1),
					  msg->device_id, r->open_fd));
}

void opens_answer(struct opens *o, const struct channel_msg *msg, int fd)
{
	struct request *r;

	pthread_mutex_lock(&o->lock);
	r = idmap_find(&o->waiting, msg->id);
	if (r && fd >= 0 && r->open_fd < 0) {
		r->open_fd = fd;
		fd = -1;
	}
	if (r && msg->type == CHANNEL_OPENED)
		idmap_remove(&o->waiting, msg->id);
	pthread_mutex_unlock(&o->lock);
	if (fd >= 0)
		close(fd);
	if (msg->type != CHANNEL_OPENED)
		return;
	if (!r) {
		opens_closed(o, msg->device_id);
		return;
	}
	answer(r, msg);
	request_put(r);
}

void opens_hangup(struct opens *o)
{
	const struct channel_msg gone = { .result = -EIO };

	for (;;) {
		struct request *r;

		pthread_mutex_lock(&o->lock);
		r = idmap_any(&o->waiting);
		if (r)
			idmap_remove(&o->waiting, r->open_id);
		pthread_mutex_unlock(&o->lock);
		if (!r)
			return;
		answer(r, &gone);
		request_put(r);
	}
}
