/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: whoever connects is told, as one JSON object, what the daemon serves and
 * has counted. The socket's mode lets in root and the group that owns it.
 */
#ifndef PARADICE_CONTROL_H
#define PARADICE_CONTROL_H

#include "vm.h"

/* Returns the listening descriptor, -1 without a control socket, -2 when that is an error. */
int control_open(const struct options *o);
void control_close(const struct options *o);

/* Somebody connects: asks the workers for their counts. */
void control_accept(const struct host *host);
/* A worker has answered. */
void control_stats(struct vm *vm, uint32_t id, const char *text);
/* Ends what waited too long. Returns the milliseconds until the next such end, or -1. */
int control_tick(void);

#endif
