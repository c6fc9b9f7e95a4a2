/* SPDX-License-Identifier: Apache-2.0 */
/* What /sys says of a device and of its ancestors, for the guest to show the same. */
#ifndef PARADICE_IDENTITY_H
#define PARADICE_IDENTITY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * identity_snapshot() - reads the identity of a character device
 * @rdev: its number
 * @name: what it is called below /dev in the guest; where that is another name than the host's,
 *	the object in /sys is called accordingly
 * @out: where the records go (struct pd_identity_record)
 * @size: bytes of it
 *
 * Only what everybody may read on the host is told. What does not fit is left out, and the log
 * says so.
 *
 * Return: bytes written; 0 when /sys does not know the device.
 */
size_t identity_snapshot(dev_t rdev, const char *name, uint8_t *out, size_t size);

#endif
