/* SPDX-License-Identifier: Apache-2.0 */
/* Where ioctls' arguments hold descriptors: what is known of the kernel's own, and what is given. */
#ifndef PARADICE_RULES_H
#define PARADICE_RULES_H

#include <stdint.h>

#include <paradice/protocol.h>

#define RULES_GIVEN_MAX 64

/* struct rules_given - those of fd-in= and fd-out= */
struct rules_given {
	uint32_t n;
	struct pd_rule rule[RULES_GIVEN_MAX];
};

/**
 * rules_give() - adds what an administrator says of a command
 * @flags: PD_RULE_IN or PD_RULE_OUT
 * @text: COMMAND@OFFSET, COMMAND@argument or COMMAND@result; the command by name or number
 *
 * Return: 0, -EINVAL when it cannot be understood, -ENOENT for an unknown command, -E2BIG.
 */
int rules_give(struct rules_given *given, uint16_t flags, const char *text);

/* Copies rules from index @first on, at most @max; how many. */
unsigned int rules_copy(const struct rules_given *given, uint32_t first, struct pd_rule *out,
			unsigned int max);

#endif
