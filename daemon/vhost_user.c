// SPDX-License-Identifier: Apache-2.0
#include "vhost_user.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "control_queue.h"
#include "events.h"
#include "keep.h"
#include "log.h"
#include "pool.h"
#include "request.h"
#include "session.h"
#include "vhost_io.h"
#include "vm_state.h"
#include "watch.h"
#include "weak.h"
#include "window.h"

#define BIT(n) (1ull << (n))

#define FEATURES                                                  \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) | \
	 BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VHOST_F_PROTOCOL_FEATURES))

static uint64_t features;
static uint64_t protocol;
static int backend_fd = -1;

static uint64_t offered_protocol(const struct worker *w)
{
	uint64_t f = BIT(VHOST_PROTOCOL_MQ) | BIT(VHOST_PROTOCOL_REPLY_ACK) |
		     BIT(VHOST_PROTOCOL_CONFIG) | BIT(VHOST_PROTOCOL_RESET_DEVICE);

	if (w->s.window_size)
		f |= BIT(VHOST_PROTOCOL_BACKEND_REQ) | BIT(VHOST_PROTOCOL_BACKEND_SEND_FD) |
		     BIT(VHOST_PROTOCOL_SHARED_OBJECT) | BIT(VHOST_PROTOCOL_SHMEM);
	return f;
}

static void kick_changed(struct worker *w, unsigned int i, int old, int kick)
{
	if (i == PD_QUEUE_CONTROL)
		control_queue_kick_changed(old, kick);
	else if (i == PD_QUEUE_EVENT)
		watch_event_kick(w->watch, old, kick);
	else
		pool_kick_changed(w->pool, i, old, kick);
}

/* After a change: lets the queue run that can, and tells what depends on it. */
static void look_at(struct worker *w, struct virtqueue *q)
{
	bool running = false;
	bool runs;

	pthread_mutex_lock(&q->lock);
	runs = vq_running(q);
	if (runs) {
		request_flush_held(q, w);
		/* requests may have been put there before */
		gmem_rdlock(w->mem);
		vq_want_kick(q);
		gmem_unlock(w->mem);
	}
	pthread_mutex_unlock(&q->lock);
	for (unsigned int i = 0; i < NUM_QUEUES; i++)
		running |= w->vq[i].started && w->vq[i].enabled;
	windows_running(w->windows, running);
	if (!runs)
		return;
	if (q->index == PD_QUEUE_CONTROL)
		control_queue_poke();
	else if (q->index == PD_QUEUE_EVENT)
		events_kick(w->events);
	else
		pool_poke(w->pool, q->index);
}

static int resolve(struct worker *w, struct virtqueue *q)
{
	int err;

	gmem_rdlock(w->mem);
	err = vq_resolve(q, w->mem);
	gmem_unlock(w->mem);
	return err;
}

static int set_mem_table(struct worker *w, const struct vhost_memory *t, const int *fds,
			 unsigned int nfds)
{
	static bool said;
	int err;

	for (unsigned int i = 0; i < NUM_QUEUES; i++)
		pthread_mutex_lock(&w->vq[i].lock);
	err = gmem_set_table(w->mem, t, fds, nfds);
	for (unsigned int i = 0; i < NUM_QUEUES; i++) {
		/* their places may have changed */
		if (!err && w->vq[i].desc && resolve(w, &w->vq[i]))
			log_limited(LOG_ERROR, "queue %u is not in the guest's memory any more", i);
		pthread_mutex_unlock(&w->vq[i].lock);
	}
	if (!err && !gmem_present(w->mem)) {
		if (!said)
			log_error(
				"the VMM shares none of the guest's memory: start the VM with share=on (QEMU: -object memory-backend-memfd,id=mem,size=...,share=on -machine memory-backend=mem)");
		said = true;
	}
	return err;
}

static int set_vring_addr(struct worker *w, struct virtqueue *q, const struct vhost_vring_addr *a)
{
	int err;

	pthread_mutex_lock(&q->lock);
	q->uva.desc = a->desc;
	q->uva.avail = a->avail;
	q->uva.used = a->used;
	err = resolve(w, q);
	pthread_mutex_unlock(&q->lock);
	if (err)
		log_limited(LOG_ERROR, "queue %u is not in the shared memory of the guest%s",
			    q->index, gmem_present(w->mem) ? "" : " (share=on is missing)");
	else
		look_at(w, q);
	return err;
}

