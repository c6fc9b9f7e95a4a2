/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's table of the VM's devices. */
#ifndef PARADICE_DEVICES_H
#define PARADICE_DEVICES_H

#include "worker_private.h"

/* A device is there, at table position @index; tells the guest when @tell. 0 or -ENOMEM. */
int devices_set(struct worker *w, unsigned int index, const struct device_info *info, bool tell);
/*
 * What /sys says of the device with id @id, which is to come at position @index: takes a copy. 0 or
 * -ENOMEM.
 */
int devices_set_identity(struct worker *w, unsigned int index, uint32_t id, const uint8_t *bytes,
			 size_t len);
/* The device with id @id is gone. */
void devices_gone(struct worker *w, uint32_t id);
/* PD_OP_DEVICE: 0, -ENODEV for a free position, -ERANGE behind the last. */
int devices_describe(struct worker *w, uint32_t index, struct pd_device *out);
/*
 * PD_OP_IDENTITY: writes at most @room bytes from @offset on to @out. Returns how many, -ENODEV, or
 * -ENODATA when /sys does not know it; @total is the size of the whole.
 */
int devices_identity(struct worker *w, const struct pd_req_identity *q, uint8_t *out, size_t room,
		     uint32_t *total);
/* The device with id @id: 0 or -ENODEV. */
int devices_find(struct worker *w, uint32_t id, struct device_info *out);
/* The table has at least @n positions. */
int devices_grow(struct worker *w, unsigned int n);

#endif
