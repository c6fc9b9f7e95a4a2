/* SPDX-License-Identifier: Apache-2.0 */
/* What the administrator's options mean for a device: looking at it, and opening it. */
#ifndef PARADICE_POLICY_H
#define PARADICE_POLICY_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/types.h>

#include "channel.h"
#include "options.h"

/**
 * policy_describe() - looks at a device without opening it
 * @info: filled in but for the id
 * @why: where to say what is wrong, 256 bytes
 *
 * Return: 0, or a negative errno with @why filled.
 */
int policy_describe(const struct device_option *d, struct device_info *info, char *why);

/**
 * policy_open() - opens a device for a guest; may block as long as the driver likes
 * @oflags: PD_O_* as the guest sent them
 *
 * Return: a descriptor, or a negative errno: the driver's, or -EACCES by policy.
 */
int policy_open(const struct device_option *d, uint32_t oflags);

/**
 * policy_grant() - likewise, for a mirror that opens it itself; does not block
 * @group: whom to let do it
 *
 * Return: an O_PATH descriptor of a node, see nodes_make(), or a negative errno.
 */
int policy_grant(const struct device_option *d, uint32_t oflags, gid_t group);

/* Flags that a guest may open with; the rest is dropped. */
#define POLICY_OPEN_FLAGS                                                                   \
	(PD_O_ACCMODE | PD_O_EXCL | PD_O_TRUNC | PD_O_APPEND | PD_O_NONBLOCK | PD_O_DSYNC | \
	 PD_O_DIRECT | PD_O_SYNC)
/* What open() gets. */
#define POLICY_OPEN(oflags) (((oflags)&POLICY_OPEN_FLAGS) | O_NOCTTY | O_CLOEXEC)

#endif
