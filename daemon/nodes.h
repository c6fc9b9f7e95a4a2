/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device nodes that a VM's mirrors may open themselves, in a file system that only the manager has.
 * By the main thread only.
 */
#ifndef PARADICE_NODES_H
#define PARADICE_NODES_H

#include <stdbool.h>
#include <sys/types.h>

/* Once. Without root's rights there are none. */
void nodes_setup(void);
bool nodes_possible(void);

/**
 * nodes_make() - a node of a character device, which no path leads to
 * @name: what people see of it in /proc
 * @readonly: it cannot be opened for writing
 * @group: may open it, and nobody else
 *
 * Return: an O_PATH descriptor, to be opened through /proc/self/fd; or a negative errno.
 */
int nodes_make(const char *name, dev_t device, bool readonly, gid_t group);

#endif
