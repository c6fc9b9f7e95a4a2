// SPDX-License-Identifier: GPL-2.0-only
/* testdev: testdev-open, whose open fails, waits or excludes others. */
#include <linux/module.h>

#include "internal.h"

static unsigned int open_errno;
module_param(open_errno, uint, 0644);
MODULE_PARM_DESC(open_errno, "errno that opening testdev-open fails with, 0 for none");

static DECLARE_WAIT_QUEUE_HEAD(gate);
static bool gate_closed;
static atomic_t waiting = ATOMIC_INIT(0);

static DEFINE_MUTEX(opens_lock);
static unsigned int opens;
static bool exclusive;

/**
 * td_opens_enter() - what opening testdev-open does beyond other nodes
 * @filp: the file; O_NONBLOCK passes a closed gate, O_EXCL wants to be alone
 *
 * Return: 0 with the open counted, the errno that was set, -EBUSY, -ERESTARTSYS.
 */
int td_opens_enter(struct file *filp)
{
	unsigned int fail = READ_ONCE(open_errno);
	int ret;

	if (fail)
		return -(int)min(fail, (unsigned int)MAX_ERRNO);
	if (!(filp->f_flags & O_NONBLOCK)) {
		atomic_inc(&waiting);
		ret = wait_event_interruptible(gate, !READ_ONCE(gate_closed));
		atomic_dec(&waiting);
		if (ret)
			return ret;
	}
	mutex_lock(&opens_lock);
	if (exclusive || (opens && (filp->f_flags & O_EXCL))) {
		ret = -EBUSY;
	} else {
		opens++;
		exclusive = filp->f_flags & O_EXCL;
		ret = 0;
	}
	mutex_unlock(&opens_lock);
	return ret;
}

void td_opens_leave(void)
{
	mutex_lock(&opens_lock);
	opens--;
	exclusive = false;
	mutex_unlock(&opens_lock);
}

void td_opens_set(const struct td_open_set *set)
{
	WRITE_ONCE(open_errno, set->fail);
	WRITE_ONCE(gate_closed, set->closed);
	wake_up_all(&gate);
}

void td_opens_stat(struct td_stat *stat)
{
	stat->count[TD_OPEN_BLOCKED] = atomic_read(&waiting);
	stat->count[TD_OPEN_LIVE] = READ_ONCE(opens);
}
