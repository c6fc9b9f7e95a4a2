// SPDX-License-Identifier: GPL-2.0-only
/* testdev: calls that sleep until another call lets them go. */
#include "internal.h"

/* Which errno an interrupted sleep ends with. */
static long td_block_code(long ret, u32 code)
{
	return ret == -ERESTARTSYS && code ? -(long)code : ret;
}

static long td_block_sleep(struct td_file *f, struct td_block *block)
{
	struct td_group *g = f->group;
	unsigned long timeout = MAX_SCHEDULE_TIMEOUT;
	bool taken = false;

#define TD_DONE ((taken = td_group_take(g, &block->value)) || td_gone(f))
	if (block->timeout_ms)
		timeout = msecs_to_jiffies(block->timeout_ms);
	switch (block->how) {
	case TD_BLOCK_INTR: {
		long left = wait_event_interruptible_timeout(g->wait, TD_DONE, timeout);

		if (left < 0)
			return left;
		break;
	}
	case TD_BLOCK_KILLABLE:
		if (wait_event_killable_timeout(g->wait, TD_DONE, timeout) < 0)
			return -ERESTARTSYS;
		break;
	default:
		wait_event_timeout(g->wait, TD_DONE, timeout);
	}
#undef TD_DONE
	if (taken)
		return 0;
	return td_gone(f) ? -ENODEV : -ETIMEDOUT;
}

/**
 * td_block() - sleep until the group has a ticket, and take it
 * @f: the file
 * @block: how to sleep; value is answered
 *
 * Return: 0, -ETIMEDOUT, -ENODEV, -EINVAL, or @block's code when interrupted.
 */
long td_block(struct td_file *f, struct td_block *block)
{
	long ret;

	if (block->how > TD_BLOCK_UNINTR || block->timeout_ms > 60000 || block->code > MAX_ERRNO)
		return -EINVAL;
	if (block->how == TD_BLOCK_UNINTR && (!block->timeout_ms || block->timeout_ms > 5000))
		return -EINVAL;
	td_count(f, TD_BLOCKED, 1);
	ret = td_block_sleep(f, block);
	td_count(f, TD_BLOCKED, -1);
	if (ret == -ERESTARTSYS)
		td_count(f, TD_INTERRUPTED, 1);
	return td_block_code(ret, block->code);
}

long td_wake(struct td_file *f, const struct td_wake *wake)
{
	struct td_group *g = f->group;

	spin_lock(&g->lock);
	g->tickets += wake->count;
	g->value = wake->value;
	spin_unlock(&g->lock);
	td_group_wake(g, 0);
	return 0;
}
