/* SPDX-License-Identifier: Apache-2.0 */
/* Giving up, in the worker, all that serving a VM does not need. */
#ifndef PARADICE_CONFINE_H
#define PARADICE_CONFINE_H

#include <stdbool.h>

#include "channel.h"

/* Namespaces can be made here (CAP_SYS_ADMIN); where they can, nothing goes on without them. */
bool confine_possible(void);

/**
 * confine_worker() - drops user, groups, capabilities and namespaces; before the first thread and
 * before the first byte from the VM
 *
 * Return: 0, or a negative errno with the reason logged.
 */
int confine_worker(const struct worker_settings *s);

#endif
