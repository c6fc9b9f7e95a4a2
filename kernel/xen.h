/* SPDX-License-Identifier: GPL-2.0-only */
/* Between xen.c, the transport, and xenbus.c, which knows when there is a connection. */
#ifndef PARADICE_KERNEL_XEN_H
#define PARADICE_KERNEL_XEN_H

#include <xen/interface/event_channel.h>
#include <xen/xenbus.h>

#include "core.h"
#include "grants.h"
#include "queue.h"
#include "ring.h"

struct pd_xen;

/**
 * struct pd_xen_queue - a queue
 * @q: the queue that its ring carries
 * @ring: protected by @q's lock
 * @taken: answers were taken since the last event
 * @irq: of its event channel, 0 without
 * @port: the event channel
 * @area: its pages
 * @vaddr: where they are
 * @head: the page that describes them
 */
struct pd_xen_queue {
	struct pd_queue q;
	struct pd_ring ring;
	bool taken;
	unsigned int irq;
	evtchn_port_t port;
	struct pd_grants *area;
	void *vaddr;
	struct pd_grants *head;
};

/**
 * struct pd_xen - a connection with a back-end
 * @host: what the core knows of it
 * @xdev: the device; valid until pd_xen_stop()
 * @domid: the back-end's domain
 * @queues: by index
 */
struct pd_xen {
	struct pd_host host;
	struct xenbus_device *xdev;
	domid_t domid;
	struct pd_xen_queue queues[];
};

struct pd_xen *pd_xen_new(struct xenbus_device *xdev, unsigned int nrequest);
int pd_xen_start(struct pd_xen *x);
void pd_xen_stop(struct pd_xen *x);
void pd_xen_put(struct pd_xen *x);
void pd_xen_limit(void);

#endif
