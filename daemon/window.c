// SPDX-License-Identifier: Apache-2.0
#include "window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "files.h"
#include "log.h"
#include "maps.h"
#include "vhost_io.h"
#include "vm_state.h"
#include "weak.h"

/* How long QEMU may take to let go of memory, with some to spare. */
#define LINGER_MS 250

struct window {
	uint64_t offset;
	uint64_t len;
	uint64_t map;
};

/*
 * @lock is held over a request and its reply, for which the VMM may have to wait for the main thread
 * first: that one never takes it while a wait can go on. @fd_lock is held for moments only, so that the
 * main thread can end a wait; @n is read without a lock.
 */
struct windows {
	struct worker *w;
	pthread_mutex_t lock;
	pthread_mutex_t fd_lock;
	int fd;
	bool shmem;
	bool settle;
	atomic_bool running;
	struct window list[PD_MAX_WINDOWS];
	atomic_uint n;
	_Atomic uint64_t ended_ms;
};

struct windows *windows_create(struct worker *w)
{
	struct windows *ws = calloc(1, sizeof(*ws));

	if (ws) {
		ws->w = w;
		ws->fd = -1;
		pthread_mutex_init(&ws->lock, NULL);
		pthread_mutex_init(&ws->fd_lock, NULL);
	}
	return ws;
}

void windows_hangup(struct windows *ws)
{
	pthread_mutex_lock(&ws->fd_lock);
	if (ws->fd >= 0)
		shutdown(ws->fd, SHUT_RDWR);
	pthread_mutex_unlock(&ws->fd_lock);
}

void windows_setup(struct windows *ws, int fd, bool shmem, bool settle)
{
	windows_hangup(ws);
	/* whoever waited leaves now */
	pthread_mutex_lock(&ws->lock);
	pthread_mutex_lock(&ws->fd_lock);
	if (ws->fd >= 0)
		close(ws->fd);
	ws->fd = fd;
	pthread_mutex_unlock(&ws->fd_lock);
	ws->shmem = shmem;
	ws->settle = settle;
	pthread_mutex_unlock(&ws->lock);
}

void windows_running(struct windows *ws, bool running)
{
	ws->running = running;
}

bool windows_possible(struct windows *ws)
{
	static atomic_bool said;

	if (ws->w->s.window_size && ws->shmem && ws->fd >= 0)
		return true;
	if (!atomic_exchange(&said, true))
		log_warning(
			"mmap of device files is refused (ENODEV): %s",
			ws->w->s.window_size ?
				"the VMM has no vhost-user shared memory regions (QEMU has them from 11.1 on)" :
				"--window is 0");
	return false;
}

/* by @lock */
static int request(struct windows *ws, struct vhost_message *msg, int pass)
{
	int fds[VHOST_MAX_FDS];
	unsigned int nfds;
	uint32_t what = msg->head.request;
	int err;

	if (ws->fd < 0 || !ws->running)
		return -EIO;
	msg->head.flags = VHOST_VERSION | VHOST_FLAG_NEED_REPLY;
	err = vhost_write(ws->fd, msg, &pass, pass >= 0);
	if (err)
		return err;
	err = vhost_read(ws->fd, msg, fds, &nfds);
	if (err <= 0)
		return err ? err : -EIO;
	for (unsigned int i = 0; i < nfds; i++)
		close(fds[i]);
	if (msg->head.request != what || !(msg->head.flags & VHOST_FLAG_REPLY) ||
	    msg->head.size != sizeof(msg->u.u64)) {
		log_limited(LOG_ERROR, "the VMM answered request %u with %u", what,
			    msg->head.request);
		return -EPROTO;
	}
	return msg->u.u64 ? -EIO : 0;
}

static int map_request(struct windows *ws, uint32_t what, const struct window *win,
		       uint64_t fd_offset, int fd)
{
	struct vhost_message msg = { .head = { .request = what, .size = sizeof(msg.u.map) } };

	msg.u.map = (struct vhost_shmem_map){
		.shmid = PD_WINDOW_SHMID,
		.fd_offset = fd_offset,
		.shm_offset = win->offset,
		.len = win->len,
		.flags = what == VHOST_BACKEND_SHMEM_MAP ? VHOST_SHMEM_MAP_RW : 0,
	};
	return request(ws, &msg, fd);
}

/*
 * QEMU answers a mapping before the guest's page tables know it, and takes the next request after
 * that. So one that changes nothing: it is to forget a shared object that never was.
 */
static int settle(struct windows *ws)
{
	struct vhost_message msg = {
		.head = { .request = VHOST_BACKEND_SHARED_OBJECT_REMOVE, .size = 16 },
	};
	int err;

	memset(msg.u.uuid, 0xd1, sizeof(msg.u.uuid));
	err = request(ws, &msg, -1);
	/* that it did not find the object is the answer we expect */
	return err == -EIO && (msg.head.flags & VHOST_FLAG_REPLY) ? 0 : err;
}

