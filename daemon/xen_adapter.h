/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For a VM that is a domain of Xen's: the process paradice-xen, which connects to its worker as a VMM would.
 */
#ifndef PARADICE_XEN_ADAPTER_H
#define PARADICE_XEN_ADAPTER_H

#include <stdbool.h>
#include <sys/types.h>

#include "options.h"

/* in paradice-xen: where connections are handed over, one in each message */
#define XEN_ADAPTER_FD 3

/**
 * xen_adapter_start() - starts it
 * @pid: its process id
 *
 * Return: a descriptor that becomes readable when there is a connection for xen_adapter_accept(), or when the
 * process has ended; or a negative errno with the reason logged.
 */
int xen_adapter_start(const struct vm_option *o, pid_t *pid);

/*
 * The next connection. -EAGAIN: none. When the process has ended, which is logged, it is reaped: -ECONNRESET
 * when it was killed, -ENXIO when it found no way to go on.
 */
int xen_adapter_accept(const struct vm_option *o, int fd, pid_t pid);

/* Ends it, and waits for it: what is connected is told. */
void xen_adapter_stop(int fd, pid_t pid);

#endif
