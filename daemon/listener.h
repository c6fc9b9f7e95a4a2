/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARADICE_LISTENER_H
#define PARADICE_LISTENER_H

#include <sys/types.h>

/**
 * listener_open() - listens on a Unix socket; the stale file of a daemon that is gone is replaced
 * @group: of the socket; -1: the caller's
 * @why: where to say what is wrong, 256 bytes
 *
 * Return: a descriptor, or a negative errno with @why filled (-EADDRINUSE: somebody listens).
 */
int listener_open(const char *path, mode_t mode, gid_t group, char *why);

#endif