/* The ring stands still from here on; whatever the guest had here ends. */
static uint32_t stop(struct worker *w, struct virtqueue *q)
{
	uint32_t base;
	bool was;
	int kick;

	/* no request that was taken from it begins later: a HELLO would begin a session for nobody */
	pthread_mutex_lock(&w->order[q->index]);
	pthread_mutex_lock(&q->lock);
	was = q->started;
	q->started = false;
	base = q->last_avail;
	kick = q->kick;
	q->kick = -1;
	if (kick >= 0)
		kick_changed(w, q->index, kick, -1);
	if (kick >= 0)
		close(kick);
	pthread_mutex_unlock(&q->lock);
	pthread_mutex_unlock(&w->order[q->index]);
	look_at(w, q);
	if (was)
		session_end(w);
	return base;
}

static void set_base(struct virtqueue *q, uint32_t base)
{
	pthread_mutex_lock(&q->lock);
	/*
	 * Another base than where it stopped: a new start of the driver, whose ring knows nothing
	 * of what was under way. The same: the VM was paused, and waits for answers.
	 */
	if ((uint16_t)base != q->last_avail || !base) {
		q->generation++;
		memset(q->state, 0, sizeof(*q->state));
		q->state->last_avail = (uint16_t)base;
		q->last_avail = (uint16_t)base;
		q->used_idx = (uint16_t)base;
		q->signalled = (uint16_t)base;
	}
	q->broken = false;
	pthread_mutex_unlock(&q->lock);
}

static void set_kick(struct worker *w, struct virtqueue *q, int fd)
{
	int old;

	pthread_mutex_lock(&q->lock);
	old = q->kick;
	q->kick = fd;
	q->started = true;
	q->event_idx = features & BIT(VIRTIO_RING_F_EVENT_IDX);
	if (!(features & BIT(VHOST_F_PROTOCOL_FEATURES)))
		q->enabled = true;
	kick_changed(w, q->index, old, fd);
	if (old >= 0)
		close(old);
	pthread_mutex_unlock(&q->lock);
	if (fd < 0)
		log_limited(LOG_ERROR,
			    "queue %u: the VMM gives no kick descriptor; polling is not supported",
			    q->index);
	look_at(w, q);
}

static void set_call(struct virtqueue *q, int fd)
{
	pthread_mutex_lock(&q->lock);
	if (q->call >= 0)
		close(q->call);
	q->call = fd;
	/*
	 * The VMM does not wait until we have taken this: an interrupt may just have gone to the old
	 * descriptor, where nobody looks any more.
	 */
	if (fd >= 0)
		eventfd_write(fd, 1);
	pthread_mutex_unlock(&q->lock);
}

static void reset_device(struct worker *w)
{
	for (unsigned int i = 0; i < NUM_QUEUES; i++) {
		stop(w, &w->vq[i]);
		pthread_mutex_lock(&w->vq[i].lock);
		w->vq[i].enabled = false;
		w->vq[i].generation++;
		pthread_mutex_unlock(&w->vq[i].lock);
	}
	session_end(w);
	events_clear(w->events);
}

static void get_config(const struct worker *w, struct vhost_message *msg)
{
	struct pd_config c = {
		.magic = PD_MAGIC,
		.version_min = PD_VERSION,
		.version_max = PD_VERSION,
		.num_request_queues = w->s.queues,
		.max_inflight = w->s.max_inflight,
	};
	uint8_t space[VHOST_CONFIG_MAX] = { 0 };
	uint32_t offset = msg->u.config.offset;
	uint32_t size = msg->u.config.size;

	if (protocol & BIT(VHOST_PROTOCOL_SHMEM) && backend_fd >= 0)
		c.window_size = w->s.window_size;
	memcpy(space, &c, sizeof(c));
	if (offset > sizeof(space) || size > sizeof(space) - offset) {
		msg->head.size = 0; /* the protocol's way to say no */
		return;
	}
	memcpy(msg->u.config.region, space + offset, size);
	msg->head.size = (uint32_t)offsetof(struct vhost_config, region) + size;
}

/* The queue that a message is about; NULL with a log line when there is none such. */
static struct virtqueue *queue(struct worker *w, uint32_t request, uint32_t index)
{
	if (index < NUM_QUEUES)
		return &w->vq[index];
	log_limited(LOG_ERROR, "the VMM's message %u is about queue %u; there are %u", request,
		    index, NUM_QUEUES);
	return NULL;
}

