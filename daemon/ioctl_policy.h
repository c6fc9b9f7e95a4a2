/* SPDX-License-Identifier: Apache-2.0 */
/* Which ioctls of a device a VM may make: the administrator's allow-ioctl= and deny-ioctl=. */
#ifndef PARADICE_IOCTL_POLICY_H
#define PARADICE_IOCTL_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#define IOCTL_LIST_MAX 64

struct ioctl_list {
	uint32_t n;
	uint32_t cmds[IOCTL_LIST_MAX];
};

/**
 * struct ioctl_policy - both lists of a device
 * @allow: when not empty: only these
 * @deny: none of these
 */
struct ioctl_policy {
	struct ioctl_list allow;
	struct ioctl_list deny;
};

/**
 * ioctl_number() - the command that a word names
 * @word: its name in the kernel's user headers (TUNSETIFF), or its number (0x400454ca)
 *
 * Return: 0, or -ENOENT for an unknown name or no 32-bit number.
 */
int ioctl_number(const char *word, uint32_t *cmd);

/**
 * ioctl_list_add() - adds a command
 * @word: its name in the kernel's user headers (TUNSETIFF), or its number (0x400454ca)
 *
 * Return: 0; -ENOENT for an unknown name or no 32-bit number; -E2BIG when the list is full.
 */
int ioctl_list_add(struct ioctl_list *list, const char *word);

/**
 * ioctl_allowed() - may it be made?
 * @compat: by a 32-bit program, whose commands differ in the size of their argument
 *
 * What is denied is compared without size and direction, so that no variant of it gets through.
 */
bool ioctl_allowed(const struct ioctl_policy *p, uint32_t cmd, bool compat);

#endif
