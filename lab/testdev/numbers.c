// SPDX-License-Identifier: GPL-2.0-only
/* testdev: ioctls whose number does not say what they touch. */
#include <linux/slab.h>

#include "internal.h"

static long td_pair(struct td_pair __user *argp)
{
	struct td_pair pair;

	if (copy_from_user(&pair, argp, sizeof(pair)))
		return -EFAULT;
	pair.out = pair.in * 3 + 1;
	return copy_to_user(argp, &pair, sizeof(pair)) ? -EFAULT : 0;
}

/* As TUNSETIFF does: the number says int, a whole struct goes both ways. */
static long td_setname(struct td_setname __user *argp)
{
	struct td_setname set;
	char *mark;
	int i;

	if (copy_from_user(&set, argp, sizeof(set)))
		return -EFAULT;
	set.name[sizeof(set.name) - 1] = 0;
	mark = strstr(set.name, "%d");
	if (mark) {
		mark[0] = '4';
		mark[1] = '2';
	}
	set.flags ^= 0xffff;
	for (i = 0; i < sizeof(set.rest); i++)
		set.rest[i] = td_byte(set.flags, i);
	return copy_to_user(argp, &set, sizeof(set)) ? -EFAULT : 0;
}

static long td_short(u8 __user *argp)
{
	u8 *data = kmalloc(TD_SHORT_LEN, GFP_KERNEL);
	long ret;
	int i;

	if (!data)
		return -ENOMEM;
	for (i = 0; i < TD_SHORT_LEN; i++)
		data[i] = td_byte(9, i);
	ret = copy_to_user(argp, data, TD_SHORT_LEN) ? -EFAULT : 0;
	kfree(data);
	return ret;
}

static long td_reads_ior(struct td_pair __user *argp)
{
	u64 in;

	if (copy_from_user(&in, &argp->in, sizeof(in)))
		return -EFAULT;
	return (long)(in & 0xffff) + 5;
}

static long td_writes_iow(struct td_pair __user *argp)
{
	u64 out = 77;

	return copy_to_user(&argp->out, &out, sizeof(out)) ? -EFAULT : 0;
}

/**
 * td_numbers() - run one of them
 * @cmd: its number
 * @arg: its argument, pointer or not
 *
 * Return: its result, -ENOTTY for a number that nothing here knows.
 */
long td_numbers(unsigned int cmd, unsigned long arg)
{
	void __user *argp = (void __user *)arg;

	switch (cmd) {
	case TD_SETNAME:
		return td_setname(argp);
	case TD_NONE_PTR:
	case TD_LONG:
	case TD_LEGACY:
	case TD_ODD:
		return td_pair(argp);
	case TD_VALUE:
		return (int)arg + 1;
	case TD_SHORT:
		return td_short(argp);
	case TD_READS_IOR:
		return td_reads_ior(argp);
	case TD_WRITES_IOW:
		return td_writes_iow(argp);
	default:
		return -ENOTTY;
	}
}
