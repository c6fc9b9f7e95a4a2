// SPDX-License-Identifier: GPL-2.0-only
/* testdev: from an ioctl's number to what does it. */
#include <linux/compat.h>
#include <asm/ioctls.h>

#include "internal.h"

/* Copy the argument in as a TYPE named x, run EXPR, and copy x back. */
#define TD_INOUT(type, x, expr)                                               \
	({                                                                    \
		type x;                                                       \
		long td_ret = -EFAULT;                                        \
		if (!copy_from_user(&x, argp, sizeof(x))) {                   \
			td_ret = (expr);                                      \
			if (td_ret >= 0 && copy_to_user(argp, &x, sizeof(x))) \
				td_ret = -EFAULT;                             \
		}                                                             \
		td_ret;                                                       \
	})

#define TD_IN(type, x, expr)                                                  \
	({                                                                    \
		type x;                                                       \
		copy_from_user(&x, argp, sizeof(x)) ? -EFAULT : (long)(expr); \
	})

static long td_info(struct td_file *f, void __user *argp)
{
	struct td_info info = {
		.open_flags = f->open_flags,
		.flags = f->filp->f_flags,
		.compat = in_compat_syscall(),
	};

	mutex_lock(&f->lock);
	info.segments = f->segments;
	info.count = f->last_count;
	info.pos = f->last_pos;
	info.queued = f->ring.len;
	info.mode = f->mode.mode;
	mutex_unlock(&f->lock);
	return copy_to_user(argp, &info, sizeof(info)) ? -EFAULT : 0;
}

static long td_stat(struct td_file *f, void __user *argp)
{
	struct td_stat stat;

	td_group_stat(f, &stat);
	return copy_to_user(argp, &stat, sizeof(stat)) ? -EFAULT : 0;
}

/* The whole struct goes back even when not everything was moved. */
static long td_touch_user(struct td_touch __user *argp)
{
	struct td_touch touch;
	long ret;

	if (copy_from_user(&touch, argp, sizeof(touch)))
		return -EFAULT;
	ret = td_touch(&touch);
	return copy_to_user(argp, &touch, sizeof(touch)) ? -EFAULT : ret;
}

static u32 td_opener(const struct td_file *f)
{
	return (f->opener == task_tgid(current) ? TD_OPENER_PROCESS : 0) |
	       (f->filp->f_cred == current_cred() ? TD_OPENER_CREDENTIALS : 0);
}

static long td_align(struct td_align *align)
{
	align->c = align->a + align->b;
	return 0;
}

static long td_hotplug(struct td_file *f, unsigned int cmd)
{
	if (f->minor != TD_MINOR_CTL)
		return -EPERM;
	return cmd == TD_PLUG ? td_plug() : td_unplug();
}

long td_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct td_file *f = TD_FILE(filp);
	void __user *argp = (void __user *)arg;

	if (td_gone(f))
		return -ENODEV;

	switch (cmd) {
	case TD_NOP:
		return 0;
	case TD_RETURN:
		return (int)arg;
	case TD_INFO:
		return td_info(f, argp);
	case TD_JOIN:
		return TD_IN(struct td_join, join, td_group_join(f, &join));
	case TD_STAT:
		return td_stat(f, argp);
	case TD_SET_MODE:
		return TD_IN(struct td_mode, mode, td_set_mode(f, &mode));
	case FIONREAD:
		return put_user((int)READ_ONCE(f->ring.len), (int __user *)argp);

	case TD_NEST:
		return TD_INOUT(struct td_top, top, td_nest(&top, &td_nest_native));
	case TD_ARRAY:
		return TD_INOUT(struct td_array, array, td_array(&array));
	case TD_STRING:
		return TD_IN(struct td_string, string, td_string(&string));
	case TD_TOUCH:
		return td_touch_user(argp);
	case TD_ALIGN:
		return TD_INOUT(struct td_align, align, td_align(&align));
	case TD_FLEX:
		return td_flex(argp);

	case TD_PIN:
		return TD_INOUT(struct td_pin, pin, td_pin(f, &pin));
	case TD_PIN_WRITE:
		return TD_IN(struct td_pin_io, io, td_pin_io(f, &io, true));
	case TD_PIN_READ:
		return TD_INOUT(struct td_pin_io, io, td_pin_io(f, &io, false));
	case TD_PIN_FREE:
		return td_pin_free(f, arg);

	case TD_BLOCK:
		return TD_INOUT(struct td_block, block, td_block(f, &block));
	case TD_WAKE:
		return TD_IN(struct td_wake, wake, td_wake(f, &wake));
	case TD_SUBMIT:
		return TD_IN(struct td_submit, submit, td_submit(f, &submit));
	case TD_CANCEL:
		return TD_IN(u64, cookie, td_cancel(f, cookie));

	case TD_POLL_SET:
		return TD_IN(struct td_poll, poll, td_poll_set(f, &poll));
	case TD_SIGIO:
		return TD_IN(struct td_poll, poll, td_sigio(f, &poll));

	case TD_MAP_FILL:
		return TD_IN(struct td_map_io, io, td_map_io(f, &io, true));
	case TD_MAP_SUM:
		return TD_INOUT(struct td_map_io, io, td_map_io(f, &io, false));
	case TD_MAP_SWITCH:
		return td_map_switch(f);
	case TD_MAP_FREE:
		return td_map_free(f, arg);

	case TD_OPEN_SET:
		return TD_IN(struct td_open_set, set, (td_opens_set(&set), 0));
	case TD_OPENER:
		return put_user(td_opener(f), (u32 __user *)argp);
	case TD_PLUG:
	case TD_UNPLUG:
		return td_hotplug(f, cmd);

	case TD_FD_IN:
		return TD_INOUT(struct td_fd_in, in, td_fd_in(&in));
	case TD_FD_OUT:
		return TD_INOUT(struct td_fd_out, out, td_fd_out(&out));
	case TD_FD_PREAD:
		return TD_INOUT(struct td_fd_pread, pread, td_fd_pread(&pread));
	default:
		return td_numbers(cmd, arg);
	}
}
