/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker logs, where standard error is a terminal or a socket: it comes to the manager through a pipe.
 * Of a terminal the worker could read, and put commands into it; a socket it could shut down for all. To a
 * file or a pipe it writes by itself, even when the manager has gone.
 */
#ifndef PARADICE_RELAY_H
#define PARADICE_RELAY_H

#include <stdbool.h>

/*
 * @ends[1] is what the worker gets as standard error, and @ends[0], which does not block, what comes of it; or
 * both are -1, and the worker gets our own. Returns 0 or a negative errno.
 */
int relay_open(int ends[2]);

/* Copies some of what @fd has to standard error. False when it has nothing; @end: and never will. */
bool relay_some(int fd, bool *end);

#endif
