// SPDX-License-Identifier: Apache-2.0
#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xenevtchn.h>

#include <paradice/xen.h>

#include "../gntdev.h"
#include "../log.h"
#include "../pass_fds.h"
#include "../vhost_proto.h"
#include "../weak.h"
#include "store.h"
#include "vmm.h"

/* what has rung: a queue's call descriptor, by its number, or one of these */
#define RANG_CHANNEL 0x10000u
#define RANG_WORKER 0x10001u

struct link {
	uint32_t domid;
	unsigned int n;
	struct vmm_queue q[VHOST_MAX_REGIONS];
	evtchn_port_t port[VHOST_MAX_REGIONS];
	xenevtchn_handle *channels;
	int gntdev;
	int epoll;
	int worker;
};

/* Makes @refs ready to be mapped as one; their offset in the file. */
static int name_grants(int gntdev, uint32_t domid, const uint32_t *refs, uint32_t n,
		       uint64_t *offset)
{
	struct ioctl_gntdev_map_grant_ref *map;
	int err;

	map = calloc(1, sizeof(*map) + n * sizeof(map->refs[0]));
	if (!map)
		return -ENOMEM;
	map->count = n;
	for (uint32_t i = 0; i < n; i++)
		map->refs[i] = (struct ioctl_gntdev_grant_ref){ .domid = domid, .ref = refs[i] };
	err = ioctl(gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, map) ? -errno : 0;
	*offset = map->index;
	free(map);
	return err;
}

/* A copy of the page that @ref grants. */
static int read_page(int gntdev, uint32_t domid, uint32_t ref, void *out)
{
	struct ioctl_gntdev_unmap_grant_ref unmap = { .count = 1 };
	uint64_t offset;
	void *page;
	int err = name_grants(gntdev, domid, &ref, 1, &offset);

	if (err)
		return err;
	page = mmap(NULL, PD_PAGE_SIZE, PROT_READ, MAP_SHARED, gntdev, (off_t)offset);
	err = page == MAP_FAILED ? -errno : 0;
	if (!err) {
		memcpy(out, page, PD_PAGE_SIZE);
		munmap(page, PD_PAGE_SIZE);
	}
	unmap.index = offset;
	ioctl(gntdev, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap);
	return err;
}

static int open_queue(struct link *l, struct xs_handle *xs, const char *front, unsigned int i)
{
	static struct pd_xen_area area;
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = i };
	struct vmm_queue *q = &l->q[i];
	uint32_t ref, remote;
	xenevtchn_port_or_error_t port;
	int err;

	if (store_read_u32(xs, &ref, "%s/queue-%u/area-ref", front, i) ||
	    store_read_u32(xs, &remote, "%s/queue-%u/event-channel", front, i)) {
		log_limited(LOG_ERROR,
			    "the front-end names no area-ref and event-channel of queue %u", i);
		return -EPROTO;
	}
	err = read_page(l->gntdev, l->domid, ref, &area);
	if (err) {
		log_limited(LOG_ERROR, "queue %u: grant %u cannot be mapped: %s", i, ref,
			    strerror(-err));
		return err;
	}
	if (!WEAK(AREA) && (area.magic != PD_XEN_AREA_MAGIC || area.num < PD_XEN_MIN_NUM ||
			    area.num > PD_XEN_MAX_NUM || area.num & (area.num - 1) ||
			    area.pages != pd_xen_area_pages(area.num))) {
		log_limited(
			LOG_ERROR,
			"queue %u: grant %u describes no area: magic %#x, %u descriptors, %u pages",
			i, ref, area.magic, area.num, area.pages);
		return -EPROTO;
	}
	err = name_grants(l->gntdev, l->domid, area.refs, area.pages, &q->offset);
	if (err) {
		log_limited(LOG_ERROR, "queue %u: its area cannot be mapped: %s", i,
			    strerror(-err));
		return err;
	}
	port = xenevtchn_bind_interdomain(l->channels, l->domid, remote);
	if (port < 0) {
		log_limited(LOG_ERROR, "queue %u: event channel %u cannot be bound: %m", i, remote);
		return -errno;
	}
	l->port[i] = (evtchn_port_t)port;
	q->num = area.num;
	q->base = (uint64_t)i << PD_XEN_QUEUE_SHIFT;
	q->size = (uint64_t)area.pages * PD_PAGE_SIZE;
	q->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->kick < 0 || q->call < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, q->call, &ev)) {
		err = -errno;
		log_error("queue %u: %m", i);
		return err;
	}
	return 0;
}

