/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The back-end's part of xenbus for one domain: its folder and its states, as xen.h and Xen's
 * io/xenbus.h describe them.
 */
#ifndef PARADICE_XEN_BUS_H
#define PARADICE_XEN_BUS_H

#include <stdbool.h>
#include <stdint.h>
#include <xenstore.h>

/* io/xenbus.h */
enum bus_state {
	BUS_UNKNOWN = 0,
	BUS_INITIALISING = 1,
	BUS_INIT_WAIT = 2,
	BUS_INITIALISED = 3,
	BUS_CONNECTED = 4,
	BUS_CLOSING = 5,
	BUS_CLOSED = 6,
};

/**
 * struct bus - the device of a domain
 * @domain: its name, or its number, as the administrator gave it
 * @queues: request queues that are served
 * @max_inflight: operations at once
 * @self: our own domain
 * @domid: the domain, 0 while it is not there
 * @front: the front-end's folder
 * @back: ours
 */
struct bus {
	struct xs_handle *xs;
	const char *domain;
	uint32_t queues;
	uint32_t max_inflight;
	uint32_t self;
	uint32_t domid;
	char front[64];
	char back[64];
};

/* Sets out to look for the domain: 0, or a negative errno with the reason logged. */
int bus_setup(struct bus *b);
/*
 * Looks whether the domain is there, or still is. In domain 0 its folders are made where there are none;
 * elsewhere the toolstack makes them. True when it is.
 */
bool bus_look(struct bus *b);
/* The domain has gone, or is given up. */
void bus_forget(struct bus *b);

enum bus_state bus_front_state(const struct bus *b);
enum bus_state bus_back_state(const struct bus *b);
void bus_say(const struct bus *b, enum bus_state state);
/* Says what front-ends must know, and InitWait. */
void bus_offer(const struct bus *b);

#endif
