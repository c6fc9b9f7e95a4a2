/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a VMM says to a worker when a driver has set up its rings: the front-end's side of vhost-user, as
 * far as a worker needs it.
 */
#ifndef PARADICE_XEN_VMM_H
#define PARADICE_XEN_VMM_H

#include <stdint.h>

/**
 * struct vmm_queue - a queue to be announced
 * @num: descriptors
 * @base: where its area begins among the addresses of the guest
 * @size: bytes of the area
 * @offset: of the area in the file that @gntdev of vmm_start() is
 * @kick: eventfd that tells the worker of requests; the caller's
 * @call: eventfd with which it tells of answers; the caller's
 */
struct vmm_queue {
	uint32_t num;
	uint64_t base;
	uint64_t size;
	uint64_t offset;
	int kick;
	int call;
};

/**
 * vmm_start() - sets a worker up
 * @conn: connection to it
 * @domid: the guest
 * @gntdev: /dev/xen/gntdev, with the areas made ready in it; the caller's
 *
 * Return: 0 when the worker serves the queues, or a negative errno.
 */
int vmm_start(int conn, uint32_t domid, int gntdev, const struct vmm_queue *q, unsigned int n);

#endif
