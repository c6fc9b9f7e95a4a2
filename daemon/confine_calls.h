/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls that a worker may make. */
#ifndef PARADICE_CONFINE_CALLS_H
#define PARADICE_CONFINE_CALLS_H

/**
 * confine_calls() - from now on the process, its threads and its mirrors end at any call that
 * serving a VM does not need
 *
 * Return: 0, or a negative errno.
 */
int confine_calls(void);

#endif
