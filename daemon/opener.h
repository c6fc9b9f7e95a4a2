/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening devices in the manager: each in a thread of its own, since a driver's open may block,
 * and each can be interrupted as a signal would.
 */
#ifndef PARADICE_OPENER_H
#define PARADICE_OPENER_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

/* Once, from the main thread, before any other. */
int opener_setup(void);

/**
 * opener_start() - opens @device and answers with CHANNEL_OPENED on @channel
 * @owner: names the worker, for opener_cancel()
 * @channel: duplicated
 * @id: the worker's name for this opening
 * @claim: comes back with the answer, as its device_id
 *
 * Return: 0, and what the driver says is answered on @channel; or a negative errno, which the caller is to
 * answer (-EBUSY: too many openings at once).
 */
int opener_start(const void *owner, int channel, uint32_t id, const struct device_option *device,
		 uint32_t oflags, uint32_t claim);

/* Interrupts opening @id of @owner, or all of its openings and their answers. */
void opener_cancel(const void *owner, uint32_t id);
void opener_cancel_all(const void *owner);

/* Interrupts once more what did not end yet. True: call again in some 10 ms. */
bool opener_tick(void);

#endif
