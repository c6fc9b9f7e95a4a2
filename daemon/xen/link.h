/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection of a front-end with a worker: the queues' areas, and the event channels, each of which is
 * an eventfd's other end.
 */
#ifndef PARADICE_XEN_LINK_H
#define PARADICE_XEN_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <xenstore.h>

struct link;

/**
 * link_open() - connects a front-end that is ready
 * @domid: its domain
 * @front: its folder in xenstore
 * @max_queues: request queues at most
 * @manager: where the worker's end of a new connection is sent; the caller's
 *
 * Return: the connection, or NULL with the reason logged.
 */
struct link *link_open(struct xs_handle *xs, uint32_t domid, const char *front, uint32_t max_queues,
		       int manager);
/* Ends it; NULL is fine. The worker notices. */
void link_close(struct link *l);

/* Becomes readable when link_serve() has something to do; the link's. */
int link_fd(const struct link *l);
/* Passes on what has rung. False when the worker is gone. */
bool link_serve(struct link *l);

#endif