/* Returns 1 when @msg is an answer to be sent, 0 when done, or a negative errno. */
static int serve(struct worker *w, struct vhost_message *msg, int *fds, unsigned int nfds)
{
	uint32_t what = msg->head.request;
	struct session *s __attribute__((unused));
	struct virtqueue *q;
	int fd = -1;

	switch (what) {
	case VHOST_GET_FEATURES:
		msg->u.u64 = FEATURES;
		msg->head.size = sizeof(msg->u.u64);
		return 1;
	case VHOST_SET_FEATURES:
		if (msg->u.u64 & ~FEATURES)
			return -EINVAL;
		features = msg->u.u64;
		return 0;
	case VHOST_GET_PROTOCOL_FEATURES:
		msg->u.u64 = offered_protocol(w);
		msg->head.size = sizeof(msg->u.u64);
		return 1;
	case VHOST_SET_PROTOCOL_FEATURES:
		if (msg->u.u64 & ~offered_protocol(w))
			return -EINVAL;
		protocol = msg->u.u64;
		return 0;
	case VHOST_SET_OWNER:
	case VHOST_RESET_OWNER:
	case VHOST_SET_CONFIG: /* nothing in it can be written */
		return 0;
	case VHOST_GET_QUEUE_NUM:
		msg->u.u64 = NUM_QUEUES;
		msg->head.size = sizeof(msg->u.u64);
		return 1;
	case VHOST_GET_CONFIG:
		get_config(w, msg);
		return 1;
	case VHOST_GET_SHMEM_CONFIG:
		memset(&msg->u.shmem, 0, sizeof(msg->u.shmem));
		msg->u.shmem.nregions = w->s.window_size ? 1 : 0;
		msg->u.shmem.sizes[PD_WINDOW_SHMID] = w->s.window_size;
		msg->head.size = sizeof(msg->u.shmem);
		return 1;
	case VHOST_GET_SHARED_OBJECT:
		memset(&msg->u, 0, sizeof(msg->u)); /* there are none */
		return 1;
	case VHOST_XEN_GRANTS:
		if (!w->s.xen || nfds != 1 || msg->u.state.index > UINT16_MAX)
			return -EINVAL;
		gmem_set_grants(w->mem, fds[0], msg->u.state.index);
		fds[0] = -1;
		return 0;
	case VHOST_SET_MEM_TABLE:
		return set_mem_table(w, &msg->u.memory, fds, nfds);
	case VHOST_SET_BACKEND_REQ_FD:
		if (nfds != 1)
			return -EINVAL;
		backend_fd = fds[0];
		windows_setup(w->windows, fds[0], protocol & BIT(VHOST_PROTOCOL_SHMEM),
			      protocol & BIT(VHOST_PROTOCOL_SHARED_OBJECT));
		fds[0] = -1;
		return 0;
	case VHOST_RESET_DEVICE:
		reset_device(w);
		return 0;
	case VHOST_SET_VRING_NUM:
		q = queue(w, what, msg->u.state.index);
		if (!q || !msg->u.state.num || msg->u.state.num > VQ_MAX_SIZE ||
		    msg->u.state.num & (msg->u.state.num - 1))
			return -EINVAL;
		pthread_mutex_lock(&q->lock);
		q->num = msg->u.state.num;
		q->desc = NULL;
		pthread_mutex_unlock(&q->lock);
		return 0;
	case VHOST_SET_VRING_ADDR:
		q = queue(w, what, msg->u.addr.index);
		return q ? set_vring_addr(w, q, &msg->u.addr) : -EINVAL;
	case VHOST_SET_VRING_BASE:
		q = queue(w, what, msg->u.state.index);
		if (!q)
			return -EINVAL;
		set_base(q, msg->u.state.num);
		return 0;
	case VHOST_GET_VRING_BASE:
		q = queue(w, what, msg->u.state.index);
		if (!q)
			return -EINVAL;
		msg->u.state.num = stop(w, q);
		msg->head.size = sizeof(msg->u.state);
		return 1;
	case VHOST_SET_VRING_ENABLE:
		q = queue(w, what, msg->u.state.index);
		if (!q)
			return -EINVAL;
		pthread_mutex_lock(&q->lock);
		q->enabled = msg->u.state.num;
		pthread_mutex_unlock(&q->lock);
		look_at(w, q);
		return 0;
	case VHOST_SET_VRING_KICK:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_ERR:
		q = queue(w, what, (uint32_t)(msg->u.u64 & VHOST_VRING_INDEX_MASK));
		if (!q)
			return -EINVAL;
		if (!(msg->u.u64 & VHOST_VRING_NOFD)) {
			if (nfds != 1)
				return -EINVAL;
			fd = fds[0];
		}
		if (what == VHOST_SET_VRING_ERR)
			return 0; /* closed by the caller */
		if (fd >= 0)
			fds[0] = -1;
		if (what == VHOST_SET_VRING_KICK)
			set_kick(w, q, fd);
		else
			set_call(q, fd);
		return 0;
#ifdef PARADICE_WEAKNESSES
	case VHOST_TEST_ATTACK:
		s = session_get(w);
		msg->u.u64 = (uint64_t)weak_attack(w->channel, s->pool, msg->u.state.index,
						   msg->u.state.num);
		session_put(s);
		msg->head.size = sizeof(msg->u.u64);
		return 1;
#endif
	default:
		log_limited(LOG_WARNING, "the VMM sends message %u, which is unknown here", what);
		return -ENOSYS;
	}
}

