/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's table of the VM's devices. */
#ifndef PARADICE_DEVICES_H
#define PARADICE_DEVICES_H

#include "worker_private.h"

/* A device is there, at table position @index; tells the guest when @tell. 0 or -ENOMEM. */
int devices_set(struct worker *w, unsigned int index, const struct device_info *info, bool tell);
/* The device with id @id is gone. */
void devices_gone(struct worker *w, uint32_t id);
/* PD_OP_DEVICE: 0, -ENODEV for a free position, -ERANGE behind the last. */
int devices_describe(struct worker *w, uint32_t index, struct pd_device *out);
/* The device with id @id: 0 or -ENODEV. */
int devices_find(struct worker *w, uint32_t id, struct device_info *out);
/* The table has at least @n positions. */
int devices_grow(struct worker *w, unsigned int n);

#endif
