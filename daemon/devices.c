// SPDX-License-Identifier: Apache-2.0
#include "devices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "events.h"
#include "log.h"

#define MAX_DEVICES 4096

int devices_grow(struct worker *w, unsigned int n)
{
	struct device *more;
	int err = 0;

	if (n > MAX_DEVICES)
		return -ENOMEM;
	pthread_rwlock_wrlock(&w->devices_lock);
	if (n > w->ndevices) {
		more = realloc(w->devices, n * sizeof(*more));
		if (more) {
			memset(&more[w->ndevices], 0, (n - w->ndevices) * sizeof(*more));
			w->devices = more;
			w->ndevices = n;
		} else {
			err = -ENOMEM;
		}
	}
	pthread_rwlock_unlock(&w->devices_lock);
	return err;
}

int devices_set(struct worker *w, unsigned int index, const struct device_info *info, bool tell)
{
	int err = devices_grow(w, index + 1);

	if (err)
		return err;
	pthread_rwlock_wrlock(&w->devices_lock);
	w->devices[index].info = *info;
	pthread_rwlock_unlock(&w->devices_lock);
	if (tell)
		events_send(w->events, PD_EV_DEVICE_ADD, index, 0);
	return 0;
}

int devices_set_identity(struct worker *w, unsigned int index, uint32_t id, const uint8_t *bytes,
			 size_t len)
{
	int err = devices_grow(w, index + 1);
	uint8_t *copy = err ? NULL : malloc(len + 1);
	struct device *d;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, bytes, len);
	pthread_rwlock_wrlock(&w->devices_lock);
	d = &w->devices[index];
	free(d->identity);
	d->identity = copy;
	d->identity_len = len;
	d->identity_of = id;
	pthread_rwlock_unlock(&w->devices_lock);
	return 0;
}

void devices_gone(struct worker *w, uint32_t id)
{
	bool was = false;

	pthread_rwlock_wrlock(&w->devices_lock);
	for (unsigned int i = 0; i < w->ndevices; i++)
		if (id && w->devices[i].info.wire.id == id) {
			free(w->devices[i].identity);
			memset(&w->devices[i], 0, sizeof(w->devices[i]));
			was = true;
		}
	pthread_rwlock_unlock(&w->devices_lock);
	if (was)
		events_send(w->events, PD_EV_DEVICE_REMOVE, id, 0);
}

int devices_describe(struct worker *w, uint32_t index, struct pd_device *out)
{
	int err = 0;

	pthread_rwlock_rdlock(&w->devices_lock);
	if (index >= w->ndevices)
		err = -ERANGE;
	else if (!w->devices[index].info.wire.id)
		err = -ENODEV;
	else
		*out = w->devices[index].info.wire;
	pthread_rwlock_unlock(&w->devices_lock);
	return err;
}

int devices_identity(struct worker *w, const struct pd_req_identity *q, uint8_t *out, size_t room,
		     uint32_t *total)
{
	const struct device *d = NULL;
	size_t n = 0;
	int err = 0;

	pthread_rwlock_rdlock(&w->devices_lock);
	for (unsigned int i = 0; i < w->ndevices; i++)
		if (q->device && w->devices[i].info.wire.id == q->device)
			d = &w->devices[i];
	if (!d) {
		err = -ENODEV;
	} else if (d->identity_of != q->device || !d->identity_len) {
		err = -ENODATA;
	} else {
		*total = (uint32_t)d->identity_len;
		n = q->offset < d->identity_len ? d->identity_len - q->offset : 0;
		n = n < room ? n : room;
		if (n)
			memcpy(out, d->identity + q->offset, n);
	}
	pthread_rwlock_unlock(&w->devices_lock);
	return err ? err : (int)n;
}

int devices_find(struct worker *w, uint32_t id, struct device_info *out)
{
	int err = -ENODEV;

	pthread_rwlock_rdlock(&w->devices_lock);
	for (unsigned int i = 0; i < w->ndevices; i++)
		if (id && w->devices[i].info.wire.id == id) {
			*out = w->devices[i].info;
			err = 0;
		}
	pthread_rwlock_unlock(&w->devices_lock);
	return err;
}
