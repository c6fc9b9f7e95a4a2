// SPDX-License-Identifier: Apache-2.0
#include "hotplug.h"

#include <libudev.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

struct hotplug {
	struct udev *udev;
	struct udev_monitor *monitor;
};

struct hotplug *hotplug_open(void)
{
	struct hotplug *h = calloc(1, sizeof(*h));
	/* After udev's rules have run, where udev runs: only then the node's mode is right. */
	const char *source = access("/run/udev/control", F_OK) ? "kernel" : "udev";

	if (!h)
		return NULL;
	h->udev = udev_new();
	if (h->udev)
		h->monitor = udev_monitor_new_from_netlink(h->udev, source);
	if (!h->monitor || udev_monitor_enable_receiving(h->monitor) < 0) {
		log_warning(
			"cannot hear of devices that come and go (%m); those given stay as they are");
		hotplug_close(h);
		return NULL;
	}
	return h;
}

void hotplug_close(struct hotplug *h)
{
	if (!h)
		return;
	if (h->monitor)
		udev_monitor_unref(h->monitor);
	if (h->udev)
		udev_unref(h->udev);
	free(h);
}

int hotplug_fd(const struct hotplug *h)
{
	return h ? udev_monitor_get_fd(h->monitor) : -1;
}

void hotplug_read(struct hotplug *h, void (*changed)(const char *node, bool present))
{
	struct udev_device *d;

	while ((d = udev_monitor_receive_device(h->monitor))) {
		const char *node = udev_device_get_devnode(d);
		const char *action = udev_device_get_action(d);

		if (node && action && (!strcmp(action, "add") || !strcmp(action, "remove"))) {
			struct udev_list_entry *link = udev_device_get_devlinks_list_entry(d);
			bool present = !strcmp(action, "add");

			changed(node, present);
			for (; link; link = udev_list_entry_get_next(link))
				changed(udev_list_entry_get_name(link), present);
		}
		udev_device_unref(d);
	}
}
