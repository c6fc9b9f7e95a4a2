/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARADICE_MANAGER_H
#define PARADICE_MANAGER_H

#include "options.h"

/**
 * manager_run() - the privileged process: listens for VMMs, starts a worker for each, opens
 * devices for them; until SIGINT or SIGTERM, or with --once until the first VM has gone
 *
 * Return: the exit status.
 */
int manager_run(const struct options *o);

#endif
