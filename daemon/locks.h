/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemons of a host share out between them, each file in /run/paradice/locks being a thing that one
 * or several have: user ids and devices. The kernel gives back what a daemon that has ended had. A daemon that
 * is not root's takes no part.
 */
#ifndef PARADICE_LOCKS_H
#define PARADICE_LOCKS_H

#include <stdbool.h>
#include <sys/types.h>

/* Once, at the start. */
void locks_setup(void);
bool locks_possible(void);

/**
 * locks_device(), locks_user() - takes a device, or a user id, without waiting
 * @alone: nobody else may have it
 *
 * Return: a descriptor for locks_release(), -EBUSY when another one has it, or another negative errno when that
 * cannot be known.
 */
int locks_device(dev_t rdev, bool alone);
int locks_user(uid_t uid);
void locks_release(int fd);

#endif