/* For a worker to come, should this one die. */
static void keep(struct worker *w, const struct vhost_message *msg, const int *fds,
		 unsigned int nfds)
{
	static struct channel_msg out;

	if (w->channel < 0 || !keep_wants(msg->head.request))
		return;
	memset(&out, 0, CHANNEL_HEAD);
	out.type = CHANNEL_KEEP;
	out.u.vhost = *msg;
	channel_send(w->channel, &out, CHANNEL_HEAD + sizeof(out.u.vhost), fds, nfds, 1000);
}

void vhost_user_replay(struct worker *w, struct vhost_message *msg, int *fds, unsigned int nfds)
{
	struct virtqueue *q;
	uint32_t index = (uint32_t)(msg->u.u64 & VHOST_VRING_INDEX_MASK);
	int err = 0;

	switch (msg->head.request) {
	case VHOST_SET_VRING_BASE:
		break; /* the state knows better */
	case VHOST_SET_VRING_KICK:
		q = queue(w, msg->head.request, index);
		if (q && q->desc)
			request_fail_old(w, q);
		err = serve(w, msg, fds, nfds);
		break;
	default:
		err = serve(w, msg, fds, nfds);
	}
	if (err < 0)
		log_warning("message %u, once taken, now fails: %s", msg->head.request,
			    strerror(-err));
	for (unsigned int i = 0; i < nfds && msg->head.request != VHOST_SET_MEM_TABLE; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

bool vhost_user_serve(struct worker *w)
{
	static struct vhost_message msg;
	int fds[VHOST_MAX_FDS];
	unsigned int nfds;
	bool need_reply;
	int err = vhost_read(w->conn, &msg, fds, &nfds);

	if (err <= 0) {
		if (err < 0 && err != -ECONNRESET)
			log_error("the VMM's connection: %s%s", strerror(-err),
				  err == -EPROTO || err == -EMSGSIZE ?
					  " (is this a vhost-user device of QEMU?)" :
					  "");
		return false;
	}
	log_debug("vhost-user message %u, %u bytes, %u descriptors", msg.head.request,
		  msg.head.size, nfds);
	w->state->serving = msg.head.request + 1;
	need_reply = msg.head.flags & VHOST_FLAG_NEED_REPLY &&
		     protocol & BIT(VHOST_PROTOCOL_REPLY_ACK);
	keep(w, &msg, fds, nfds);
	err = serve(w, &msg, fds, nfds);
	/* SET_MEM_TABLE's are taken over whole */
	for (unsigned int i = 0; i < nfds && msg.head.request != VHOST_SET_MEM_TABLE; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (err < 0)
		log_limited(LOG_WARNING, "the VMM's message %u failed: %s", msg.head.request,
			    strerror(-err));
	if (err != 1) {
		if (!need_reply) {
			w->state->serving = 0;
			return true;
		}
		msg.u.u64 = err ? 1 : 0;
		msg.head.size = sizeof(msg.u.u64);
	}
	msg.head.flags = VHOST_VERSION | VHOST_FLAG_REPLY;
	err = vhost_write(w->conn, &msg, NULL, 0);
	w->state->serving = 0;
	if (err)
		log_error("the VMM's connection: %s", strerror(-err));
	return !err;
}
