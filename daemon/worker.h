/* SPDX-License-Identifier: Apache-2.0 */
/* The worker: the unprivileged process that serves one VM. */
#ifndef PARADICE_WORKER_H
#define PARADICE_WORKER_H

#include "channel.h"

/* How the manager starts it: this argument, and the channel as this descriptor. */
#define WORKER_ARGUMENT "--internal-worker"
#define WORKER_CHANNEL 3

/* Serves the VM until its VMM is gone. Returns the exit status. */
int worker_main(void);

#endif
