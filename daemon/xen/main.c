// SPDX-License-Identifier: Apache-2.0
/*
 * paradice-xen: stands between a domain of Xen's and the worker that serves it. To the domain it is the
 * back-end of xenbus, to the worker the VMM. Started by paradiced, one for each such VM.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../log.h"
#include "../vhost_proto.h"
#include "../weak.h"
#include "../xen_adapter.h"
#include "bus.h"
#include "link.h"
#include "store.h"

static void __attribute__((noreturn)) usage(void)
{
	fputs("paradice-xen: is started by paradiced: see its option --xen\n", stderr);
	exit(2);
}

static void read_options(int argc, char **argv, struct bus *b)
{
	if (argc != 6)
		usage();
	b->domain = argv[2];
	b->queues = (uint32_t)strtoul(argv[3], NULL, 10);
	b->max_inflight = (uint32_t)strtoul(argv[4], NULL, 10);
	log_setup(argv[1], (enum log_level)strtoul(argv[5], NULL, 10));
	/* a region for each queue is what a worker can be told of */
	if (b->queues > VHOST_MAX_REGIONS - PD_QUEUE_REQUEST)
		b->queues = VHOST_MAX_REGIONS - PD_QUEUE_REQUEST;
}

/* Looks at the two states and does what follows from them. */
static void step(struct bus *b, struct link **l, int manager)
{
	enum bus_state front, back;

	if (!bus_look(b)) {
		if (*l)
			log_info("domain %u has gone", b->domid);
		link_close(*l);
		*l = NULL;
		bus_forget(b);
		return;
	}
	front = bus_front_state(b);
	back = bus_back_state(b);
	if (*l) {
		if (front == BUS_CONNECTED || front == BUS_INITIALISED)
			return;
		if (front == BUS_UNKNOWN)
			log_info("the device of domain %u has gone", b->domid);
		else
			log_info("the front-end has closed");
		link_close(*l);
		*l = NULL;
		bus_say(b, BUS_CLOSED);
		back = BUS_CLOSED;
	}
	switch (front) {
	case BUS_UNKNOWN:
	case BUS_INITIALISING:
	case BUS_INIT_WAIT:
	case BUS_CLOSED:
		if (back != BUS_INIT_WAIT)
			bus_offer(b);
		break;
	case BUS_INITIALISED:
		/* of a back-end before us, who did not come to answer it */
		if (back != BUS_INIT_WAIT) {
			bus_say(b, BUS_CLOSING);
			break;
		}
		*l = link_open(b->xs, b->domid, b->front, b->queues, manager);
		bus_say(b, *l ? BUS_CONNECTED : BUS_CLOSING);
		break;
	default:
		if (back != BUS_CLOSING)
			bus_say(b, BUS_CLOSING);
	}
}

static void drain_watches(struct xs_handle *xs)
{
	char **event;

	while ((event = xs_check_watch(xs)))
		free(event);
}

int main(int argc, char **argv)
{
	struct link *l = NULL;
	struct bus b = { 0 };

	read_options(argc, argv, &b);
	weak_read();
	prctl(PR_SET_NAME, "paradice-xen");
	b.xs = store_open();
	if (!b.xs || bus_setup(&b))
		return 1;
	if (!bus_look(&b))
		log_info("waiting for domain '%s'%s", b.domain,
			 b.self ? " and its device, which is made in domain 0 (docs/xen.md)" : "");
	for (;;) {
		struct pollfd p[3] = {
			{ .fd = XEN_ADAPTER_FD, .events = POLLIN },
			{ .fd = xs_fileno(b.xs), .events = POLLIN },
			{ .fd = -1, .events = POLLIN },
		};

		step(&b, &l, XEN_ADAPTER_FD);
		do {
			p[2].fd = l ? link_fd(l) : -1;
			if (poll(p, 3, -1) < 0 && errno != EINTR) {
				log_error("poll: %m");
				return 1;
			}
			if (p[0].revents) {
				/* the manager has gone: front-ends shall know */
				link_close(l);
				if (b.domid)
					bus_say(&b, BUS_CLOSING);
				return 0;
			}
			if (l && p[2].revents && !link_serve(l)) {
				log_info("the worker has gone");
				link_close(l);
				l = NULL;
				bus_say(&b, BUS_CLOSING);
				break;
			}
		} while (!p[1].revents);
		drain_watches(b.xs);
	}
}
