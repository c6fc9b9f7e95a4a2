/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the VMM: how the virtual device is set up. */
#ifndef PARADICE_VHOST_USER_H
#define PARADICE_VHOST_USER_H

#include "worker_private.h"

/**
 * vhost_user_serve() - takes one message from the VMM and answers it
 *
 * Return: true; false when the VMM is gone or speaks something else (logged).
 */
bool vhost_user_serve(struct worker *w);

/**
 * vhost_user_replay() - takes one that a worker that died had taken, in the order of keep.h
 * @fds: taken over
 */
void vhost_user_replay(struct worker *w, struct vhost_message *msg, int *fds, unsigned int nfds);

#endif
