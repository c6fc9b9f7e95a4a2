// SPDX-License-Identifier: Apache-2.0
#include "rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ioctl_policy.h"

static const struct pd_rule known[] = {
#include "descriptors.inc"
};

#define KNOWN (sizeof(known) / sizeof(known[0]))

_Static_assert(KNOWN + RULES_GIVEN_MAX <= PD_MAX_RULES, "a guest takes them all");

static int add(struct rules_given *given, const struct pd_rule *rule)
{
	if (given->n == RULES_GIVEN_MAX)
		return -E2BIG;
	given->rule[given->n++] = *rule;
	return 0;
}

int rules_give(struct rules_given *given, uint16_t flags, const char *text)
{
	struct pd_rule rule = { .flags = flags, .array = PD_RULE_NO_ARRAY };
	const char *at = strchr(text, '@');
	unsigned long offset;
	char word[64];
	char *end;
	int err;

	if (!at || at == text || (size_t)(at - text) >= sizeof(word))
		return -EINVAL;
	memcpy(word, text, (size_t)(at - text));
	word[at - text] = '\0';
	err = ioctl_number(word, &rule.cmd);
	if (err)
		return err;
	at++;
	if (flags == PD_RULE_IN && !strcmp(at, "argument")) {
		rule.flags |= PD_RULE_ARGUMENT;
	} else if (flags == PD_RULE_OUT && !strcmp(at, "result")) {
		rule.flags |= PD_RULE_RESULT;
	} else {
		errno = 0;
		offset = strtoul(at, &end, 0);
		if (end == at || *end || errno || *at == '-' || offset > 0x3ffc)
			return -EINVAL;
		rule.offset = (uint16_t)offset;
	}
	err = add(given, &rule);
	if (err)
		return err;
	rule.flags |= PD_RULE_COMPAT;
	return add(given, &rule);
}

unsigned int rules_copy(const struct rules_given *given, uint32_t first, struct pd_rule *out,
			unsigned int max)
{
	unsigned int n = 0;

	for (; n < max && first < KNOWN + given->n; n++, first++)
		out[n] = first < KNOWN ? known[first] : given->rule[first - KNOWN];
	return n;
}
