/* SPDX-License-Identifier: Apache-2.0 */
/* News of devices that come and go, from udev. */
#ifndef PARADICE_HOTPLUG_H
#define PARADICE_HOTPLUG_H

#include <stdbool.h>

struct hotplug;

/**
 * hotplug_open() - begins to listen
 * Return: NULL where the kernel does not tell (a container), with the reason logged.
 */
struct hotplug *hotplug_open(void);
void hotplug_close(struct hotplug *h);

/* Readable when there is news; -1 for NULL. */
int hotplug_fd(const struct hotplug *h);

/**
 * hotplug_read() - takes the news
 * @changed: called for each device node that came or went
 */
void hotplug_read(struct hotplug *h, void (*changed)(const char *node, bool present));

#endif
