// SPDX-License-Identifier: GPL-2.0-only
/*
 * struct device_type.uevent() takes a const device: Linux 6.3,
 * "driver core: make struct device_type.uevent() take a const *"
 */
#include <linux/device.h>

static int uevent(const struct device *dev, struct kobj_uevent_env *env)
{
	return 0;
}

const struct device_type probe = { .uevent = uevent };
