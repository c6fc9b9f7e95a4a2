/* SPDX-License-Identifier: Apache-2.0 */
/* A file system with nothing in it. */
#ifndef PARADICE_CONFINE_ROOT_H
#define PARADICE_CONFINE_ROOT_H

/**
 * confine_root() - leaves all file systems but /proc, which shows the worker and its mirrors
 *
 * The worker is the first process of a pid namespace, or /proc would show others. Needs
 * CAP_SYS_ADMIN. Descriptors stay open. Return: 0, or a negative errno; the process is not to go
 * on then.
 */
int confine_root(void);

#endif
