// SPDX-License-Identifier: GPL-2.0-only
/* class.devnode takes a const device since Linux 6.2, ff62b8e6588f. */
#include <linux/device.h>

static char *devnode(const struct device *dev, umode_t *mode)
{
	return NULL;
}

const struct class probe = {
	.name = "probe",
	.devnode = devnode,
};
