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

#endif
