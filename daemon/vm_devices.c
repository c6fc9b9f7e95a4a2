// SPDX-License-Identifier: Apache-2.0
#include "vm_devices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "channel.h"
#include "locks.h"
#include "log.h"
#include "nodes.h"
#include "opener.h"
#include "policy.h"
#include "vm_worker.h"
#include "weak.h"

static uint32_t next_device_id = 1;

/* What the manager itself must know of a device that is there. */
static void note_device(struct vm_device *d, const struct device_info *info)
{
	d->id = next_device_id++;
	d->rdev = makedev(info->wire.major, info->wire.minor);
	d->by_mirror = info->wire.flags & PD_DEVICE_OPEN_MM;
}

int vm_devices_setup(struct vm *vm)
{
	char why[256];

	vm->devices = calloc(vm->o->ndevices, sizeof(*vm->devices));
	if (!vm->devices) {
		log_error("out of memory");
		return -1;
	}
	for (unsigned int i = 0; i < vm->o->ndevices; i++) {
		const struct device_option *o = &vm->o->devices[i];
		struct device_info info;

		if (policy_describe(o, &info, why)) {
			log_error("VM '%s': --device: %s", vm->o->name, why);
			return -1;
		}
		if (o->opener == OPENER_MIRROR && !nodes_possible()) {
			log_error(
				"VM '%s': --device %s: open=mirror needs paradiced to be started by root",
				vm->o->name, o->path);
			return -1;
		}
		vm->devices[i].o = o;
		vm->devices[i].lock = -1;
		note_device(&vm->devices[i], &info);
	}
	return 0;
}

static struct vm_device *device_by_id(struct vm *vm, uint32_t id)
{
	for (unsigned int i = 0; id && i < vm->o->ndevices; i++)
		if (vm->devices[i].id == id)
			return &vm->devices[i];
	return NULL;
}

/* Has another VM open what this one, or that one, is to have alone? */
static bool taken(const struct host *host, const struct vm *vm, const struct vm_device *d)
{
	for (unsigned int i = 0; i < host->nvms; i++) {
		const struct vm *other = &host->vms[i];

		for (unsigned int k = 0; other != vm && k < other->o->ndevices; k++)
			if (other->devices[k].claims && other->devices[k].rdev == d->rdev)
				return true;
	}
	return false;
}

/* Is it exclusive for anyone? Then of all who share it it must be known who has it. */
static bool claimable(const struct host *host, const struct vm_device *d)
{
	for (unsigned int i = 0; i < host->nvms; i++)
		for (unsigned int k = 0; k < host->vms[i].o->ndevices; k++)
			if (host->vms[i].o->devices[k].exclusive &&
			    host->vms[i].devices[k].rdev == d->rdev)
				return true;
	return false;
}

/* One of several that are the same device: what concerns all is there. */
static struct vm_device *first_of(struct vm *vm, const struct vm_device *d)
{
	struct vm_device *first = vm->devices;

	while (first->rdev != d->rdev)
		first++;
	return first;
}

/* The same between daemons. False: a VM of another one has it. */
static bool share_out(struct vm *vm, const struct vm_device *d)
{
	struct vm_device *first = first_of(vm, d);
	bool alone = false;

	if (first->lock >= 0 || !locks_possible())
		return true;
	for (unsigned int i = 0; i < vm->o->ndevices; i++)
		alone |= vm->devices[i].rdev == d->rdev && vm->devices[i].o->exclusive;
	first->lock = locks_device(d->rdev, alone);
	return first->lock != -EBUSY;
}

/* What it has claimed of a device is given back, or all of it. */
static void unclaim(struct vm *vm, struct vm_device *d, unsigned int n)
{
	struct vm_device *first = first_of(vm, d);
	bool any = false;

	d->claims -= n;
	for (unsigned int i = 0; i < vm->o->ndevices; i++)
		any |= vm->devices[i].rdev == d->rdev && vm->devices[i].claims;
	if (any)
		return;
	locks_release(first->lock);
	first->lock = -1;
}