/* Gives the manager one end of a new connection. */
static int call_worker(struct link *l, int manager)
{
	struct epoll_event ev = { .events = EPOLLRDHUP, .data.u32 = RANG_WORKER };
	struct iovec iov = { .iov_base = &l->domid, .iov_len = sizeof(l->domid) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	union pass_control control;
	int err = 0;
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		return -errno;
	l->worker = sv[0];
	pass_put(&mh, &control, &sv[1], 1);
	if (sendmsg(manager, &mh, MSG_NOSIGNAL) < 0 ||
	    epoll_ctl(l->epoll, EPOLL_CTL_ADD, sv[0], &ev))
		err = -errno;
	close(sv[1]);
	return err;
}

struct link *link_open(struct xs_handle *xs, uint32_t domid, const char *front, uint32_t max_queues,
		       int manager)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = RANG_CHANNEL };
	struct link *l = calloc(1, sizeof(*l));
	uint32_t n;
	int err;

	if (!l)
		return NULL;
	l->domid = domid;
	l->worker = -1;
	for (unsigned int i = 0; i < VHOST_MAX_REGIONS; i++)
		l->q[i].kick = l->q[i].call = -1;
	l->gntdev = open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC);
	l->channels = xenevtchn_open(NULL, 0);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->gntdev < 0 || !l->channels || l->epoll < 0) {
		log_error("/dev/xen/%s: %m (are the modules xen-gntdev and xen-evtchn loaded?)",
			  l->gntdev < 0 ? "gntdev" : "evtchn");
		goto fail;
	}
	if (store_read_u32(xs, &n, "%s/queues", front) ||
	    (!WEAK(QUEUES) && (n <= PD_QUEUE_REQUEST || n > PD_QUEUE_REQUEST + max_queues ||
			       n > VHOST_MAX_REGIONS))) {
		log_limited(LOG_ERROR,
			    "the front-end names no number of queues that is served here (%u to %u)",
			    PD_QUEUE_REQUEST + 1, PD_QUEUE_REQUEST + max_queues);
		goto fail;
	}
	for (; l->n < n; l->n++)
		if (open_queue(l, xs, front, l->n))
			goto fail;
	err = epoll_ctl(l->epoll, EPOLL_CTL_ADD, xenevtchn_fd(l->channels), &ev) ? -errno : 0;
	err = err ?: call_worker(l, manager);
	err = err ?: vmm_start(l->worker, domid, l->gntdev, l->q, l->n);
	if (err) {
		log_error("no worker serves the front-end: %s", strerror(-err));
		goto fail;
	}
	return l;
fail:
	link_close(l);
	return NULL;
}

void link_close(struct link *l)
{
	if (!l)
		return;
	if (l->worker >= 0)
		close(l->worker);
	for (unsigned int i = 0; i < VHOST_MAX_REGIONS; i++) {
		if (l->q[i].kick >= 0)
			close(l->q[i].kick);
		if (l->q[i].call >= 0)
			close(l->q[i].call);
	}
	if (l->channels)
		xenevtchn_close(l->channels);
	if (l->gntdev >= 0)
		close(l->gntdev);
	if (l->epoll >= 0)
		close(l->epoll);
	free(l);
}

int link_fd(const struct link *l)
{
	return l->epoll;
}

/* The front-end has rung: one channel at a time. */
static void channel_rang(struct link *l)
{
	xenevtchn_port_or_error_t port = xenevtchn_pending(l->channels);

	if (port < 0)
		return;
	xenevtchn_unmask(l->channels, (evtchn_port_t)port);
	for (unsigned int i = 0; i < l->n; i++)
		if (l->port[i] == (evtchn_port_t)port)
			eventfd_write(l->q[i].kick, 1);
}

bool link_serve(struct link *l)
{
	struct epoll_event ev[8];
	int n = epoll_wait(l->epoll, ev, 8, 0);
	eventfd_t v;

	for (int i = 0; i < n; i++) {
		uint32_t what = ev[i].data.u32;

		if (what == RANG_WORKER)
			return false;
		if (what == RANG_CHANNEL)
			channel_rang(l);
		else if (!eventfd_read(l->q[what].call, &v))
			xenevtchn_notify(l->channels, l->port[what]);
	}
	return true;
}
