// SPDX-License-Identifier: Apache-2.0
#include "ioctl_policy.h"

#include <asm/ioctl.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct ioctl_name {
	const char *name;
	uint32_t cmd;
};

static const struct ioctl_name names[] = {
#include "ioctl-names.inc"
};

/* type and number; the rest is direction and the argument's size */
#define SAME_COMMAND(a, b) ((((a) ^ (b)) & 0xffff) == 0)
/* ... and direction: what reads has often the number of what writes. 32-bit programs' have the same. */
#define SAME_BUT_SIZE(a, b) ((((a) ^ (b)) & ~IOCSIZE_MASK) == 0)

static int compare(const void *key, const void *entry)
{
	return strcmp(key, ((const struct ioctl_name *)entry)->name);
}

int ioctl_number(const char *word, uint32_t *cmd)
{
	const struct ioctl_name *found;
	unsigned long long v;
	char *end;

	if (*word >= '0' && *word <= '9') {
		errno = 0;
		v = strtoull(word, &end, 0);
		if (*end || errno || v > UINT32_MAX)
			return -ENOENT;
		*cmd = (uint32_t)v;
		return 0;
	}
	found = bsearch(word, names, sizeof(names) / sizeof(names[0]), sizeof(names[0]), compare);
	if (!found)
		return -ENOENT;
	*cmd = found->cmd;
	return 0;
}

int ioctl_list_add(struct ioctl_list *list, const char *word)
{
	uint32_t cmd;
	int err = ioctl_number(word, &cmd);

	if (err)
		return err;
	if (list->n == IOCTL_LIST_MAX)
		return -E2BIG;
	list->cmds[list->n++] = cmd;
	return 0;
}

bool ioctl_allowed(const struct ioctl_policy *p, uint32_t cmd, bool compat)
{
	bool allowed = !p->allow.n;

	for (uint32_t i = 0; i < p->allow.n && !allowed; i++)
		allowed = compat ? SAME_BUT_SIZE(p->allow.cmds[i], cmd) : p->allow.cmds[i] == cmd;
	for (uint32_t i = 0; i < p->deny.n && allowed; i++)
		allowed = !SAME_COMMAND(p->deny.cmds[i], cmd);
	return allowed;
}