static void open_refused(struct vm *vm, uint32_t id, uint32_t claim, int result)
{
	struct channel_msg msg;

	memset(&msg, 0, CHANNEL_HEAD);
	msg.type = CHANNEL_OPENED;
	msg.id = id;
	msg.device_id = claim;
	msg.result = result;
	vm_tell(vm, &msg, -1);
}

/* Lets a mirror open it. */
static void open_granted(struct vm *vm, uint32_t id, uint32_t claim,
			 const struct device_option *device, uint32_t oflags)
{
	int node = policy_grant(device, oflags, vm->gid);
	struct channel_msg msg;

	memset(&msg, 0, CHANNEL_HEAD);
	msg.type = CHANNEL_OPENED;
	msg.id = id;
	msg.device_id = claim;
	msg.result = node < 0 ? node : 0;
	msg.in_mirror = true;
	vm_tell(vm, &msg, node);
	if (node >= 0)
		close(node);
}

void vm_device_open(struct vm *vm, const struct host *host, const struct channel_msg *msg)
{
	struct vm_device *d = device_by_id(vm, msg->device_id);
	bool claim;
	int err;

	if (!d) {
		open_refused(vm, msg->id, 0, -ENODEV);
		return;
	}
	claim = claimable(host, d);
	if (!WEAK(EXCLUSIVE) && ((claim && taken(host, vm, d)) || !share_out(vm, d))) {
		log_limited(LOG_WARNING,
			    "VM '%s': open of %s refused (EBUSY): another VM has it, exclusively",
			    vm->o->name, d->o->path);
		open_refused(vm, msg->id, 0, -EBUSY);
		return;
	}
	claim |= first_of(vm, d)->lock >= 0;
	d->claims += claim;
	/* whether it is to be in a mirror is the worker's word; whether it may be is not */
	if (msg->in_mirror && (d->by_mirror || WEAK(OPENERS)) && nodes_possible()) {
		open_granted(vm, msg->id, claim ? d->id : 0, d->o, msg->oflags);
		return;
	}
	err = opener_start(vm, vm->channel, msg->id, d->o, msg->oflags, claim ? d->id : 0);
	if (err)
		open_refused(vm, msg->id, claim ? d->id : 0, err);
}

void vm_device_closed(struct vm *vm, uint32_t id)
{
	struct vm_device *d = device_by_id(vm, id);

	if (d && d->claims)
		unclaim(vm, d, 1);
}

void vm_devices_unclaim(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->o->ndevices; i++)
		unclaim(vm, &vm->devices[i], vm->devices[i].claims);
}

void vm_device_changed(struct vm *vm, const char *node, bool present)
{
	for (unsigned int i = 0; i < vm->o->ndevices; i++) {
		struct vm_device *d = &vm->devices[i];
		struct channel_msg msg;
		struct device_info info;
		char why[256];

		if (strcmp(d->o->path, node) || present == (d->id != 0))
			continue;
		if (present) {
			if (policy_describe(d->o, &info, why)) {
				log_warning("VM '%s': %s", vm->o->name, why);
				continue;
			}
			/* others of the VM's may have been the same device, and have it open still */
			locks_release(d->lock);
			d->lock = -1;
			note_device(d, &info);
			log_info("VM '%s': %s is there", vm->o->name, node);
			if (vm->channel >= 0)
				vm_tell_device(vm, i, &info);
			continue;
		}
		log_info("VM '%s': %s is gone", vm->o->name, node);
		memset(&msg, 0, CHANNEL_HEAD);
		msg.type = CHANNEL_DEVICE_GONE;
		msg.device_id = d->id;
		/* what is open is of a device that nobody can open any more */
		unclaim(vm, d, d->claims);
		d->id = 0;
		if (vm->channel >= 0)
			vm_tell(vm, &msg, -1);
	}
}
