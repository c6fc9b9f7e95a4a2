/* SPDX-License-Identifier: Apache-2.0 */
/* Moving vhost-user messages over a stream socket. */
#ifndef PARADICE_VHOST_IO_H
#define PARADICE_VHOST_IO_H

#include <sys/types.h>

#include "pass_fds.h"
#include "vhost_proto.h"

/*
 * A message as received: the structs of vhost_proto.h are packed on the wire as they are in
 * memory, but for the payload beginning at byte 12, so head and payload travel apart.
 */
#define VHOST_MAX_FDS PASS_MAX_FDS
_Static_assert(VHOST_MAX_REGIONS <= VHOST_MAX_FDS, "a descriptor for each region");

/**
 * vhost_read() - receives a message, waiting for all of it
 * @fds: VHOST_MAX_FDS places
 * @nfds: how many came; the caller's
 *
 * Return: 1, 0 at the end of the stream, or a negative errno (-EPROTO: not vhost-user).
 */
int vhost_read(int fd, struct vhost_message *msg, int *fds, unsigned int *nfds);

/**
 * vhost_write() - sends a message with the payload's size from its head
 * @fds: descriptors to pass, which stay the caller's
 *
 * Return: 0 or a negative errno.
 */
int vhost_write(int fd, const struct vhost_message *msg, const int *fds, unsigned int nfds);

#endif
