// SPDX-License-Identifier: GPL-2.0-only
/*
 * struct device_type.devnode() takes a const device: Linux 6.2,
 * "driver core: make struct device_type.devnode() take a const *"
 */
#include <linux/device.h>

static char *devnode(const struct device *dev, umode_t *mode, kuid_t *uid, kgid_t *gid)
{
	return NULL;
}

const struct device_type probe = { .devnode = devnode };