/* by @lock: for a worker to come */
static void save(struct windows *ws)
{
	struct vm_state *s = ws->w->state;

	for (unsigned int i = 0; i < ws->n; i++)
		s->windows[i] = (struct window_state){ ws->list[i].offset, ws->list[i].len };
	s->nwindows = ws->n;
}

void windows_recover(struct windows *ws)
{
	const struct vm_state *s = ws->w->state;

	for (unsigned int i = 0; i < s->nwindows && i < PD_MAX_WINDOWS; i++)
		ws->list[ws->n++] =
			(struct window){ .offset = s->windows[i].offset, .len = s->windows[i].len };
}

int windows_map(struct windows *ws, struct map *m, const struct pd_req_window *req)
{
	struct window win = { .offset = req->window, .len = req->len, .map = m->id };
	struct file *f = m->file;
	off_t pos = -1;
	int err = 0;

	if (!req->len || (req->len | req->offset | req->window) & (PD_PAGE_SIZE - 1) ||
	    (!WEAK(WINDOWS) && (req->offset > m->len || req->len > m->len - req->offset)) ||
	    (!WEAK(REGION) &&
	     (req->window > ws->w->s.window_size || req->len > ws->w->s.window_size - req->window)))
		return -EINVAL;
	if (!windows_possible(ws))
		return -ENODEV;
	pthread_mutex_lock(&ws->lock);
	for (unsigned int i = 0; i < ws->n && !err && !WEAK(REGION); i++)
		if (win.offset < ws->list[i].offset + ws->list[i].len &&
		    ws->list[i].offset < win.offset + win.len)
			err = -EINVAL;
	if (!err && ws->n == PD_MAX_WINDOWS && !WEAK(COUNT)) {
		log_limited(LOG_WARNING, "the guest wants more than %d windows", PD_MAX_WINDOWS);
		err = -ENOSPC;
	}
	if (!err) {
		/* QEMU measures the file by seeking in it */
		if (!f->mf.stream)
			pos = lseek(f->mf.fd, 0, SEEK_CUR);
		err = map_request(ws, VHOST_BACKEND_SHMEM_MAP, &win, m->offset + req->offset,
				  f->mf.fd);
		if (err && map_step_aside(m)) {
			err = map_request(ws, VHOST_BACKEND_SHMEM_MAP, &win,
					  m->offset + req->offset, f->mf.fd);
			if (err)
				map_step_back(m);
		}
		if (pos >= 0)
			lseek(f->mf.fd, pos, SEEK_SET);
		if (err)
			log_limited(
				LOG_WARNING,
				"the VMM refuses to map %llu bytes of a device at %#llx of the window: %s",
				(unsigned long long)win.len, (unsigned long long)win.offset,
				strerror(-err));
	}
	if (!err) {
		ws->list[ws->n++] = win;
		save(ws);
		atomic_fetch_add(&ws->w->counts.windows, 1);
		if (ws->settle)
			err = settle(ws);
	}
	pthread_mutex_unlock(&ws->lock);
	return err;
}

bool windows_lingers(uint64_t ended)
{
	return ended && now_ms() - ended < LINGER_MS;
}

bool windows_lingering(struct windows *ws)
{
	return windows_lingers(ws->ended_ms);
}

int windows_unmap(struct windows *ws, const struct pd_req_window *req)
{
	int err = -EINVAL;

	pthread_mutex_lock(&ws->lock);
	for (unsigned int i = 0; i < ws->n; i++) {
		struct window win = ws->list[i];

		if (win.offset != req->window || win.len != req->len)
			continue;
		err = map_request(ws, VHOST_BACKEND_SHMEM_UNMAP, &win, 0, -1);
		ws->list[i] = ws->list[--ws->n];
		save(ws);
		ws->ended_ms = now_ms();
		break;
	}
	pthread_mutex_unlock(&ws->lock);
	return err;
}

void windows_drop_all(struct windows *ws)
{
	pthread_mutex_lock(&ws->lock);
	/*
	 * QEMU, which is known by its shared objects, drops them at reset and complains of whoever
	 * asks for it then; others keep them.
	 */
	for (unsigned int i = 0; i < ws->n && !ws->settle; i++)
		if (map_request(ws, VHOST_BACKEND_SHMEM_UNMAP, &ws->list[i], 0, -1))
			break;
	ws->n = 0;
	save(ws);
	pthread_mutex_unlock(&ws->lock);
}

bool windows_has(struct windows *ws, uint64_t map)
{
	bool has = false;

	pthread_mutex_lock(&ws->lock);
	for (unsigned int i = 0; i < ws->n; i++)
		has |= ws->list[i].map == map;
	pthread_mutex_unlock(&ws->lock);
	return has;
}

unsigned int windows_count(struct windows *ws)
{
	return ws->n;
}
